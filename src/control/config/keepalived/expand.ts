/**
 * From files to lines: conditional lines, parameters and definitions, sequences and lists, includes, comments.
 *
 * What comes out has no comments, no parameters and no includes any more; every character knows the place it came from.
 * @module
 */
import { posix } from "node:path";
import { expandBraces, type FileAccess, glob, hasWildcard } from "../files.ts";
import type { Reader } from "./reader.ts";
import { columnOf, type Origin, only, replace, slice, type Text, wordAt } from "./text.ts";

/** Most lines that one configuration may grow to. */
const MOST_LINES = 1_000_000;
/** Most substitutions in one line: parameters may name each other, also in circles. */
const MOST_SUBSTITUTIONS = 1000;
const MOST_INCLUDES = 64;
/** Most files; links may hide that they include each other. */
const MOST_FILES = 10_000;

/** Settings of the expansion. */
export interface Surroundings {
  readonly configId: string;
  readonly files: FileAccess;
  readonly strictIncludes: boolean;
  readonly random: () => number;
}

/** A parameter's value: its lines, with their origins. */
type Definition = readonly Text[];

/** Blanks and quotes that web pages and word processors put in the place of plain ones; one character for one. */
const PASTED_BLANK = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff]/g;
const PASTED_DOUBLE = /[\u201c\u201d\u201e\u201f]/g;
const PASTED_SINGLE = /[\u2018\u2019\u201a\u201b]/g;

/** The line with plain blanks and quotes. */
export function plain(line: string): string {
  if (!/[\u00a0\u1680\u2000-\u205f\u3000\ufeff]/.test(line)) return line;
  return line.replace(PASTED_BLANK, " ").replace(PASTED_DOUBLE, '"').replace(PASTED_SINGLE, "'");
}

/** Index where the comment starts: `#` or `!` outside double quotes and not after a backslash; the length when there is none. */
export function commentAt(text: string): number {
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (c === "#" || c === "!") return i;
    else if (c === "\\" && (text[i + 1] === "#" || text[i + 1] === "!")) i++;
  }
  return text.length;
}

/** Without comment and without blanks at the end. */
function decomment(t: Text): Text {
  const end = t.text.slice(0, commentAt(t.text)).trimEnd().length;
  return end === t.text.length ? t : slice(t, 0, end);
}

