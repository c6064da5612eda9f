/**
 * Destination hashing: the packet's destination address leads to a slot of a table that destinations fill in turn, whatever
 * their weights. Sensible for services by firewall mark (caches).
 * @module
 */
import { hash8 } from "./address-hash.ts";
import { type Candidate, type Candidates, type SchedulerKind, usable } from "./scheduler.ts";

/** Destination hashing. */
export const dh: SchedulerKind = {
  name: "dh",
  create<D extends Candidate>(service: Candidates<D>) {
    // Slot n belongs to destination n modulo their number, so the table need not be written down.
    return {
      pick(request) {
        const { destinations } = service;
        if (destinations.length === 0) return undefined;
        const d = destinations[hash8(request.targetFold) % destinations.length]!;
        return d.available && usable(d) ? d : undefined;
      },
    };
  },
};
