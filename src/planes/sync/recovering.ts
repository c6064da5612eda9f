/**
 * A master that lacks connections, because its process died and came again, or because another director was master beside it: it asks the
 * first backup with the key that connects. Backups connect as soon as they hear it, within a second or so.
 * @module
 */
import type { TableTaker } from "./peer-server.ts";
import type { Recovery } from "./site.ts";

/** Without a backup for so long there is none, ms. */
const SILENT_MS = 3000;
/** A table that is not here after this is waited for no longer, ms. */
const LIMIT_MS = 10_000;

/** One such wait. */
export class Recovering {
  readonly #recovery: Recovery;
  readonly #what: string;
  readonly #clock: () => number;
  readonly #began: number;
  readonly #silence: NodeJS.Timeout;
  readonly #limit: NodeJS.Timeout;

  /**
   * @param what for the log: which connections
   * @param clock the director's, ms
   */
  constructor(recovery: Recovery, what: string, clock: () => number) {
    this.#recovery = recovery;
    this.#what = what;
    this.#clock = clock;
    this.#began = clock();
    this.#silence = setTimeout(() => this.#end("no backup is there that could have them"), SILENT_MS);
    this.#limit = setTimeout(() => this.#end("no backup gave them"), LIMIT_MS);
  }

  /** Who takes a peer's table, while one is wanted. */
  taker(peer: string): TableTaker | undefined {
    if (!this.#recovery.pending) return undefined;
    clearTimeout(this.#silence);
    const receiver = this.#recovery.receiver();
    return {
      message: (bytes) => receiver.receive(bytes, this.#clock()),
      complete: () => this.#end(`${peer} had ${receiver.counts.created} of them`),
    };
  }

  close(): void {
    this.#end("the master daemon ended");
  }

  #end(how: string): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#limit);
    if (!this.#recovery.pending) return;
    const seconds = ((this.#clock() - this.#began) / 1000).toFixed(1);
    this.#recovery.end(`${this.#what}: ${how} (${seconds} s)`);
  }
}
