import fc from "fast-check";
import { expect, test } from "vitest";
import { u16, u32, viewOf } from "../testkit/wire.ts";
import { fromHex } from "./hex.ts";
import * as pcap from "./pcap.ts";

// Written by tcpdump: the file's header, and one ARP request.
const FILE =
  "d4c3b2a10200040000000000000000000000040001000000" +
  "4f1c016b1a7207002a0000002a000000" +
  "ffffffffffff02000000000a0806000108000604000102000000000ac0000201000000000000c0000202";

test("a file of tcpdump's is read", () => {
  const file = fromHex(FILE);
  const header = pcap.parseHeader(file)!;
  expect(header).toEqual({ littleEndian: true, nanoseconds: false, snaplen: 262144, linktype: 1 });
  expect([...pcap.records(file, header)]).toEqual([
    { seconds: 1795234895, nanoseconds: 487962000, originalLength: 42, data: file.subarray(40) },
  ]);
});

test("a record that is still being written ends the file", () => {
  const file = fromHex(FILE);
  const header = pcap.parseHeader(file)!;
  for (let length = 24; length < file.length; length++) {
    expect([...pcap.records(file.subarray(0, length), header)]).toEqual([]);
  }
  expect(pcap.parseHeader(file.subarray(0, 23))).toBeUndefined();
});

test("pcapng and other files are refused", () => {
  expect(pcap.parseHeader(fromHex(`0a0d0d0a${"00".repeat(40)}`))).toBeUndefined();
});

const header = fc.record({
  littleEndian: fc.boolean(),
  nanoseconds: fc.boolean(),
  snaplen: u32,
  linktype: u16,
});
const record = fc.record({
  seconds: u32,
  nanoseconds: fc.nat(999_999_999),
  originalLength: u32,
  data: fc.uint8Array({ maxLength: 80 }),
});

test("reading undoes writing in both byte orders and both resolutions", () => {
  fc.assert(
    fc.property(header, fc.array(record, { maxLength: 5 }), (h, list) => {
      const parts = [pcap.emitHeader(h), ...list.map((r) => pcap.emitRecord(h, r))];
      const file = Uint8Array.from(parts.flatMap((part) => [...part]));
      expect(pcap.parseHeader(file)).toEqual(h);
      const kept = (ns: number) => (h.nanoseconds ? ns : ns - (ns % 1000));
      const wanted = list.map((r) => ({ ...r, nanoseconds: kept(r.nanoseconds) }));
      expect([...pcap.records(file, h)]).toEqual(wanted);
    }),
  );
});

test("arbitrary bytes neither throw nor loop", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const h = pcap.parseHeader(bytes) ?? {
        littleEndian: true,
        nanoseconds: false,
        snaplen: 0,
        linktype: 1,
      };
      expect([...pcap.records(bytes, h)].length).toBeLessThan(20);
    }),
  );
});

test("ipAt() finds the IP packet behind each link type, and -1 where there is none", () => {
  const ip = "4500001400000000400000000000000000000000";
  const mac = "02000000000b02000000000a";
  const at = (linktype: number, hex: string) => {
    const v = viewOf(hex);
    return pcap.ipAt(linktype, v, 0, v.byteLength);
  };
  expect(at(pcap.LINKTYPE.raw, ip)).toBe(0);
  expect(at(pcap.LINKTYPE.ethernet, `${mac}0800${ip}`)).toBe(14);
  expect(at(pcap.LINKTYPE.ethernet, `${mac}810000050800${ip}`)).toBe(18);
  expect(at(pcap.LINKTYPE.linuxSll, `00000001000602000000000a00000800${ip}`)).toBe(16);
  expect(at(pcap.LINKTYPE.ethernet, FILE.slice(80))).toBe(-1);
  expect(at(147, ip)).toBe(-1);
});
