/**
 * Counters of instances, as keepalived keeps them.
 * @module
 */
import type { VrrpStats } from "./messages.ts";

type Count = Exclude<keyof VrrpStats, "name">;

const NONE: Record<Count, number> = {
  advertsReceived: 0,
  advertsSent: 0,
  becameMaster: 0,
  releasedMaster: 0,
  lengthErrors: 0,
  ttlErrors: 0,
  invalidTypes: 0,
  intervalErrors: 0,
  addressListErrors: 0,
  invalidAuthTypes: 0,
  authTypeMismatches: 0,
  authFailures: 0,
  priorityZeroReceived: 0,
  priorityZeroSent: 0,
  versionErrors: 0,
  checksumErrors: 0,
};

export class Counters {
  readonly #of = new Map<string, Record<Count, number>>();

  of(instance: string): Record<Count, number> {
    const there = this.#of.get(instance);
    if (there) return there;
    const fresh = { ...NONE };
    this.#of.set(instance, fresh);
    return fresh;
  }

  add(instance: string, count: Count): void {
    this.of(instance)[count]++;
  }

  /** The counters of these instances, in this order; the others are forgotten. */
  read(instances: readonly string[], clear: boolean): VrrpStats[] {
    const read = instances.map((name) => ({ name, ...this.of(name) }));
    const known = new Set(instances);
    for (const name of this.#of.keys()) if (clear || !known.has(name)) this.#of.delete(name);
    return read;
  }
}
