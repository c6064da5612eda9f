/**
 * Where the lists of destinations lie: each service has a run of entries in one array. A list that changes gets a new run, and its
 * old one is not written for a while, since a packet may still be reading it.
 * @module
 */

/** A run of entries. */
export interface Run {
  readonly at: number;
  readonly count: number;
}

/** Gives out runs of an array of `size` entries. */
export class Runs {
  /** 1 where an entry is in a live run. */
  readonly #used: Uint8Array;
  /** Live runs by owner. */
  readonly #live = new Map<number, Run>();
  #next: number;

  /** `start` is where the first new run is looked for. */
  constructor(size: number, start = 0) {
    this.#used = new Uint8Array(size);
    this.#next = start % size;
  }

  /** Notes a run that an owner has, in place of the one it had. */
  set(owner: number, run: Run): void {
    this.delete(owner);
    if (run.count === 0) return;
    this.#live.set(owner, run);
    this.#used.fill(1, run.at, run.at + run.count);
  }

  get(owner: number): Run | undefined {
    return this.#live.get(owner);
  }

  delete(owner: number): void {
    const run = this.#live.get(owner);
    if (!run) return;
    this.#used.fill(0, run.at, run.at + run.count);
    this.#live.delete(owner);
  }

  /** A run that nobody has, behind the last one given out; undefined when no gap is long enough. The owner keeps its old one. */
  find(count: number): Run | undefined {
    if (count === 0) return { at: 0, count: 0 };
    const at = this.#gap(count, this.#next) ?? this.#gap(count, 0);
    if (at === undefined) return undefined;
    this.#next = (at + count) % this.#used.length;
    return { at, count };
  }

  #gap(count: number, from: number): number | undefined {
    let at = from;
    while (at + count <= this.#used.length) {
      const taken = this.#used.subarray(at, at + count).lastIndexOf(1);
      if (taken < 0) return at;
      at += taken + 1;
    }
    return undefined;
  }
}
