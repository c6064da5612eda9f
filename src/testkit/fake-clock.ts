/**
 * Time that tests let pass. Timers run in order, each with its consequences (promises included) before the next.
 * @module
 */

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

const before = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** See the module's description. */
export class FakeClock {
  /** Milliseconds since 1970 at time 0. */
  readonly start = Date.UTC(2026, 0, 1);
  #now = 0;
  #order = 0;
  #waiting = 0;
  /** A binary heap, the next one first: tests have ten thousand of them. */
  readonly #timers: Timer[] = [];

  /** Monotonic ms. */
  now(): number {
    return this.#now;
  }
  date(): number {
    return this.start + this.#now;
  }
  after(ms: number, callback: () => void): () => void {
    const at = this.#now + Math.max(0, ms);
    const timer: Timer = { at, order: this.#order++, callback, cancelled: false };
    this.#push(timer);
    this.#waiting++;
    return () => {
      if (!timer.cancelled) this.#waiting--;
      timer.cancelled = true;
    };
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#now = next.at;
      next.callback();
      await settled();
    }
    this.#now = end;
  }

  /** Takes out the next timer that is due until then. */
  #next(end: number): Timer | undefined {
    for (let first = this.#timers[0]; first && first.at <= end; first = this.#timers[0]) {
      this.#shift();
      if (first.cancelled) continue;
      first.cancelled = true;
      this.#waiting--;
      return first;
    }
    return undefined;
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let i = heap.length;
    heap.push(timer);
    for (let up = (i - 1) >> 1; i > 0 && before(timer, heap[up]); up = (i - 1) >> 1) {
      heap[i] = heap[up];
      i = up;
    }
    heap[i] = timer;
  }

  #shift(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (!before(heap[child], last)) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = last;
  }
}

/** Resolves when everything that only waited for promises has run. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
