/**
 * Work on behalf of one owner of a part of the table, one piece after the other.
 * @module
 */
import type { DesiredService } from "../health/action.ts";
import type { Operation } from "../reconcile.ts";

type Job = () => Promise<void> | void;

/** What an owner wants, what is being done about it, what was refused. */
export class Lane {
  /** What is wanted; worked out when it is needed. */
  wanted: () => readonly DesiredService[] = () => [];
  /** What has changed since it was last carried out: everything, some destinations, nothing. */
  dirty: "all" | Set<string> | undefined;
  /** Keys of the services that are its own. */
  readonly owned = new Set<string>();
  readonly refusals = new Refusals();
  readonly #done: (error: unknown) => void;
  #jobs: Job[] = [];
  /** The next one: taking from the front of a long array moves all the others. */
  #next = 0;
  #running = false;

  /** @param done called after every job, with what it threw if it did */
  constructor(done: (error: unknown) => void) {
    this.#done = done;
  }

  /** Something runs or waits. */
  get busy(): boolean {
    return this.#running;
  }

  /** Runs the job at once when nothing runs, else after what waits. */
  enqueue(job: Job): void {
    this.#jobs.push(job);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let job = this.#jobs[this.#next++]; job; job = this.#jobs[this.#next++]) {
      let error: unknown;
      try {
        const going = job();
        if (going) await going;
      } catch (thrown) {
        error = thrown;
      }
      if (this.#next === this.#jobs.length) this.#clear();
      this.#done(error);
    }
    this.#clear();
    this.#running = false;
  }

  #clear(): void {
    this.#jobs = [];
    this.#next = 0;
  }
}

/** Refusals of one owner that stand. */
class Refusals {
  readonly #standing = new Map<string, { readonly message: string; readonly entry: string | undefined }>();
  readonly #again = new Set<string>();

  /** @returns whether it is news */
  add(name: string, message: string, entry: string | undefined): boolean {
    this.#again.add(name);
    if (this.#standing.get(name)?.message === message) return false;
    this.#standing.set(name, { message, entry });
    return true;
  }

  /** A round begins. */
  begin(): void {
    this.#again.clear();
  }

  /** A round has come to its end: what was refused before, and is not wanted any more, is no trouble. */
  end(only: ReadonlySet<string> | undefined): void {
    for (const [name, { entry }] of this.#standing) {
      if (only && (entry === undefined || !only.has(entry))) continue;
      if (!this.#again.has(name)) this.#standing.delete(name);
    }
  }

  /** Whether there are any. */
  get some(): boolean {
    return this.#standing.size > 0;
  }

  get messages(): string[] {
    return [...this.#standing.values()].map((r) => r.message);
  }
}

/** Operations that may be under way together: neighbours of one kind on different destinations. */
export function* batches(operations: readonly Operation[], most: number): Generator<readonly Operation[]> {
  for (let from = 0; from < operations.length; ) {
    const kind = operations[from]?.kind;
    const together = kind?.endsWith("destination") ? most : 1;
    let to = from + 1;
    while (to < operations.length && to - from < together && operations[to]?.kind === kind) to++;
    yield operations.slice(from, to);
    from = to;
  }
}
