import fc from "fast-check";
import { expect, test } from "vitest";
import { address4, survivesGarbage, u8, u16, undoes, viewOf } from "../testkit/wire.ts";
import { fromHex } from "./hex.ts";
import * as ipv4 from "./ipv4.ts";

// Captured: an echo request with "record route", and both fragments of a datagram (their headers).
const RECORD_ROUTE =
  "49000034caa640004001d74dc0000201c0000202070f08c0000201000000000000000000080078513669000870696e6734353637";
const FIRST_FRAGMENT = "450005dc2b1320004011a5fac0000201c0000202";
const LAST_FRAGMENT = `450000302b1300b94011caedc0000201c0000202${"66".repeat(28)}`;

test("parse() reads a captured header with options", () => {
  expect(ipv4.parse(viewOf(RECORD_ROUTE), 0, 52)).toEqual({
    tos: 0,
    id: 0xcaa6,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol: ipv4.PROTOCOL.icmp,
    src: "192.0.2.1",
    dst: "192.0.2.2",
    options: [{ type: 7, data: fromHex("08c0000201000000000000000000").subarray(0, 13) }],
    payloadLen: 16,
  });
});

test("the accessors read captured fragments", () => {
  const first = viewOf(FIRST_FRAGMENT);
  expect(ipv4.version(first, 0)).toBe(4);
  expect(ipv4.headerLen(first, 0)).toBe(20);
  expect(ipv4.totalLength(first, 0)).toBe(1500);
  expect(ipv4.moreFragments(first, 0)).toBe(true);
  expect(ipv4.isFragment(first, 0)).toBe(true);
  expect(ipv4.dontFragment(first, 0)).toBe(false);
  const last = viewOf(LAST_FRAGMENT);
  expect(ipv4.valid(last, 0, 48)).toBe(true);
  expect(ipv4.fragmentOffset(last, 0)).toBe(1480);
  expect(ipv4.moreFragments(last, 0)).toBe(false);
  expect(ipv4.isFragment(last, 0)).toBe(true);
  expect(ipv4.id(last, 0)).toBe(0x2b13);
  expect(ipv4.src(last, 0)).toBe(0xc0000201);
  expect(ipv4.dst(last, 0)).toBe(0xc0000202);
  expect(ipv4.ttl(last, 0)).toBe(64);
  expect(ipv4.protocol(last, 0)).toBe(17);
  expect(ipv4.tos(last, 0)).toBe(0);
});

test("setChecksum() restores the checksum a kernel computed", () => {
  for (const hex of [RECORD_ROUTE, FIRST_FRAGMENT, LAST_FRAGMENT]) {
    const v = viewOf(hex);
    expect(ipv4.checksumOk(v, 0)).toBe(true);
    v.setUint16(ipv4.AT.checksum, 0xbeef);
    expect(ipv4.checksumOk(v, 0)).toBe(false);
    ipv4.setChecksum(v, 0);
    expect(v).toEqual(viewOf(hex));
  }
});

test.each([
  ["version 6", "6500001400000000400000000000000000000000"],
  ["a header length below 20", "4400001400000000400000000000000000000000"],
  ["a header longer than the packet", "4600001400000000400000000000000000000000"],
  ["a total length beyond the end", "4500001500000000400000000000000000000000"],
  ["19 bytes", "45000014000000004000000000000000000000"],
])("valid() refuses %s", (_, hex) => {
  const v = viewOf(hex);
  expect(ipv4.valid(v, 0, v.byteLength)).toBe(false);
  expect(ipv4.parse(v, 0, v.byteLength)).toBeUndefined();
});

test("valid() accepts padding behind the packet, as short Ethernet frames have", () => {
  expect(ipv4.valid(viewOf(`4500001400000000400000000000000000000000${"00".repeat(26)}`), 0, 46)).toBe(true);
});

test("parse() refuses an option that runs out of the header", () => {
  const v = viewOf("46000018000000004000000000000000000000000705aabb");
  expect(ipv4.valid(v, 0, 24)).toBe(true);
  expect(ipv4.parse(v, 0, 24)).toBeUndefined();
});

const option = fc.oneof(
  fc.constant({ type: 1, data: new Uint8Array(0) }),
  fc.record({ type: fc.integer({ min: 2, max: 255 }), data: fc.uint8Array({ maxLength: 11 }) }),
);

test("parse() undoes emit()", () => {
  const header = fc.record({
    tos: u8,
    id: u16,
    dontFragment: fc.boolean(),
    moreFragments: fc.boolean(),
    fragmentOffset: fc.nat(0x1fff).map((n) => n * 8),
    ttl: u8,
    protocol: u8,
    src: address4,
    dst: address4,
    options: fc.array(option, { maxLength: 3 }),
    payloadLen: fc.nat(1000),
  });
  const write = (ip: ipv4.Ipv4, v: DataView, at: number) => {
    const length = ipv4.emit(ip, v, at);
    expect(length).toBe(ipv4.byteLength(ip));
    expect(ipv4.checksumOk(v, at)).toBe(true);
    return at + length + ip.payloadLen;
  };
  undoes(header, write, ipv4.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(ipv4.parse, RECORD_ROUTE);
});

test("emit() refuses an address that is none", () => {
  const ip = ipv4.parse(viewOf(RECORD_ROUTE), 0, 52)!;
  expect(() => ipv4.emit({ ...ip, src: "::1" }, new DataView(new ArrayBuffer(64)), 0)).toThrow("::1");
});
