/**
 * What happened, for `lvsd events`: the newest are kept, followers get each as it comes.
 * @module
 */

/** One thing that happened, whichever part of the daemon it concerns. */
export interface DaemonEvent {
  /** Counts from 1. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly level: "info" | "warning" | "error";
  readonly part: "lvs" | "vrrp" | "daemon" | "script" | "mail";
  /** `server-down`, `state`, `reload` ... */
  readonly kind: string;
  /** One line for people. */
  readonly text: string;
  /** Virtual server or VRRP instance. */
  readonly about?: string;
  readonly server?: string;
  readonly reason?: string;
  readonly latencyMs?: number;
}

/** Events that are kept. */
const KEPT = 1000;

/** The newest events, in order. */
export class Events {
  readonly #kept: DaemonEvent[] = [];
  readonly #followers = new Set<(event: DaemonEvent) => void>();
  #number = 0;

  add(event: Omit<DaemonEvent, "number">): DaemonEvent {
    const numbered = { number: ++this.#number, ...event };
    this.#kept.push(numbered);
    if (this.#kept.length > KEPT) this.#kept.splice(0, this.#kept.length - KEPT);
    for (const follower of this.#followers) follower(numbered);
    return numbered;
  }

  /** The newest `count`, oldest first. */
  last(count: number): readonly DaemonEvent[] {
    return count >= this.#kept.length ? [...this.#kept] : this.#kept.slice(this.#kept.length - count);
  }

  /** Calls back for every event from now on; the result ends that. */
  follow(follower: (event: DaemonEvent) => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }
}
