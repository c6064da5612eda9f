/**
 * IPv6 neighbour discovery, RFC 4861: four ICMPv6 messages and the options a host needs of them.
 *
 *     0      1      2          4        8        24
 *     | type | code | checksum | flags  | target | options          neighbour solicitation, advertisement
 *     | type | code | checksum | 0      | options                   router solicitation
 *     | type | code | checksum | hop limit, flags, lifetime | reachable 8 | retransmit 12 | options 16       router advertisement
 *
 * RFC 4861 also demands hop limit 255 of the IPv6 header and code 0: the first is the caller's to check.
 * @module
 */
import { macAt, writeMac } from "./ethernet.ts";
import { setChecksum, TYPE } from "./icmpv6.ts";
import { textAt, writeText } from "./ipv6.ts";

/** Hop limit of every such message. */
export const HOP_LIMIT = 255;

const OPTION = { sourceLinkLayer: 1, targetLinkLayer: 2, prefix: 3, mtu: 5 } as const;
const PREFIX_LEN = 32;
const ADVERTISEMENT = { router: 0x80, solicited: 0x40, override: 0x20 } as const;
const ROUTER = { managed: 0x80, other: 0x40 } as const;
const PREFIX = { onLink: 0x80, autonomous: 0x40 } as const;

export type NdpOption =
  | { readonly kind: "sourceLinkLayer" | "targetLinkLayer"; readonly mac: string }
  | {
      readonly kind: "prefix";
      readonly prefix: string;
      /** 0..128. */
      readonly length: number;
      readonly onLink: boolean;
      readonly autonomous: boolean;
      /** Seconds, u32; 0xffffffff is for ever. */
      readonly validLifetime: number;
      readonly preferredLifetime: number;
    }
  | { readonly kind: "mtu" /** Bytes, u32. */; readonly mtu: number }
  | {
      readonly kind: "unknown";
      readonly type: number;
      /** Behind type and length byte: 6, 14, 22 ... bytes. */
      readonly data: Uint8Array;
    };

/** What a valid message says. */
export type Ndp =
  | { readonly kind: "neighborSolicitation"; readonly target: string; readonly options: readonly NdpOption[] }
  | {
      readonly kind: "neighborAdvertisement";
      readonly target: string;
      readonly router: boolean;
      readonly solicited: boolean;
      readonly override: boolean;
      readonly options: readonly NdpOption[];
    }
  | { readonly kind: "routerSolicitation"; readonly options: readonly NdpOption[] }
  | {
      readonly kind: "routerAdvertisement";
      /** Hop limit hosts should use; 0 says nothing about it. */
      readonly hopLimit: number;
      readonly managed: boolean;
      readonly otherConfiguration: boolean;
      /** Seconds, u16; 0: not a default router. */
      readonly lifetime: number;
      /** Milliseconds, u32; 0 says nothing. */
      readonly reachableMs: number;
      readonly retransmitMs: number;
      readonly options: readonly NdpOption[];
    };

const FIXED_LEN = {
  neighborSolicitation: 24,
  neighborAdvertisement: 24,
  routerSolicitation: 8,
  routerAdvertisement: 16,
} as const;

function optionLength(option: NdpOption): number {
  switch (option.kind) {
    case "prefix":
      return PREFIX_LEN;
    case "unknown":
      return 2 + option.data.length;
    default:
      return 8;
  }
}

/** Bytes of the whole message. */
export function byteLength(ndp: Ndp): number {
  let length: number = FIXED_LEN[ndp.kind];
  for (const option of ndp.options) length += optionLength(option);
  return length;
}

/** Address to solicit the neighbours of `target` at (RFC 4291 §2.7.1): its last 24 bits behind ff02::1:ff00:0/104. */
export function solicitedNode(target: Uint8Array): Uint8Array {
  const group = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);
  group.set(target.subarray(13, 16), 13);
  return group;
}

function parseOption(v: DataView, at: number, length: number): NdpOption {
  const type = v.getUint8(at);
  if (type === OPTION.sourceLinkLayer && length === 8) {
    return { kind: "sourceLinkLayer", mac: macAt(v, at + 2) };
  }
  if (type === OPTION.targetLinkLayer && length === 8) {
    return { kind: "targetLinkLayer", mac: macAt(v, at + 2) };
  }
  if (type === OPTION.mtu && length === 8) return { kind: "mtu", mtu: v.getUint32(at + 4) };
  if (type === OPTION.prefix && length === PREFIX_LEN && v.getUint8(at + 2) <= 128) {
    const flags = v.getUint8(at + 3);
    return {
      kind: "prefix",
      prefix: textAt(v, at + 16),
      length: v.getUint8(at + 2),
      onLink: (flags & PREFIX.onLink) !== 0,
      autonomous: (flags & PREFIX.autonomous) !== 0,
      validLifetime: v.getUint32(at + 4),
      preferredLifetime: v.getUint32(at + 8),
    };
  }
  const data = new Uint8Array(v.buffer, v.byteOffset + at + 2, length - 2).slice();
  return { kind: "unknown", type, data };
}

