/**
 * What lblc and lblcr share: a cache by destination address of what was chosen for it, and the rule when a cached choice has
 * too much to do. Limits are those of `net/netfilter/ipvs/ip_vs_lblc.c`.
 * @module
 */
import type { Candidate } from "./scheduler.ts";

/** Entries above which the upkeep of every minute starts to remove idle ones. */
export const CACHE_FULL = 16384;
/** Entries at which nothing new is remembered. */
export const CACHE_LIMIT = 24576;
/** Idle time after which a full cache may lose an entry, milliseconds. */
const IDLE_MS = 6 * 60_000;
/** Upkeeps without pressure until everything is looked through once. */
const FULL_SWEEP_EVERY = 30;

/** What every cache entry has. */
export interface CacheEntry {
  /** Milliseconds, the monotonic clock of requests. */
  lastUse: number;
}

/** A cache by destination address. */
export class LocalityCache<E extends CacheEntry> {
  readonly #entries = new Map<number | string, E>();
  #ticks = 1;

  get size(): number {
    return this.#entries.size;
  }

  /** The entry of an address, marked as used now. */
  use(key: number | string, now: number): E | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.lastUse = now;
    return entry;
  }

  /** Remembers an entry, unless the cache is at its limit. */
  remember(key: number | string, entry: E): void {
    if (this.#entries.size < CACHE_LIMIT) this.#entries.set(key, entry);
  }

  /** Upkeep, once a minute: entries idle for `expirationMs` go at every 30th call; of a full cache, idle ones earlier. */
  tick(now: number, expirationMs: number): void {
    if (this.#ticks % FULL_SWEEP_EVERY === 0) {
      this.#ticks = 1;
      this.#removeIdle(now - expirationMs, this.#entries.size);
      return;
    }
    const excess = this.#entries.size - CACHE_FULL;
    if (excess <= 0) {
      this.#ticks++;
      return;
    }
    // The oldest entries come first in a Map, so that this needs no place to go on from as the kernel's chains do.
    const goal = Math.min(Math.floor((excess * 4) / 3), CACHE_FULL / 2);
    this.#removeIdle(now - IDLE_MS, goal);
  }

  #removeIdle(before: number, most: number): void {
    let left = most;
    for (const [key, entry] of this.#entries) {
      if (left <= 0) return;
      if (entry.lastUse > before) continue;
      this.#entries.delete(key);
      left--;
    }
  }
}

/** Whether a destination has more active connections than its weight while another has fewer than half of its own. */
export function outdone(d: Candidate, destinations: readonly Candidate[]): boolean {
  if (d.active <= d.weight) return false;
  for (let i = 0; i < destinations.length; i++) {
    const other = destinations[i]!;
    if (other.active * 2 < other.weight) return true;
  }
  return false;
}
