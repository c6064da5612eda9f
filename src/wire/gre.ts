/**
 * GRE version 0: RFC 2784, with key and sequence number of RFC 2890. All fields are big-endian.
 *
 *     0       2          4                            (each present only when its flag is set)
 *     | flags | protocol | checksum, reserved | key | sequence | payload
 * @module
 */
import { checksum as check, fold, sum } from "./checksum.ts";

export const AT = { flags: 0, protocol: 2, checksum: 4 } as const;
/** Length of the header without optional fields, in bytes. */
export const HEADER_LEN = 4;

export const FLAG = { checksum: 0x8000, routing: 0x4000, key: 0x2000, sequence: 0x1000 } as const;
/** Bits of the flags word that must be 0: routing (RFC 2784 §2.3), reserved ones and the version. */
const FORBIDDEN = 0x4fff;

/** Bits of {@link FLAG} with the version. */
export const flags = (v: DataView, at: number): number => v.getUint16(at + AT.flags);
/** EtherType of the payload. */
export const protocol = (v: DataView, at: number): number => v.getUint16(at + AT.protocol);

/** Bytes of a header with those flags. */
export function lengthFor(flags: number): number {
  return (
    HEADER_LEN +
    (flags & FLAG.checksum ? 4 : 0) +
    (flags & FLAG.key ? 4 : 0) +
    (flags & FLAG.sequence ? 4 : 0)
  );
}

/** Bytes of the header at `at`. */
export const headerLen = (v: DataView, at: number): number => lengthFor(flags(v, at));

/** The one check before the accessors: version 0, no unknown flags, and the header fits into `end`. */
export function valid(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN) return false;
  const word = flags(v, at);
  return (word & FORBIDDEN) === 0 && at + lengthFor(word) <= end;
}

/** What a valid GRE header says. */
export interface Gre {
  /** EtherType of the payload. */
  readonly protocol: number;
  readonly checksum: boolean;
  /** u32, or undefined for none. */
  readonly key: number | undefined;
  /** u32, or undefined for none. */
  readonly sequence: number | undefined;
}

/** Reads the header at `at`; undefined when it is short or of another version. Says nothing of the checksum's value. */
export function parse(v: DataView, at: number, end: number): Gre | undefined {
  if (!valid(v, at, end)) return undefined;
  const word = flags(v, at);
  const keyAt = at + HEADER_LEN + (word & FLAG.checksum ? 4 : 0);
  const sequenceAt = keyAt + (word & FLAG.key ? 4 : 0);
  return {
    protocol: protocol(v, at),
    checksum: (word & FLAG.checksum) !== 0,
    key: word & FLAG.key ? v.getUint32(keyAt) : undefined,
    sequence: word & FLAG.sequence ? v.getUint32(sequenceAt) : undefined,
  };
}

/** Bytes of the header. */
export function byteLength(gre: Gre): number {
  return lengthFor(flagsOf(gre));
}

function flagsOf(gre: Gre): number {
  return (
    (gre.checksum ? FLAG.checksum : 0) |
    (gre.key === undefined ? 0 : FLAG.key) |
    (gre.sequence === undefined ? 0 : FLAG.sequence)
  );
}

/** Writes the header, and its checksum over the payload that already lies behind it up to `end`. Returns its length. */
export function emit(gre: Gre, v: DataView, at: number, end: number): number {
  v.setUint16(at + AT.flags, flagsOf(gre));
  v.setUint16(at + AT.protocol, gre.protocol);
  let i = at + HEADER_LEN + (gre.checksum ? 4 : 0);
  if (gre.key !== undefined) {
    v.setUint32(i, gre.key);
    i += 4;
  }
  if (gre.sequence !== undefined) {
    v.setUint32(i, gre.sequence);
    i += 4;
  }
  if (gre.checksum) setChecksum(v, at, end);
  return i - at;
}

/** Computes the checksum of header and payload up to `end` and stores it; only for a header that has the field. */
export function setChecksum(v: DataView, at: number, end: number): void {
  v.setUint32(at + AT.checksum, 0);
  v.setUint16(at + AT.checksum, check(v, at, end - at));
}

/** True when the checksum is right or absent. */
export function checksumOk(v: DataView, at: number, end: number): boolean {
  return (flags(v, at) & FLAG.checksum) === 0 || fold(sum(v, at, end - at)) === 0xffff;
}
