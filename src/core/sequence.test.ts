import { expect, test } from "vitest";
import { describe, tcpPacket } from "../testkit/segments.ts";
import { after, note, shiftAck, shiftAt, shiftSeq, unshiftAcks } from "./sequence.ts";

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
  unshiftAcks(p.view, l4, p.end, { initial: 0, delta: 9, previousDelta: 9 });
  expect(describe(p.copy())).toBe("tcp 10.1.0.2:1 > 10.9.0.1:2 A ttl=64");
  expect([p.view.getUint32(l4 + 4), p.view.getUint32(l4 + 8)]).toEqual([0x10, 0xfffffffe]);
  expect([p.view.getUint32(l4 + 23), p.view.getUint32(l4 + 27)]).toEqual([0x100 - 9, 0x200 - 9]);
});

test("each edge of a selective acknowledgement is shifted by what applies at its own place", () => {
  // The segment that grew by 4 bytes behind 100 is lost, what follows it came, and something old came twice.
  const r = note(note(undefined, 40, 3), 100, 4);
  const edges = [30, 42, 150, 207, 90, 103].flatMap((n) => [0, 0, 0, n]);
  const options = Uint8Array.from([1, 1, 5, 2 + edges.length, ...edges]);
  const p = tcpPacket("10.1.0.2:1", "10.9.0.1:2", "A", { seq: 1, ack: 103, options });
  const l4 = p.at + 20;
  unshiftAcks(p.view, l4, p.end, r);
  expect(describe(p.copy())).toBe("tcp 10.1.0.2:1 > 10.9.0.1:2 A ttl=64");
  expect(p.view.getUint32(l4 + 8)).toBe(100);
  expect([0, 1, 2, 3, 4, 5].map((i) => p.view.getUint32(l4 + 24 + 4 * i))).toEqual([
    27, 39, 143, 200, 87, 100,
  ]);
});
