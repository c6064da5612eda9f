/**
 * Text that remembers where it stood: a stretch of a configuration line after substitution, and the words cut from it.
 *
 * Whatever is put into a line from a parameter is placed where the parameter is used.
 * @module
 */
import type { Place } from "../diagnostic.ts";

/** A line of a file, as it stands there. */
export interface Origin {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Without its newline. */
  readonly source: string;
}

/** A stretch of a line. */
export interface Text {
  readonly text: string;
  readonly from: Origin;
  /** Column (from 0) of the first character, when all are as they stand in the file. */
  readonly start: number;
  /** Column (from 0) of every character, when something was substituted. */
  readonly columns?: readonly number[];
}

/** One word of a statement. */
export interface Word {
  readonly text: string;
  readonly from: Origin;
  /** From 1. */
  readonly column: number;
  /** Characters in the file; at least 1. */
  readonly length: number;
  /** It, or part of it, stood in quotes. */
  readonly quoted: boolean;
}

/** Column (from 0) of character `i`; one past the last is allowed. */
export function columnOf(t: Text, i: number): number {
  if (t.columns === undefined) return t.start + i;
  return i < t.columns.length ? t.columns[i] : (t.columns.at(-1) ?? t.start) + 1;
}

/** Characters `from` to `to`. */
export function slice(t: Text, from: number, to: number): Text {
  const text = t.text.slice(from, to);
  if (t.columns === undefined) return { text, from: t.from, start: t.start + from };
  return { text, from: t.from, start: columnOf(t, from), columns: t.columns.slice(from, to) };
}

/** Characters `from` to `to` replaced by others, which are then placed at `from`. */
export function replace(t: Text, from: number, to: number, by: string): Text {
  const columns = t.columns ?? Array.from({ length: t.text.length }, (_, i) => t.start + i);
  const at = columnOf(t, from);
  return {
    text: t.text.slice(0, from) + by + t.text.slice(to),
    from: t.from,
    start: t.start,
    columns: [...columns.slice(0, from), ...new Array<number>(by.length).fill(at), ...columns.slice(to)],
  };
}

/** The characters at some places, in their order. */
export function only(t: Text, keep: readonly number[]): Text {
  const text = keep.map((i) => t.text[i]).join("");
  return { text, from: t.from, start: t.start, columns: keep.map((i) => columnOf(t, i)) };
}

/** Characters `from` to `to` as one word with another (cut, unquoted) text. */
export function wordAt(t: Text, from: number, to: number, text: string, quoted: boolean): Word {
  const first = columnOf(t, from);
  const last = to > from ? columnOf(t, to - 1) : first;
  return { text, from: t.from, column: first + 1, length: Math.max(1, last - first + 1), quoted };
}

/** Where a word stands. */
export const placeOf = (word: Word): Place => ({
  file: word.from.file,
  line: word.from.line,
  column: word.column,
});

const isBlank = (c: string): boolean => c === " " || (c >= "\t" && c <= "\r");

/**
 * Cuts a stretch into words as keepalived does for most keywords: at blanks, `"a b"` is one word, a quote ends the word before
 * it. `unterminated` is told the place of a quote that is never closed; the rest of the line is then its word.
 */
export function cutWords(t: Text, unterminated?: (quote: Word) => void): Word[] {
  const words: Word[] = [];
  const { text } = t;
  let i = 0;
  while (i < text.length) {
    if (isBlank(text[i])) {
      i++;
      continue;
    }
    if (text[i] === '"') {
      const close = text.indexOf('"', i + 1);
      if (close < 0) unterminated?.(wordAt(t, i, i + 1, '"', true));
      const end = close < 0 ? text.length : close;
      words.push(wordAt(t, i, Math.min(end + 1, text.length), text.slice(i + 1, end), true));
      i = end + 1;
      continue;
    }
    const from = i;
    while (i < text.length && !isBlank(text[i]) && text[i] !== '"') i++;
    words.push(wordAt(t, from, i, text.slice(from, i), false));
  }
  return words;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  E: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Reads what follows a backslash at `i`. @returns the character, and the index after it */
function escaped(text: string, i: number): [string, number] {
  const rest = text.slice(i + 1, i + 4);
  const octal = /^[0-7]{1,3}/.exec(rest)?.[0];
  if (octal) return [String.fromCharCode(Number.parseInt(octal, 8) & 0xff), i + 1 + octal.length];
  const hex = /^x([0-9a-fA-F]{1,2})/.exec(rest);
  if (hex) return [String.fromCharCode(Number.parseInt(hex[1], 16)), i + 1 + hex[0].length];
  if (rest.length > 1 && rest[0] === "c") {
    return [String.fromCharCode(rest[1].toUpperCase().charCodeAt(0) & 0x1f), i + 3];
  }
  const c = rest[0];
  if (c === undefined) return ["", i + 1];
  return [Object.hasOwn(ESCAPES, c) ? ESCAPES[c] : c, i + 2];
}

/**
 * Cuts a stretch into words by the richer rules of scripts and patterns: both kinds of quotes, neighbours join, backslash
 * escapes.
 */
export function cutQuoted(t: Text, unterminated?: (quote: Word) => void): Word[] {
  const words: Word[] = [];
  const { text } = t;
  let i = 0;
  while (i < text.length) {
    if (isBlank(text[i])) {
      i++;
      continue;
    }
    const from = i;
    let word = "";
    let quoted = false;
    while (i < text.length && !isBlank(text[i])) {
      const c = text[i];
      if (c === "\\") {
        const [character, next] = escaped(text, i);
        word += character;
        i = next;
      } else if (c === '"' || c === "'") {
        quoted = true;
        const open = i++;
        while (i < text.length && text[i] !== c) {
          if (text[i] === "\\") {
            const [character, next] = escaped(text, i);
            word += character;
            i = next;
          } else word += text[i++];
        }
        if (i >= text.length) unterminated?.(wordAt(t, open, open + 1, c, true));
        i++;
      } else {
        word += c;
        i++;
      }
    }
    words.push(wordAt(t, from, Math.min(i, text.length), word, quoted));
  }
  return words;
}
