/**
 * Never queue: an idle destination when there is one, in list order; else the shortest expected delay.
 * @module
 */
import { expectedDelay, weightedLeast } from "./least.ts";
import { type SchedulerKind, usable } from "./scheduler.ts";

/** Never queue. */
export const nq: SchedulerKind = {
  name: "nq",
  create(service) {
    return {
      pick() {
        const { destinations } = service;
        for (let i = 0; i < destinations.length; i++) {
          const d = destinations[i]!;
          if (d.active === 0 && usable(d)) return d;
        }
        return weightedLeast(destinations, expectedDelay);
      },
    };
  },
};
