/**
 * Tables of keywords, and the reading of a block by its table: everything that is not in the table is told, with the nearest
 * word that is; nothing is skipped silently.
 * @module
 */
import { suggest } from "../suggest.ts";
import type { Reader } from "./reader.ts";
import { cutQuoted, type Word } from "./text.ts";
import { FLAT, type Shape, type Statement } from "./tree.ts";

/** One keyword of a block that is being read into a `T`. */
export interface Keyword<T> {
  /** The keywords of its block; "items" for a list of lines without keywords. */
  readonly block?: Table<never> | "items" | (() => Table<never>);
  /** Words that must follow. @default 0 */
  readonly least?: number;
  /** What keepalived says when they are missing; it then goes on. @default it ends */
  readonly absent?: string;
  /** Most words that are used; what follows is warned of. @default least */
  readonly most?: number;
  /** Accepted, without effect here: the reason, told once. */
  readonly without?: string;
  /** Accepted in the place of another word: what to write. */
  readonly instead?: string;
  /** The word to write in its place. */
  readonly rename?: string;
  /** A dead word: the clean form has it no more. */
  readonly drop?: true;
  /** Not a word of keepalived 2.2.7. */
  readonly foreign?: true;
  /** What keepalived says of the word (a deprecated one). */
  readonly own?: string;
  readonly read?: (statement: Statement, into: T, reader: Reader) => void;
}

/** The keywords of a block. */
export type Table<T> = ReadonlyMap<string, Keyword<T>>;

/** Makes a table. */
export function table<T>(keywords: Readonly<Record<string, Keyword<T>>>): Table<T> {
  return new Map(Object.entries(keywords));
}

/** The table of a keyword's block; undefined when it has none. */
export function inner(keyword: Keyword<never> | undefined): Table<never> | "items" | undefined {
  const block = keyword?.block;
  return typeof block === "function" ? block() : block;
}

/** Where braces are expected, by a table. */
export function shapeOf(keywords: Table<never>): Shape {
  return {
    blockOf(word) {
      const block = inner(keywords.get(word));
      return block === undefined || block === "items" ? block && FLAT : shapeOf(block);
    },
  };
}

/** Where each keyword belongs, for messages about one in the wrong place; filled by the tables' owner. */
const HOMES = new Map<string, string>();

/** Tells where keywords belong: walks a table and those inside it. */
export function learnHomes(keywords: Table<never>, where: string, seen = new Set<unknown>()): void {
  if (seen.has(keywords)) return;
  seen.add(keywords);
  for (const [word, keyword] of keywords) {
    if (!HOMES.has(word)) HOMES.set(word, where);
    const block = inner(keyword);
    if (block !== undefined && block !== "items") learnHomes(block, word, seen);
  }
}

/** Name of the place that is in no block. */
export const TOP_LEVEL = "outside of blocks";

/** Unknown words for which the nearest known one is looked for: a file with more is none of keepalived's. */
const MOST_SUGGESTIONS = 1000;

/** A remedy for an unknown keyword. */
function remedyFor(word: string, keywords: Table<never>, where: string, reader: Reader): string {
  const many = reader.unknownWords++ >= MOST_SUGGESTIONS;
  const near = many ? undefined : suggest(word, keywords.keys());
  const home = HOMES.get(word);
  if (home === "" && where !== TOP_LEVEL) {
    return `${word} stands outside of blocks: is a '}' missing above?`;
  }
  if (home !== undefined && home !== "") return `${word} belongs into ${home}`;
  if (near !== undefined) return `the nearest known word here is ${near}`;
  return /[|()]/.test(word)
    ? "this is the notation of a manual, not a word: choose one of the words it offers"
    : "remove it; nothing else depends on it";
}

/** Tells that a keyword is unknown. */
export function unknown(statement: Statement, keywords: Table<never>, where: string, reader: Reader): void {
  const [word] = statement.words;
  const block = statement.block !== undefined;
  reader.warn(
    block ? "unknown-block" : "unknown-keyword",
    word,
    `${block ? "block " : ""}${word.text} is unknown ${where === TOP_LEVEL ? where : `in ${where}`}; it is left out${block ? " with all it holds" : ""}`,
    { remedy: remedyFor(word.text, keywords, where, reader) },
  );
}

/** Tells of words that a statement does not use. */
export function surplus(statement: Statement, used: number, reader: Reader): void {
  const first = statement.words[used];
  if (first === undefined) return;
  const rest = statement.words.slice(used).map(({ text }) => text);
  reader.warn(
    "surplus-words",
    first,
    `${rest.join(" ")}: ${statement.words[0].text} does not use this; it is ignored`,
    { remedy: "a keyword needs a line of its own: move the rest, or remove it" },
  );
}

/** Says that a word is missing, the way that ends keepalived. @returns false when it is */
export function enough(statement: Statement, least: number, reader: Reader, absent?: string): boolean {
  if (statement.words.length > least) return true;
  const [word] = statement.words;
  reader.error(
    "missing-parameter",
    word,
    `${word.text} needs ${least > 1 ? `${least} words` : "a word"} after it`,
    {
      own:
        absent ??
        `*** Configuration line starting \`${word.text}\` is missing a parameter after keyword \`${statement.words.at(-1)?.text}\` at word position ${statement.words.length + 1}`,
      status: absent === undefined ? 2 : 5,
    },
  );
  return false;
}

/** Reads the statements of a block. */
export function readBlock<T>(
  statements: readonly Statement[],
  keywords: Table<T>,
  into: T,
  where: string,
  reader: Reader,
): void {
  for (const statement of statements) readStatement(statement, keywords, into, where, reader);
}

/** Reads one statement of a block. */
export function readStatement<T>(
  statement: Statement,
  keywords: Table<T>,
  into: T,
  where: string,
  reader: Reader,
): void {
  const [word] = statement.words;
  const keyword = keywords.get(word.text);
  if (keyword === undefined) {
    unknown(statement, keywords as Table<never>, where, reader);
    return;
  }
  const block = inner(keyword as Keyword<never>);
  if (block === undefined && statement.block !== undefined) {
    reader.warn(
      "unexpected-open-brace",
      word,
      `${word.text} has no block; what is between its braces is left out`,
    );
  }
  if (keyword.instead !== undefined) {
    reader.notice("deprecated-keyword", word, `${word.text} is an old word`, {
      remedy: keyword.instead,
      ...(keyword.own === undefined ? {} : { own: keyword.own }),
    });
  }
  if (keyword.without !== undefined && reader.first(`without ${word.text}`)) {
    reader.notice("no-effect", word, `${word.text} has no effect here`, { remedy: keyword.without });
  }
  if (keyword.rename !== undefined) reader.fix(word, keyword.rename);
  if (keyword.drop && statement.block === undefined) reader.remove(statement.text);
  const least = keyword.least ?? 0;
  if (!enough(statement, least, reader, keyword.absent)) return;
  const most = keyword.most ?? (keyword.without === undefined ? least : Number.POSITIVE_INFINITY);
  surplus(statement, most + 1, reader);
  keyword.read?.(statement, into, reader);
}

/** The words after a keyword, cut by the rules of scripts and patterns. */
export function quotedWords(statement: Statement): Word[] {
  return cutQuoted(statement.text).slice(1);
}
