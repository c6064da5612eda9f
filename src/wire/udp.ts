/**
 * UDP header, RFC 768. All fields are big-endian.
 *
 *     0      2      4      6      8
 *     | src  | dst  | len  | csum | payload
 * @module
 */
import { fold, sum } from "./checksum.ts";

export const AT = { srcPort: 0, dstPort: 2, length: 4, checksum: 6 } as const;
/** Length of the header, in bytes. */
export const HEADER_LEN = 8;

export const srcPort = (v: DataView, at: number): number => v.getUint16(at + AT.srcPort);
export const dstPort = (v: DataView, at: number): number => v.getUint16(at + AT.dstPort);
/** Bytes of header and payload. */
export const length = (v: DataView, at: number): number => v.getUint16(at + AT.length);
/** 0 means that the sender computed none (IPv4, and IPv6 tunnels: RFC 6935). */
export const checksum = (v: DataView, at: number): number => v.getUint16(at + AT.checksum);

/** What a valid UDP header says. */
export interface Udp {
  readonly srcPort: number;
  readonly dstPort: number;
  /** Bytes after the header. */
  readonly payloadLen: number;
}

/** Reads the header at `at`, up to `end`; undefined when it is short or lies about its length. */
export function parse(v: DataView, at: number, end: number): Udp | undefined {
  if (end - at < HEADER_LEN) return undefined;
  const len = length(v, at);
  if (len < HEADER_LEN || at + len > end) return undefined;
  return { srcPort: srcPort(v, at), dstPort: dstPort(v, at), payloadLen: len - HEADER_LEN };
}

/**
 * Writes header and checksum; the payload already lies at `at + HEADER_LEN`. `pseudoSum` is `pseudo4`/`pseudo6` of
 * `checksum.ts`, or undefined to send without a checksum.
 */
export function emit(udp: Udp, v: DataView, at: number, pseudoSum: number | undefined): void {
  v.setUint16(at + AT.srcPort, udp.srcPort);
  v.setUint16(at + AT.dstPort, udp.dstPort);
  v.setUint16(at + AT.length, HEADER_LEN + udp.payloadLen);
  if (pseudoSum === undefined) v.setUint16(at + AT.checksum, 0);
  else setChecksum(v, at, pseudoSum);
}

/** Computes the checksum over the length that the header states and stores it. */
export function setChecksum(v: DataView, at: number, pseudoSum: number): void {
  v.setUint16(at + AT.checksum, 0);
  const check = ~fold(sum(v, at, length(v, at), pseudoSum)) & 0xffff;
  v.setUint16(at + AT.checksum, check || 0xffff); // 0 on the wire means "no checksum" (RFC 768)
}

/** True when the checksum is right or absent. */
export function checksumOk(v: DataView, at: number, pseudoSum: number): boolean {
  return checksum(v, at) === 0 || fold(sum(v, at, length(v, at), pseudoSum)) === 0xffff;
}
