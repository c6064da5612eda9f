/**
 * Locality-based least connection: packets to one address go to one destination until that has too much to do. For clusters
 * of caches.
 * @module
 */
import { weightedLeast } from "./least.ts";
import { type CacheEntry, LocalityCache, outdone } from "./locality.ts";
import {
  type Candidate,
  type Candidates,
  overhead,
  type SchedulerEnv,
  type SchedulerKind,
} from "./scheduler.ts";

interface Entry<D> extends CacheEntry {
  destination: D;
}

/** Locality-based least connection. */
export const lblc: SchedulerKind = {
  name: "lblc",
  create<D extends Candidate>(service: Candidates<D>, env: SchedulerEnv) {
    const cache = new LocalityCache<Entry<D>>();
    return {
      pick(request) {
        const entry = cache.use(request.targetKey, request.now);
        if (entry !== undefined) {
          // The overload flag of the cached destination is not looked at, as in the kernel.
          const d = entry.destination;
          if (d.available && d.weight > 0 && !outdone(d, service.destinations)) return d;
        }
        const chosen = weightedLeast(service.destinations, overhead);
        if (chosen === undefined) return undefined;
        if (entry !== undefined) entry.destination = chosen;
        else cache.remember(request.targetKey, { destination: chosen, lastUse: request.now });
        return chosen;
      },
      tick: (now) => cache.tick(now, env.settings.lblc_expiration * 1000),
    };
  },
};
