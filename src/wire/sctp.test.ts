import fc from "fast-check";
import { expect, test } from "vitest";
import { survivesGarbage, u8, u16, u32, undoes, viewOf } from "../testkit/wire.ts";
import { fromHex } from "./hex.ts";
import * as sctp from "./sctp.ts";

// COOKIE ACK alone, and DATA "abc" (padded) with a HEARTBEAT behind, laid out after RFC 9260 §3.3; the test beside tshark
// holds our checksums against another implementation.
const COOKIE_ACK = "0b590b59 00000e50 00000000 0b000004";
const DATA_HEARTBEAT =
  "0b590b59 00000e50 00000000 00030013 00000001 0002 0003 00000004 61626300 04000006 beef0000";

test("parse() reads chunks with their flags and without their padding", () => {
  const v = viewOf(DATA_HEARTBEAT);
  expect(sctp.parse(v, 0, v.byteLength)).toEqual({
    srcPort: 2905,
    dstPort: 2905,
    verificationTag: 0xe50,
    chunks: [
      { type: sctp.CHUNK.data, flags: 3, value: fromHex("000000010002000300000004616263") },
      { type: sctp.CHUNK.heartbeat, flags: 0, value: fromHex("beef") },
    ],
  });
});

test("the chunk accessors walk without values", () => {
  const v = viewOf(DATA_HEARTBEAT);
  const first = sctp.firstChunk(v, 0, v.byteLength);
  expect([first, sctp.chunkType(v, first), sctp.chunkFlags(v, first), sctp.chunkLength(v, first)]).toEqual([
    12, 0, 3, 19,
  ]);
  const second = sctp.nextChunk(v, first, v.byteLength);
  expect([second, sctp.chunkType(v, second)]).toEqual([32, 4]);
  expect(sctp.nextChunk(v, second, v.byteLength)).toBe(-1);
});

test("a last chunk that came without its padding is still read", () => {
  const bytes = fromHex(DATA_HEARTBEAT);
  const v = viewOf(DATA_HEARTBEAT);
  expect([...sctp.chunks(v, 0, bytes.length - 2)]).toHaveLength(2);
  expect([...sctp.chunks(v, 0, bytes.length - 3)]).toHaveLength(1);
});

test("a chunk length of 0 ends the walk instead of looping", () => {
  const v = viewOf("0b590b59 00000e50 00000000 00000000 00000000");
  expect(sctp.firstChunk(v, 0, 20)).toBe(-1);
  expect(sctp.parse(v, 0, 20)).toBeUndefined();
});

test("setChecksum() stores the CRC least significant byte first, and any flipped bit is noticed", () => {
  const bytes = fromHex(COOKIE_ACK);
  const v = new DataView(bytes.buffer);
  sctp.setChecksum(v, bytes, 0, bytes.length);
  const crc = sctp.computeChecksum(bytes, 0, bytes.length);
  expect([...bytes.subarray(8, 12)]).toEqual([
    crc & 0xff,
    (crc >>> 8) & 0xff,
    (crc >>> 16) & 0xff,
    crc >>> 24,
  ]);
  expect(sctp.checksumOk(v, bytes, 0, bytes.length)).toBe(true);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    bytes[bit >> 3] ^= 1 << (bit & 7);
    expect(sctp.checksumOk(v, bytes, 0, bytes.length)).toBe(false);
    bytes[bit >> 3] ^= 1 << (bit & 7);
  }
});

test("parse() undoes emit(), and the checksum is right", () => {
  const packet = fc.record({
    srcPort: u16,
    dstPort: u16,
    verificationTag: u32,
    chunks: fc.array(fc.record({ type: u8, flags: u8, value: fc.uint8Array({ maxLength: 40 }) }), {
      maxLength: 4,
    }),
  });
  const write = (value: sctp.Sctp, v: DataView, at: number) => {
    const end = at + sctp.emit(value, v, at);
    expect(sctp.checksumOk(v, new Uint8Array(v.buffer), at, end)).toBe(true);
    return end;
  };
  undoes(packet, write, sctp.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(sctp.parse, DATA_HEARTBEAT);
});
