/**
 * What all parts of the reading share: where messages go, in both wordings, and the options.
 *
 * `diagnostics` are ours. `said` is what keepalived 2.2.7 says about the same file under `-t`, as far as its exit status and the
 * kinds and places of its messages go; parts that we skip as a whole add there what keepalived says about each of their lines.
 * @module
 */
import type { Diagnostic, Severity } from "../diagnostic.ts";
import type { FileAccess } from "../files.ts";
import type { Edit } from "../fixes.ts";
import { columnOf, type Origin, type Text, type Word } from "./text.ts";

/** The process of keepalived that says something; this is also the order in which `-t` prints. */
export type Phase = "parent" | "checker" | "vrrp";

/** A message of `keepalived -t`. */
export interface Said {
  readonly phase: Phase;
  /** 5: a message; 2: a word is missing, and nothing is read after it; 6: scripts without security, missing `includea`; 0: a note. */
  readonly status: 0 | 2 | 5 | 6;
  readonly code: string;
  readonly text: string;
  /** Absent: names no line. */
  readonly at?: { readonly file: string; readonly line: number };
}

/** What the machine knows about interfaces; absent: interfaces are not checked. */
export interface InterfaceFacts {
  has(name: string): boolean;
}

/** What may be told about the surroundings of a file. */
export interface ReadOptions {
  /** Value for `@id` lines. @default the host name up to its first dot */
  readonly configId?: string;
  readonly hostName?: string;
  /** @default the disk */
  readonly files?: FileAccess;
  readonly interfaces?: InterfaceFacts;
  /** A missing include is an error (`-e`). */
  readonly strictIncludes?: boolean;
  /** 0..32767 for `${_RANDOM}`. @default a real one */
  readonly random?: () => number;
}

/** More of a message. */
export interface More {
  readonly remedy?: string;
  /** What keepalived says; a list for several lines; absent: nothing. `%s` is the word. */
  readonly own?: string | readonly string[];
  readonly status?: Said["status"];
  /** keepalived says it without a line. */
  readonly ownWithoutLine?: boolean;
  /** keepalived names another line. */
  readonly ownAt?: Word | undefined;
  /** keepalived's kind of problem, when it is not ours. */
  readonly ownCode?: string;
}

const plainQuotes = (text: string): string =>
  text.replace(/[\u201c\u201d\u201e\u201f]/g, '"').replace(/[\u2018\u2019\u201a\u201b]/g, "'");

/** The state of one reading. */
export class Reader {
  readonly diagnostics: Diagnostic[] = [];
  readonly said: Said[] = [];
  /** Corrections for `lvsd check --fix`. */
  readonly fixes: Edit[] = [];
  phase: Phase = "parent";
  readonly files: FileAccess;
  readonly interfaces: InterfaceFacts | undefined;
  /** The first script of each process. */
  readonly scripts = new Map<Phase, Word>();
  /** Lines that start with a pasted blank, with the word keepalived takes it and what follows for. */
  readonly pasted = new Map<Origin, string>();
  /** Unknown words so far. */
  unknownWords = 0;
  readonly #once = new Set<string>();

  constructor(files: FileAccess, interfaces?: InterfaceFacts) {
    this.files = files;
    this.interfaces = interfaces;
  }

  /** Says something about a word. */
  tell(severity: Severity, code: string, word: Word, message: string, more: More = {}): void {
    const { from, column, length } = word;
    this.diagnostics.push({
      severity,
      code,
      at: { file: from.file, line: from.line, column },
      length,
      message,
      ...(more.remedy === undefined ? {} : { remedy: more.remedy }),
      source: from.source,
    });
    // keepalived does not know the keyword of a line that starts with a pasted blank, and says nothing else about it.
    if (this.pasted.has((more.ownAt ?? word).from)) return;
    const texts = more.own === undefined ? [] : typeof more.own === "string" ? [more.own] : more.own;
    for (const text of texts) {
      this.say(
        more.ownCode ?? code,
        text.replace("%s", () => word.text),
        {
          status: more.status ?? 5,
          ...(more.ownWithoutLine ? {} : { from: more.ownAt?.from ?? from }),
        },
      );
    }
  }

  error(code: string, word: Word, message: string, more?: More): void {
    this.tell("error", code, word, message, more);
  }

  warn(code: string, word: Word, message: string, more?: More): void {
    this.tell("warning", code, word, message, more);
  }

  notice(code: string, word: Word, message: string, more?: More): void {
    this.tell("notice", code, word, message, more);
  }

  /** Proposes another text for a word, when the word stands in the file as it is read. */
  fix(word: Word, text: string): void {
    const { from, column, length } = word;
    const standing = plainQuotes(from.source.slice(column - 1, column - 1 + length));
    if (standing !== word.text && standing !== `"${word.text}"`) return;
    this.fixes.push({ file: from.file, line: from.line, column, length, text });
  }

  /** Proposes to remove a statement. */
  remove(statement: Text): void {
    const column = columnOf(statement, 0) + 1;
    const { length } = statement.text;
    const standing = statement.from.source.slice(column - 1, column - 1 + length);
    if (statement.columns !== undefined && plainQuotes(standing) !== statement.text) return;
    this.fixes.push({ file: statement.from.file, line: statement.from.line, column, length, text: "" });
  }

  /** Proposes to insert a text after a word (or before it). */
  insert(word: Word, text: string, where: "before" | "after"): void {
    const column = where === "before" ? word.column : word.column + word.length;
    this.fixes.push({ file: word.from.file, line: word.from.line, column, length: 0, text });
  }

  /** Proposes lines at the end of a file. */
  append(file: string, text: string): void {
    this.fixes.push({ file, line: Number.MAX_SAFE_INTEGER, column: 1, length: 0, text });
  }

  /** Remembers that programs are to be run. */
  runs(word: Word): void {
    if (!this.scripts.has(this.phase)) this.scripts.set(this.phase, word);
  }

  /** Takes back what was said of one kind. */
  forget(code: string): void {
    for (const list of [this.diagnostics, this.said] as { code: string }[][]) {
      list.splice(0, list.length, ...list.filter((each) => each.code !== code));
    }
  }

  /** True the first time it is asked for a key. */
  first(key: string): boolean {
    if (this.#once.has(key)) return false;
    this.#once.add(key);
    return true;
  }

  /** Adds what only keepalived says. */
  say(
    code: string,
    text: string,
    { status = 5, from }: { status?: Said["status"]; from?: Origin } = {},
  ): void {
    this.said.push({
      phase: this.phase,
      status,
      code,
      text,
      ...(from === undefined ? {} : { at: { file: from.file, line: from.line } }),
    });
  }
}
