import fc from "fast-check";
import { expect, test } from "vitest";
import { u16, u32, viewOf, viewOfBytes } from "../testkit/wire.ts";
import { checksum, fold, pseudo4, pseudo6, sum, update16, update32 } from "./checksum.ts";

/** RFC 1071 §4.1 word by word, as slow and plain as it can be. */
function plain(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    total += bytes[i] * 256 + (bytes[i + 1] ?? 0);
    if (total > 0xffff) total -= 0xffff;
  }
  return total;
}

test("fold() of sum() gives the example of RFC 1071 §3", () => {
  expect(fold(sum(viewOf("0001f203f4f5f6f7"), 0, 8))).toBe(0xddf2);
});

test("sum() agrees with the plain algorithm at any offset and length, odd ones included", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(5), (bytes, at) => {
      const room = new Uint8Array(at + bytes.length + 8).fill(0xff);
      room.set(bytes, at);
      expect(fold(sum(viewOfBytes(room), at, bytes.length)) % 0xffff).toBe(plain(bytes) % 0xffff);
    }),
  );
});

test("sum() of the largest packet with a pseudo header does not overflow what fold() takes", () => {
  const bytes = new Uint8Array(65536).fill(0xff);
  const total = sum(viewOfBytes(bytes), 0, bytes.length, 20 * 0xffff);
  expect(total).toBeLessThan(2 ** 32);
  expect(fold(total)).toBe(0xffff);
});

test("checksum() is 0 over bytes that carry their correct check", () => {
  expect(checksum(viewOf("450000210000400040116fe1c0000201c0000202"), 0, 20)).not.toBe(0);
  expect(checksum(viewOf("450000212b12400040118bb6c0000201c0000202"), 0, 20)).toBe(0);
});

test("update16() and update32() give what summing again gives (RFC 1624)", () => {
  fc.assert(
    fc.property(fc.array(u16, { minLength: 3, maxLength: 20 }), u16, u32, (words, to16, to32) => {
      // A first word that is not 0 keeps the whole sum off 0, where the two zeros of ones' complement differ.
      const bytes = Uint8Array.from([1, 1, ...words.flatMap((w) => [w >>> 8, w & 0xff])]);
      const v = viewOfBytes(bytes);
      const before = checksum(v, 0, bytes.length);
      const from16 = v.getUint16(2);
      v.setUint16(2, to16);
      const between = checksum(v, 0, bytes.length);
      expect(update16(before, from16, to16)).toBe(between);
      const from32 = v.getInt32(4);
      v.setUint32(4, to32);
      expect(update32(between, from32, to32)).toBe(checksum(v, 0, bytes.length));
      expect(update32(between, from32 >>> 0, to32 | 0)).toBe(checksum(v, 0, bytes.length));
    }),
  );
});

test("update16() survives the corner case of RFC 1624 §4", () => {
  expect(update16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
});

test("pseudo4() and pseudo6() complete the checks of captured UDP datagrams", () => {
  const v4 = viewOf("450000212b12400040118bb6c0000201c0000202e73a270f000d10007564702178");
  expect(checksum(v4, 20, 13, pseudo4(v4, 0, 17, 13))).toBe(0);
  const v6 = viewOf(
    "6009c1ba000d114020010db800000000000000000000000120010db8000000000000000000000002e92b270f000d369e7564702178",
  );
  expect(checksum(v6, 40, 13, pseudo6(v6, 0, 17, 13))).toBe(0);
});
