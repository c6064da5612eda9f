/**
 * The walk that fo and ovf share: the greatest weight, the earlier in the list on a tie.
 * @module
 */
import { type Candidate, usable } from "./scheduler.ts";

/** The usable destination with the greatest weight; with `spill`, of those whose active connections do not exceed it. */
export function heaviest<D extends Candidate>(destinations: readonly D[], spill: boolean): D | undefined {
  let best: D | undefined;
  for (let i = 0; i < destinations.length; i++) {
    const d = destinations[i]!;
    if (!usable(d) || (spill && d.active > d.weight)) continue;
    if (best === undefined || d.weight > best.weight) best = d;
  }
  return best;
}
