import fc from "fast-check";
import { expect, test } from "vitest";
import { survivesGarbage, u16, u32, undoes, viewOf } from "../testkit/wire.ts";
import * as gre from "./gre.ts";

const none = { key: undefined, sequence: undefined };

test("parse() reads the two headers that IPVS sends, around IPv4 and around IPv6 with a checksum", () => {
  expect(gre.parse(viewOf("00000800"), 0, 4)).toEqual({ protocol: 0x0800, checksum: false, ...none });
  const v = viewOf("800086dd 7922 0000".replaceAll(" ", ""));
  expect(gre.parse(v, 0, 8)).toEqual({ protocol: 0x86dd, checksum: true, ...none });
  expect(gre.headerLen(v, 0)).toBe(8);
});

test("the checksum covers header and payload", () => {
  const v = viewOf("80000800 00000000 0102030405");
  gre.setChecksum(v, 0, 13);
  // ~(8000 + 0800 + 0102 + 0304 + 0500), by hand.
  expect(v.getUint16(gre.AT.checksum)).toBe(0x6ef9);
  expect(gre.checksumOk(v, 0, 13)).toBe(true);
  expect(gre.checksumOk(v, 0, 12)).toBe(false);
});

test.each([
  ["a version that is not 0 (PPTP)", "0001880b"],
  ["source routing", "40000800"],
  ["reserved bits", "04000800"],
])("parse() refuses %s", (_, hex) => {
  expect(gre.parse(viewOf(hex), 0, 4)).toBeUndefined();
});

test("parse() refuses a header whose optional fields are cut", () => {
  for (let end = 0; end < 16; end++)
    expect(gre.parse(viewOf(`b0000800${"00".repeat(12)}`), 0, end)).toBeUndefined();
  expect(gre.parse(viewOf(`b0000800${"00".repeat(12)}`), 0, 16)).toBeDefined();
});

test("parse() undoes emit(), and the checksum is right", () => {
  const header = fc.record({
    protocol: u16,
    checksum: fc.boolean(),
    key: fc.option(u32, { nil: undefined }),
    sequence: fc.option(u32, { nil: undefined }),
  });
  const write = (value: gre.Gre, v: DataView, at: number) => {
    const end = at + gre.byteLength(value) + 33;
    expect(gre.emit(value, v, at, end)).toBe(gre.byteLength(value));
    expect(gre.checksumOk(v, at, end)).toBe(true);
    return end;
  };
  undoes(header, write, gre.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(gre.parse, `b0000800${"00".repeat(12)}`);
});
