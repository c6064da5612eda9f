import fc from "fast-check";
import { expect, test } from "vitest";
import { survivesGarbage, u8, u16, u32, undoes, viewOf } from "../testkit/wire.ts";
import { pseudo6 } from "./checksum.ts";
import * as icmpv6 from "./icmpv6.ts";

// Captured with their IPv6 headers: an echo request, and "port unreachable" quoting a datagram.
const ECHO =
  "6003dc1200103a4020010db800000000000000000000000120010db8000000000000000000000002" +
  "8000a48f366a000970696e6734353637";
const UNREACHABLE =
  "600e4f18003d3a4020010db800000000000000000000000220010db8000000000000000000000001" +
  "0104701c000000006009c1ba000d114020010db800000000000000000000000120010db8000000000000000000000002" +
  "e92b270f000d369e7564702178";

test("parse() reads captured messages", () => {
  expect(icmpv6.parse(viewOf(ECHO), 40, 56)).toEqual({ kind: "echo", id: 0x366a, sequence: 9, bodyLen: 8 });
  const v = viewOf(UNREACHABLE);
  expect(icmpv6.parse(v, 40, v.byteLength)).toEqual({
    kind: "unreachable",
    code: icmpv6.UNREACHABLE.port,
    bodyLen: 53,
  });
  expect(icmpv6.isError(icmpv6.type(v, 40))).toBe(true);
  expect(icmpv6.isError(icmpv6.TYPE.echo)).toBe(false);
});

test("emit() writes the checksums a kernel wrote", () => {
  for (const hex of [ECHO, UNREACHABLE]) {
    const v = viewOf(hex);
    const length = v.byteLength - 40;
    const value = icmpv6.parse(v, 40, v.byteLength)!;
    for (let i = 40; i < 48; i++) v.setUint8(i, 0xff);
    icmpv6.emit(value, v, 40, pseudo6(v, 0, 58, length));
    expect(v).toEqual(viewOf(hex));
    expect(icmpv6.checksumOk(v, 40, length, pseudo6(v, 0, 58, length))).toBe(true);
  }
});

test("the MTU of packet too big is 32 bits wide", () => {
  expect(icmpv6.parse(viewOf("0200000000010578"), 0, 8)).toEqual({
    kind: "packetTooBig",
    mtu: 0x10578,
    bodyLen: 0,
  });
});

const bodyLen = fc.nat(600);
const known = new Set<number>([1, 2, 3, 4, 128, 129]);
const message: fc.Arbitrary<icmpv6.Icmpv6> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("echo" as const, "echoReply" as const),
    id: u16,
    sequence: u16,
    bodyLen,
  }),
  fc.record({ kind: fc.constantFrom("unreachable" as const, "timeExceeded" as const), code: u8, bodyLen }),
  fc.record({ kind: fc.constant("packetTooBig" as const), mtu: u32, bodyLen }),
  fc.record({ kind: fc.constant("parameterProblem" as const), code: u8, pointer: u32, bodyLen }),
  fc.record({
    kind: fc.constant("other" as const),
    type: u8.filter((t) => !known.has(t)),
    code: u8,
    rest: u32,
    bodyLen,
  }),
);

test("parse() undoes emit(), and the checksum is right", () => {
  const write = (value: icmpv6.Icmpv6, v: DataView, at: number) => {
    icmpv6.emit(value, v, at, 777);
    const length = icmpv6.HEADER_LEN + value.bodyLen;
    expect(icmpv6.checksumOk(v, at, length, 777)).toBe(true);
    return at + length;
  };
  undoes(message, write, icmpv6.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(icmpv6.parse, UNREACHABLE.slice(80));
});
