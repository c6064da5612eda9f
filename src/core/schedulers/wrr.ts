/**
 * Weighted round robin, interleaved: a current weight sinks from the greatest weight to the least in steps of their greatest
 * common divisor, and at each level everybody at least that heavy gets one connection.
 * @module
 */
import { greatestCommonDivisor } from "./divisor.ts";
import type { Candidate, SchedulerKind } from "./scheduler.ts";

/** Weighted round robin. */
export const wrr: SchedulerKind = {
  name: "wrr",
  create<D extends Candidate>(service: { readonly destinations: readonly D[] }) {
    /** Where the last chosen destination stands; -1 = before the first. */
    let position = -1;
    /** Greatest common divisor of the weights that are not 0. */
    let step = 1;
    /** The highest level. All levels are 1 modulo `step`, the lowest is 1; 0 when every weight is 0. */
    let top = 0;
    let level = 0;

    const measure = () => {
      let divisor = 0;
      let heaviest = 0;
      for (const { weight } of service.destinations) {
        if (weight > 0) divisor = greatestCommonDivisor(weight, divisor);
        if (weight > heaviest) heaviest = weight;
      }
      step = divisor || 1;
      top = heaviest - (step - 1);
    };
    const changed = () => {
      position = -1;
      measure();
      if (level > top || level === 0) level = top;
      else if (step > 1) level = Math.floor(level / step) * step + 1;
    };
    /** First destination behind `position` that may get a connection at this level. */
    const walk = (): D | undefined => {
      const { destinations } = service;
      for (let i = position + 1; i < destinations.length; i++) {
        const d = destinations[i]!;
        if (!d.overloaded && d.weight >= level) {
          position = i;
          return d;
        }
      }
      return undefined;
    };

    measure();
    level = top;
    return {
      pick() {
        if (top <= 0) return undefined;
        const found = walk();
        if (found) return found;
        // The levels down to the heaviest that is not overloaded would find nothing: weights go to 2^31, so jump over them.
        let heaviest = 0;
        for (const d of service.destinations) {
          if (!d.overloaded && d.weight > heaviest) heaviest = d.weight;
        }
        if (heaviest === 0) {
          // A whole round at every level ends where it began.
          level = position < 0 ? top : 1;
          return undefined;
        }
        position = -1;
        level -= step;
        if (level <= 0) level = top;
        if (level > heaviest) level -= Math.ceil((level - heaviest) / step) * step;
        return walk();
      },
      added: changed,
      removed: changed,
      edited: changed,
    };
  },
};
