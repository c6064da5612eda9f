/**
 * The walk that wlc, sed, nq, lblc and lblcr share: the least load for its weight, the earlier in the list on a tie.
 * @module
 */
import { type Candidate, usable } from "./scheduler.ts";

/**
 * Whether a x b > c x d, exactly, for integers that are not negative: what the kernel asks in 64 bits. Loads reach 2^38 and
 * weights 2^31, so products may leave what a double holds exactly; only then, and only when they are close, BigInt decides.
 */
export function productExceeds(a: number, b: number, c: number, d: number): boolean {
  const left = a * b;
  const right = c * d;
  if (left <= Number.MAX_SAFE_INTEGER && right <= Number.MAX_SAFE_INTEGER) return left > right;
  // Each product is rounded by at most 2^-53 of itself.
  if (Math.abs(left - right) > Math.max(left, right) * 2 ** -50) return left > right;
  return BigInt(a) * BigInt(b) > BigInt(c) * BigInt(d);
}

/** The usable destination with the least load / weight; `load` is the same function at every call of a scheduler. */
export function weightedLeast<D extends Candidate>(
  destinations: readonly D[],
  load: (d: Candidate) => number,
): D | undefined {
  let least: D | undefined;
  let leastLoad = 0;
  for (let i = 0; i < destinations.length; i++) {
    const d = destinations[i]!;
    if (!usable(d)) continue;
    const l = load(d);
    if (least === undefined || productExceeds(leastLoad, d.weight, l, least.weight)) {
      least = d;
      leastLoad = l;
    }
  }
  return least;
}

/** Load for sed and nq: the delay that one more connection would see. */
export const expectedDelay = (d: Candidate): number => d.active + 1;