/** An option of length 0 makes the message invalid (RFC 4861 §4.6). */
function parseOptions(v: DataView, from: number, end: number): NdpOption[] | undefined {
  const options: NdpOption[] = [];
  for (let i = from; i < end; ) {
    const length = i + 1 < end ? v.getUint8(i + 1) << 3 : 0;
    if (length === 0 || i + length > end) return undefined;
    options.push(parseOption(v, i, length));
    i += length;
  }
  return options;
}

function kindOf(type: number): Ndp["kind"] | undefined {
  switch (type) {
    case TYPE.neighborSolicitation:
      return "neighborSolicitation";
    case TYPE.neighborAdvertisement:
      return "neighborAdvertisement";
    case TYPE.routerSolicitation:
      return "routerSolicitation";
    case TYPE.routerAdvertisement:
      return "routerAdvertisement";
    default:
      return undefined;
  }
}

/** Reads the ICMPv6 message between `at` and `end`; undefined when it is another one, short, or its options lie. */
export function parse(v: DataView, at: number, end: number): Ndp | undefined {
  if (end - at < 8 || v.getUint8(at + 1) !== 0) return undefined;
  const kind = kindOf(v.getUint8(at));
  if (kind === undefined || end - at < FIXED_LEN[kind]) return undefined;
  const options = parseOptions(v, at + FIXED_LEN[kind], end);
  if (options === undefined) return undefined;
  switch (kind) {
    case "neighborSolicitation":
      return { kind, target: textAt(v, at + 8), options };
    case "neighborAdvertisement": {
      const flags = v.getUint8(at + 4);
      return {
        kind,
        target: textAt(v, at + 8),
        router: (flags & ADVERTISEMENT.router) !== 0,
        solicited: (flags & ADVERTISEMENT.solicited) !== 0,
        override: (flags & ADVERTISEMENT.override) !== 0,
        options,
      };
    }
    case "routerSolicitation":
      return { kind, options };
    case "routerAdvertisement": {
      const flags = v.getUint8(at + 5);
      return {
        kind,
        hopLimit: v.getUint8(at + 4),
        managed: (flags & ROUTER.managed) !== 0,
        otherConfiguration: (flags & ROUTER.other) !== 0,
        lifetime: v.getUint16(at + 6),
        reachableMs: v.getUint32(at + 8),
        retransmitMs: v.getUint32(at + 12),
        options,
      };
    }
  }
}

function emitOption(option: NdpOption, v: DataView, at: number): void {
  v.setUint8(at, option.kind === "unknown" ? option.type : OPTION[option.kind]);
  v.setUint8(at + 1, optionLength(option) >>> 3);
  switch (option.kind) {
    case "sourceLinkLayer":
    case "targetLinkLayer":
      writeMac(v, at + 2, option.mac);
      break;
    case "mtu":
      v.setUint16(at + 2, 0);
      v.setUint32(at + 4, option.mtu);
      break;
    case "prefix":
      v.setUint8(at + 2, option.length);
      v.setUint8(at + 3, (option.onLink ? PREFIX.onLink : 0) | (option.autonomous ? PREFIX.autonomous : 0));
      v.setUint32(at + 4, option.validLifetime);
      v.setUint32(at + 8, option.preferredLifetime);
      v.setUint32(at + 12, 0);
      writeText(v, at + 16, option.prefix);
      break;
    case "unknown":
      option.data.forEach((byte, i) => {
        v.setUint8(at + 2 + i, byte);
      });
      break;
  }
}

/** Writes the whole message. `pseudoSum` is `pseudo6` of `checksum.ts` over `byteLength(ndp)` bytes. Returns that length. */
export function emit(ndp: Ndp, v: DataView, at: number, pseudoSum: number): number {
  v.setUint8(at, TYPE[ndp.kind]);
  v.setUint8(at + 1, 0);
  v.setUint32(at + 4, 0);
  switch (ndp.kind) {
    case "neighborSolicitation":
      writeText(v, at + 8, ndp.target);
      break;
    case "neighborAdvertisement":
      v.setUint8(
        at + 4,
        (ndp.router ? ADVERTISEMENT.router : 0) |
          (ndp.solicited ? ADVERTISEMENT.solicited : 0) |
          (ndp.override ? ADVERTISEMENT.override : 0),
      );
      writeText(v, at + 8, ndp.target);
      break;
    case "routerSolicitation":
      break;
    case "routerAdvertisement":
      v.setUint8(at + 4, ndp.hopLimit);
      v.setUint8(at + 5, (ndp.managed ? ROUTER.managed : 0) | (ndp.otherConfiguration ? ROUTER.other : 0));
      v.setUint16(at + 6, ndp.lifetime);
      v.setUint32(at + 8, ndp.reachableMs);
      v.setUint32(at + 12, ndp.retransmitMs);
      break;
  }
  let i = at + FIXED_LEN[ndp.kind];
  for (const option of ndp.options) {
    emitOption(option, v, i);
    i += optionLength(option);
  }
  setChecksum(v, at, i - at, pseudoSum);
  return i - at;
}
