/**
 * The Internet checksum (RFC 1071), its pseudo headers and its incremental update (RFC 1624).
 *
 * A *sum* is unfolded: a u32 that many calls may add to (one IP packet plus pseudo header cannot overflow it). A *check* is
 * what stands on the wire: the complement of the folded sum.
 * @module
 */

/** Adds the big-endian 16-bit words of `len` bytes at `at` to `initial`; an odd last byte counts as if a 0 followed. */
export function sum(v: DataView, at: number, len: number, initial = 0): number {
  let total = initial;
  let i = at;
  const end = at + len;
  // Two words a read: half the bounds checks, and no double ever appears because each half is added by itself.
  for (const stop = end - 3; i < stop; i += 4) {
    const w = v.getInt32(i);
    total += (w >>> 16) + (w & 0xffff);
  }
  if (i < end - 1) {
    total += v.getUint16(i);
    i += 2;
  }
  if (i < end) total += v.getUint8(i) << 8;
  return total;
}

/** Folds an unfolded sum (below 2^32) into 16 bits with end-around carry. 0 only for a sum of 0. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The check of `len` bytes at `at`: 0 when a correct check is among them. */
export function checksum(v: DataView, at: number, len: number, initial = 0): number {
  return ~fold(sum(v, at, len, initial)) & 0xffff;
}

/** The check after one 16-bit word changed `from` → `to` (RFC 1624 eqn. 3). */
export function update16(check: number, from: number, to: number): number {
  return ~fold((~check & 0xffff) + (~from & 0xffff) + (to & 0xffff)) & 0xffff;
}

/** The check after two aligned 16-bit words changed; both as one integer, signed or not (RFC 1624 eqn. 3). */
export function update32(check: number, from: number, to: number): number {
  const old = ~from;
  return ~fold((~check & 0xffff) + (old >>> 16) + (old & 0xffff) + (to >>> 16) + (to & 0xffff)) & 0xffff;
}

/** Unfolded sum of the IPv4 pseudo header (RFC 768): addresses of the header at `ipAt`, protocol, L4 length in bytes. */
export function pseudo4(v: DataView, ipAt: number, protocol: number, length: number): number {
  return sum(v, ipAt + 12, 8, protocol + length);
}

/**
 * Unfolded sum of the IPv6 pseudo header (RFC 8200 §8.1): addresses of the header at `ipAt`, protocol, L4 length in bytes.
 * With a routing header that has segments left the caller must sum the final destination instead.
 */
export function pseudo6(v: DataView, ipAt: number, protocol: number, length: number): number {
  return sum(v, ipAt + 8, 32, protocol + (length >>> 16) + (length & 0xffff));
}
