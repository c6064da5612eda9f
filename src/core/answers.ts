/**
 * ICMP errors that the director sends itself (`icmp_send`, `icmpv6_send` as ip_vs calls them): what they quote, from which
 * address, and when none is sent.
 * @module
 */
import { readWords, writeWords } from "../wire/address.ts";
import { pseudo6 } from "../wire/checksum.ts";
import * as icmp from "../wire/icmp.ts";
import * as icmpv6 from "../wire/icmpv6.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import type { Context } from "./context.ts";
import { PROTO } from "./flow.ts";
import type { Words } from "./host.ts";
import { Packet } from "./packet.ts";
import type { Family } from "./service.ts";

/** Longest ICMP error, bytes, IP header included (RFC 1812 §4.3.2.3, RFC 4443 §2.4). */
const LONGEST = { 4: 576, 6: 1280 } as const;
const HOP_LIMIT = 64;
/** Errors a second at most, and how many may come at once, as `icmp_msgs_per_sec` and `icmp_msgs_burst`. */
const PER_SECOND = 1000;
const BURST = 50;

/** Why an error is sent. */
export type Reason = "port" | "host" | "ttl" | "big";

const isZero = (w: Words): boolean => (w[0] | w[1] | w[2] | w[3]) === 0;

/** Sends ICMP errors about packets. */
export class Answers {
  private readonly packet = new Packet(2048);
  private readonly from = new Int32Array(4);
  private readonly to = new Int32Array(4);
  private credit = BURST;
  private creditAt = 0;
  private readonly context: Context;

  constructor(context: Context) {
    this.context = context;
  }

  /**
   * Answers the packet at `at` of `about` with an error.
   * @param mtu for "big", bytes
   * @param source sends from this address instead of the packet's own destination
   */
  send(
    about: Packet,
    at: number,
    end: number,
    reason: Reason,
    mtu = 0,
    source?: Words,
    exact?: { readonly type: number; readonly code: number },
  ): void {
    const v = about.view;
    const family: Family = v.getUint8(at) >> 4 === 6 ? 6 : 4;
    readWords(family, v, family === 4 ? at + ipv4.AT.src : at + ipv6.AT.src, this.to);
    if (!this.allowed(v, at, end, family)) return;
    if (source) this.from.set(source);
    else readWords(family, v, family === 4 ? at + ipv4.AT.dst : at + ipv6.AT.dst, this.from);
    if (family === 4) this.send4(about, at, end, reason, mtu, exact);
    else this.send6(about, at, end, reason, mtu);
    this.packet.mark = 0;
    this.context.host.send(this.packet, family, this.to);
  }

  /**
   * Passes on an error about a tunnel packet: the same type and code, quoting the inner IPv4 or IPv6 packet at `at`, from the
   * address that packet was for. Inner IPv6 packets are told the nearest ICMPv6 meaning.
   */
  relay(about: Packet, at: number, end: number, type: number, code: number, mtu: number): void {
    const big = type === icmp.TYPE.unreachable && code === 4;
    const v = about.view;
    if (v.getUint8(at) >> 4 === 6) {
      this.send(about, at, end, big ? "big" : type === icmp.TYPE.timeExceeded ? "ttl" : "host", mtu);
      return;
    }
    this.send(about, at, end, big ? "big" : "host", mtu, undefined, { type, code });
  }

  /** No error about an error, a later fragment or a group, and not too many. */
  private allowed(v: DataView, at: number, end: number, family: Family): boolean {
    if (family === 4) {
      if (ipv4.fragmentOffset(v, at) !== 0) return false;
      const first = ipv4.src(v, at) >>> 24;
      if (first === 0 || first >= 224) return false;
      if (ipv4.dst(v, at) >>> 28 >= 14) return false;
      const l4 = at + ipv4.headerLen(v, at);
      if (ipv4.protocol(v, at) === PROTO.icmp && l4 < end && icmp.isError(v.getUint8(l4))) return false;
    } else {
      if (v.getUint8(at + ipv6.AT.src) === 0xff || isZero(this.to)) return false;
      const l4 = at + ipv6.HEADER_LEN;
      if (ipv6.nextHeader(v, at) === PROTO.icmpv6 && l4 < end && icmpv6.isError(v.getUint8(l4))) return false;
    }
    const now = this.context.now;
    this.credit = Math.min(BURST, this.credit + ((now - this.creditAt) * PER_SECOND) / 1000);
    this.creditAt = now;
    if (this.credit < 1) return false;
    this.credit--;
    return true;
  }

