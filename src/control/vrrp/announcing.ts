/**
 * The queue of announcements: gratuitous ARP and neighbour advertisements leave an interface one by one, with the configured pause between.
 * Pure; whoever has the clock asks for what is due.
 * @module
 */

/** One frame to send. */
export interface Announcement {
  readonly instance: string;
  readonly device: string;
  /** Canonical text. */
  readonly address: string;
  /** Pause after it on its interface. */
  readonly intervalMs: number;
}

const identity = (a: Announcement): string => `${a.instance} ${a.device} ${a.address}`;

/** Announcements that wait, by interface. */
export class AnnounceQueue {
  readonly #waiting = new Map<string, Announcement[]>();
  readonly #freeAt = new Map<string, number>();

  /** Adds rounds of announcements: every address once, then every address again. For an address of which some still wait they are enough. */
  push(all: readonly Announcement[], rounds: number): void {
    const waiting = new Set<string>();
    for (const queue of this.#waiting.values()) for (const a of queue) waiting.add(identity(a));
    const round = all.filter((a) => !waiting.has(identity(a)));
    for (let i = 0; i < rounds; i++) {
      for (const a of round) {
        const queue = this.#waiting.get(a.device) ?? [];
        queue.push(a);
        this.#waiting.set(a.device, queue);
      }
    }
  }

  /** Forgets what an instance has not sent: it is master no more, and its word would be stale. */
  cancel(instance: string): void {
    for (const [device, queue] of this.#waiting) {
      const rest = queue.filter((a) => a.instance !== instance);
      if (rest.length > 0) this.#waiting.set(device, rest);
      else this.#waiting.delete(device);
    }
  }

  /** Takes what may leave now. */
  take(now: number): Announcement[] {
    const out: Announcement[] = [];
    for (const [device, queue] of this.#waiting) {
      let freeAt = this.#freeAt.get(device) ?? 0;
      while (queue.length > 0 && freeAt <= now) {
        const a = queue.shift()!;
        out.push(a);
        if (a.intervalMs > 0) freeAt = now + a.intervalMs;
      }
      this.#freeAt.set(device, freeAt);
      if (queue.length === 0) this.#waiting.delete(device);
    }
    return out;
  }

  /** When {@link take} has something again; Infinity for nothing. */
  nextAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const device of this.#waiting.keys()) next = Math.min(next, this.#freeAt.get(device) ?? 0);
    return next;
  }
}
