/**
 * TCP sequence numbers of streams whose length or beginning the director changed: lengthened FTP replies, full-NAT's own
 * initial sequence numbers (`nf_conntrack_seqadj`).
 * @module
 */
import { update32 } from "../wire/checksum.ts";
import * as tcp from "../wire/tcp.ts";
import { findOption, OPTION } from "../wire/tcp-options.ts";
import type { SequenceRecord } from "./connections.ts";

/** Whether sequence number `a` is after `b` (RFC 9293 §3.4 arithmetic). */
export const after = (a: number, b: number): boolean => ((b - a) | 0) < 0;

/** The shift that applies to a sequence number of the original stream. */
export const shiftAt = (r: SequenceRecord, seq: number): number =>
  after(seq, r.initial) ? r.delta : r.previousDelta;

/** The shift to take off an acknowledgement of the changed stream. */
export const shiftAck = (r: SequenceRecord, ack: number): number =>
  after((ack - r.previousDelta) | 0, r.initial) ? r.delta : r.previousDelta;

/** Notes that the stream grows by `delta` bytes behind sequence number `seq` (original numbering). */
export function note(record: SequenceRecord | undefined, seq: number, delta: number): SequenceRecord {
  if (!record) return { initial: seq, delta, previousDelta: 0 };
  // A retransmission of the segment that was changed last changes nothing.
  if (!after(seq, record.initial)) return record;
  return { initial: seq, delta: record.delta + delta, previousDelta: record.delta };
}

/** Adds to the sequence number; the checksum follows. */
export function shiftSeq(v: DataView, l4: number, by: number): void {
  if (by !== 0) shift32(v, l4, l4 + tcp.AT.seq, by);
}

/**
 * Takes the shift off the acknowledgement number and off every edge of selective acknowledgements: each speaks of its own place of
 * the stream, which may be before the change or behind it. The checksum follows.
 */
export function unshiftAcks(v: DataView, l4: number, end: number, r: SequenceRecord): void {
  if ((r.delta | r.previousDelta) === 0 || !(tcp.flags(v, l4) & tcp.FLAG.ack)) return;
  unshift32(v, l4, l4 + tcp.AT.ack, r);
  const stop = Math.min(l4 + tcp.headerLen(v, l4), end);
  const sack = findOption(v, l4 + tcp.HEADER_LEN, stop, OPTION.sack);
  if (sack < 0) return;
  const last = sack + v.getUint8(sack + 1);
  for (let i = sack + 2; i + 4 <= last; i += 4) unshift32(v, l4, i, r);
}

function unshift32(v: DataView, l4: number, at: number, r: SequenceRecord): void {
  const by = shiftAck(r, v.getUint32(at));
  if (by !== 0) shift32(v, l4, at, -by);
}

function shift32(v: DataView, l4: number, at: number, by: number): void {
  const old = v.getUint32(at);
  const now = (old + by) >>> 0;
  v.setUint32(at, now);
  const check = l4 + tcp.AT.checksum;
  // Options may lie at odd offsets: then the words of the sum are the bytes shifted by one.
  if ((at - l4) & 1) v.setUint16(check, update32(v.getUint16(check), rotate(old), rotate(now)));
  else v.setUint16(check, update32(v.getUint16(check), old, now));
}

/** The bytes of a word as they fall into 16-bit sums when the word starts at an odd offset. */
const rotate = (n: number): number => (n >>> 8) | (n << 24);
