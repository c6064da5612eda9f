/**
 * Regular expressions of configuration files (PCRE in keepalived.conf, Perl in ldirectord.cf) as JavaScript.
 *
 * Most of both languages is the same. What differs is rewritten: `\A \z \Z`, `$` before a last newline, POSIX classes, `\h \R \K`
 * and so on, inline flags, extended syntax, possessive quantifiers and atomic groups (by a look-ahead and a back
 * reference). What has no counterpart is refused by name: a pattern never means something else than it says.
 * @module
 */
import type { PatternSpec } from "../checks/check.ts";

/** A translated pattern, or why there is none and where in it. */
export type Translated =
  | { readonly ok: true; readonly pattern: PatternSpec }
  | { readonly ok: false; readonly reason: string; readonly at: number };

/** Settings of a pattern from outside. */
export interface PatternOptions {
  readonly ignoreCase?: boolean;
  readonly multiline?: boolean;
  readonly dotAll?: boolean;
  readonly extended?: boolean;
  /** Only at the start. */
  readonly anchored?: boolean;
  /** `$` only at the very end, not before a last newline. */
  readonly dollarEndOnly?: boolean;
  /** Perl's language where it is another than PCRE's: `{,N}` is a repetition (Perl 5.34). */
  readonly perl?: boolean;
}

const POSIX: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\x00-\\x7f",
  blank: " \\t",
  cntrl: "\\x00-\\x1f\\x7f",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/** Complements of {@link POSIX} for `[:^name:]` inside a class; Latin-1 is all there is. */
const NOT_POSIX: Readonly<Record<string, string>> = {
  digit: "\\D",
  word: "\\W",
  space: "\\x00-\\x08\\x0e-\\x1f!-\\xff",
  blank: "\\x00-\\x08\\x0a-\\x1f!-\\xff",
  ascii: "\\x80-\\xff",
  lower: "\\x00-`{-\\xff",
  upper: "\\x00-@\\[-\\xff",
  alpha: "\\x00-@\\[-`{-\\xff",
  alnum: "\\x00-\\/:-@\\[-`{-\\xff",
  xdigit: "\\x00-\\/:-@G-`g-\\xff",
};

/** Escapes outside classes that are written otherwise. */
const ESCAPES: Readonly<Record<string, string>> = {
  A: "(?<![\\s\\S])",
  z: "(?![\\s\\S])",
  Z: "(?=\\n?(?![\\s\\S]))",
  a: "\\x07",
  e: "\\x1b",
  h: "[ \\t\\xa0]",
  H: "[^ \\t\\xa0]",
  R: "(?:\\r\\n|[\\n\\v\\f\\r\\x85])",
  N: "[^\\n]",
  V: "[^\\n\\v\\f\\r\\x85]",
  v: "[\\n\\v\\f\\r\\x85]",
  s: "[\\t\\n\\v\\f\\r ]",
  S: "[^\\t\\n\\v\\f\\r ]",
};

/** Escapes inside classes that are written otherwise. */
const CLASS_ESCAPES: Readonly<Record<string, string>> = {
  a: "\\x07",
  e: "\\x1b",
  h: " \\t\\xa0",
  v: "\\n\\v\\f\\r\\x85",
  s: "\\t\\n\\v\\f\\r ",
  R: "R",
};

class Refusal extends Error {
  readonly at: number;
  constructor(reason: string, at: number) {
    super(reason);
    this.at = at;
  }
}

interface Flags {
  i: boolean;
  m: boolean;
  s: boolean;
  x: boolean;
}

/** One pass over a pattern. */
class Translation {
  readonly #source: string;
  readonly #flags: Flags;
  readonly #dollarEndOnly: boolean;
  readonly #perl: boolean;
  #at = 0;
  #out = "";
  /** Index in the output where the last atom starts, for quantifiers that must wrap it. */
  #atom = -1;
  /** Groups of the result: those of the pattern, and ours. */
  #groups = 0;
  /** Our number of each capturing group of the pattern. */
  readonly #numbers: number[] = [];
  readonly #names = new Set<string>();
  readonly #open: { atom: number; close: string; flags: Flags }[] = [];
  /** The result as a whole ignores case; else letters that do so are written out. */
  #ignoresCase = false;

