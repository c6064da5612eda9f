/**
 * IPv4 header, RFC 791. All fields are big-endian.
 *
 *     0        1     2          4    6                  8     9          10         12    16    20
 *     | ver ihl | tos | total len | id | flags, fragment | ttl | protocol | checksum | src | dst | options
 * @module
 */
import { format4, parse4 } from "./address.ts";
import { checksum } from "./checksum.ts";

export const AT = {
  versionIhl: 0,
  tos: 1,
  length: 2,
  id: 4,
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  src: 12,
  dst: 16,
} as const;
/** Length of the header without options, in bytes. */
export const HEADER_LEN = 20;

/** IP protocol numbers (IANA), also IPv6 next-header values. */
export const PROTOCOL = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  sctp: 132,
} as const;

/** Bits of the word at `AT.fragment`. */
export const FRAGMENT = { dont: 0x4000, more: 0x2000, offset: 0x1fff } as const;

/** Option types that have no length byte (RFC 791 §3.1). */
const OPTION_END = 0;
const OPTION_NOP = 1;

export const version = (v: DataView, at: number): number => v.getUint8(at) >>> 4;
/** Bytes of the header with its options. */
export const headerLen = (v: DataView, at: number): number => (v.getUint8(at) & 0xf) << 2;
export const tos = (v: DataView, at: number): number => v.getUint8(at + AT.tos);
/** Bytes of header and payload. */
export const totalLength = (v: DataView, at: number): number => v.getUint16(at + AT.length);
export const id = (v: DataView, at: number): number => v.getUint16(at + AT.id);
export const dontFragment = (v: DataView, at: number): boolean =>
  (v.getUint16(at + AT.fragment) & FRAGMENT.dont) !== 0;
export const moreFragments = (v: DataView, at: number): boolean =>
  (v.getUint16(at + AT.fragment) & FRAGMENT.more) !== 0;
/** Where the payload stands in the datagram, in bytes. */
export const fragmentOffset = (v: DataView, at: number): number =>
  (v.getUint16(at + AT.fragment) & FRAGMENT.offset) << 3;
/** True for every piece of a fragmented datagram, the first included. */
export const isFragment = (v: DataView, at: number): boolean =>
  (v.getUint16(at + AT.fragment) & (FRAGMENT.more | FRAGMENT.offset)) !== 0;
export const ttl = (v: DataView, at: number): number => v.getUint8(at + AT.ttl);
export const protocol = (v: DataView, at: number): number => v.getUint8(at + AT.protocol);
/** Source address, u32. */
export const src = (v: DataView, at: number): number => v.getUint32(at + AT.src);
/** Destination address, u32. */
export const dst = (v: DataView, at: number): number => v.getUint32(at + AT.dst);

/** The one check before the accessors: version 4, header and total length fit into `end`. Says nothing of the checksum. */
export function valid(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN) return false;
  const first = v.getUint8(at);
  if (first >>> 4 !== 4) return false;
  const header = (first & 0xf) << 2;
  const total = v.getUint16(at + AT.length);
  return header >= HEADER_LEN && total >= header && at + total <= end;
}

/** Computes the header checksum and stores it. */
export function setChecksum(v: DataView, at: number): void {
  v.setUint16(at + AT.checksum, 0);
  v.setUint16(at + AT.checksum, checksum(v, at, headerLen(v, at)));
}

/** True when the header checksum is right. */
export function checksumOk(v: DataView, at: number): boolean {
  return checksum(v, at, headerLen(v, at)) === 0;
}

/** An option; `data` lies behind type and length byte. Type 1 (no operation) has none. */
export interface Ipv4Option {
  /** The whole type byte (copied flag, class, number), never 0. */
  readonly type: number;
  /** At most 38 bytes. */
  readonly data: Uint8Array;
}

/** What a valid IPv4 header says. */
export interface Ipv4 {
  /** DSCP and ECN. */
  readonly tos: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** Bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  /** Dotted quad. */
  readonly src: string;
  readonly dst: string;
  /** At most 40 bytes together; the end-of-options mark is not listed. */
  readonly options: readonly Ipv4Option[];
  /** Bytes after header and options. */
  readonly payloadLen: number;
}

/** Bytes of the header with options, padded to a multiple of 4. */
export function byteLength(ip: Pick<Ipv4, "options">): number {
  let length = HEADER_LEN;
  for (const o of ip.options) length += o.type === OPTION_NOP ? 1 : 2 + o.data.length;
  return (length + 3) & ~3;
}

function parseOptions(v: DataView, from: number, end: number): Ipv4Option[] | undefined {
  const options: Ipv4Option[] = [];
  for (let i = from; i < end; ) {
    const type = v.getUint8(i);
    if (type === OPTION_END) break;
    if (type === OPTION_NOP) {
      options.push({ type, data: new Uint8Array(0) });
      i++;
      continue;
    }
    if (i + 2 > end) return undefined;
    const length = v.getUint8(i + 1);
    if (length < 2 || i + length > end) return undefined;
    options.push({ type, data: new Uint8Array(v.buffer, v.byteOffset + i + 2, length - 2).slice() });
    i += length;
  }
  return options;
}

/** Reads the header at `at`; undefined when it is short, of another version, or its lengths or options lie. */
export function parse(v: DataView, at: number, end: number): Ipv4 | undefined {
  if (!valid(v, at, end)) return undefined;
  const header = headerLen(v, at);
  const options = parseOptions(v, at + HEADER_LEN, at + header);
  if (options === undefined) return undefined;
  return {
    tos: tos(v, at),
    id: id(v, at),
    dontFragment: dontFragment(v, at),
    moreFragments: moreFragments(v, at),
    fragmentOffset: fragmentOffset(v, at),
    ttl: ttl(v, at),
    protocol: protocol(v, at),
    src: format4(src(v, at)),
    dst: format4(dst(v, at)),
    options,
    payloadLen: totalLength(v, at) - header,
  };
}

/** Writes header, options and checksum; the payload belongs behind. Returns the header's length in bytes. */
export function emit(ip: Ipv4, v: DataView, at: number): number {
  const length = byteLength(ip);
  v.setUint8(at, 0x40 | (length >>> 2));
  v.setUint8(at + AT.tos, ip.tos);
  v.setUint16(at + AT.length, length + ip.payloadLen);
  v.setUint16(at + AT.id, ip.id);
  const flags = (ip.dontFragment ? FRAGMENT.dont : 0) | (ip.moreFragments ? FRAGMENT.more : 0);
  v.setUint16(at + AT.fragment, flags | (ip.fragmentOffset >>> 3));
  v.setUint8(at + AT.ttl, ip.ttl);
  v.setUint8(at + AT.protocol, ip.protocol);
  v.setUint32(at + AT.src, quad(ip.src));
  v.setUint32(at + AT.dst, quad(ip.dst));
  let i = at + HEADER_LEN;
  for (const { type, data } of ip.options) {
    v.setUint8(i++, type);
    if (type === OPTION_NOP) continue;
    v.setUint8(i++, 2 + data.length);
    for (const byte of data) v.setUint8(i++, byte);
  }
  while (i < at + length) v.setUint8(i++, OPTION_END);
  setChecksum(v, at);
  return length;
}

function quad(text: string): number {
  const n = parse4(text);
  if (n === undefined) throw new RangeError(`"${text}" is not an IPv4 address`);
  return n;
}
