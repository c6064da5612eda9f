/**
 * Source hashing: a client address (with sh-port also its port) leads to a slot of a table that destinations fill by weight.
 * @module
 */
import { SCHED_FLAG } from "../service.ts";
import { hash8, SLOTS } from "./address-hash.ts";
import { type Candidate, type Candidates, type SchedulerKind, usable } from "./scheduler.ts";

/** Fills the table of 256 slots: in list order everybody takes as many slots in a row as its weight says (at least one), over and over. */
export function fillSourceHash<D extends Candidate>(
  slots: (D | undefined)[],
  destinations: readonly D[],
): void {
  slots.fill(undefined);
  if (destinations.length === 0) return;
  let turn = 0;
  for (let slot = 0; slot < SLOTS; turn++) {
    const d = destinations[turn % destinations.length]!;
    for (let share = Math.max(1, d.weight); share > 0 && slot < SLOTS; share--) slots[slot++] = d;
  }
}

/** Source hashing. */
export const sh: SchedulerKind = {
  name: "sh",
  create<D extends Candidate>(service: Candidates<D>) {
    const slots = new Array<D | undefined>(SLOTS).fill(undefined);
    let stale = true;
    const changed = () => {
      stale = true;
    };
    return {
      pick(request) {
        if (stale) {
          fillSourceHash(slots, service.destinations);
          stale = false;
        }
        const port = service.schedFlags & SCHED_FLAG.port ? request.clientPort : 0;
        const hash = hash8(request.clientFold + port);
        const d = slots[hash];
        if (d === undefined) return undefined;
        if (usable(d)) return d;
        if (!(service.schedFlags & SCHED_FLAG.fallback)) return undefined;
        for (let k = 0; k < SLOTS; k++) {
          const offset = (k + hash) % SLOTS;
          const other = slots[(offset + hash) % SLOTS];
          if (other === undefined) return undefined;
          if (usable(other)) return other;
        }
        return undefined;
      },
      added: changed,
      removed: changed,
      edited: changed,
    };
  },
};
