/**
 * The lines of an ldirectord.cf, and what is said about them.
 * @module
 */
import type { Diagnostic, Severity } from "../diagnostic.ts";

/** A physical line. */
export interface SourceLine {
  /** From 1. */
  readonly number: number;
  /** Without its newline. */
  readonly text: string;
}

/** A part of a line: a value, or a piece of one. */
export interface Span {
  readonly line: SourceLine;
  /** From 1, UTF-16 units. */
  readonly column: number;
  readonly text: string;
}

/** The part of a span from `from` on, `length` characters long. */
export const part = (span: Span, from: number, length = span.text.length - from): Span => ({
  line: span.line,
  column: span.column + from,
  text: span.text.slice(from, from + length),
});

/** What is wrong with a value. */
export class Fault {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
  /** What of the value is meant. @default all of it */
  readonly span: Span | undefined;
  readonly severity: Severity;

  constructor(
    code: string,
    message: string,
    options: { remedy?: string; span?: Span; severity?: Severity } = {},
  ) {
    this.code = code;
    this.message = message;
    this.remedy = options.remedy;
    this.span = options.span;
    this.severity = options.severity ?? "error";
  }
}

/** Characters that look like a blank or a quote and are none: they come from web pages and word processors. */
const PASTED = /[\u00a0\u2018\u2019\u201c\u201d\ufeff]/;

/** One file while it is read. */
export class Source {
  readonly path: string;
  readonly lines: readonly SourceLine[];
  readonly diagnostics: Diagnostic[] = [];

  constructor(path: string, text: string) {
    this.path = path;
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    this.lines = lines.map((line, i) => ({ number: i + 1, text: line }));
  }

  /** Where a span begins. */
  place(span: Span): Diagnostic["at"] {
    return { file: this.path, line: span.line.number, column: span.column };
  }

  /** Says a fault about a span. */
  say(fault: Fault, whole: Span): void {
    const span = fault.span ?? whole;
    const pasted = PASTED.test(span.line.text) && fault.severity === "error";
    const remedy = pasted
      ? "the line has no-break spaces or curly quotes, pasted from a page: type plain ones"
      : fault.remedy;
    this.diagnostics.push({
      severity: fault.severity,
      code: fault.code,
      at: this.place(span),
      length: Math.max(1, span.text.trimEnd().length),
      message: fault.message,
      source: span.line.text,
      ...(remedy !== undefined && { remedy }),
    });
  }
}

/** A whole line as a span, from its first character that is no blank. */
export function wholeLine(line: SourceLine): Span {
  const indent = /^[ \t]*/.exec(line.text)![0].length;
  return { line, column: indent + 1, text: line.text.slice(indent) };
}

/** `name = value`; the value runs to the end of the line. */
export function directiveOf(content: Span): { name: Span; value: Span } | undefined {
  const match = /^([A-Za-z0-9_-]+)([ \t]*=[ \t]*)(.*)$/s.exec(content.text);
  if (match === null) return undefined;
  const [, name, equals] = match as unknown as [string, string, string];
  return { name: part(content, 0, name.length), value: part(content, name.length + equals.length) };
}
