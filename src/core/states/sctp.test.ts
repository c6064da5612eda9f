import fc from "fast-check";
import { expect, test } from "vitest";
import {
  SCTP_EVENT,
  SCTP_STATE,
  SCTP_STATE_NAMES,
  SCTP_TIMEOUT_MS,
  type SctpEvent,
  sctpActive,
  sctpEvent,
  sctpNext,
} from "./sctp.ts";
import type { Direction } from "./tcp.ts";

/** Linux 6.1.192: direction and event, then the next state for each state of the first line; "." stays. */
const TABLE = `
  - -     NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL
  IN d    ES .  .  .  .  .  .  .  .  .  .  .  .  .
  IN i    I1 IN .  .  .  .  .  .  .  .  .  .  IN IN
  IN ia   CW CW CW .  .  CO .  .  .  .  .  .  .  .
  IN ce   CR IN .  CR .  .  .  .  .  .  .  .  .  .
  IN ca   ES .  .  .  .  .  .  ES .  .  .  .  .  .
  IN s    SR .  .  .  .  .  .  .  SR .  .  .  .  .
  IN sa   CL IN .  .  .  .  .  .  .  CL .  CL .  .
  IN sc   CL CL CL .  .  .  .  .  .  .  .  CL .  .
  IN er   CL .  .  .  .  .  .  CL .  .  .  .  .  .
  IN ab   CL CL CL CL CL RJ CL CL CL CL CL CL CL .
  OUT d   ES .  .  .  .  .  .  .  .  .  .  .  .  .
  OUT i   CW CW CW CW CW .  CW CW .  CW CW CW CW CW
  OUT ia  CS CS CS .  .  .  .  .  .  .  .  .  .  .
  OUT ce  CE CE CE CE CE CE CE .  .  .  .  .  .  .
  OUT ca  ES ES ES ES ES ES ES ES .  .  .  .  .  .
  OUT s   SS SS SS SS SS SS SS SS SS .  .  .  .  .
  OUT sa  SA SA SA SA SA .  .  .  .  SA SA .  .  .
  OUT sc  CL .  .  .  .  .  .  .  .  .  .  .  .  .
  OUT er  CL CL CL CL CL .  .  .  .  .  .  .  .  .
  OUT ab  CL RJ CL CL CL CL CL CL CL CL CL CL CL .
  INO d   ES .  .  .  .  ES .  .  .  .  .  .  .  .
  INO i   I1 IN .  IN IN IN .  .  .  .  .  .  IN IN
  INO ia  CE CE CE CE CE CE .  .  .  .  .  .  .  .
  INO ce  ES ES ES ES ES ES .  .  .  .  .  .  .  .
  INO ca  ES .  .  ES ES .  ES ES .  .  .  .  .  .
  INO s   SR .  .  .  .  .  .  .  SR .  .  .  .  .
  INO sa  CL IN .  .  .  .  .  .  CL CL .  CL .  .
  INO sc  CL CL CL CL CL .  .  .  .  .  CL CL .  .
  INO er  CL .  .  .  .  .  .  .  .  .  .  .  .  .
  INO ab  CL CL CL CL CL RJ CL CL CL CL CL CL CL .
`;
const COLUMNS = ["NO", "I1", "IN", "CS", "CR", "CW", "CO", "CE", "ES", "SS", "SR", "SA", "RJ", "CL"];
const DIRECTIONS = ["IN", "OUT", "INO"];
const EVENTS = ["d", "i", "ia", "ce", "ca", "s", "sa", "sc", "er", "ab"];

/** A packet of these chunks: type, length field, padded to 4 bytes. */
function packet(...chunks: [type: number, length: number][]): DataView {
  const bytes: number[] = new Array(12).fill(0);
  for (const [type, length] of chunks) {
    const body = new Array(Math.max(4, (length + 3) & ~3)).fill(0);
    body[0] = type;
    body[2] = length >> 8;
    body[3] = length & 255;
    bytes.push(...body);
  }
  return new DataView(Uint8Array.from(bytes).buffer);
}
const event = (...chunks: [number, number][]): SctpEvent => {
  const v = packet(...chunks);
  return sctpEvent(v, 0, v.byteLength);
};

test("sctpNext() has every cell of the kernel's tables", () => {
  const [head, ...rows] = TABLE.trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  expect(head!.slice(2)).toEqual(COLUMNS);
  expect(rows).toHaveLength(30);
  for (const [direction, name, ...next] of rows) {
    next.forEach((to, state) => {
      const got = sctpNext(
        DIRECTIONS.indexOf(direction!) as Direction,
        EVENTS.indexOf(name!) as SctpEvent,
        state,
      );
      const cell = `${direction} ${name} ${COLUMNS[state]}`;
      expect(`${cell} ${COLUMNS[got]}`).toBe(`${cell} ${to === "." ? COLUMNS[state] : to}`);
    });
  }
});

test("sctpEvent() goes by the first chunk, and by an ABORT behind a COOKIE", () => {
  expect(event([0, 20])).toBe(SCTP_EVENT.data);
  expect(event([1, 20])).toBe(SCTP_EVENT.init);
  expect(event([2, 20])).toBe(SCTP_EVENT.initAck);
  for (const type of [3, 4, 5, 12, 13, 15, 99, 255]) expect(event([type, 4])).toBe(SCTP_EVENT.data);
  expect(event([6, 4])).toBe(SCTP_EVENT.abort);
  expect(event([7, 8])).toBe(SCTP_EVENT.shutdown);
  expect(event([8, 4])).toBe(SCTP_EVENT.shutdownAck);
  expect(event([9, 4])).toBe(SCTP_EVENT.error);
  expect(event([10, 7])).toBe(SCTP_EVENT.cookieEcho);
  expect(event([11, 4])).toBe(SCTP_EVENT.cookieAck);
  expect(event([14, 4])).toBe(SCTP_EVENT.shutdownComplete);
  expect(event([10, 7], [6, 4])).toBe(SCTP_EVENT.abort);
  expect(event([11, 4], [6, 4])).toBe(SCTP_EVENT.abort);
  expect(event([11, 4], [0, 4], [6, 4])).toBe(SCTP_EVENT.cookieAck);
  expect(event([0, 4], [6, 4])).toBe(SCTP_EVENT.data);
});

test("a packet without a chunk changes nothing", () => {
  expect(event()).toBe(-1);
  for (let state = 0; state < 14; state++) expect(sctpNext(0, -1, state)).toBe(state);
});

test("sctpEvent() never throws on garbage", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const got = sctpEvent(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
      expect(got).toBeGreaterThanOrEqual(-1);
      expect(got).toBeLessThanOrEqual(9);
    }),
  );
});

test("only ESTABLISHED counts as active, and timeouts are the kernel's", () => {
  expect(SCTP_STATE_NAMES.filter((_, state) => sctpActive(state))).toEqual(["ESTABLISHED"]);
  const seconds = SCTP_TIMEOUT_MS.map((ms) => ms / 1000);
  expect(seconds).toHaveLength(14);
  expect(seconds[SCTP_STATE.NONE]).toBe(2);
  expect(seconds[SCTP_STATE.INIT1]).toBe(4);
  expect(seconds[SCTP_STATE.REJECTED]).toBe(4);
  expect(seconds[SCTP_STATE.ESTABLISHED]).toBe(900);
  expect(seconds.filter((s) => s === 61)).toHaveLength(10);
});
