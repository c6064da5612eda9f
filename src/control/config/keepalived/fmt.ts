/**
 * One way to write a keepalived.conf: four blanks an indent, one statement a line, `{` at the end of its line. Comments, blank
 * lines, parameters and their use stay. What is formatted means what it meant.
 * @module
 */
import { commentAt, plain } from "./expand.ts";
import { tokens } from "./tree.ts";

const INDENT = "    ";

/** One blank between words, where that changes nothing: not inside quotes, not after a backslash. */
function squeeze(text: string): string {
  const trimmed = text.trim();
  if ((trimmed.match(/'/g) ?? []).length % 2 === 1 || (trimmed.match(/"/g) ?? []).length % 2 === 1)
    return trimmed;
  let out = "";
  let quote = "";
  for (let i = 0; i < trimmed.length; i++) {
    const c = trimmed[i];
    if (c === "\\" && i + 1 < trimmed.length) {
      out += c + trimmed[++i];
      continue;
    }
    if (quote !== "") {
      if (c === quote) quote = "";
    } else if (c === '"' || c === "'") quote = c;
    else if (/\s/.test(c)) {
      if (!out.endsWith(" ")) out += " ";
      continue;
    }
    out += c;
  }
  // A quote that a backslash hid from us: leave everything as it is.
  return quote === "" ? out : trimmed;
}

/** Net change of depth of a stretch of code. */
function depthOf(code: string): number {
  let depth = 0;
  for (const { kind } of pieces(code)) depth += kind === "{" ? 1 : kind === "}" ? -1 : 0;
  return depth;
}

function pieces(code: string) {
  return tokens({ text: code, from: { file: "", line: 0, source: code }, start: 0 });
}

class Formatter {
  readonly #out: string[] = [];
  #depth = 0;
  /** The last line is a plain statement that a `{` may be put behind. */
  #open = false;

  #emit(text: string, depth = this.#depth): void {
    this.#out.push(text === "" ? "" : INDENT.repeat(Math.max(0, depth)) + text);
    this.#open = false;
  }

  /** A line that must stay one line: only its indent changes. */
  whole(code: string, comment: string, counted: string): void {
    const change = depthOf(counted);
    const closing = /^\s*\}/.test(counted) ? -1 : 0;
    this.#emit(join(code.trim(), comment), this.#depth + Math.min(0, closing));
    this.#depth = Math.max(0, this.#depth + change);
  }

  verbatim(line: string): void {
    this.#out.push(line.trimEnd());
    this.#open = false;
  }

  blank(): void {
    if (this.#out.length > 0 && this.#out.at(-1) !== "") this.#emit("");
  }

  comment(text: string): void {
    this.#emit(text);
  }

  /** Statements and braces; `prefix` is a condition that every line of them needs. */
  code(code: string, prefix: string, comment: string): void {
    const parts = pieces(code);
    for (const [i, { kind, text }] of parts.entries()) {
      const last = i === parts.length - 1 ? comment : "";
      if (kind === "}") {
        this.#depth = Math.max(0, this.#depth - 1);
        this.#emit(join(`${prefix}}`, last));
      } else if (kind === "{") {
        if (this.#open && (i > 0 || prefix === "")) {
          this.#out[this.#out.length - 1] = join(`${this.#out.at(-1)} {`, last);
          this.#open = false;
        } else this.#emit(join(`${prefix}{`, last));
        this.#depth++;
      } else {
        this.#emit(join(prefix + squeeze(text.text), last));
        // Only a statement of this line, or one without condition and comment, may take a brace.
        this.#open = last === "" && (i < parts.length - 1 || prefix === "");
      }
    }
  }

  text(): string {
    while (this.#out.at(-1) === "") this.#out.pop();
    return this.#out.length === 0 ? "" : `${this.#out.join("\n")}\n`;
  }
}

const join = (code: string, comment: string): string =>
  comment === "" ? code : code === "" ? comment : `${code} ${comment}`;

/** What means something else at the start of a line than within it. */
const SPECIAL = /^(include[rmwba]?(\s|$)|[@~]|\$[A-Za-z_]\w*=)/;

/** The file in its one form. */
export function formatKeepalived(text: string): string {
  const formatter = new Formatter();
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  for (let i = 0; i < lines.length; i++) {
    const clean = plain(lines[i]);
    const at = commentAt(clean);
    const code = clean.slice(0, at).trim();
    // Comments keep their characters: nobody reads them but people.
    const comment = lines[i].slice(at).trim();
    if (code === "") {
      if (comment === "") formatter.blank();
      else formatter.comment(comment);
      continue;
    }
    const condition = /^@\S*(?=\s|$)/.exec(code)?.[0] ?? "";
    const body = code.slice(condition.length).trim();
    const prefix = condition === "" ? "" : `${condition} `;
    if (/^\$[A-Za-z_]\w*=/.test(body)) {
      // A definition: its lines stand as they are, their blanks may matter where they are used.
      formatter.verbatim(clean);
      while (plain(lines[i]).trimEnd().endsWith("\\") && i + 1 < lines.length) {
        formatter.verbatim(plain(lines[++i]));
      }
    } else if (body.startsWith("~")) {
      const rest = body.replace(/^(~(SEQx?|LST)\([^)]*\)\s*)+/, "");
      formatter.whole(code, comment, rest);
    } else if (/^include[rmwba]?(\s|$)/.test(body)) formatter.whole(code, comment, "");
    else if (body === "") formatter.whole(code, comment, "");
    else if (pieces(body).some(({ text }, n) => n > 0 && SPECIAL.test(text.text)))
      formatter.whole(code, comment, body);
    else if ((body.match(/"/g) ?? []).length % 2 === 1) formatter.whole(code, comment, body);
    else formatter.code(body, prefix, comment);
  }
  return formatter.text();
}
