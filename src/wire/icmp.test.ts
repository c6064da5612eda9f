import fc from "fast-check";
import { expect, test } from "vitest";
import { address4, survivesGarbage, u8, u16, u32, undoes, viewOf } from "../testkit/wire.ts";
import * as icmp from "./icmp.ts";

// Captured: an echo request, and "port unreachable" quoting a datagram.
const ECHO = "080078533668000770696e6734353637";
const UNREACHABLE = "0303811f00000000450000212b12400040118bb6c0000201c0000202e73a270f000d10007564702178";

test("parse() reads a captured echo request", () => {
  expect(icmp.parse(viewOf(ECHO), 0, 16)).toEqual({ kind: "echo", id: 0x3668, sequence: 7, bodyLen: 8 });
});

test("parse() reads a captured error; the quoted packet is its body", () => {
  const v = viewOf(UNREACHABLE);
  expect(icmp.parse(v, 0, v.byteLength)).toEqual({
    kind: "unreachable",
    code: icmp.UNREACHABLE.port,
    mtu: 0,
    bodyLen: 33,
  });
  expect(icmp.isError(icmp.type(v, 0))).toBe(true);
  expect(icmp.code(v, 0)).toBe(3);
  expect(v.getUint8(icmp.HEADER_LEN) >>> 4).toBe(4);
});

test("emit() writes the checksums a kernel wrote", () => {
  for (const hex of [ECHO, UNREACHABLE]) {
    const v = viewOf(hex);
    const value = icmp.parse(v, 0, v.byteLength)!;
    expect(icmp.checksumOk(v, 0, v.byteLength)).toBe(true);
    for (let i = 0; i < 8; i++) v.setUint8(i, 0xff);
    expect(icmp.checksumOk(v, 0, v.byteLength)).toBe(false);
    icmp.emit(value, v, 0);
    expect(v).toEqual(viewOf(hex));
  }
});

test("only the types that quote a packet are errors", () => {
  const errors = Array.from({ length: 256 }, (_, t) => t).filter(icmp.isError);
  expect(errors).toEqual([3, 4, 5, 11, 12]);
});

test("the MTU of fragmentation needed is in the last two bytes of the header (RFC 1191)", () => {
  const v = viewOf("0304000000000578");
  expect(icmp.parse(v, 0, 8)).toEqual({ kind: "unreachable", code: 4, mtu: 1400, bodyLen: 0 });
  expect(icmp.mtu(v, 0)).toBe(1400);
});

const bodyLen = fc.nat(600);
const needed = icmp.UNREACHABLE.fragmentationNeeded;
const known = new Set<number>(Object.values(icmp.TYPE));
const message: fc.Arbitrary<icmp.Icmp> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("echo" as const, "echoReply" as const),
    id: u16,
    sequence: u16,
    bodyLen,
  }),
  fc
    .record({ kind: fc.constant("unreachable" as const), code: fc.nat(15), mtu: u16, bodyLen })
    .map((m) => (m.code === needed ? m : { ...m, mtu: 0 })),
  fc.record({ kind: fc.constant("sourceQuench" as const), bodyLen }),
  fc.record({ kind: fc.constant("redirect" as const), code: u8, gateway: address4, bodyLen }),
  fc.record({ kind: fc.constant("timeExceeded" as const), code: u8, bodyLen }),
  fc.record({ kind: fc.constant("parameterProblem" as const), code: u8, pointer: u8, bodyLen }),
  fc.record({
    kind: fc.constant("other" as const),
    type: u8.filter((t) => !known.has(t)),
    code: u8,
    rest: u32,
    bodyLen,
  }),
);

test("parse() undoes emit(), and the checksum is right", () => {
  const write = (value: icmp.Icmp, v: DataView, at: number) => {
    icmp.emit(value, v, at);
    const length = icmp.HEADER_LEN + value.bodyLen;
    expect(icmp.checksumOk(v, at, length)).toBe(true);
    return at + length;
  };
  undoes(message, write, icmp.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(icmp.parse, UNREACHABLE);
});
