import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c, finish, START, update } from "./crc32c.ts";

/** Bit by bit, after the definition. */
function plain(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = (c >>> 1) ^ (c & 1 ? 0x82f63b78 : 0);
  }
  return ~c >>> 0;
}

test("crc32c() gives the vectors of RFC 3720 appendix B.4", () => {
  const of = (bytes: Uint8Array) => crc32c(bytes, 0, bytes.length);
  expect(of(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(of(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(of(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(of(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).toBe(0x113fdb5c);
  expect(of(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
});

test("crc32c() agrees with the bitwise definition on any range, whole or in pieces", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(100), (bytes, a, b) => {
      const from = Math.min(a, b, bytes.length);
      const middle = Math.min(Math.max(a, b), bytes.length);
      const wanted = plain(bytes.subarray(from));
      expect(crc32c(bytes, from, bytes.length)).toBe(wanted);
      expect(finish(update(update(START, bytes, from, middle), bytes, middle, bytes.length))).toBe(wanted);
    }),
  );
});
