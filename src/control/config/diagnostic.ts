/**
 * What the readers of configuration files have to say: one kind of message for both languages.
 * @module
 */

/** A place in a file. Lines and columns count from 1; columns count UTF-16 units of the line as it stands. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** error: this part cannot be used. warning: it is used, otherwise than it may look. notice: it has no effect, or a better word exists. */
export type Severity = "error" | "warning" | "notice";

/** One message about a configuration. */
export interface Diagnostic {
  readonly severity: Severity;
  /** Stable, for programs and tests: `unknown-keyword`, `bad-number`, `missing-brace` ... */
  readonly code: string;
  readonly at: Place;
  /** Characters marked from `at.column` on; 1 or more. */
  readonly length: number;
  /** What is wrong: names the value and the rule. */
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** The line of the file, without its newline. */
  readonly source: string;
}

/**
 * A diagnostic as people read it: `FILE:LINE:COLUMN: SEVERITY: MESSAGE`, the source line, a marker under it, the remedy.
 * Tabs of the source line are kept in the marker line, so that the marker stands where the text stands.
 */
export function formatDiagnostic(d: Diagnostic): string {
  const { file, line, column } = d.at;
  const lines = [`${file}:${line}:${column}: ${d.severity}: ${d.message}`];
  if (d.source !== "") {
    const before = d.source.slice(0, column - 1).replace(/[^\t]/g, " ");
    lines.push(`    ${d.source}`, `    ${before}${"^".repeat(Math.max(1, d.length))}`);
  }
  if (d.remedy !== undefined) lines.push(`    ${d.remedy}`);
  return lines.join("\n");
}
