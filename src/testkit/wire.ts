/**
 * What the tests of the codecs share: views of fixtures, arbitrary field values, and the check that garbage does no harm.
 * @module
 */
import fc from "fast-check";
import { formatAddress } from "../wire/address.ts";
import { fromHex } from "../wire/hex.ts";

/** A view of the bytes of hexadecimal text. */
export function viewOf(hex: string): DataView {
  return viewOfBytes(fromHex(hex));
}

/** A view of bytes, which may be part of a larger buffer. */
export function viewOfBytes(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

export const u8 = fc.integer({ min: 0, max: 0xff });
export const u16 = fc.integer({ min: 0, max: 0xffff });
export const u32 = fc.integer({ min: 0, max: 0xffffffff });
export const address4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => formatAddress(4, b));
/** With many zero groups, because they are what IPv6 text is difficult about. */
export const bytes6 = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0xffff), u16), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((g) => [g >>> 8, g & 0xff])));
export const address6 = bytes6.map((b) => formatAddress(6, b));
export const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((b) => Array.from(b, (n) => n.toString(16).padStart(2, "0")).join(":"));

/** Bytes of a multiple of 8 less 2, as IPv6's own options have. */
export const blocksLess2 = fc
  .integer({ min: 1, max: 4 })
  .chain((n) => fc.uint8Array({ minLength: 8 * n - 2, maxLength: 8 * n - 2 }));

/**
 * Runs `read` on arbitrary bytes, and on copies of `sample` cut short and changed in a few places, which get further into a
 * parser. Bytes beyond `end` exist, so that a read past it is no exception: `read` must not depend on them.
 */
export function survivesGarbage(
  read: (v: DataView, at: number, end: number) => unknown,
  sample: string,
): void {
  const bytes = fromHex(sample);
  const changed = fc
    .tuple(fc.integer({ min: 0, max: bytes.length }), fc.array(fc.tuple(fc.nat(bytes.length - 1), u8)))
    .map(([length, edits]) => {
      const copy = bytes.slice();
      for (const [at, value] of edits) copy[at] = value;
      return copy.subarray(0, length);
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), changed), fc.nat(9), (garbage, at) => {
      const results = [0x00, 0xff].map((filler) => {
        const room = new Uint8Array(at + garbage.length + 600).fill(filler);
        room.set(garbage, at);
        return JSON.stringify(read(viewOfBytes(room), at, at + garbage.length));
      });
      if (results[0] !== results[1]) throw new Error(`read past the end: ${results.join(" / ")}`);
      // And with nothing behind the end at all.
      const exact = new Uint8Array(at + garbage.length);
      exact.set(garbage, at);
      read(viewOfBytes(exact), at, exact.length);
    }),
    { numRuns: 300 },
  );
}

/** `parse` undoes `write`, at any offset: `write` puts the whole thing into the view and returns where it ends. */
export function undoes<T>(
  arbitrary: fc.Arbitrary<T>,
  write: (value: T, v: DataView, at: number) => number,
  parse: (v: DataView, at: number, end: number) => T | undefined,
  same: (got: T | undefined, wanted: T) => void,
): void {
  fc.assert(
    fc.property(arbitrary, fc.nat(9), (value, at) => {
      // Old bytes below must not shine through.
      const v = viewOfBytes(new Uint8Array(4096).fill(0xa5));
      const end = write(value, v, at);
      same(parse(v, at, end), value);
    }),
    { numRuns: 200 },
  );
}