  constructor(source: string, flags: Flags, { dollarEndOnly = false, perl = false }: PatternOptions) {
    this.#source = source;
    this.#flags = flags;
    this.#dollarEndOnly = dollarEndOnly;
    this.#perl = perl;
  }

  /** Whether the result needs the flag i. */
  get ignoresCase(): boolean {
    return this.#ignoresCase;
  }

  run(): string {
    this.#leadingFlags();
    // With a part that has another case rule than the rest, no flag can say it.
    this.#ignoresCase = this.#flags.i && !/\(\?[a-z]*-[a-z]*i/.test(this.#rest());
    while (this.#at < this.#source.length) this.#step();
    if (this.#open.length > 0) this.#refuse("a group is not closed");
    return this.#out;
  }

  #refuse(reason: string): never {
    throw new Refusal(reason, this.#at);
  }

  #rest(): string {
    return this.#source.slice(this.#at);
  }

  /** `(?i)` and so on before everything else, and PCRE's `(*UTF8)` family. */
  #leadingFlags(): void {
    for (;;) {
      const verb = /^\(\*(UTF8?|UCP|ANYCRLF|LF|CR|CRLF|ANY|NO_JIT|NO_START_OPT|NO_AUTO_POSSESS)\)/.exec(
        this.#rest(),
      );
      const flags = /^\(\?([imsxnu]*)(?:-([imsx]+))?\)/.exec(this.#rest());
      if (verb) this.#at += verb[0].length;
      else if (flags && flags[0] !== "(?)") {
        for (const f of flags[1]) if (f !== "n" && f !== "u") this.#flags[f as keyof Flags] = true;
        for (const f of flags[2] ?? "") this.#flags[f as keyof Flags] = false;
        this.#at += flags[0].length;
      } else return;
    }
  }

  /** Adds an atom. */
  #add(text: string, length: number): undefined {
    this.#atom = this.#out.length;
    this.#out += text;
    this.#at += length;
  }

