/**
 * Corrections of a file that messages propose, as edits, and their application.
 * @module
 */

/** A stretch of a line, and what to write in its place. Lines and columns count from 1. */
export interface Edit {
  readonly file: string;
  /** One past the last line: the text becomes a line at the end. */
  readonly line: number;
  readonly column: number;
  /** Characters that go; 0 inserts. */
  readonly length: number;
  readonly text: string;
}

/** Applies the edits of one file to its text; of those that overlap the first counts. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const lines = text.split("\n");
  const sorted = [...edits].sort((a, b) => a.line - b.line || a.column - b.column);
  const appended: string[] = [];
  const byLine = new Map<number, Edit[]>();
  for (const edit of sorted) {
    if (edit.line > lines.length) appended.push(edit.text);
    else byLine.set(edit.line, [...(byLine.get(edit.line) ?? []), edit]);
  }
  for (const [number, list] of byLine) {
    const line = lines[number - 1];
    let out = "";
    let at = 0;
    for (const { column, length, text: by } of list) {
      if (column - 1 < at) continue;
      out += line.slice(at, column - 1) + by;
      at = column - 1 + length;
    }
    lines[number - 1] = out + line.slice(at);
  }
  if (appended.length > 0) {
    while (lines.at(-1)?.trim() === "") lines.pop();
    lines.push(...appended, "");
  }
  return lines.join("\n");
}
