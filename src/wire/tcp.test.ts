import fc from "fast-check";
import { expect, test } from "vitest";
import { address4, address6, survivesGarbage, u8, u16, u32, undoes, viewOf } from "../testkit/wire.ts";
import { pseudo4, pseudo6 } from "./checksum.ts";
import * as tcp from "./tcp.ts";
import { findOption, OPTION, type TcpOption } from "./tcp-options.ts";

// Captured: the SYN of a Linux client; the first data segment of the same connection; a SYN over IPv6.
const SYN =
  "4500003c9bed400040061acbc0000201c0000202" +
  "83141f90b7c5955400000000a002faf0edde0000020405b40402080a58329338000000000103030a";
const DATA =
  "450000379bef400040061acec0000201c0000202" +
  "83141f90b7c595553f38999c8018003f9bb600000101080a5832933861495300796f75";
const SYN6 =
  "600bbf9b0028064020010db800000000000000000000000120010db8000000000000000000000002" +
  "d93c1f90f77f2dc100000000a002fd208d320000020405a00402080a5160f2da000000000103030a";

const SYN_VALUE: tcp.Tcp = {
  srcPort: 33556,
  dstPort: 8080,
  seq: 0xb7c59554,
  ack: 0,
  flags: tcp.FLAG.syn,
  window: 64240,
  urgent: 0,
  options: [
    { kind: "mss", size: 1460 },
    { kind: "sackPermitted" },
    { kind: "timestamps", value: 0x58329338, echo: 0 },
    { kind: "nop" },
    { kind: "windowScale", shift: 10 },
  ],
  payloadLen: 0,
};

test("parse() reads a captured SYN with all of Linux's options", () => {
  expect(tcp.parse(viewOf(SYN), 20, 60)).toEqual(SYN_VALUE);
});

test("emit() writes the bytes of that SYN, checksum included", () => {
  const v = viewOf(SYN);
  for (let i = 20; i < 60; i++) v.setUint8(i, 0xff);
  expect(tcp.emit(SYN_VALUE, v, 20, pseudo4(v, 0, 6, 40))).toBe(40);
  expect(v).toEqual(viewOf(SYN));
});

test("the accessors read a captured data segment, and its checksum is right", () => {
  const v = viewOf(DATA);
  expect(tcp.valid(v, 20, 55)).toBe(true);
  expect(tcp.srcPort(v, 20)).toBe(33556);
  expect(tcp.dstPort(v, 20)).toBe(8080);
  expect(tcp.seq(v, 20)).toBe(0xb7c59555);
  expect(tcp.ack(v, 20)).toBe(0x3f38999c);
  expect(tcp.headerLen(v, 20)).toBe(32);
  expect(tcp.flags(v, 20)).toBe(tcp.FLAG.psh | tcp.FLAG.ack);
  expect(tcp.window(v, 20)).toBe(63);
  expect(tcp.checksum(v, 20)).toBe(0x9bb6);
  expect(tcp.checksumOk(v, 20, 35, pseudo4(v, 0, 6, 35))).toBe(true);
  v.setUint8(54, 0x76);
  expect(tcp.checksumOk(v, 20, 35, pseudo4(v, 0, 6, 35))).toBe(false);
});

test("setChecksum() restores the checksum of a captured segment over IPv6", () => {
  const v = viewOf(SYN6);
  v.setUint16(40 + tcp.AT.checksum, 1);
  tcp.setChecksum(v, 40, 40, pseudo6(v, 0, 6, 40));
  expect(v).toEqual(viewOf(SYN6));
});

test("valid() refuses a header shorter than 20 bytes or longer than the segment", () => {
  const v = viewOf(SYN);
  expect(tcp.valid(v, 20, 59)).toBe(false);
  expect(tcp.valid(v, 20, 39)).toBe(false);
  v.setUint8(20 + tcp.AT.offset, 0x40);
  expect(tcp.valid(v, 20, 60)).toBe(false);
});

