/**
 * Time that tests let pass. Timers run in order, each with its consequences (promises included) before the next.
 * @module
 */

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** See the module's description. */
export class FakeClock {
  /** Milliseconds since 1970 at time 0. */
  readonly start = Date.UTC(2026, 0, 1);
  #now = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();

  /** Monotonic ms. */
  now(): number {
    return this.#now;
  }
  date(): number {
    return this.start + this.#now;
  }
  after(ms: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#order++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#now = next.at;
      next.callback();
      await settled();
    }
    this.#now = end;
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  }
}

/** Resolves when everything that only waited for promises has run. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
