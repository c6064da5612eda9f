import { expect, test } from "vitest";
import { describe, tcpPacket } from "../testkit/segments.ts";
import { after, note, shiftAck, shiftAcks, shiftAt, shiftSeq } from "./sequence.ts";

test("after() works around the end of the number space", () => {
  expect([after(2, 1), after(1, 2), after(1, 1), after(5, 0xfffffff0), after(0xfffffff0, 5)]).toEqual([
    true,
    false,
    false,
    true,
    false,
  ]);
});

test("a stream lengthened twice shifts each part by what came before it, and acknowledgements back", () => {
  let r = note(undefined, 100, 4);
  r = note(r, 200, -1);
  expect([shiftAt(r, 100), shiftAt(r, 150), shiftAt(r, 201)]).toEqual([4, 4, 3]);
  expect(note(r, 200, -1)).toBe(r);
  expect([shiftAck(r, 150), shiftAck(r, 204), shiftAck(r, 300)]).toEqual([4, 4, 3]);
});

test("shifting keeps the checksum right, also of selective acknowledgements at odd offsets", () => {
  // NOP, SACK of one block, NOP: the edges start at offset 23 of the header.
  const options = Uint8Array.from([1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0, 1]);
  const p = tcpPacket("10.1.0.2:1", "10.9.0.1:2", "A", { seq: 0xfffffff0, ack: 7, options, payload: "abc" });
  const l4 = p.at + 20;
  shiftSeq(p.view, l4, 0x20);
  shiftAcks(p.view, l4, p.end, -9);
  expect(describe(p.copy())).toBe("tcp 10.1.0.2:1 > 10.9.0.1:2 A ttl=64");
  expect([p.view.getUint32(l4 + 4), p.view.getUint32(l4 + 8)]).toEqual([0x10, 0xfffffffe]);
  expect([p.view.getUint32(l4 + 23), p.view.getUint32(l4 + 27)]).toEqual([0x100 - 9, 0x200 - 9]);
});