  /** Adds one character that stands for itself; both its cases when only this part ignores case. */
  #literal(c: string, length: number): undefined {
    const other = /[a-z]/.test(c) ? c.toUpperCase() : c.toLowerCase();
    const both = this.#flags.i && !this.#ignoresCase && /^[a-zA-Z]$/.test(c);
    return this.#add(both ? `[${c}${other}]` : c === "\n" ? "\\n" : c, length);
  }

  /** Adds what no quantifier may follow. */
  #assert(text: string, length: number): undefined {
    this.#add(text, length);
    this.#atom = -1;
  }

  #step(): undefined {
    const c = this.#source[this.#at];
    switch (c) {
      case "\\":
        return this.#escape();
      case "[":
        return this.#add(this.#class(), 0);
      case "(":
        return this.#group();
      case ")": {
        const open = this.#open.pop();
        if (open === undefined) this.#refuse("a ) closes nothing");
        this.#out += open.close;
        this.#atom = open.atom;
        Object.assign(this.#flags, open.flags);
        this.#at++;
        return;
      }
      case ".":
        return this.#add(this.#flags.s ? "[\\s\\S]" : "[^\\n]", 1);
      case "^":
        return this.#assert(this.#flags.m ? "(?<![^\\n])" : "(?<![\\s\\S])", 1);
      case "$":
        return this.#assert(
          this.#flags.m ? "(?![^\\n])" : this.#dollarEndOnly ? "(?![\\s\\S])" : "(?=\\n?(?![\\s\\S]))",
          1,
        );
      case "|":
        this.#out += "|";
        this.#atom = -1;
        this.#at++;
        return;
      case "*":
      case "+":
      case "?":
        return this.#quantifier(c);
      case "{": {
        const braces = /^\{(\d+(?:,\d*)?)\}/.exec(this.#rest());
        if (braces) return this.#quantifier(braces[0]);
        const upTo = this.#perl && /^\{,(\d+)\}/.exec(this.#rest());
        if (upTo) return this.#quantifier(upTo[0], `{0,${upTo[1]}}`);
        return this.#add("\\{", 1);
      }
      case "}":
      case "]":
        return this.#add(`\\${c}`, 1);
      case "/":
        return this.#add("\\/", 1);
      default:
        if (this.#flags.x && /\s/.test(c)) this.#at++;
        else if (this.#flags.x && c === "#") {
          const end = this.#source.indexOf("\n", this.#at);
          this.#at = end < 0 ? this.#source.length : end + 1;
        } else this.#literal(c, 1);
    }
  }

  /** `text` as it stands, `ours` as it is written here. */
  #quantifier(text: string, ours = text): undefined {
    if (this.#atom < 0) this.#refuse(`${text} follows nothing that it could repeat`);
    this.#at += text.length;
    const next = this.#source[this.#at];
    if (next === "+") {
      // Possessive: what an atomic group around it would be.
      this.#at++;
      const inside = this.#out.slice(this.#atom) + ours;
      this.#wrapAtomic(inside);
      this.#atom = -1;
      return;
    }
    this.#out += ours;
    if (next === "?") {
      this.#out += "?";
      this.#at++;
    }
    this.#atom = -1;
  }

  /** Replaces the output from the last atom on by an atomic group of `inside`: (?=(inside))\N, N one more than all groups before. */
  #wrapAtomic(inside: string): undefined {
    if (/\((?!\?)/.test(inside.replace(/\\./g, "").replace(/\[[^\]]*\]/g, ""))) {
      this.#refuse("possessive quantifiers around groups that capture are not possible here");
    }
    const number = ++this.#groups;
    this.#out = `${this.#out.slice(0, this.#atom)}(?:(?=(${inside}))\\${number})`;
  }

  #group(): undefined {
    const rest = this.#rest();
    const atom = this.#out.length;
    const open = (text: string, length: number, close = ")"): undefined => {
      this.#open.push({ atom, close, flags: { ...this.#flags } });
      this.#out += text;
      this.#atom = -1;
      this.#at += length;
    };
    if (!rest.startsWith("(?") && !rest.startsWith("(*")) {
      this.#numbers.push(++this.#groups);
      return open("(", 1);
    }
    if (rest.startsWith("(?:")) return open("(?:", 3);
    if (/^\(\?(=|!)/.test(rest)) return open(rest.slice(0, 3), 3);
    if (/^\(\?<(=|!)/.test(rest)) return open(rest.slice(0, 4), 4);
    const named = /^\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')/.exec(rest);
    if (named) {
      this.#numbers.push(++this.#groups);
      this.#names.add(named[1] ?? named[2]);
      return open(`(?<${named[1] ?? named[2]}>`, named[0].length);
    }
    if (rest.startsWith("(?>")) {
      const number = ++this.#groups;
      return open("(?:(?=(", 3, `))\\${number})`);
    }
    const comment = /^\(\?#[^)]*\)/.exec(rest);
    if (comment) {
      this.#at += comment[0].length;
      return;
    }
    const scoped = /^\(\?([imsx]*)(?:-([imsx]+))?(:|\))/.exec(rest);
    if (scoped) {
      if (scoped[3] === ":") open("(?:", scoped[0].length);
      else this.#at += scoped[0].length; // until the group around it ends
      for (const flag of scoped[1]) this.#flags[flag as keyof Flags] = true;
      for (const flag of scoped[2] ?? "") this.#flags[flag as keyof Flags] = false;
      return;
    }
    const what = /^\(\?\(/.test(rest)
      ? "conditions"
      : /^\(\?(R|[+-]?\d+|&|P>)/.test(rest)
        ? "recursion"
        : rest.startsWith("(?|")
          ? "groups that share numbers"
          : rest.startsWith("(*")
            ? "control verbs"
            : "this kind of group";
    this.#refuse(`${what} ${what.endsWith("s") ? "have" : "has"} no counterpart here`);
  }

  #escape(): undefined {
    const rest = this.#rest();
    const c = rest[1];
    if (c === undefined) this.#refuse("the pattern ends with a backslash");
    if (c === "Q") {
      const end = this.#source.indexOf("\\E", this.#at);
      const text = this.#source.slice(this.#at + 2, end < 0 ? undefined : end);
      this.#at = end < 0 ? this.#source.length : end + 2;
      for (const one of text) {
        if (/[\\^$.*+?()[\]{}|/]/.test(one)) this.#add(`\\${one}`, 0);
        else this.#literal(one, 0);
      }
      return;
    }
    if (c === "E") {
      this.#at += 2;
      return;
    }
    if (/^\\[bBN]\{(?!\d+(,\d*)?\})/.test(rest)) this.#refuse(`${rest.slice(0, 3)} has no counterpart here`);
    if (Object.hasOwn(ESCAPES, c)) {
      return "AzZ".includes(c) ? this.#assert(ESCAPES[c], 2) : this.#add(ESCAPES[c], 2);
    }
    if (c === "b" || c === "B") return this.#assert(`\\${c}`, 2);
    const hex = /^\\x(?:([0-9a-fA-F]{1,2})|\{([0-9a-fA-F]{1,4})\})/.exec(rest);
    if (hex) return this.#add(`\\u${(hex[1] ?? hex[2]).padStart(4, "0")}`, hex[0].length);
    if (c === "x" && rest[2] === "{") this.#refuse("this \\x{...} names no character of one byte");
    if (c === "x") return this.#add("\\x00", 2);
    const octal = /^\\(?:o\{([0-7]+)\}|(0[0-7]{0,2}))/.exec(rest);
    if (octal) {
      const code = Number.parseInt(octal[1] ?? octal[2], 8);
      return this.#add(`\\u${code.toString(16).padStart(4, "0")}`, octal[0].length);
    }
    const named = /^\\(?:k(?:<(\w+)>|\{(\w+)\}|'(\w+)')|g\{([A-Za-z_]\w*)\})/.exec(rest);
    if (named) {
      const name = named[1] ?? named[2] ?? named[3] ?? named[4];
      if (!this.#names.has(name)) this.#refuse(`group ${name} is not there yet`);
      this.#sameCase();
      return this.#add(`\\k<${name}>`, named[0].length);
    }
    const back = /^\\(?:g\{?(-?\d+)\}?|([1-9]\d?))/.exec(rest);
    if (back) {
      const given = Number(back[1] ?? back[2]);
      const number = given < 0 ? this.#numbers.length + 1 + given : given;
      const ours = this.#numbers[number - 1];
      // A number of two digits or more that no group has is a character in octal.
      const character = /^\\([1-3]?[0-7]{2})/.exec(rest);
      if (ours === undefined && given >= 10 && character) {
        const code = Number.parseInt(character[1], 8);
        return this.#add(`\\u${code.toString(16).padStart(4, "0")}`, character[0].length);
      }
      if (ours === undefined) this.#refuse(`group ${given} is not there yet`);
      this.#sameCase();
      return this.#add(`(?:\\${ours})`, back[0].length);
    }
    if ("KGXCpP".includes(c)) this.#refuse(`\\${c} has no counterpart here`);
    if (/[dDwWnrtf]/.test(c)) return this.#add(`\\${c}`, 2);
    if (c === "c") {
      if (!/^\\c[A-Za-z]/.test(rest)) this.#refuse("\\c needs a letter");
      return this.#add(rest.slice(0, 3), 3);
    }
    if (/[A-Za-z]/.test(c)) this.#refuse(`\\${c} has no counterpart here`);
    return this.#add(/[\\^$.*+?()[\]{}|/]/.test(c) ? `\\${c}` : c, 2);
  }

  /** A back reference cannot be written out in both cases. */
  #sameCase(): undefined {
    if (this.#flags.i !== this.#ignoresCase)
      this.#refuse(
        "a back reference where only a part ignores case is not possible here; write (?i) at the start",
      );
  }

  /** Reads a class; leaves the index after it. */
  #class(): string {
    const source = this.#source;
    let i = this.#at + 1;
    let out = "[";
    if (source[i] === "^") {
      out += "^";
      i++;
    }
    let first = true;
    for (;;) {
      const c = source[i];
      if (c === undefined) this.#refuse("a [ is not closed");
      if (c === "]" && !first) break;
      first = false;
      const posix = /^\[:(\^?)([a-z]+):\]/.exec(source.slice(i, i + 12));
      if (posix) {
        const set = posix[1] ? NOT_POSIX : POSIX;
        if (!Object.hasOwn(set, posix[2])) this.#refuse(`${posix[0]} has no counterpart here`);
        out += set[posix[2]];
        i += posix[0].length;
        continue;
      }
      if (/^\[[.=]/.test(source.slice(i, i + 2))) this.#refuse("collating elements have no counterpart here");
      if (c !== "\\") {
        out += c === "[" || c === "]" || c === "/" ? `\\${c}` : c === "\n" ? "\\n" : c;
        i++;
        continue;
      }
      const e = source[i + 1];
      const hex = /^\\x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,4})\})/.exec(source.slice(i, i + 9));
      const octal = /^\\([0-7]{1,3})/.exec(source.slice(i, i + 4));
      if (e === undefined) this.#refuse("a [ is not closed");
      if (hex) {
        out += `\\u${(hex[1] ?? hex[2]).padStart(4, "0")}`;
        i += hex[0].length;
      } else if (octal) {
        out += `\\u${Number.parseInt(octal[1], 8).toString(16).padStart(4, "0")}`;
        i += octal[0].length;
      } else {
        if ("pPSHVNX".includes(e)) this.#refuse(`\\${e} in a class has no counterpart here`);
        if (Object.hasOwn(CLASS_ESCAPES, e)) out += CLASS_ESCAPES[e];
        else if (/[dDwWnrtfb\\\]^[\-/]/.test(e)) out += `\\${e}`;
        else if (e === "c") {
          out += source.slice(i, i + 3);
          i++;
        } else if (/[A-Za-z]/.test(e)) this.#refuse(`\\${e} in a class has no counterpart here`);
        else out += e;
        i += 2;
      }
    }
    this.#at = i + 1;
    if (this.#flags.i && !this.#ignoresCase) out += otherCases(out);
    return `${out}]`;
  }
}

