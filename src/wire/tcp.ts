/**
 * TCP header, RFC 9293. All fields are big-endian.
 *
 *     0     2     4     8     12          13      14       16         18       20
 *     | src | dst | seq | ack | offset, 0 | flags | window | checksum | urgent | options
 *
 * Options are in `tcp-options.ts`.
 * @module
 */
import { checksum as check, fold, sum } from "./checksum.ts";
import { emitOptions, optionsLength, parseOptions, type TcpOption } from "./tcp-options.ts";

export const AT = {
  srcPort: 0,
  dstPort: 2,
  seq: 4,
  ack: 8,
  offset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgent: 18,
} as const;
/** Length of the header without options, in bytes. */
export const HEADER_LEN = 20;
/** Most bytes of options a header can hold. */
export const MAX_OPTIONS = 40;

export const FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const;

export const srcPort = (v: DataView, at: number): number => v.getUint16(at + AT.srcPort);
export const dstPort = (v: DataView, at: number): number => v.getUint16(at + AT.dstPort);
/** u32. */
export const seq = (v: DataView, at: number): number => v.getUint32(at + AT.seq);
/** u32. */
export const ack = (v: DataView, at: number): number => v.getUint32(at + AT.ack);
/** Bytes of the header with its options. */
export const headerLen = (v: DataView, at: number): number => (v.getUint8(at + AT.offset) >>> 4) << 2;
/** Bits of {@link FLAG}. */
export const flags = (v: DataView, at: number): number => v.getUint8(at + AT.flags);
export const window = (v: DataView, at: number): number => v.getUint16(at + AT.window);
export const checksum = (v: DataView, at: number): number => v.getUint16(at + AT.checksum);

/** The one check before the accessors: the header with its options fits into `end`. */
export function valid(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN) return false;
  const header = headerLen(v, at);
  return header >= HEADER_LEN && at + header <= end;
}

/** What a valid TCP header says. */
export interface Tcp {
  readonly srcPort: number;
  readonly dstPort: number;
  /** u32. */
  readonly seq: number;
  /** u32. */
  readonly ack: number;
  /** Bits of {@link FLAG}. */
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  /** At most {@link MAX_OPTIONS} bytes together. */
  readonly options: readonly TcpOption[];
  /** Bytes after the options. */
  readonly payloadLen: number;
}

/** Bytes of the header with options, padded to a multiple of 4. */
export function byteLength(tcp: Pick<Tcp, "options">): number {
  return HEADER_LEN + optionsLength(tcp.options);
}

/** Reads the segment between `at` and `end`; undefined when the header is short or lies about its length. */
export function parse(v: DataView, at: number, end: number): Tcp | undefined {
  if (!valid(v, at, end)) return undefined;
  const header = headerLen(v, at);
  return {
    srcPort: srcPort(v, at),
    dstPort: dstPort(v, at),
    seq: seq(v, at),
    ack: ack(v, at),
    flags: flags(v, at),
    window: window(v, at),
    urgent: v.getUint16(at + AT.urgent),
    options: parseOptions(v, at + HEADER_LEN, at + header),
    payloadLen: end - at - header,
  };
}

/** Writes header, options and checksum; the payload already lies at `at + byteLength(tcp)`. Returns the header's length. */
export function emit(tcp: Tcp, v: DataView, at: number, pseudoSum: number): number {
  const header = byteLength(tcp);
  v.setUint16(at + AT.srcPort, tcp.srcPort);
  v.setUint16(at + AT.dstPort, tcp.dstPort);
  v.setUint32(at + AT.seq, tcp.seq);
  v.setUint32(at + AT.ack, tcp.ack);
  v.setUint8(at + AT.offset, (header >>> 2) << 4);
  v.setUint8(at + AT.flags, tcp.flags);
  v.setUint16(at + AT.window, tcp.window);
  v.setUint16(at + AT.urgent, tcp.urgent);
  emitOptions(tcp.options, v, at + HEADER_LEN);
  setChecksum(v, at, header + tcp.payloadLen, pseudoSum);
  return header;
}

/** Computes the checksum of a segment of `length` bytes and stores it. */
export function setChecksum(v: DataView, at: number, length: number, pseudoSum: number): void {
  v.setUint16(at + AT.checksum, 0);
  v.setUint16(at + AT.checksum, check(v, at, length, pseudoSum));
}

/** True when the checksum of a segment of `length` bytes is right. */
export function checksumOk(v: DataView, at: number, length: number, pseudoSum: number): boolean {
  return fold(sum(v, at, length, pseudoSum)) === 0xffff;
}
