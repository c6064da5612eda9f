/**
 * Matching what a server said against a configured pattern.
 * @module
 */
import type { PatternSpec } from "./check.ts";

/** Ready to match; made once a checker. The bytes of the text are its characters (latin1). */
export class Pattern {
  readonly #regex: RegExp;
  readonly #within: RegExp;
  readonly #negated: boolean;
  readonly #source: string;

  /** @throws SyntaxError for a pattern that is none; readers of configuration have tried it before. */
  constructor(spec: PatternSpec) {
    // A remembered position (g, y) would make every second match fail.
    const flags = spec.flags.replace(/[gy]/g, "");
    // `.*x` matches where x does, but at every position of a line the whole rest of it would be tried: hours for a long page.
    this.#regex = new RegExp(spec.source.replace(/^(?:\[\^\\n\]|\[\\s\\S\])\*\??/, ""), flags);
    this.#within = new RegExp(spec.source, `${flags}g`);
    this.#negated = spec.negated ?? false;
    this.#source = spec.source;
  }

  /** Whether the text is as wanted: matches, or for a negated pattern does not. */
  accepts(text: string): boolean {
    return this.#regex.test(text) !== this.#negated;
  }

  /** The same for a match that starts `min` to `max` characters into the text. */
  acceptsWithin(text: string, min: number, max: number): boolean {
    this.#within.lastIndex = min;
    const match = min <= text.length ? this.#within.exec(text) : null;
    return (match !== null && match.index <= max) !== this.#negated;
  }

  /** What is wrong with a text that is not accepted, after the word for it: `does not match /x/`. */
  get complaint(): string {
    return `${this.#negated ? "matches" : "does not match"} /${this.#source}/`;
  }
}

/** The pattern of a spec that may have none. */
export const patternOf = (spec: PatternSpec | undefined): Pattern | undefined =>
  spec ? new Pattern(spec) : undefined;
