/**
 * Round robin: the destination after the one chosen last, weights ignored except 0.
 * @module
 */
import { ListPosition } from "./list-position.ts";
import { type SchedulerKind, usable } from "./scheduler.ts";

/** Round robin. */
export const rr: SchedulerKind = {
  name: "rr",
  create(service) {
    const position = new ListPosition(service);
    return {
      pick() {
        const { destinations } = service;
        const before = position.index;
        // Everybody once, the last chosen one at the end.
        for (let tries = destinations.length; tries > 0; tries--) {
          const d = destinations[position.advance()]!;
          if (usable(d)) return d;
        }
        position.index = before;
        return undefined;
      },
      added: (d) => position.added(d),
      removed: (_d, index) => position.removed(index),
    };
  },
};
