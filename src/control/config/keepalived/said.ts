/**
 * What keepalived 2.2.7 says under `-t`, in its order, and the exit status.
 *
 * keepalived reads a file once in each of its processes, each looking only into the blocks that concern it. A block it does not
 * know is not skipped: its contents are read at the level around it, and its `}` closes that level. We read such files in a
 * kinder way; {@link sayStructure} tells what keepalived says of them.
 * @module
 */
import { inner, type Table } from "./keyword.ts";
import type { Phase, Reader, Said } from "./reader.ts";
import type { Origin, Text } from "./text.ts";
import { phaseOf, TOP } from "./top.ts";
import { tokens } from "./tree.ts";

type Level = Table<never> | "items" | "skip";

/** One process's walk over the file. */
function walk(lines: readonly Text[], phase: Phase, reader: Reader): void {
  const stack: Level[] = [TOP as Table<never>];
  /** Braces open, as counted over all of the file. */
  let open = 0;
  /** Open braces inside a block that is not this process's. */
  let skipped = 0;
  /** A block keyword that waits for its `{`. */
  let waiting: Level | undefined;
  /** An unknown keyword that a `{` may follow. */
  let unknown = false;
  const say = (code: string, text: string, from?: Origin) =>
    reader.say(code, text, from === undefined ? {} : { from });
  const enter = (level: Level) => {
    if (level === "skip") skipped = 1;
    else stack.push(level);
    waiting = undefined;
  };
  for (const line of lines) {
    const pieces = tokens(line);
    const first = pieces[0]?.text;
    for (const { kind, text } of pieces) {
      if (kind === "{") open++;
      if (kind === "}" && --open < 0) {
        say("extra-close-brace", "Extra '}' found", text.from);
        open = 0;
      }
      if (skipped > 0) {
        if (kind === "{") skipped++;
        if (kind === "}") skipped--;
        continue;
      }
      if (waiting !== undefined) {
        if (kind === "{") {
          enter(waiting);
          continue;
        }
        if (waiting === "skip") {
          // Without its '{' the block's contents stand at the top level.
          waiting = undefined;
        } else {
          say("missing-open-brace", "Missing '{' at beginning of configuration block", text.from);
          enter(waiting);
        }
      }
      const level = stack[stack.length - 1];
      const pasted = text === first ? reader.pasted.get(text.from) : undefined;
      if (pasted !== undefined && kind !== "text" && level !== "items") {
        say("unknown-keyword", `Unknown keyword '${pasted}'`, text.from);
      }
      if (kind === "}") {
        unknown = false;
        if (stack.length > 1) stack.pop();
        else say("unknown-keyword", "Unknown keyword '}'", text.from);
        continue;
      }
      if (kind === "{") {
        if (unknown) say("unexpected-open-brace", "Unexpected '{' - ignoring", text.from);
        else if (level !== "items") say("unexpected-open-brace", "Unexpected '{' - ignoring", text.from);
        unknown = false;
        continue;
      }
      unknown = false;
      if (level === "items" || level === "skip") continue;
      const word = /^"([^"]*)"?|^[^\s"]+/.exec(text.text);
      const name = pasted ?? word?.[1] ?? word?.[0] ?? "";
      const keyword = level.get(name);
      const top = stack.length === 1;
      if (keyword === undefined || keyword.foreign) {
        say("unknown-keyword", `Unknown keyword '${name}'`, text.from);
        unknown = true;
        continue;
      }
      const block = inner(keyword);
      if (block === undefined) continue;
      const other = top && phaseOf(name) !== phase;
      waiting = other ? "skip" : block;
    }
  }
  if (open > 0) say("missing-close-brace", `There are ${open} missing '}'s or extra '{'s`);
}

/** Adds to the reader what keepalived says about keywords and braces. */
export function sayStructure(lines: readonly Text[], reader: Reader): void {
  const before = reader.phase;
  for (const phase of ["parent", "checker", "vrrp"] as const) {
    reader.phase = phase;
    walk(lines, phase, reader);
  }
  reader.phase = before;
}

const PHASES: readonly Phase[] = ["parent", "checker", "vrrp"];

/** In the order of processes, files and lines; remarks without a line come last in their process, repetitions go. */
export function orderSaid(said: readonly Said[], opened: readonly string[]): Said[] {
  const rank = new Map(opened.map((file, i) => [file, i]));
  const line = (each: Said) => (each.at === undefined ? Number.POSITIVE_INFINITY : each.at.line);
  const file = (each: Said) =>
    each.at === undefined ? Number.POSITIVE_INFINITY : (rank.get(each.at.file) ?? 0);
  const order = (a: number, b: number) => (a === b ? 0 : a - b);
  const seen = new Set<string>();
  return [...said]
    .sort(
      (a, b) =>
        order(PHASES.indexOf(a.phase), PHASES.indexOf(b.phase)) ||
        order(file(a), file(b)) ||
        order(line(a), line(b)),
    )
    .filter((each) => {
      const key = `${each.at?.file}:${each.at?.line}:${each.text}`;
      return !seen.has(key) && Boolean(seen.add(key));
    });
}

/** The lines that `keepalived -t` prints: nothing is read after a missing word. */
export function testLines(said: readonly Said[], severalFiles: boolean): string[] {
  const fatal = said.findIndex(({ status }) => status === 2);
  return said.slice(0, fatal < 0 ? undefined : fatal + 1).map(({ at, text }) => {
    if (at === undefined) return text;
    return severalFiles ? `(${at.file}: Line ${at.line}) ${text}` : `(Line ${at.line}) ${text}`;
  });
}

/** Exit status of `keepalived -t`: 2 when a word is missing, 6 for scripts without security or a missing `includea`, 5 for anything else that was said. */
export function keepalivedTestStatus(said: readonly Said[]): 0 | 2 | 5 | 6 {
  const has = (status: Said["status"]) => said.some((each) => each.status === status);
  return has(2) ? 2 : has(6) ? 6 : has(5) ? 5 : 0;
}
