/**
 * What the director reads from a packet before it decides: family, protocol, the two ends. One object is filled again for
 * every packet; quoted packets inside ICMP errors have one of their own.
 * @module
 */
import { readWords } from "../wire/address.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import type { FlowKey } from "./connections.ts";
import type { Family } from "./service.ts";

/** IP protocol numbers the director knows. */
export const PROTO = { ip: 0, icmp: 1, tcp: 6, udp: 17, esp: 50, ah: 51, icmpv6: 58, sctp: 132 } as const;

const PORTS_LEN = 4;
/** Shortest transport header, by protocol. */
const shortest = (protocol: number): number =>
  protocol === PROTO.tcp ? 20 : protocol === PROTO.udp ? 8 : protocol === PROTO.sctp ? 12 : 0;

/** Where the netfilter hooks are from which packets come. Numbers are the kernel's (`NF_INET_*`). */
export const HOOK = { localIn: 1, forward: 2, localOut: 3 } as const;
/** A value of {@link HOOK}. */
export type Hook = 1 | 2 | 3;

/** A packet's addresses, ports and offsets. */
export class Flow implements FlowKey {
  family: Family = 4;
  protocol = 0;
  readonly source = new Int32Array(4);
  readonly target = new Int32Array(4);
  sourcePort = 0;
  targetPort = 0;
  /** Offset of the IP header. */
  at = 0;
  /** Offset of the transport header. */
  l4 = 0;
  /** Offset behind the IP packet, as its header says (a quoted packet may end earlier). */
  end = 0;
  /** It is a fragment (a first one has offset 0). */
  fragment = false;
  /** Bytes. */
  fragmentOffset = 0;
  /** IPv6: offset of the fragment header, or -1. */
  fragmentAt = -1;
  /** The transport header is not complete. */
  truncated = false;

  private readonly upper = ipv6.upper();

  /**
   * Reads the IP packet between `at` and `end`.
   * @param quoted the packet is the beginning of one, quoted in an ICMP error: its length fields may promise more
   * @returns false when there is no sound IP header
   */
  read(v: DataView, at: number, end: number, quoted = false): boolean {
    if (end - at < ipv4.HEADER_LEN) return false;
    this.at = at;
    const version = v.getUint8(at) >> 4;
    if (version === 4) {
      const headerLen = ipv4.headerLen(v, at);
      if (headerLen < ipv4.HEADER_LEN || at + headerLen > end) return false;
      const total = ipv4.totalLength(v, at);
      if (total < headerLen || (!quoted && at + total > end)) return false;
      this.family = 4;
      this.protocol = ipv4.protocol(v, at);
      this.l4 = at + headerLen;
      this.end = quoted ? end : at + total;
      const fragment = v.getUint16(at + ipv4.AT.fragment);
      this.fragmentOffset = (fragment & 0x1fff) << 3;
      this.fragment = (fragment & 0x3fff) !== 0;
      this.fragmentAt = -1;
    } else if (version === 6) {
      if (end - at < ipv6.HEADER_LEN) return false;
      const total = ipv6.HEADER_LEN + ipv6.payloadLength(v, at);
      if (!quoted && at + total > end) return false;
      this.family = 6;
      this.end = quoted ? end : at + total;
      const upper = this.upper;
      if (!ipv6.walk(v, at, this.end, upper)) return false;
      this.protocol = upper.protocol;
      this.l4 = upper.offset;
      this.fragmentAt = upper.fragmentAt;
      this.fragmentOffset = upper.fragmentAt < 0 ? 0 : upper.fragmentOffset;
      this.fragment = upper.fragmentAt >= 0 && (upper.fragmentOffset > 0 || upper.moreFragments);
    } else return false;
    readWords(this.family, v, version === 4 ? at + ipv4.AT.src : at + ipv6.AT.src, this.source);
    readWords(this.family, v, version === 4 ? at + ipv4.AT.dst : at + ipv6.AT.dst, this.target);
    this.readPorts(v, quoted);
    return true;
  }

  private readPorts(v: DataView, quoted: boolean): void {
    this.sourcePort = 0;
    this.targetPort = 0;
    this.truncated = false;
    const need = shortest(this.protocol);
    if (need === 0 || this.fragmentOffset !== 0) return;
    const room = this.end - this.l4;
    this.truncated = room < (quoted ? PORTS_LEN : need);
    if (this.truncated) return;
    this.sourcePort = v.getUint16(this.l4);
    this.targetPort = v.getUint16(this.l4 + 2);
  }

  /** Takes the two ends of another flow, swapped: the packet as the other side would send it. */
  reverse(other: Flow): this {
    this.family = other.family;
    this.protocol = other.protocol;
    this.source.set(other.target);
    this.target.set(other.source);
    this.sourcePort = other.targetPort;
    this.targetPort = other.sourcePort;
    this.at = other.at;
    this.l4 = other.l4;
    this.end = other.end;
    this.fragment = other.fragment;
    this.fragmentOffset = other.fragmentOffset;
    this.fragmentAt = other.fragmentAt;
    this.truncated = other.truncated;
    return this;
  }

  /** TCP, UDP or SCTP. */
  get hasPorts(): boolean {
    return this.protocol === PROTO.tcp || this.protocol === PROTO.udp || this.protocol === PROTO.sctp;
  }
}
