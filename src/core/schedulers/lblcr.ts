/**
 * Locality-based least connection with replication: packets to one address go to a set of destinations that grows while they
 * have too much to do and shrinks when it was left alone for long.
 * @module
 */
import { productExceeds, weightedLeast } from "./least.ts";
import { type CacheEntry, LocalityCache, outdone } from "./locality.ts";
import {
  type Candidate,
  type Candidates,
  overhead,
  type SchedulerEnv,
  type SchedulerKind,
  usable,
} from "./scheduler.ts";

interface Entry<D> extends CacheEntry {
  /** Newest first. */
  readonly members: D[];
  /** When a member came or went, milliseconds. */
  lastChange: number;
}

/** The usable and available member with the least overhead for its weight. */
function leastMember<D extends Candidate>(members: readonly D[]): D | undefined {
  let least: D | undefined;
  let leastLoad = 0;
  for (let i = 0; i < members.length; i++) {
    const d = members[i]!;
    if (!d.available || !usable(d)) continue;
    const load = overhead(d);
    if (least === undefined || productExceeds(leastLoad, d.weight, load, least.weight)) {
      least = d;
      leastLoad = load;
    }
  }
  return least;
}

/** Index of the member with the greatest overhead for its weight; -1 when all are quiesced. */
function greatestMember(members: readonly Candidate[]): number {
  let greatest = -1;
  for (let i = 0; i < members.length; i++) {
    const d = members[i]!;
    if (d.weight <= 0) continue;
    const g = members[greatest];
    if (g === undefined || productExceeds(overhead(d), g.weight, overhead(g), d.weight)) greatest = i;
  }
  return greatest;
}

/** Locality-based least connection with replication. */
export const lblcr: SchedulerKind = {
  name: "lblcr",
  create<D extends Candidate>(service: Candidates<D>, env: SchedulerEnv) {
    const cache = new LocalityCache<Entry<D>>();
    return {
      pick(request) {
        const { now, targetKey } = request;
        const entry = cache.use(targetKey, now);
        if (entry !== undefined) {
          const d = leastMember(entry.members);
          const settled = now - entry.lastChange > env.settings.lblcr_expiration * 1000;
          if (entry.members.length > 1 && settled) {
            const greatest = greatestMember(entry.members);
            if (greatest >= 0) {
              entry.members.splice(greatest, 1);
              entry.lastChange = now;
            }
          }
          if (d !== undefined && !outdone(d, service.destinations)) return d;
        }
        const chosen = weightedLeast(service.destinations, overhead);
        if (chosen === undefined) return undefined;
        if (entry === undefined) {
          cache.remember(targetKey, { members: [chosen], lastUse: now, lastChange: now });
        } else if (!entry.members.includes(chosen)) {
          entry.members.unshift(chosen);
          entry.lastChange = now;
        }
        return chosen;
      },
      tick: (now) => cache.tick(now, env.settings.lblcr_expiration * 1000),
    };
  },
};