/** `\#` and `\!` outside quotes become plain characters. */
function unescapeComments(t: Text): Text {
  if (!/\\[#!]/.test(t.text)) return t;
  const keep: number[] = [];
  let quoted = false;
  for (let i = 0; i < t.text.length; i++) {
    if (t.text[i] === '"') quoted = !quoted;
    if (!quoted && t.text[i] === "\\" && /[#!]/.test(t.text[i + 1] ?? "")) i++;
    keep.push(i);
  }
  return only(t, keep);
}

/** Whether a line of a definition goes on in the next. */
const continues = (text: string): boolean => text.trimEnd().endsWith("\\");

/** Without the backslash at the end. */
function withoutContinuation(t: Text): Text {
  return t.text.endsWith("\\") ? slice(t, 0, t.text.length - 1) : t;
}

const INCLUDE = /^(include|includer|includem|includew|includeb|includea)(?:\s+(.*))?$/;
const DEFINITION = /^\$([A-Za-z_]\w*)=\s*/;
const REFERENCE = /\$(?:\{([A-Za-z_]\w*)((?:\s+-?\w+){0,2})\s*\}|([A-Za-z_]\w*)(?=[\s,)]|$))/g;

/** Reads files into lines. */
export class Expansion {
  readonly lines: Text[] = [];
  /** Absolute paths, in the order in which they were opened. */
  readonly opened: string[] = [];
  readonly #definitions = new Map<string, Definition>();
  readonly #reader: Reader;
  readonly #around: Surroundings;
  /** Files that are being read, the outermost first. */
  readonly #reading: string[] = [];
  #overflow = false;

  constructor(reader: Reader, around: Surroundings) {
    this.#reader = reader;
    this.#around = around;
  }

  /** Reads a file's text. */
  file(path: string, content: string, depth = 0): void {
    this.opened.push(path);
    this.#reading.push(path);
    this.#lines(path, content, depth);
    this.#reading.pop();
  }

  #lines(path: string, content: string, depth: number): void {
    const sources = content.split("\n");
    if (sources.at(-1) === "") sources.pop();
    const folder = posix.dirname(path);
    for (let i = 0; i < sources.length; i++) {
      const from: Origin = { file: path, line: i + 1, source: sources[i].replace(/\r$/, "") };
      const whole: Text = { text: this.#plain(from), from, start: 0 };
      const line = this.#begin(whole);
      if (line === undefined) continue;
      const definition = DEFINITION.exec(line.text);
      if (definition) {
        const parts: Text[] = [slice(line, definition[0].length, line.text.length)];
        // A backslash at the end counts also when a comment stands before it.
        let more = continues(whole.text);
        while (more && ++i < sources.length) {
          const next: Origin = { file: path, line: i + 1, source: sources[i].replace(/\r$/, "") };
          const text = this.#plain(next);
          more = continues(text);
          parts.push(decomment({ text, from: next, start: 0 }));
        }
        this.#definitions.set(definition[1], parts.map(withoutContinuation));
        continue;
      }
      const include = INCLUDE.exec(line.text);
      if (include) this.#include(include[1], slice(line, include[1].length, line.text.length), folder, depth);
      else this.#line(line, folder, 0);
    }
  }

  /** Comment and condition taken off; undefined when nothing is left of the line. */
  #begin(raw: Text): Text | undefined {
    let line = decomment(raw);
    const blanks = line.text.length - line.text.trimStart().length;
    if (blanks > 0) line = slice(line, blanks, line.text.length);
    const condition = /^@(\^?)(\S*)(?:\s+|$)/.exec(line.text);
    if (condition) {
      if ((condition[2] === this.#around.configId) === (condition[1] === "^")) return undefined;
      line = slice(line, condition[0].length, line.text.length);
    }
    return line.text === "" ? undefined : line;
  }

  /** The text of a line with pasted characters made plain, with one warning a file for each kind. */
  #plain(from: Origin): string {
    const text = plain(from.source);
    if (text === from.source) return text;
    let at = 0;
    while (text[at] === from.source[at]) at++;
    const pasted = from.source[at];
    const blank = text[at] === " ";
    const code = blank ? "pasted-blank" : "pasted-quote";
    if (at >= commentAt(text)) return text;
    const word = { text: pasted, from, column: at + 1, length: 1, quoted: false };
    if (this.#reader.first(`${code} ${from.file}`)) {
      const name = blank ? "a blank that is no plain space (pasted from a web page?)" : "a curly quote";
      this.#reader.warn(code, word, `${name}; it is read as ${blank ? "a space" : `${text[at]}`}`, {
        remedy: '"lvsd check --fix" replaces all of them; keepalived takes them for parts of words',
      });
    }
    if (blank && text.trimStart() !== "" && at <= text.length - text.trimStart().length) {
      this.#reader.pasted.set(from, from.source.slice(at).split(/[ \t{}]/)[0]);
    }
    return text;
  }

  /** Sequences, lists and parameters of one line; what is left is kept. */
  #line(line: Text, folder: string, depth: number): void {
    if (this.#overflow) return;
    if (depth > MOST_INCLUDES || this.lines.length >= MOST_LINES) {
      this.#overflow = true;
      const word = wordAt(line, 0, Math.max(1, line.text.length), line.text, false);
      this.#reader.error(
        "too-much",
        word,
        "parameters and sequences make too many lines, or call each other",
      );
      return;
    }
    const loop = /^~(SEQx?|LST)\(/.exec(line.text);
    if (loop) {
      this.#loop(loop[1], line, folder, depth);
      return;
    }
    const expanded = this.#substitute(line, folder);
    for (const [i, part] of expanded.entries()) {
      // The lines of a parameter are read as lines of their own: they may hold anything a line can.
      const again = i > 0 || expanded.length > 1 ? this.#begin(part) : part;
      if (again === undefined) continue;
      if (expanded.length > 1 && (i > 0 || /[$~]/.test(again.text))) {
        const definition = DEFINITION.exec(again.text);
        if (definition) {
          this.#definitions.set(definition[1], [slice(again, definition[0].length, again.text.length)]);
        } else this.#line(again, folder, depth + 1);
        continue;
      }
      const clean = unescapeComments(decomment(again));
      if (clean.text.trim() !== "") this.lines.push(clean);
    }
  }

  /** Puts the values of parameters into a line; several lines when one of them has several. */
  #substitute(line: Text, folder: string): Text[] {
    let out = line;
    let from = 0;
    const rest: Text[] = [];
    for (let count = 0; ; count++) {
      REFERENCE.lastIndex = from;
      const found = REFERENCE.exec(out.text);
      if (!found) break;
      const at = found.index;
      const end = at + found[0].length;
      const name = found[1] ?? found[3];
      const definition = this.#definitions.get(name);
      if (definition === undefined) {
        const value = this.#builtIn(name, found[2] ?? "", folder);
        if (value === undefined) {
          const word = wordAt(out, at, end, found[0], false);
          if (this.#reader.first(`undefined ${name} ${line.from.file}:${line.from.line}`)) {
            this.#reader.warn(
              "undefined-parameter",
              word,
              `parameter ${name} is not defined; the text is left as it is`,
              {
                remedy: `define it before this line: $${name}=...`,
              },
            );
          }
          from = end;
        } else {
          out = replace(out, at, end, value);
          from = at + value.length;
        }
        continue;
      }
      if (count >= MOST_SUBSTITUTIONS || out.text.length > 65536) {
        const word = wordAt(out, at, end, found[0], false);
        this.#reader.error("endless-parameter", word, `parameter ${name} leads back to itself`);
        break;
      }
      if (definition.length > 1) {
        const tail = out.text.slice(end).trim();
        if (tail !== "") {
          const word = wordAt(out, end, out.text.length, tail, false);
          this.#reader.warn(
            "after-parameter",
            word,
            `text after the parameter ${name}, which has several lines, is lost`,
          );
        }
        rest.unshift(...definition.slice(1));
        out = slice(out, 0, end);
      }
      out = replace(out, at, end, definition[0]?.text ?? "");
      from = at;
    }
    return [out, ...rest];
  }

  #builtIn(name: string, words: string, folder: string): string | undefined {
    switch (name) {
      case "_PWD":
        return folder;
      case "_INSTANCE":
        return this.#around.configId;
      case "_HASH":
        return "#";
      case "_BANG":
        return "!";
      case "_RANDOM": {
        const [a, b] = words.trim().split(/\s+/).filter(Boolean).map(Number);
        const least = a ?? 0;
        const most = b ?? 32767;
        if (!Number.isInteger(least) || !Number.isInteger(most) || most < least) return undefined;
        return String(least + (this.#around.random() % (most - least + 1)));
      }
      default:
        return undefined;
    }
  }

  #loop(kind: string, line: Text, folder: string, depth: number): void {
    const open = line.text.indexOf("(");
    const close = line.text.indexOf(")", open);
    const bad = () => {
      const word = wordAt(line, 0, line.text.length, line.text, false);
      this.#reader.error("bad-sequence", word, `this ~${kind} cannot be read; the line is left out`, {
        remedy:
          kind === "LST"
            ? "~LST(VAR, value, value, ...) text, or ~LST({A,B}, {1,2}, {3,4}) text"
            : "~SEQ(VAR, start, step, end) text; the step must lead from start to end",
        own: [`Invalid ~SEQ values '${line.text}'`, `Invalid ~SEQ specification '${line.text}'`],
        ownCode: "bad-value",
      });
    };
    if (close < 0) {
      bad();
      return;
    }
    const [inside] = this.#substitute(slice(line, open + 1, close), folder);
    const rounds = kind === "LST" ? listRounds(inside.text) : sequenceRounds(inside.text, kind === "SEQx");
    if (rounds === undefined) {
      bad();
      return;
    }
    let from = close + 1;
    while (/\s/.test(line.text[from] ?? "")) from++;
    const rest = slice(line, from, line.text.length);
    for (const round of rounds) {
      if (this.#overflow) return;
      for (const [name, value] of round) {
        this.#definitions.set(name, [{ text: value, from: line.from, start: columnOf(line, 0) }]);
      }
      this.#line(rest, folder, depth);
    }
  }

  #include(keyword: string, rest: Text, folder: string, depth: number): void {
    const pattern = rest.text.trim().replace(/^"(.*)"$/, "$1");
    const blanks = rest.text.length - rest.text.trimStart().length;
    const word = wordAt(rest, blanks, Math.max(blanks + 1, rest.text.length), pattern, false);
    const strict = this.#around.strictIncludes ? "includea" : keyword;
    const missing = (what: string) => {
      const own = `Config files missing '${pattern}'.`;
      const fatal = strict !== "include";
      const status = strict === "includea" ? 6 : fatal ? 5 : 0;
      this.#reader[fatal ? "error" : "warn"]("include-missing", word, what, { own, status });
    };
    if (pattern === "") {
      this.#reader.error("missing-parameter", word, `${keyword} names no file`);
      return;
    }
    if (depth >= MOST_INCLUDES) {
      this.#reader.error("too-much", word, `files include each other more than ${MOST_INCLUDES} deep`);
      return;
    }
    if (this.opened.length >= MOST_FILES) {
      if (!this.#overflow) this.#reader.error("too-much", word, `more than ${MOST_FILES} files are included`);
      this.#overflow = true;
      return;
    }
    let found = 0;
    let empty = 0;
    for (const alternative of expandBraces(pattern)) {
      const paths = glob(this.#around.files, alternative, folder);
      found += paths.length;
      if (paths.length === 0) empty++;
      for (const path of paths) {
        if (this.#reading.includes(path)) {
          this.#reader.error("include-circle", word, `${path} includes itself; it is not read again`, {
            remedy: `remove this line, or name the other files: ${pattern} means this one too`,
          });
          continue;
        }
        const kind = this.#around.files.kind(path);
        const content = kind === "file" ? this.#around.files.read(path) : undefined;
        if (content !== undefined) this.file(path, content, depth + 1);
        else {
          const why = kind === "executable" ? "it is executable" : "it is no readable file";
          const fatal = strict === "includer" || strict === "includea";
          this.#reader[fatal ? "error" : "warn"]("include-skipped", word, `${path} is left out: ${why}`, {
            ...(fatal
              ? { own: `Config files missing '${pattern}'.`, status: strict === "includea" ? 6 : 5 }
              : {}),
          });
        }
      }
    }
    if (found === 0 && strict === "includem" && hasWildcard(pattern)) return;
    if (found === 0) missing(`no file matches ${pattern}`);
    else if (empty > 0 && (strict === "includeb" || strict === "includea")) {
      missing(`an alternative of ${pattern} matches no file`);
    }
  }
}

