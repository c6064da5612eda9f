import fc from "fast-check";
import { expect, test } from "vitest";
import { address6, blocksLess2, survivesGarbage, u8, u32, undoes, viewOf } from "../testkit/wire.ts";
import { fromHex } from "./hex.ts";
import * as ipv6 from "./ipv6.ts";

// Captured: a multicast listener report (hop-by-hop header with router alert) and the last fragment of a datagram.
const REPORT =
  "6000000000380001 00000000000000000000000000000000 ff020000000000000000000000000016" +
  "3a00050200000100 8f00b90300000002 04000000ff0200000000000000000001ff000002 04000000ff0200000000000000000001ff25b445";
const LAST_FRAGMENT =
  "600b703f00442c40 20010db8000000000000000000000001 20010db8000000000000000000000002 110005a809f521d8" +
  "66".repeat(60);

test("parse() reads a captured packet with a hop-by-hop header", () => {
  const v = viewOf(REPORT);
  expect(ipv6.parse(v, 0, v.byteLength)).toEqual({
    trafficClass: 0,
    flowLabel: 0,
    hopLimit: 1,
    src: "::",
    dst: "ff02::16",
    extensions: [{ kind: "hopByHop", data: fromHex("050200000100") }],
    protocol: 58,
    payloadLen: 48,
  });
});

test("walk() finds the fragment header of a captured later fragment and stops behind it", () => {
  const v = viewOf(LAST_FRAGMENT);
  const found = ipv6.upper();
  expect(ipv6.valid(v, 0, v.byteLength)).toBe(true);
  expect(ipv6.walk(v, 0, v.byteLength, found)).toBe(true);
  expect(found).toEqual({
    protocol: 17,
    offset: 48,
    fragmentAt: 40,
    fragmentOffset: 1448,
    moreFragments: false,
    prevNextHeaderAt: 40,
  });
  expect(ipv6.flowLabel(v, 0)).toBe(0xb703f);
});

test("walk() forgets what an earlier packet left in the object", () => {
  const found = ipv6.upper();
  const fragment = viewOf(LAST_FRAGMENT);
  ipv6.walk(fragment, 0, fragment.byteLength, found);
  const report = viewOf(REPORT);
  expect(ipv6.walk(report, 0, report.byteLength, found)).toBe(true);
  expect(found).toEqual({ ...ipv6.upper(), protocol: 58, offset: 48, prevNextHeaderAt: 40 });
});

test("walk() goes through a first fragment to the upper layer behind", () => {
  const header = "6000000000182c40 20010db8000000000000000000000001 20010db8000000000000000000000002";
  const v = viewOf(`${header} 3c000001 00000007 1100010400000000 270f270f00080000`);
  const found = ipv6.upper();
  expect(ipv6.walk(v, 0, v.byteLength, found)).toBe(true);
  expect(found).toEqual({
    protocol: 17,
    offset: 56,
    fragmentAt: 40,
    fragmentOffset: 0,
    moreFragments: true,
    prevNextHeaderAt: 48,
  });
});

test("walk() says false at every length that cuts an extension header", () => {
  const v = viewOf(REPORT);
  for (let end = 0; end < 48; end++) expect(ipv6.walk(v, 0, end, ipv6.upper())).toBe(false);
  expect(ipv6.walk(v, 0, 48, ipv6.upper())).toBe(true);
});

test("walk() stops at AH and ESP, whose insides are not the director's business", () => {
  const v = viewOf(
    "6000000000083340 20010db8000000000000000000000001 20010db8000000000000000000000002 0604000000000000",
  );
  const found = ipv6.upper();
  expect(ipv6.walk(v, 0, v.byteLength, found)).toBe(true);
  expect(found.protocol).toBe(51);
  expect(found.offset).toBe(40);
});

test("setTrafficClass() leaves version and flow label alone", () => {
  const v = viewOf(LAST_FRAGMENT);
  ipv6.setTrafficClass(v, 0, 0xb9);
  expect(ipv6.trafficClass(v, 0)).toBe(0xb9);
  expect(ipv6.version(v, 0)).toBe(6);
  expect(ipv6.flowLabel(v, 0)).toBe(0xb703f);
  expect(ipv6.payloadLength(v, 0)).toBe(68);
  expect(ipv6.nextHeader(v, 0)).toBe(44);
  expect(ipv6.hopLimit(v, 0)).toBe(64);
});

const extension = fc.oneof(
  fc.record({
    kind: fc.constantFrom("hopByHop" as const, "routing" as const, "destinationOptions" as const),
    data: blocksLess2,
  }),
  fc.record({ kind: fc.constant("fragment" as const), offset: fc.constant(0), more: fc.boolean(), id: u32 }),
);
const laterFragment = fc.record({
  kind: fc.constant("fragment" as const),
  offset: fc.integer({ min: 1, max: 0x1fff }).map((n) => n * 8),
  more: fc.boolean(),
  id: u32,
});

test("parse() undoes emit(), whatever extension headers there are", () => {
  const header = fc.record({
    trafficClass: u8,
    flowLabel: fc.nat(0xfffff),
    hopLimit: u8,
    src: address6,
    dst: address6,
    extensions: fc
      .tuple(fc.array(extension, { maxLength: 4 }), fc.option(laterFragment, { nil: undefined }))
      .map(([list, last]): ipv6.Extension[] => (last === undefined ? list : [...list, last])),
    protocol: fc.constantFrom(6, 17, 50, 51, 58, 59, 132),
    payloadLen: fc.nat(1000),
  });
  const write = (ip: ipv6.Ipv6, v: DataView, at: number) => {
    const length = ipv6.emit(ip, v, at);
    expect(length).toBe(ipv6.byteLength(ip));
    return at + length + ip.payloadLen;
  };
  undoes(header, write, ipv6.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() and walk() never throw on garbage and never read past the end", () => {
  survivesGarbage(ipv6.parse, REPORT.replaceAll(" ", ""));
  survivesGarbage((v, at, end) => {
    const found = ipv6.upper();
    return ipv6.walk(v, at, end, found) ? found : undefined;
  }, REPORT);
});
