/**
 * Values that keywords take: numbers, times, switches, addresses, programs. What cannot be read is told and undefined.
 * @module
 */
import { type Family, formatAddress, parseAddress } from "../../../wire/address.ts";
import type { ScriptSpec } from "../../wanted.ts";
import { checkAccount } from "./accounts.ts";
import { type Keyword, quotedWords, surplus } from "./keyword.ts";
import type { More, Reader } from "./reader.ts";
import { cutQuoted, type Text, type Word } from "./text.ts";
import type { Statement } from "./tree.ts";

const U32_MAX = 4294967295;

/** keepalived's lines: the one about the number, then the keyword's own. */
function lines(first: string, own: string | undefined): More {
  return { own: own === undefined ? [first] : [first, own] };
}

/** A whole number of a range. `own` is what keepalived adds to its message about the number, `%s` being the word. */
export function int(
  word: Word,
  least: number,
  most: number,
  reader: Reader,
  own?: string,
): number | undefined {
  const { text } = word;
  const range = `${least}..${most}`;
  if (!/^[+-]?\d+$/.test(text)) {
    reader.error("bad-number", word, `"${text}" is no whole number; ${range} is possible`, {
      ...lines(`invalid number '${text}'`, own),
    });
    return undefined;
  }
  const value = Number(text);
  if (value >= least && value <= most) return value;
  const first =
    value < 0 && least >= 0
      ? `negative number '${text}'`
      : value > U32_MAX
        ? `number '${text}' outside ${least < 0 ? "" : "unsigned "}integer range`
        : `number '${text}' outside range [${least}, ${most}]`;
  reader.error("bad-number", word, `${text} is outside of ${range}`, lines(first, own));
  return undefined;
}

/** A time in decimal seconds, as milliseconds. Limits are in seconds. */
export function timer(
  word: Word,
  leastS: number,
  mostS: number,
  reader: Reader,
  own?: string,
): number | undefined {
  const { text } = word;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(text)) {
    reader.error("bad-number", word, `"${text}" is no number of seconds`, {
      ...lines(`invalid number '${text}'`, own),
    });
    return undefined;
  }
  const value = Number(text);
  if (value >= leastS && value <= mostS) return Math.round(value * 1_000_000) / 1000;
  // The longest time has more digits than a number can hold here.
  const most = mostS > 1e13 ? "18446744073709.551614" : mostS.toFixed(6);
  const first =
    value < 0
      ? `negative number '${text}'`
      : `number '${text}' outside range [${leastS.toFixed(6)}, ${most}]`;
  reader.error("bad-number", word, `${text} s is outside of ${leastS}..${mostS} s`, lines(first, own));
  return undefined;
}

const YES = new Set(["on", "true", "yes"]);
const NO = new Set(["off", "false", "no"]);

/** A switch: the word after the keyword, or true without one. */
export function flag(statement: Statement, reader: Reader, own?: string): boolean | undefined {
  const word = statement.words[1];
  if (word === undefined || YES.has(word.text)) return true;
  if (NO.has(word.text)) return false;
  reader.error("bad-value", word, `"${word.text}" is neither on, true, yes nor off, false, no`, {
    ...(own === undefined ? {} : { own }),
  });
  return undefined;
}

/** A day, the longest of them. */
const EXTRA_MAX_S = 86_400;

/** garp_extra_if and its kin, `[all] SECONDS`; 0 seconds for never. */
export function extraAnnouncements(
  words: readonly Word[],
  reader: Reader,
  own: string,
): { readonly everyMs: number; readonly all: boolean } | undefined {
  const all = words[1]?.text === "all";
  const word = words[all ? 2 : 1];
  if (word === undefined) {
    reader.error("bad-number", words[0], `${words[0].text} wants a number of seconds`, {
      remedy: `write: ${words[0].text} all 100`,
    });
    return undefined;
  }
  const seconds = int(word, 0, EXTRA_MAX_S, reader, own);
  return seconds === undefined ? undefined : { everyMs: seconds * 1000, all };
}

/** An address in canonical form. */
export interface Address {
  readonly family: Family;
  readonly address: string;
}

/** An address; undefined when the text is none. Nothing is told. */
export function addressOf(text: string): Address | undefined {
  const parsed = parseAddress(text);
  return parsed && { family: parsed.family, address: formatAddress(parsed.family, parsed.bytes) };
}

/** An address, or a message. `own` is keepalived's. */
export function address(word: Word, reader: Reader, own?: string): Address | undefined {
  const found = addressOf(word.text);
  if (found === undefined) {
    const name = /^[a-z][a-z0-9.-]*$/i.test(word.text);
    reader.error("bad-address", word, `"${word.text}" is no IP address`, {
      ...(name ? { remedy: "names are not looked up here: write the address itself" } : {}),
      ...(own === undefined ? {} : { own }),
    });
  }
  return found;
}