/** The rounds of `VAR, start, step, end`; undefined when they make no sense. */
function sequenceRounds(inside: string, hex: boolean): [string, string][][] | undefined {
  const [name, ...words] = inside.split(",").map((word) => word.trim());
  if (!/^[A-Za-z_]\w*$/.test(name) || words.length < 1 || words.length > 3) return undefined;
  if (!words.every((word) => /^[+-]?(0x[0-9a-f]+|\d+)$/i.test(word))) return undefined;
  const numbers = words.map((word) =>
    /^-/.test(word) ? -Number(word.slice(1)) : Number(word.replace("+", "")),
  );
  const end = numbers.at(-1) as number;
  const start = numbers.length > 1 ? numbers[0] : end < 0 ? -1 : 1;
  const step = numbers.length > 2 ? numbers[1] : end < start ? -1 : 1;
  if (step === 0 || (end - start) * step < 0 || Math.abs((end - start) / step) > 1_000_000) return undefined;
  const rounds: [string, string][][] = [];
  for (let n = start; step > 0 ? n <= end : n >= end; n += step)
    rounds.push([[name, hex ? n.toString(16) : `${n}`]]);
  return rounds;
}

/** The rounds of `VAR, a, b` or `{A,B}, {1,2}, {3,4}`; undefined when the counts do not fit. */
function listRounds(inside: string): [string, string][][] | undefined {
  const items: string[][] = [];
  for (const match of inside.matchAll(/\s*(?:\{([^}]*)\}|([^,{}]*?))\s*(?:,|$)/g)) {
    if (match[0] === "" && match.index === inside.length) break;
    const item = match[1] ?? match[2];
    items.push(match[1] === undefined ? [item] : item.split(",").map((word) => word.trim()));
  }
  const [names, ...rounds] = items;
  if (names === undefined || !names.every((name) => /^[A-Za-z_]\w*$/.test(name))) return undefined;
  if (rounds.length === 0 || rounds.some((round) => round.length !== names.length)) return undefined;
  return rounds.map((round) => round.map((value, i) => [names[i], value]));
}
