/**
 * IPv6 header and extension headers, RFC 8200. All fields are big-endian.
 *
 *     0                       4             6             7           8     24    40
 *     | ver, class, flow label | payload len | next header | hop limit | src | dst | extension headers, payload
 *
 * ESP and AH are not walked: behind them nothing is readable, or nothing may be changed.
 * @module
 */
import { formatAddress, parseAddress } from "./address.ts";

export const AT = { versionClassFlow: 0, length: 4, nextHeader: 6, hopLimit: 7, src: 8, dst: 24 } as const;
/** Length of the fixed header, in bytes. */
export const HEADER_LEN = 40;
/** Length of a fragment header, in bytes. */
export const FRAGMENT_LEN = 8;

/** Next-header values that name an extension header, and "nothing follows". */
export const EXTENSION = {
  hopByHop: 0,
  routing: 43,
  fragment: 44,
  none: 59,
  destinationOptions: 60,
} as const;

export const version = (v: DataView, at: number): number => v.getUint8(at) >>> 4;
/** DSCP and ECN. */
export const trafficClass = (v: DataView, at: number): number => (v.getUint16(at) >>> 4) & 0xff;
/** 20 bits. */
export const flowLabel = (v: DataView, at: number): number => v.getUint32(at) & 0xfffff;
/** Bytes behind the fixed header, extension headers included. */
export const payloadLength = (v: DataView, at: number): number => v.getUint16(at + AT.length);
export const nextHeader = (v: DataView, at: number): number => v.getUint8(at + AT.nextHeader);
export const hopLimit = (v: DataView, at: number): number => v.getUint8(at + AT.hopLimit);

/** Sets the traffic class and leaves version and flow label alone. */
export function setTrafficClass(v: DataView, at: number, tos: number): void {
  v.setUint16(at, (v.getUint16(at) & 0xf00f) | (tos << 4));
}

/** The one check before the accessors: version 6 and the payload fits into `end`. */
export function valid(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN || v.getUint8(at) >>> 4 !== 6) return false;
  return at + HEADER_LEN + v.getUint16(at + AT.length) <= end;
}

/** Where the upper-layer packet is; one object is filled again and again. */
export interface Upper {
  /** Protocol number of what lies at `offset`; 59 when nothing does. */
  protocol: number;
  /** Where the upper-layer header starts. In a later fragment: where the fragment's data starts. */
  offset: number;
  /** Where the fragment header starts, or -1. */
  fragmentAt: number;
  /** Bytes; not 0 means that `offset` is in the middle of the datagram. */
  fragmentOffset: number;
  moreFragments: boolean;
  /** Where the byte is that names `protocol`. */
  prevNextHeaderAt: number;
}

/** An empty {@link Upper}, to be filled by {@link walk}. */
export function upper(): Upper {
  return {
    protocol: 0,
    offset: 0,
    fragmentAt: -1,
    fragmentOffset: 0,
    moreFragments: false,
    prevNextHeaderAt: 0,
  };
}

/** Walks the extension headers of the packet at `at`; false when they do not end before `end`. */
export function walk(v: DataView, at: number, end: number, into: Upper): boolean {
  into.fragmentAt = -1;
  into.fragmentOffset = 0;
  into.moreFragments = false;
  if (end - at < HEADER_LEN) return false;
  let namedAt = at + AT.nextHeader;
  let offset = at + HEADER_LEN;
  for (;;) {
    const protocol = v.getUint8(namedAt);
    into.protocol = protocol;
    into.offset = offset;
    into.prevNextHeaderAt = namedAt;
    if (protocol === EXTENSION.fragment) {
      if (offset + FRAGMENT_LEN > end) return false;
      const word = v.getUint16(offset + 2);
      into.fragmentAt = offset;
      into.fragmentOffset = word & 0xfff8;
      into.moreFragments = (word & 1) !== 0;
      namedAt = offset;
      offset += FRAGMENT_LEN;
      if (into.fragmentOffset !== 0) {
        into.protocol = v.getUint8(namedAt);
        into.offset = offset;
        into.prevNextHeaderAt = namedAt;
        return true;
      }
    } else if (
      protocol === EXTENSION.hopByHop ||
      protocol === EXTENSION.routing ||
      protocol === EXTENSION.destinationOptions
    ) {
      if (offset + 8 > end) return false;
      namedAt = offset;
      offset += (v.getUint8(offset + 1) + 1) << 3;
      if (offset > end) return false;
    } else return true;
  }
}

