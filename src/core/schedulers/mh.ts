/**
 * Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016): a client leads to
 * a slot of a table of prime size that destinations fill along permutations of their own, so that few clients move when
 * destinations come and go. The last weight that was not 0 counts: quiescing a destination moves nobody else.
 * @module
 */
import { TableError } from "../errors.ts";
import { SCHED_FLAG } from "../service.ts";
import { greatestCommonDivisor } from "./divisor.ts";
import { type Candidate, type Candidates, type SchedulerKind, usable } from "./scheduler.ts";
import { sipHash13 } from "./siphash.ts";

/** Slots of the table, a prime: `CONFIG_IP_VS_MH_TAB_INDEX` 12, the kernel's default. */
export const MH_SLOTS = 4093;
/** Weights are shifted down until the greatest has at most this many bits: half the table index. */
const WEIGHT_BITS = 6;
/** Keys of the hash that chooses slots and offsets, and of the one that chooses skips (`ip_vs_mh.c`). */
export const MH_KEY = { slot: 2654435761, skip: 2654446892 } as const;

const slotHash = (value: number): number => sipHash13(value, MH_KEY.slot) % MH_SLOTS;

/** Fills the {@link MH_SLOTS} `slots` for these destinations. */
export function fillMaglev<D extends Candidate>(slots: (D | undefined)[], destinations: readonly D[]): void {
  slots.fill(undefined);
  const sharers = destinations.filter((d) => d.lastWeight > 0);
  if (sharers.length === 0) return;
  const divisor = sharers.reduce((g, d) => greatestCommonDivisor(d.lastWeight, g), 0);
  const heaviest = sharers.reduce((w, d) => Math.max(w, d.lastWeight), 0) / divisor;
  const shift = Math.max(0, 32 - Math.clz32(heaviest) - WEIGHT_BITS);
  const permutations = sharers.map((d) => ({
    d,
    turns: Math.max(1, (d.lastWeight / divisor) >>> shift),
    next: slotHash(d.fold + d.port),
    skip: (sipHash13(d.fold + d.port, MH_KEY.skip) % (MH_SLOTS - 1)) + 1,
  }));
  let filled = 0;
  for (;;) {
    for (const p of permutations) {
      for (let turn = 0; turn < p.turns; turn++) {
        while (slots[p.next] !== undefined) p.next = (p.next + p.skip) % MH_SLOTS;
        slots[p.next] = p.d;
        if (++filled === MH_SLOTS) return;
      }
    }
  }
}

/** Maglev hashing. */
export const mh: SchedulerKind = {
  name: "mh",
  check(destinations) {
    if (destinations <= MH_SLOTS) return;
    throw new TableError(
      "EINVAL",
      `scheduler mh serves at most ${MH_SLOTS} real servers a service, not ${destinations}`,
    );
  },
  create<D extends Candidate>(service: Candidates<D>) {
    mh.check!(service.destinations.length);
    const slots = new Array<D | undefined>(MH_SLOTS).fill(undefined);
    let stale = true;
    const changed = () => {
      stale = true;
    };
    return {
      pick(request) {
        if (stale) {
          fillMaglev(slots, service.destinations);
          stale = false;
        }
        const port = service.schedFlags & SCHED_FLAG.port ? request.clientPort : 0;
        const value = request.clientFold + port;
        const slot = slotHash(value);
        const d = slots[slot];
        if (d === undefined) return undefined;
        if (usable(d)) return d;
        if (!(service.schedFlags & SCHED_FLAG.fallback)) return undefined;
        for (let k = 0; k < MH_SLOTS; k++) {
          const other = slots[slotHash(value + ((k + slot) % MH_SLOTS))];
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
