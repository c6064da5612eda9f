/**
 * Whether a packet is the one that was expected, every byte of it, except what the expectation leaves open with "*".
 * @module
 */
import { buildPacket } from "./packet-build.ts";
import { type Kind, type Note, parseNote, printNote } from "./packet-notation.ts";
import { readPacket } from "./packet-read.ts";

/** TTL of a packet that does not say one: on its way in, and on its way out when it was forwarded once. */
export const TTL_IN = 64;
export const TTL_OUT = 63;

/** Packets that the director makes itself: their IP id is its own choice and compared only when the expectation gives it. */
const OWN_ID: readonly Kind[] = ["icmp", "ipip", "gre", "gue"];

/** Takes out of `note` what `expected` leaves open. */
function open(note: Note, expected: Note, top: boolean, anyZeroId = false): Note {
  const fields = new Map(note.fields);
  for (const [name, value] of expected.fields) if (value === "*") fields.delete(name);
  if (top && (anyZeroId || OWN_ID.includes(expected.kind)) && !expected.fields.has("id")) fields.delete("id");
  return {
    ...note,
    ...(expected.srcPort === "*" && { srcPort: "*" }),
    ...(expected.dstPort === "*" && { dstPort: "*" }),
    fields,
    ...(note.inner && expected.inner && { inner: open(note.inner, expected.inner, false) }),
  };
}

/** An expectation made ready for comparison. */
export interface Expected {
  readonly note: Note;
  /** As it reads in full. */
  readonly text: string;
}

/** Reads an expectation. @throws NotationError */
export function expectPacket(text: string): Expected {
  const note = parseNote(text, TTL_OUT);
  return { note, text: printNote(open(readPacket(buildPacket(note)), note, true)) };
}

/**
 * True when `bytes` are what is expected.
 * @param anyZeroId an IPv4 id that is expected to be 0 may be any (raw sockets cannot send 0)
 */
export function isExpected(expected: Expected, bytes: Uint8Array, anyZeroId = false): boolean {
  return printNote(open(readPacket(bytes), expected.note, true, anyZeroId)) === expected.text;
}

/** A packet that came out, as an expectation could be written. */
export const describePacket = (bytes: Uint8Array): string =>
  printNote(readPacket(bytes), TTL_OUT).replace(/hex=([0-9a-f]{120})[0-9a-f]+/g, "hex=$1...");