  private quote(about: Packet, at: number, end: number, headers: number, longest: number): number {
    const p = this.packet;
    const length = Math.min(end - at, longest - headers);
    p.bytes.set(about.bytes.subarray(at, at + length), p.at + headers);
    p.end = p.at + headers + length;
    return length;
  }

  private send4(
    about: Packet,
    at: number,
    end: number,
    reason: Reason,
    mtu: number,
    exact?: { readonly type: number; readonly code: number },
  ): void {
    const p = this.packet;
    const v = p.view;
    const l4 = p.at + ipv4.HEADER_LEN;
    this.quote(about, at, end, ipv4.HEADER_LEN + icmp.HEADER_LEN, LONGEST[4]);
    v.setUint32(p.at, 0x45000000);
    // RFC 1812 §4.3.2.5: precedence "internetwork control", the rest as in the packet.
    v.setUint8(p.at + ipv4.AT.tos, (ipv4.tos(about.view, at) & 0x1e) | 0xc0);
    v.setUint16(p.at + ipv4.AT.length, p.end - p.at);
    v.setUint32(p.at + ipv4.AT.id, 0);
    v.setUint8(p.at + ipv4.AT.ttl, HOP_LIMIT);
    v.setUint8(p.at + ipv4.AT.protocol, PROTO.icmp);
    writeWords(4, v, p.at + ipv4.AT.src, this.from);
    writeWords(4, v, p.at + ipv4.AT.dst, this.to);
    ipv4.setChecksum(v, p.at);
    v.setUint8(l4, exact?.type ?? (reason === "ttl" ? icmp.TYPE.timeExceeded : icmp.TYPE.unreachable));
    v.setUint8(
      l4 + 1,
      exact?.code ?? (reason === "port" ? 3 : reason === "big" ? 4 : reason === "host" ? 1 : 0),
    );
    v.setUint32(l4 + icmp.AT.rest, reason === "big" ? mtu & 0xffff : 0);
    icmp.setChecksum(v, l4, p.end - l4);
  }

  private send6(about: Packet, at: number, end: number, reason: Reason, mtu: number): void {
    const p = this.packet;
    const v = p.view;
    const l4 = p.at + ipv6.HEADER_LEN;
    this.quote(about, at, end, ipv6.HEADER_LEN + icmpv6.HEADER_LEN, LONGEST[6]);
    v.setUint32(p.at, 0x60000000);
    v.setUint16(p.at + ipv6.AT.length, p.end - l4);
    v.setUint8(p.at + ipv6.AT.nextHeader, PROTO.icmpv6);
    v.setUint8(p.at + ipv6.AT.hopLimit, HOP_LIMIT);
    writeWords(6, v, p.at + ipv6.AT.src, this.from);
    writeWords(6, v, p.at + ipv6.AT.dst, this.to);
    const type =
      reason === "ttl"
        ? icmpv6.TYPE.timeExceeded
        : reason === "big"
          ? icmpv6.TYPE.packetTooBig
          : icmpv6.TYPE.unreachable;
    v.setUint8(l4, type);
    v.setUint8(l4 + 1, reason === "port" ? 4 : reason === "host" ? 3 : 0);
    v.setUint32(l4 + icmpv6.AT.rest, reason === "big" ? mtu : 0);
    icmpv6.setChecksum(v, l4, p.end - l4, pseudo6(v, p.at, PROTO.icmpv6, p.end - l4));
  }
}
