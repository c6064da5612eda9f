/**
 * From lines to statements: a keyword with its words, and the block that may follow.
 *
 * The tree needs to know which keywords open a block only for files that leave a `{` out.
 * @module
 */
import type { Reader } from "./reader.ts";
import { cutWords, slice, type Text, type Word, wordAt } from "./text.ts";

/** A keyword, its words, and what stands between its braces. */
export interface Statement {
  /** At least one: the keyword. */
  readonly words: readonly Word[];
  /** All of it but the braces, as it stands. */
  readonly text: Text;
  /** Absent: no `{` follows. */
  block?: Statement[];
  /** The `}` that ends the block. */
  close?: Word;
}

/** What a block may hold, as far as braces go. */
export interface Shape {
  /** The shape of a keyword's block; undefined when the keyword has none or is unknown. */
  blockOf(keyword: string): Shape | undefined;
}

/** The shape of a block of items, and of anything unknown. */
export const FLAT: Shape = { blockOf: () => undefined };

/** A piece of a line: text, or a brace. */
export interface Token {
  readonly kind: "text" | "{" | "}";
  readonly text: Text;
}

/** Cuts a line at braces outside double quotes; pieces of blanks are left out. */
export function tokens(line: Text): Token[] {
  const found: Token[] = [];
  let quoted = false;
  let from = 0;
  const flush = (to: number) => {
    let start = from;
    while (start < to && /\s/.test(line.text[start])) start++;
    if (start < to) found.push({ kind: "text", text: slice(line, start, to) });
  };
  for (let i = 0; i < line.text.length; i++) {
    const c = line.text[i];
    if (c === '"') quoted = !quoted;
    else if (!quoted && (c === "{" || c === "}")) {
      flush(i);
      found.push({ kind: c, text: slice(line, i, i + 1) });
      from = i + 1;
    }
  }
  flush(line.text.length);
  return found;
}

interface Frame {
  readonly statements: Statement[];
  readonly shape: Shape;
  readonly opener?: Statement;
}

/** Builds the tree. Never throws: what is amiss with braces is told, and read in the likeliest way. */
export function parseTree(lines: readonly Text[], root: Shape, reader: Reader): Statement[] {
  const top: Frame = { statements: [], shape: root };
  const stack: Frame[] = [top];
  /** The statement that a `{` would belong to. */
  let last: Statement | undefined;
  /** The first word that belongs to the top level, and stands inside a block. */
  let suspect: Word | undefined;

  const frame = () => stack[stack.length - 1];
  const enter = (statement: Statement) => {
    statement.block = [];
    const shape = frame().shape.blockOf(statement.words[0].text) ?? FLAT;
    stack.push({ statements: statement.block, shape, opener: statement });
    last = undefined;
  };
  /** Enters the block of a keyword that must have one, when no `{` came. `next` is the word that follows. */
  const enterUnopened = (next?: string) => {
    const shape = last && frame().shape.blockOf(last.words[0].text);
    if (last === undefined || shape === undefined) return;
    const keyword = last.words[0];
    if (next !== undefined && !shape.blockOf(next) && frame().shape.blockOf(next)) {
      // What follows is a block beside it: this one is empty, and was given no braces at all.
      reader.warn("missing-open-brace", keyword, `the block of ${keyword.text} has no braces; it is empty`, {
        remedy: `write: ${keyword.text} { }`,
      });
      reader.insert(last.words[last.words.length - 1], " {\n}", "after");
      last.block = [];
      last = undefined;
      return;
    }
    reader.warn("missing-open-brace", keyword, `the block of ${keyword.text} has no '{'`, {
      remedy: "write '{' at the end of this line",
    });
    reader.insert(last.words[last.words.length - 1], " {", "after");
    enter(last);
  };

  for (const line of lines) {
    for (const token of tokens(line)) {
      if (token.kind === "text") {
        enterUnopened(/^[^\s"]+/.exec(token.text.text)?.[0]);
        const words = cutWords(token.text, (quote) =>
          reader.warn("unterminated-quote", quote, "this quote is not closed on its line", {
            remedy: 'write the second "; a statement cannot go on in the next line',
            own: [`Unterminated quote '${line.text.trim()}'`, `Unmatched quote: '${line.text.trim()}'`],
          }),
        );
        if (words.length === 0) continue;
        last = { words, text: token.text };
        frame().statements.push(last);
        const name = words[0].text;
        if (suspect === undefined && stack.length > 1 && root.blockOf(name) && !frame().shape.blockOf(name)) {
          if (frame().shape !== FLAT || token.text.from.source.startsWith(name)) suspect = words[0];
        }
      } else if (token.kind === "{") {
        if (last === undefined) {
          const brace = wordAt(token.text, 0, 1, "{", false);
          reader.error("unexpected-open-brace", brace, "this '{' follows no keyword; its block is left out", {
            remedy: "name what the block is, or remove it with its '}'",
          });
          stack.push({ statements: [], shape: FLAT });
        } else enter(last);
      } else {
        enterUnopened();
        last = undefined;
        const brace = wordAt(token.text, 0, 1, "}", false);
        if (stack.length > 1) {
          const { opener } = stack.pop() as Frame;
          if (opener) opener.close = brace;
        } else {
          reader.fix(brace, "");
          reader.warn("extra-close-brace", brace, "this '}' closes nothing; it is left out", {
            remedy: "remove it, or look above for a block that was closed too early",
          });
        }
      }
    }
  }
  enterUnopened();
  if (stack.length > 1) {
    const open = stack.slice(1).flatMap(({ opener }) => (opener ? [opener.words[0]] : []));
    const innermost = open.at(-1);
    if (innermost) {
      const many = stack.length - 1;
      reader.error(
        "missing-close-brace",
        innermost,
        `the block of ${innermost.text} is still open at the end of the file${many > 1 ? `, and ${many - 1} more around it` : ""}`,
        {
          remedy:
            suspect === undefined
              ? `add ${many > 1 ? `${many} '}'` : "'}'"}`
              : `line ${suspect.from.line} begins a ${suspect.text} inside it: is the '}' missing before that?`,
        },
      );
      const braces = Array.from({ length: many }, () => "}").join("\n");
      if (suspect === undefined) reader.append(innermost.from.file, braces);
      else reader.insert(suspect, `${braces}\n`, "before");
    }
  }
  return top.statements;
}
