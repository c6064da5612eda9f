/**
 * The authentication header as VRRP version 2 uses it: RFC 2402 with HMAC-MD5-96 (RFC 2403), over IPv4.
 *
 *     0             1        2          4     8          12      24
 *     | next header | length | reserved | spi | sequence | icv   | payload
 * @module
 */
import * as ipv4 from "./ipv4.ts";

export const AT = { nextHeader: 0, length: 1, spi: 4, sequence: 8, icv: 12 } as const;
/** Length of the header with its ICV, in bytes. */
export const HEADER_LEN = 24;
/** Bytes of the integrity check value. */
export const ICV_LEN = 12;
/** The length field: 32-bit words minus two. */
const LENGTH_FIELD = HEADER_LEN / 4 - 2;

/** What a valid header says. */
export interface Ah {
  /** Protocol number of what follows. */
  readonly nextHeader: number;
  /** u32; VRRP routers put the sender's IPv4 address. */
  readonly spi: number;
  /** u32, from 1 on. */
  readonly sequence: number;
  readonly icv: Uint8Array;
}

/** Reads the header at `at`; undefined when it is short or its ICV has another length. */
export function parse(v: DataView, at: number, end: number): Ah | undefined {
  if (end - at < HEADER_LEN || v.getUint8(at + AT.length) !== LENGTH_FIELD) return undefined;
  return {
    nextHeader: v.getUint8(at + AT.nextHeader),
    spi: v.getUint32(at + AT.spi),
    sequence: v.getUint32(at + AT.sequence),
    icv: new Uint8Array(v.buffer, v.byteOffset + at + AT.icv, ICV_LEN).slice(),
  };
}

/** Writes the header; {@link HEADER_LEN} bytes. The ICV is zeros until {@link setIcv}. */
export function emit(ah: Omit<Ah, "icv">, v: DataView, at: number): void {
  v.setUint8(at + AT.nextHeader, ah.nextHeader);
  v.setUint8(at + AT.length, LENGTH_FIELD);
  v.setUint16(at + 2, 0);
  v.setUint32(at + AT.spi, ah.spi);
  v.setUint32(at + AT.sequence, ah.sequence);
  new Uint8Array(v.buffer, v.byteOffset + at + AT.icv, ICV_LEN).fill(0);
}

export function setIcv(v: DataView, at: number, icv: Uint8Array): void {
  new Uint8Array(v.buffer, v.byteOffset + at + AT.icv, ICV_LEN).set(icv.subarray(0, ICV_LEN));
}

/**
 * A copy of the valid IPv4 packet at `at` as the ICV covers it: what routers on the way change is zero, and so is the ICV.
 * compat: keepalived 2.2.7 keeps the TTL for multicast and clears it for unicast.
 */
export function covered(v: DataView, at: number): Uint8Array {
  const length = ipv4.totalLength(v, at);
  const bytes = new Uint8Array(v.buffer, v.byteOffset + at, length).slice();
  const w = new DataView(bytes.buffer);
  bytes[ipv4.AT.tos] = 0;
  w.setUint16(ipv4.AT.fragment, 0);
  w.setUint16(ipv4.AT.checksum, 0);
  if (bytes[ipv4.AT.dst] >>> 4 !== 0xe) bytes[ipv4.AT.ttl] = 0;
  const header = ipv4.headerLen(v, at);
  bytes.fill(0, header + AT.icv, header + AT.icv + ICV_LEN);
  return bytes;
}
