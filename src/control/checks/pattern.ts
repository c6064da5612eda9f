/**
 * Matching what a server said against a configured pattern.
 * @module
 */
import type { PatternSpec } from "./check.ts";

/** Ready to match; made once a checker. The bytes of the text are its characters (latin1). */
export class Pattern {
  readonly #regex: RegExp;
  readonly #negated: boolean;
  readonly #source: string;

  /** @throws SyntaxError for a pattern that is none; readers of configuration have tried it before. */
  constructor(spec: PatternSpec) {
    // A remembered position (g, y) would make every second match fail.
    this.#regex = new RegExp(spec.source, spec.flags.replace(/[gy]/g, ""));
    this.#negated = spec.negated ?? false;
    this.#source = spec.source;
  }

  /** Whether the text is as wanted: matches, or for a negated pattern does not. */
  accepts(text: string): boolean {
    return this.#regex.test(text) !== this.#negated;
  }

  /** What is wrong with a text that is not accepted, after the word for it: `does not match /x/`. */
  get complaint(): string {
    return `${this.#negated ? "matches" : "does not match"} /${this.#source}/`;
  }
}

/** The pattern of a spec that may have none. */
export const patternOf = (spec: PatternSpec | undefined): Pattern | undefined =>
  spec ? new Pattern(spec) : undefined;
