/**
 * Power of two choices: two destinations drawn at random by weight, of which the less loaded one wins.
 * @module
 */
import { type Candidate, overhead, type SchedulerKind, usable } from "./scheduler.ts";

/** Power of two choices. */
export const twos: SchedulerKind = {
  name: "twos",
  create<D extends Candidate>(service: { readonly destinations: readonly D[] }, env: { random(): number }) {
    return {
      pick() {
        const { destinations } = service;
        let total = 0;
        for (let i = 0; i < destinations.length; i++) {
          const d = destinations[i]!;
          if (usable(d)) total += d.weight;
        }
        if (total === 0) return undefined;
        // compat: 0..total inclusive, so that the first destination is a little more likely (Linux 6.1).
        let first = Math.floor(env.random() * (total + 1));
        let second = Math.floor(env.random() * (total + 1));
        let one: D | undefined;
        let two: D | undefined;
        for (let i = 0; i < destinations.length && !(one && two); i++) {
          const d = destinations[i]!;
          if (!usable(d)) continue;
          first -= d.weight;
          second -= d.weight;
          if (first <= 0 && !one) one = d;
          if (second <= 0 && !two) two = d;
        }
        if (!one || !two) return one ?? two;
        // compat: the kernel multiplies in 32 bits here.
        const twoWins = Math.imul(two.weight, overhead(one)) > Math.imul(one.weight, overhead(two));
        return twoWins ? two : one;
      },
    };
  },
};
