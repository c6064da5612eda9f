import fc from "fast-check";
import { expect, test } from "vitest";
import { survivesGarbage, u8, u16, undoes, viewOf } from "../testkit/wire.ts";
import * as gue from "./gue.ts";

// As Linux sends them: plain around IPv4; remote checksum offload for a TCP packet in IPv4 (starts at 20, goes to 36).
const PLAIN = "00040000";
const REMOTE = "02040001 80000000 0014 0024";

test("parse() reads a plain header and one with remote checksum offload", () => {
  expect(gue.parse(viewOf(PLAIN), 0, 4)).toEqual({ control: false, protocol: 4, remoteChecksum: undefined });
  const v = viewOf(REMOTE);
  expect(gue.parse(v, 0, 12)).toEqual({
    control: false,
    protocol: 4,
    remoteChecksum: { start: 20, offset: 36 },
  });
  expect(gue.headerLen(v, 0)).toBe(12);
});

test("emit() writes those bytes", () => {
  const v = viewOf("ff".repeat(12));
  const remoteChecksum = { start: 20, offset: 36 };
  expect(gue.emit({ control: false, protocol: 4, remoteChecksum }, v, 0)).toBe(12);
  expect(v).toEqual(viewOf(REMOTE));
});

test.each([
  ["version 1, an IP packet without header", "45000000"],
  ["a flag Linux does not know", "01040002 00000000"],
  ["an unknown private flag", "02040001 40000000 00000000"],
  ["private flags that do not fit the header length", "00040001"],
  ["offload fields that do not fit the header length", "01040001 80000000"],
  ["a header length beyond the end", "02040001 80000000"],
])("parse() refuses %s", (_, hex) => {
  const v = viewOf(hex);
  expect(gue.parse(v, 0, v.byteLength)).toBeUndefined();
});

test("parse() undoes emit()", () => {
  const header = fc.record({
    control: fc.boolean(),
    protocol: u8,
    remoteChecksum: fc.option(fc.record({ start: u16, offset: u16 }), { nil: undefined }),
  });
  const write = (value: gue.Gue, v: DataView, at: number) => at + gue.emit(value, v, at);
  undoes(header, write, gue.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(gue.parse, REMOTE);
});
