/**
 * SipHash-1-3 of one 32-bit word, cut to 32 bits: what the kernel's `hsiphash_1u32` is on 64-bit machines
 * (`lib/siphash.c`; Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
 * @module
 */

/**
 * Hashes the little-endian word `value`; both 64-bit words of the key are `key`, which must fit 32 bits.
 *
 * 64-bit words are pairs of 32-bit halves because BigInt would allocate on every operation: `a`..`d` are the four state words,
 * `h` the upper and `l` the lower half.
 */
export function sipHash13(value: number, key: number): number {
  let ah = 0x736f6d65;
  let al = 0x70736575 ^ key;
  let bh = 0x646f7261;
  let bl = 0x6e646f6d ^ key;
  let ch = 0x6c796765;
  let cl = 0x6e657261 ^ key;
  // The only message block: the word, and its length, 4, in the top byte.
  let dh = 0x74656462 ^ 0x04000000;
  let dl = 0x79746573 ^ key ^ value;
  for (let round = 0; round < 4; round++) {
    let h = 0;
    let l = 0;
    // a += b
    l = (al >>> 0) + (bl >>> 0);
    ah = (ah + bh + (l > 0xffffffff ? 1 : 0)) | 0;
    al = l | 0;
    // b = rotl(b, 13) ^ a
    h = (bh << 13) | (bl >>> 19);
    bl = ((bl << 13) | (bh >>> 19)) ^ al;
    bh = h ^ ah;
    // a = rotl(a, 32)
    h = ah;
    ah = al;
    al = h;
    // c += d
    l = (cl >>> 0) + (dl >>> 0);
    ch = (ch + dh + (l > 0xffffffff ? 1 : 0)) | 0;
    cl = l | 0;
    // d = rotl(d, 16) ^ c
    h = (dh << 16) | (dl >>> 16);
    dl = ((dl << 16) | (dh >>> 16)) ^ cl;
    dh = h ^ ch;
    // a += d
    l = (al >>> 0) + (dl >>> 0);
    ah = (ah + dh + (l > 0xffffffff ? 1 : 0)) | 0;
    al = l | 0;
    // d = rotl(d, 21) ^ a
    h = (dh << 21) | (dl >>> 11);
    dl = ((dl << 21) | (dh >>> 11)) ^ al;
    dh = h ^ ah;
    // c += b
    l = (cl >>> 0) + (bl >>> 0);
    ch = (ch + bh + (l > 0xffffffff ? 1 : 0)) | 0;
    cl = l | 0;
    // b = rotl(b, 17) ^ c
    h = (bh << 17) | (bl >>> 15);
    bl = ((bl << 17) | (bh >>> 15)) ^ cl;
    bh = h ^ ch;
    // c = rotl(c, 32)
    h = ch;
    ch = cl;
    cl = h;
    if (round === 0) {
      // One compression round is done: the block goes in again, and the three finalisation rounds follow.
      al ^= value;
      ah ^= 0x04000000;
      cl ^= 0xff;
    }
  }
  return (al ^ bl ^ cl ^ dl) >>> 0;
}