test("findOption() finds each option's offset without a value", () => {
  const v = viewOf(SYN);
  expect(findOption(v, 40, 60, OPTION.mss)).toBe(40);
  expect(findOption(v, 40, 60, OPTION.timestamps)).toBe(46);
  expect(findOption(v, 40, 60, OPTION.windowScale)).toBe(57);
  expect(findOption(v, 40, 60, OPTION.toa)).toBe(-1);
});

test.each([
  ["length 0", "0200000000000000"],
  ["length 1", "0201000000000000"],
  ["a length beyond the header", "0209000000000000"],
  ["an end mark", "0002040000000000"],
])("options stop at %s, and the segment stays valid", (_, options) => {
  const v = viewOf(`0001000200000003000000047010000500000000${options}`);
  expect(tcp.parse(v, 0, 28)?.options).toEqual([]);
  expect(findOption(v, 20, 28, OPTION.mss)).toBe(-1);
});

test("a known option of a wrong length is kept as unknown", () => {
  const v = viewOf("00010002000000030000000470100005000000000203aa010303070000000000");
  expect(tcp.parse(v, 0, 32)?.options).toEqual([
    { kind: "unknown", type: OPTION.mss, data: Uint8Array.of(0xaa) },
    { kind: "nop" },
    { kind: "windowScale", shift: 7 },
  ]);
});

test("TOA carries the client's port and address, 8 bytes for IPv4 and 20 for IPv6", () => {
  const v = viewOf("00010002000000030000000470100005000000 00 fe08 8314 c0000201".replaceAll(" ", ""));
  expect(tcp.parse(v, 0, 28)?.options).toEqual([{ kind: "toa", port: 33556, address: "192.0.2.1" }]);
  const six = viewOf(
    "0001000200000003000000 04a010000500000000 fe14 8314 20010db8000000000000000000000001".replaceAll(
      " ",
      "",
    ),
  );
  expect(tcp.parse(six, 0, 40)?.options).toEqual([{ kind: "toa", port: 33556, address: "2001:db8::1" }]);
});

const option: fc.Arbitrary<TcpOption> = fc.oneof(
  fc.record({ kind: fc.constant("nop" as const) }),
  fc.record({ kind: fc.constant("mss" as const), size: u16 }),
  fc.record({ kind: fc.constant("windowScale" as const), shift: u8 }),
  fc.record({ kind: fc.constant("sackPermitted" as const) }),
  fc.record({
    kind: fc.constant("sack" as const),
    blocks: fc.array(fc.tuple(u32, u32), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant("timestamps" as const), value: u32, echo: u32 }),
  fc.record({ kind: fc.constant("toa" as const), port: u16, address: fc.oneof(address4, address6) }),
  fc.record({
    kind: fc.constant("unknown" as const),
    type: fc.integer({ min: 30, max: 253 }),
    data: fc.uint8Array({ maxLength: 20 }),
  }),
);

test("parse() undoes emit(), and the checksum is right", () => {
  const segment = fc
    .record({
      srcPort: u16,
      dstPort: u16,
      seq: u32,
      ack: u32,
      flags: u8,
      window: u16,
      urgent: u16,
      options: fc.array(option, { maxLength: 5 }),
      payloadLen: fc.nat(1000),
    })
    .filter((t) => tcp.byteLength(t) <= tcp.HEADER_LEN + tcp.MAX_OPTIONS);
  const write = (value: tcp.Tcp, v: DataView, at: number) => {
    const header = tcp.emit(value, v, at, 12345);
    expect(header).toBe(tcp.byteLength(value));
    expect(tcp.checksumOk(v, at, header + value.payloadLen, 12345)).toBe(true);
    return at + header + value.payloadLen;
  };
  undoes(segment, write, tcp.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() and findOption() never throw on garbage and never read past the end", () => {
  survivesGarbage(tcp.parse, SYN.slice(40));
  survivesGarbage((v, at, end) => findOption(v, at, end, OPTION.windowScale), SYN.slice(80));
});
