import fc from "fast-check";
import { expect, test } from "vitest";
import { mac, survivesGarbage, u16, undoes, viewOf } from "../testkit/wire.ts";
import * as ethernet from "./ethernet.ts";

// The start of a captured ARP request; and the same with the tags of IEEE 802.1ad and 802.1Q put in.
const FRAME = "ffffffffffff02000000000a0806";
const TAGGED = "ffffffffffff02000000000a88a8b064810000050806";

test("parse() reads a captured frame, and one with two tags", () => {
  const frame = { dst: ethernet.BROADCAST, src: "02:00:00:00:00:0a", tags: [], type: ethernet.TYPE.arp };
  expect(ethernet.parse(viewOf(FRAME), 0, 14)).toEqual(frame);
  expect(ethernet.parse(viewOf(TAGGED), 0, 22)).toEqual({
    ...frame,
    tags: [
      { tpid: ethernet.TYPE.serviceVlan, priority: 5, dropEligible: true, id: 100 },
      { tpid: ethernet.TYPE.vlan, priority: 0, dropEligible: false, id: 5 },
    ],
  });
});

test("payloadAt() skips the tags, and says -1 when the frame ends in one", () => {
  expect(ethernet.payloadAt(viewOf(FRAME), 0, 14)).toBe(14);
  expect(ethernet.payloadAt(viewOf(TAGGED), 0, 22)).toBe(22);
  for (let end = 0; end < 22; end++) expect(ethernet.payloadAt(viewOf(TAGGED), 0, end)).toBe(-1);
});

test("parseMac() takes six pairs of digits and nothing else", () => {
  expect(ethernet.parseMac("02:00:00:00:00:FF")).toEqual(Uint8Array.of(2, 0, 0, 0, 0, 255));
  for (const text of ["", "2:0:0:0:0:1", "02-00-00-00-00-01", "02:00:00:00:00", "02:00:00:00:00:0g"]) {
    expect(ethernet.parseMac(text)).toBeUndefined();
  }
});

test("parse() undoes emit()", () => {
  const frame: fc.Arbitrary<ethernet.Ethernet> = fc.record({
    dst: mac,
    src: mac,
    tags: fc.array(
      fc.record({
        tpid: fc.constantFrom(ethernet.TYPE.vlan, ethernet.TYPE.serviceVlan),
        priority: fc.nat(7),
        dropEligible: fc.boolean(),
        id: fc.nat(4095),
      }),
      { maxLength: 3 },
    ),
    type: u16.filter((t) => !ethernet.isTag(t)),
  });
  const write = (f: ethernet.Ethernet, v: DataView, at: number) => {
    expect(ethernet.emit(f, v, at)).toBe(ethernet.byteLength(f));
    return at + ethernet.byteLength(f);
  };
  undoes(frame, write, ethernet.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(ethernet.parse, TAGGED);
});