/** The letters whose other case an open class `[...` holds. */
function otherCases(open: string): string {
  let held: RegExp;
  try {
    held = new RegExp(`${open.replace(/^\[\^/, "[")}]`);
  } catch {
    return ""; // told when the whole is tried
  }
  return [..."abcdefghijklmnopqrstuvwxyz"]
    .flatMap((c) => {
      const upper = c.toUpperCase();
      return held.test(c) === held.test(upper) ? [] : [held.test(c) ? upper : c];
    })
    .join("");
}

/** A text with its UTF-8 bytes as characters: answers are compared byte by byte, and so are patterns. */
export const asBytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** Translates a pattern, see {@link asBytes}. The result is to be used on Latin-1 text, with `new RegExp(source, flags)`. */
export function translatePattern(source: string, options: PatternOptions = {}): Translated {
  const flags: Flags = {
    i: options.ignoreCase ?? false,
    m: options.multiline ?? false,
    s: options.dotAll ?? false,
    x: options.extended ?? false,
  };
  try {
    const translation = new Translation(source, flags, options);
    const body = translation.run();
    const pattern = {
      source: options.anchored ? `(?<![\\s\\S])(?:${body})` : body || "(?:)",
      flags: translation.ignoresCase ? "i" : "",
    };
    new RegExp(pattern.source, pattern.flags);
    return { ok: true, pattern };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, reason: error.message, at: error.at };
    return {
      ok: false,
      reason: (error as Error).message.replace(/^Invalid regular expression: /, ""),
      at: 0,
    };
  }
}
