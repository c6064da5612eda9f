/**
 * Generic UDP Encapsulation, version 0, as Linux speaks it: draft-ietf-intarea-gue and `include/net/gue.h`. Lies behind a UDP
 * header. All fields are big-endian.
 *
 *     0                               1          2       4
 *     | version 2, control 1, hlen 5  | protocol | flags | optional fields (hlen words) | inner packet
 *
 *     private flag set:  | private flags (u32) | remote checksum offload: start, offset (u16 each) |
 * @module
 */

export const AT = { versionLen: 0, protocol: 1, flags: 2, privateFlags: 4 } as const;
/** Length of the header without optional fields, in bytes. */
export const HEADER_LEN = 4;
/** Bytes that remote checksum offload adds: the private flags and its two fields. */
export const REMCSUM_LEN = 8;

/** `GUE_FLAG_PRIV`: a word of private flags follows. */
export const FLAG_PRIVATE = 0x0001;
/** `GUE_PFLAG_REMCSUM`, in the private flags. */
export const PRIVATE_REMCSUM = 0x80000000;

const CONTROL = 0x20;

export const version = (v: DataView, at: number): number => v.getUint8(at) >>> 6;
/** True for a control message: `protocol` is then a control type, and no packet is inside. */
export const isControl = (v: DataView, at: number): boolean => (v.getUint8(at) & CONTROL) !== 0;
/** Bytes of the header with optional fields. */
export const headerLen = (v: DataView, at: number): number => HEADER_LEN + ((v.getUint8(at) & 0x1f) << 2);
/** IP protocol number of the inner packet: 4 or 41 for IP. */
export const protocol = (v: DataView, at: number): number => v.getUint8(at + AT.protocol);
export const flags = (v: DataView, at: number): number => v.getUint16(at + AT.flags);

/** The one check before the accessors: version 0, no flag that Linux would not know, and all fields fit into `end`. */
export function valid(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN || version(v, at) !== 0) return false;
  const header = headerLen(v, at);
  if (at + header > end) return false;
  const word = flags(v, at);
  if (word === 0) return true;
  if (word !== FLAG_PRIVATE || header < HEADER_LEN + 4) return false;
  const priv = v.getUint32(at + AT.privateFlags);
  return priv === 0 || (priv === PRIVATE_REMCSUM && header >= HEADER_LEN + REMCSUM_LEN);
}

/** Where the receiver is to complete a checksum, bytes counted from the end of the GUE header. */
export interface RemoteChecksum {
  /** Where summing starts. */
  readonly start: number;
  /** Where the result goes. */
  readonly offset: number;
}

/** What a valid GUE header says. */
export interface Gue {
  readonly control: boolean;
  /** IP protocol number, or control type. */
  readonly protocol: number;
  readonly remoteChecksum: RemoteChecksum | undefined;
}

/** Bytes of the header. */
export function byteLength(gue: Pick<Gue, "remoteChecksum">): number {
  return HEADER_LEN + (gue.remoteChecksum === undefined ? 0 : REMCSUM_LEN);
}

/** Reads the header at `at`; undefined when it is not {@link valid}. The inner packet starts at `at + headerLen(v, at)`. */
export function parse(v: DataView, at: number, end: number): Gue | undefined {
  if (!valid(v, at, end)) return undefined;
  const remote = flags(v, at) !== 0 && v.getUint32(at + AT.privateFlags) === PRIVATE_REMCSUM;
  return {
    control: isControl(v, at),
    protocol: protocol(v, at),
    remoteChecksum: remote ? { start: v.getUint16(at + 8), offset: v.getUint16(at + 10) } : undefined,
  };
}

/** Writes the header; the inner packet belongs behind. Returns its length in bytes. */
export function emit(gue: Gue, v: DataView, at: number): number {
  const length = byteLength(gue);
  v.setUint8(at, (gue.control ? CONTROL : 0) | ((length - HEADER_LEN) >>> 2));
  v.setUint8(at + AT.protocol, gue.protocol);
  v.setUint16(at + AT.flags, gue.remoteChecksum === undefined ? 0 : FLAG_PRIVATE);
  if (gue.remoteChecksum !== undefined) {
    v.setUint32(at + AT.privateFlags, PRIVATE_REMCSUM);
    v.setUint16(at + 8, gue.remoteChecksum.start);
    v.setUint16(at + 10, gue.remoteChecksum.offset);
  }
  return length;
}
