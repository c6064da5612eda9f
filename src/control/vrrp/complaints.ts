/**
 * Which complaints are told: the same one once a minute, and so few different ones that a flood of bad packets does not become a flood of lines.
 * @module
 */

/** The same complaint about the same sender comes again after this. */
const REPEAT_MS = 60_000;
/** More different ones within {@link REPEAT_MS} are not told. */
const MOST = 100;

export class Complaints {
  readonly #told = new Map<string, number>();

  /** Whether to tell this one now. "last": yes, and that further ones are not told for a while. */
  admit(about: string, now: number): "yes" | "last" | "no" {
    if (now - (this.#told.get(about) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return "no";
    if (this.#told.size >= MOST)
      for (const [key, at] of this.#told) if (now - at >= REPEAT_MS) this.#told.delete(key);
    if (this.#told.size >= MOST) return "no";
    this.#told.set(about, now);
    return this.#told.size === MOST ? "last" : "yes";
  }
}
