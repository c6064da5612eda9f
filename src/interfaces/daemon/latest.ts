/**
 * Which undertaking about a thing is its latest: a former one gives up. What is undertaken about other things has no say.
 * @module
 */

/** See the module's description. Things go by name. */
export class Latest {
  readonly #turns = new Map<string, number>();

  /** Begins one, and ends the former. @returns whether it is over, being not the latest any more */
  begin(name: string): () => boolean {
    const mine = this.end(name);
    return () => this.#turns.get(name) !== mine;
  }

  /** There is nothing more to be done about it. */
  end(name: string): number {
    const next = (this.#turns.get(name) ?? 0) + 1;
    this.#turns.set(name, next);
    return next;
  }
}
