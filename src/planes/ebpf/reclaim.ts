/**
 * Slots that nobody has: a change of maps puts those of no connection aside, and gives them back at its end, which one that was killed
 * did not come to.
 * @module
 */
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { CONN, CTL, PHASE, STATE } from "./layout.ts";
import type { Maps } from "./maps.ts";

/** Whatever a program was doing with a slot, it has done by then; ms. */
const PASSING_MS = 20;

/** Makes free every slot that is neither a connection's nor free already, while packets go on. */
export function reclaim(maps: Maps): void {
  const slab = maps.array("slab").view;
  const state = maps.array("state").view;
  const queue = maps.map("free_slots");
  const generation = (slot: number): number =>
    slab.getUint32(slot * CONN.size + CONN.at.ctl + 4, LITTLE_ENDIAN);
  const isFree = (slot: number): boolean =>
    ((slab.getUint32(slot * CONN.size + CONN.at.ctl, LITTLE_ENDIAN) >>> CTL.phaseShift) & 0xff) ===
    PHASE.free;

  const unused = new Map<number, number>();
  const end = Math.min(state.getUint32(STATE.at.fresh, LITTLE_ENDIAN), maps.map("slab").info.maxEntries);
  for (let slot = 1; slot < end; slot++) if (isFree(slot)) unused.set(slot, generation(slot));
  // Who freed one of them has put it into the queue by then, and who took one has filled it.
  pause();
  const free: number[] = [];
  for (let slot = queue.pop(); slot !== undefined; slot = queue.pop()) free.push(slot);
  pause();
  for (const slot of free) unused.delete(slot);
  // One that came to life meanwhile, and ended, is in the queue.
  for (const [slot, before] of unused) if (isFree(slot) && generation(slot) === before) free.push(slot);
  for (const slot of free) queue.push(slot);
  state.setBigUint64(STATE.at.freed, 1n, LITTLE_ENDIAN);
}

/** In one thread with the locks that are held. */
const pause = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PASSING_MS);