/** An extension header. */
export type Extension =
  | {
      readonly kind: "hopByHop" | "routing" | "destinationOptions";
      /** What lies behind next-header and length byte: 6, 14, 22 ... bytes. */
      readonly data: Uint8Array;
    }
  | {
      readonly kind: "fragment";
      /** Bytes, a multiple of 8. */
      readonly offset: number;
      readonly more: boolean;
      /** u32. */
      readonly id: number;
    };

/** What a valid IPv6 header says. */
export interface Ipv6 {
  /** DSCP and ECN. */
  readonly trafficClass: number;
  /** 20 bits. */
  readonly flowLabel: number;
  readonly hopLimit: number;
  /** RFC 5952 text. */
  readonly src: string;
  readonly dst: string;
  /** In their order on the wire; behind a later fragment's header nothing is read. */
  readonly extensions: readonly Extension[];
  /** The upper layer's protocol number. */
  readonly protocol: number;
  /** Bytes after the extension headers. */
  readonly payloadLen: number;
}

/** Bytes of the fixed header and the extension headers. */
export function byteLength(ip: Pick<Ipv6, "extensions">): number {
  let length = HEADER_LEN;
  for (const e of ip.extensions) length += e.kind === "fragment" ? FRAGMENT_LEN : 2 + e.data.length;
  return length;
}

/** Reads headers at `at`; undefined when short, of another version, or a length lies. */
export function parse(v: DataView, at: number, end: number): Ipv6 | undefined {
  if (!valid(v, at, end)) return undefined;
  const stop = at + HEADER_LEN + payloadLength(v, at);
  const found = upper();
  if (!walk(v, at, stop, found)) return undefined;
  const extensions: Extension[] = [];
  let type = nextHeader(v, at);
  for (let i = at + HEADER_LEN; i < found.offset; ) {
    const next = v.getUint8(i);
    if (type === EXTENSION.fragment) {
      const word = v.getUint16(i + 2);
      extensions.push({
        kind: "fragment",
        offset: word & 0xfff8,
        more: (word & 1) !== 0,
        id: v.getUint32(i + 4),
      });
      i += FRAGMENT_LEN;
    } else {
      const kind =
        type === EXTENSION.hopByHop
          ? "hopByHop"
          : type === EXTENSION.routing
            ? "routing"
            : "destinationOptions";
      const length = (v.getUint8(i + 1) + 1) << 3;
      extensions.push({ kind, data: new Uint8Array(v.buffer, v.byteOffset + i + 2, length - 2).slice() });
      i += length;
    }
    type = next;
  }
  return {
    trafficClass: trafficClass(v, at),
    flowLabel: flowLabel(v, at),
    hopLimit: hopLimit(v, at),
    src: textAt(v, at + AT.src),
    dst: textAt(v, at + AT.dst),
    extensions,
    protocol: found.protocol,
    payloadLen: stop - found.offset,
  };
}

/** Writes the fixed header and the extension headers; the payload belongs behind. Returns their length in bytes. */
export function emit(ip: Ipv6, v: DataView, at: number): number {
  const length = byteLength(ip);
  v.setUint32(at, ((6 << 28) | (ip.trafficClass << 20) | ip.flowLabel) >>> 0);
  v.setUint16(at + AT.length, length - HEADER_LEN + ip.payloadLen);
  v.setUint8(at + AT.hopLimit, ip.hopLimit);
  writeText(v, at + AT.src, ip.src);
  writeText(v, at + AT.dst, ip.dst);
  let namedAt = at + AT.nextHeader;
  let i = at + HEADER_LEN;
  for (const e of ip.extensions) {
    v.setUint8(namedAt, EXTENSION[e.kind]);
    namedAt = i;
    if (e.kind === "fragment") {
      v.setUint8(i + 1, 0);
      v.setUint16(i + 2, e.offset | (e.more ? 1 : 0));
      v.setUint32(i + 4, e.id);
      i += FRAGMENT_LEN;
    } else {
      v.setUint8(i + 1, ((e.data.length + 2) >>> 3) - 1);
      i += 2;
      for (const byte of e.data) v.setUint8(i++, byte);
    }
  }
  v.setUint8(namedAt, ip.protocol);
  return length;
}

/** Text of the address at `at`. */
export function textAt(v: DataView, at: number): string {
  return formatAddress(6, new Uint8Array(v.buffer, v.byteOffset + at, 16));
}

/** Writes an IPv6 address given as text; throws RangeError for what is none. */
export function writeText(v: DataView, at: number, text: string): void {
  const address = parseAddress(text);
  if (address?.family !== 6) throw new RangeError(`"${text}" is not an IPv6 address`);
  address.bytes.forEach((byte, i) => {
    v.setUint8(at + i, byte);
  });
}
