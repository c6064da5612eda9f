/**
 * Least connection: the least {@link overhead}, weights ignored except 0.
 * @module
 */
import { type Candidate, overhead, type SchedulerKind, usable } from "./scheduler.ts";

/** Least connection. */
export const lc: SchedulerKind = {
  name: "lc",
  create<D extends Candidate>(service: { readonly destinations: readonly D[] }) {
    return {
      pick() {
        const { destinations } = service;
        let least: D | undefined;
        let leastLoad = 0;
        for (let i = 0; i < destinations.length; i++) {
          const d = destinations[i]!;
          if (!usable(d)) continue;
          const load = overhead(d);
          if (least === undefined || load < leastLoad) {
            least = d;
            leastLoad = load;
          }
        }
        return least;
      },
    };
  },
};
