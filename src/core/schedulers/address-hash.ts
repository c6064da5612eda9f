/**
 * The hash of sh and dh: eight bits of an address (and port) by multiplication with the golden ratio
 * (`include/linux/hash.h`, `GOLDEN_RATIO_32`).
 * @module
 */

/** Slots of the tables of sh and dh. */
export const SLOTS = 256;

/** The top eight bits of `value` x 0x61C88647 modulo 2^32; `value` is taken modulo 2^32. */
export const hash8 = (value: number): number => Math.imul(value, 0x61c88647) >>> 24;
