/**
 * Scenario files: what is typed, which packets go in and which must come out, as text that people can read.
 *
 *     === NAT rewrites address and port on the way in and back   [5.2] {quick}
 *     $ ipvsadm -A -t VIP:80 -s rr
 *     $ ipvsadm -a -t VIP:80 -r R1:8080 -m
 *     client > tcp CIP:40001 > VIP:80 S seq=1
 *     server < tcp CIP:40001 > R1:8080 S seq=1
 *     $ ipvsadm -Lnc
 *       TCP ~01:00 SYN_RECV CIP:40001 VIP:80 R1:8080
 *
 * The director has a side towards the clients, one towards the real servers, and its own stack (`local`). After each packet
 * that goes in (`>`) exactly the packets below it (`<`) come out, in this order on each side, and nothing else.
 *
 * - Packets are written as in `packet-notation.ts`. TTL is 64 in what goes in and 63 in what comes out unless said.
 * - Below a command: rows of its output, words in order, others may stand between; `~15:00` is that time or some seconds less.
 *   For `-Lnc` every row must be given, `(none)` when there are none. `! text` is what stderr holds; the command then fails.
 * - `{40001..40006}` and `{13 12 11}` make one step into many, all braces of a step counting on together; `{- x}` at the start
 *   of a `<` line says by which of them it is expected.
 * - `=== given` holds steps that come before every scenario below it.
 * - `sysctl NAME=VALUE` (below net.ipv4.vs unless it has a dot), `wait 2s`, `mark 5 tcp VIP:80` (firewall mark of what arrives
 *   for that), `marklocal 5` (a policy route that takes packets of that mark for the director itself), `mtu server 1400`, `address 10.1.0.50/32` and `localnet 10.50.0.0/24` (addresses the director calls its own).
 * - Tags: `{quick}`, `{engine}`, `{model-only: reason}`, `{kernel-only: reason}`.
 * @module
 */

import { buildPacket } from "./packet-build.ts";
import { type Expected, expectPacket, TTL_IN } from "./packet-compare.ts";
import { parseNote } from "./packet-notation.ts";

/** Where a packet goes in or comes out. */
export type Side = "client" | "server" | "local";

/** A packet that must come out. */
export interface ExpectedOutput {
  readonly side: Side;
  readonly expected: Expected;
  readonly line: number;
}

/** One thing that is done, and what must follow. */
export type Step = { readonly line: number } & (
  | { readonly kind: "command"; readonly argv: readonly string[]; readonly rows: readonly string[] }
  | {
      readonly kind: "packet";
      readonly side: Side;
      readonly text: string;
      readonly bytes: Uint8Array;
      readonly outputs: readonly ExpectedOutput[];
    }
  | { readonly kind: "sysctl"; readonly name: string; readonly value: string }
  | { readonly kind: "wait"; readonly ms: number }
  | {
      readonly kind: "mark";
      readonly mark: number;
      readonly protocol: string;
      readonly address: string;
      readonly port: number;
    }
  | { readonly kind: "mtu"; readonly side: Side; readonly mtu: number }
  | { readonly kind: "marklocal"; readonly mark: number }
  | { readonly kind: "address" | "localnet"; readonly cidr: string }
);

/** A scenario, ready to be played. */
export interface Scenario {
  readonly title: string;
  /** File name without its ending. */
  readonly topic: string;
  readonly line: number;
  /** Tag → its reason, "" when it has none. */
  readonly tags: ReadonlyMap<string, string>;
  readonly steps: readonly Step[];
}

/** Names of addresses in scenario files. */
export const NAMES: Readonly<Record<string, string>> = {
  CIP: "10.1.0.2",
  CIP6: "2001:db8:1::2",
  VIP: "10.1.0.100",
  VIP6: "2001:db8:1::100",
  D1: "10.1.0.1",
  D2: "10.2.0.1",
  D1v6: "2001:db8:1::1",
  D2v6: "2001:db8:2::1",
  R1: "10.2.0.11",
  R2: "10.2.0.12",
  R3: "10.2.0.13",
  R4: "10.2.0.14",
  R1v6: "2001:db8:2::11",
  R2v6: "2001:db8:2::12",
  R3v6: "2001:db8:2::13",
};
const NAME = new RegExp(
  `\\b(?:${Object.keys(NAMES)
    .sort((a, b) => b.length - a.length)
    .join("|")})\\b`,
  "g",
);

/** A scenario file that cannot be read; the message starts with FILE:LINE. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
}

interface Line {
  readonly text: string;
  readonly number: number;
}

/** The items of one brace: `{a b}` or `{1..3}`. */
function itemsOf(brace: string): string[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(brace);
  if (!range) return brace.trim().split(/\s+/);
  const [from, to] = [Number(range[1]), Number(range[2])];
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
}

const BRACE = /\{([^{}]*)\}/g;

/** Lines of a step, as often as its longest brace says. */
function expand(group: readonly Line[]): Line[][] {
  const counts = group.flatMap(({ text }) => [...text.matchAll(BRACE)].map((m) => itemsOf(m[1]).length));
  const times = Math.max(1, ...counts);
  return Array.from({ length: times }, (_, i) =>
    group.flatMap(({ text, number }) => {
      const lead = /^\{([-x\s]*)\}\s*/.exec(text);
      if (lead && itemsOf(lead[1])[i] !== "x") return [];
      const rest = lead ? text.slice(lead[0].length) : text;
      let skip = false;
      const full = rest.replace(BRACE, (_, brace: string) => {
        const items = itemsOf(brace);
        const item = items[i % items.length];
        if (item === "-") skip = true;
        return item;
      });
      return skip ? [] : [{ text: full, number }];
    }),
  );
}

