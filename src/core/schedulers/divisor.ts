/**
 * Greatest common divisor, for schedulers that divide weights by it (wrr, mh).
 * @module
 */

/** Euclid's; the divisor of a number and 0 is the number. */
export function greatestCommonDivisor(a: number, b: number): number {
  while (b > 0) [a, b] = [b, a % b];
  return a;
}