/** A program with its arguments, cut from one word by the rules of quoted strings. */
function command(word: Word): string[] {
  const text: Text = { text: word.text, from: word.from, start: word.column - 1 };
  return cutQuoted(text).map((part) => part.text);
}

/**
 * `CMD [user [group]]`: the command is one word; with arguments it stands in quotes. Undefined, with a message, when there is none.
 */
export function script(statement: Statement, reader: Reader): ScriptSpec | undefined {
  const [program, user, group] = quotedWords(statement);
  if (program === undefined || program.text === "") {
    const [word] = statement.words;
    reader.error("missing-parameter", word, `${word.text} names no program`, {
      own: `${word.text} script missing`,
    });
    return undefined;
  }
  const path = program.quoted ? (command(program)[0] ?? "") : program.text;
  const kind = path.startsWith("/") ? reader.files.kind(path) : "executable";
  if (kind === "file" || kind === undefined) {
    reader.warn(
      "script-missing",
      statement.words[1],
      `${path} ${kind === "file" ? "is not executable" : "does not exist"}; it cannot be run`,
      { remedy: "write the program's whole path; keepalived leaves such a program out" },
    );
  } else reader.runs(statement.words[1]);
  checkAccount(user, group, reader);
  if (statement.words.length > 4 && !program.quoted) {
    reader.warn("surplus-words", statement.words[1], "a program with arguments must stand in quotes", {
      remedy: `${statement.words[0].text} "${statement.words
        .slice(1)
        .map(({ text }) => text)
        .join(" ")}"`,
    });
  }
  return {
    command: program.quoted ? command(program) : [program.text],
    ...(user === undefined ? {} : { user: user.text }),
    ...(group === undefined ? {} : { group: group.text }),
  };
}

/** All words after the keyword as one command line (misc_path, process). */
export function commandLine(statement: Statement): string[] {
  const words = quotedWords(statement);
  if (words.length === 1 && words[0].quoted) return command(words[0]);
  return words.map(({ text }) => text);
}

/** Where a keyword's value goes: a field of the draft that is being read. */
type Fields<T, V> = { [K in keyof T]-?: V extends NonNullable<T[K]> ? K : never }[keyof T] & string;

/** A keyword that takes a whole number. */
export function intKeyword<T>(
  field: Fields<T, number>,
  least: number,
  most: number,
  own?: string,
): Keyword<T> {
  return {
    least: 1,
    read(statement, into, reader) {
      const value = int(statement.words[1], least, most, reader, own);
      if (value !== undefined) (into as Record<string, unknown>)[field] = value;
    },
  };
}

/** A keyword that takes a time; the field is in milliseconds, limits in seconds. */
export function timerKeyword<T>(
  field: Fields<T, number>,
  leastS: number,
  mostS: number,
  own?: string,
): Keyword<T> {
  return {
    least: 1,
    read(statement, into, reader) {
      const value = timer(statement.words[1], leastS, mostS, reader, own);
      if (value !== undefined) (into as Record<string, unknown>)[field] = value;
    },
  };
}

/** A keyword that is on when it stands there, with an optional on or off. */
export function flagKeyword<T>(field: Fields<T, boolean>, own?: string): Keyword<T> {
  return {
    most: 1,
    read(statement, into, reader) {
      const value = flag(statement, reader, own);
      if (value !== undefined) (into as Record<string, unknown>)[field] = value;
    },
  };
}

/** A keyword without words that sets a field to a value. */
export function markKeyword<T, K extends keyof T>(field: K, value: T[K]): Keyword<T> {
  return {
    read(_, into) {
      into[field] = value;
    },
  };
}

/** A keyword that takes one word. */
export function wordKeyword<T>(field: Fields<T, string>): Keyword<T> {
  return {
    least: 1,
    read(statement, into) {
      (into as Record<string, unknown>)[field] = statement.words[1].text;
    },
  };
}

/** A keyword that takes one word by the rules of quoted strings. */
export function quotedKeyword<T>(field: Fields<T, string>): Keyword<T> {
  return {
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read(statement, into, reader) {
      const words = quotedWords(statement);
      if (words.length > 1) surplus({ ...statement, words: [statement.words[0], ...words] }, 2, reader);
      (into as Record<string, unknown>)[field] = words[0]?.text ?? "";
    },
  };
}

/** A keyword that takes a program; the first one stays. `own` is keepalived's message about a second one. */
export function scriptKeyword<T>(field: Fields<T, ScriptSpec>, own?: (into: T) => string): Keyword<T> {
  return {
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read(statement, into, reader) {
      const value = script(statement, reader);
      if (value === undefined) return;
      const fields = into as Record<string, unknown>;
      if (fields[field] === undefined) {
        fields[field] = value;
        return;
      }
      const [word] = statement.words;
      reader.warn(
        "duplicate-setting",
        word,
        `${word.text} stands here a second time; the first one is used`,
        {
          remedy: "remove one of them; a script can call two programs",
          ...(own === undefined ? {} : { own: own(into).replace("%s", value.command.join(" ")) }),
        },
      );
    },
  };
}