const PACKET = /^(client|server|local)\s+([<>])\s+(.*)$/;

/** Splits a command as a shell would, double quotes only. */
const argvOf = (text: string): string[] =>
  (text.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, "$1"));

function stepOf([first, ...rest]: Line[]): Step {
  const { text, number: line } = first;
  const packet = PACKET.exec(text);
  if (packet?.[2] === ">") {
    const outputs = rest.map(({ text: below, number }): ExpectedOutput => {
      const match = PACKET.exec(below)!;
      return { side: match[1] as Side, expected: expectPacket(match[3]), line: number };
    });
    const note = parseNote(packet[3], TTL_IN);
    return {
      kind: "packet",
      line,
      side: packet[1] as Side,
      text: packet[3],
      bytes: buildPacket(note),
      outputs,
    };
  }
  if (text.startsWith("$ ")) {
    return { kind: "command", line, argv: argvOf(text.slice(2)), rows: rest.map((row) => row.text) };
  }
  const [word, ...args] = text.split(/\s+/);
  if (word === "sysctl") {
    const match = /^sysctl\s+([\w.]+)=(.*)$/.exec(text);
    if (match) return { kind: "sysctl", line, name: match[1], value: match[2] };
  }
  if (word === "wait" && /^[\d.]+s$/.test(args[0])) {
    return { kind: "wait", line, ms: Number.parseFloat(args[0]) * 1000 };
  }
  if (word === "mark") {
    const match = /^(.*?)(?::(\d+))?$/.exec(args[2].replace(/^\[(.*)\]/, "$1"));
    const bracketed = /^\[(.*)\](?::(\d+))?$/.exec(args[2]);
    const [address, port] = bracketed ? [bracketed[1], bracketed[2]] : [match![1], match![2]];
    return { kind: "mark", line, mark: Number(args[0]), protocol: args[1], address, port: Number(port ?? 0) };
  }
  if (word === "marklocal") return { kind: "marklocal", line, mark: Number(args[0]) };
  if (word === "mtu") return { kind: "mtu", line, side: args[0] as Side, mtu: Number(args[1]) };
  if (word === "address" || word === "localnet") return { kind: word, line, cidr: args[0] };
  throw new Error(`"${text}" is not a step`);
}

/** Gathers lines into steps: what is below a command or packet belongs to it. */
function stepsOf(lines: readonly Line[], where: (line: number) => string): Step[] {
  const groups: Line[][] = [];
  for (const line of lines) {
    const bare = line.text.trim().replace(/^\{[-x\s]*\}\s*/, "");
    const output = PACKET.exec(bare)?.[2] === "<";
    const below = output || /^\s/.test(line.text);
    const trimmed = { text: line.text.trim(), number: line.number };
    if (!below) groups.push([trimmed]);
    else if (groups.length === 0) throw new ScenarioError(`${where(line.number)} stands below nothing`);
    else groups.at(-1)!.push(trimmed);
  }
  return groups.flatMap((group) =>
    expand(group).map((lines) => {
      try {
        return stepOf(lines);
      } catch (error) {
        throw new ScenarioError(`${where(lines[0].number)} ${(error as Error).message}`);
      }
    }),
  );
}

/**
 * Reads a scenario file.
 * @throws ScenarioError
 */
export function parseScenarios(topic: string, text: string): Scenario[] {
  const where = (line: number): string => `${topic}.txt:${line}:`;
  const blocks: { head: Line; lines: Line[] }[] = [];
  text.split("\n").forEach((raw, i) => {
    const line = {
      text: raw
        .replace(/^\s*#.*$/, "")
        .replace(/\s+#\s.*$/, "")
        .trimEnd(),
      number: i + 1,
    };
    if (line.text === "") return;
    const named = { ...line, text: line.text.replace(NAME, (name) => NAMES[name]) };
    if (line.text.startsWith("===")) blocks.push({ head: line, lines: [] });
    else if (blocks.length > 0) blocks.at(-1)!.lines.push(named);
    else throw new ScenarioError(`${where(line.number)} "===" expected first`);
  });
  let given: Step[] = [];
  const scenarios: Scenario[] = [];
  for (const { head, lines } of blocks) {
    const steps = stepsOf(lines, where);
    const tags = new Map(
      [...head.text.matchAll(/\{([\w-]+)(?::\s*([^}]*))?\}/g)].map((m) => [m[1], m[2] ?? ""] as const),
    );
    const title = head.text
      .slice(3)
      .replace(/\{[^}]*\}/g, "")
      .replace(/\s+/g, " ")
      .trim();
    if (title === "given") given = steps;
    else scenarios.push({ title, topic, line: head.number, tags, steps: [...given, ...steps] });
  }
  return scenarios;
}

/** Whether packets of the director's own stack matter to a scenario. */
export const usesLocal = (scenario: Scenario): boolean =>
  scenario.steps.some(
    (step) =>
      step.kind === "packet" && (step.side === "local" || step.outputs.some((o) => o.side === "local")),
  );
