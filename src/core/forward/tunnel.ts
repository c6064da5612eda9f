/**
 * Outer headers of the TUN method: IPIP, GRE and GUE over IPv4 or IPv6 (`ip_vs_tunnel_xmit`; RFC 2003, RFC 2784, GUE as the
 * kernel's `fou` has it).
 * @module
 */
import { writeWords } from "../../wire/address.ts";
import { pseudo4, pseudo6 } from "../../wire/checksum.ts";
import { TYPE as ETHERTYPE } from "../../wire/ethernet.ts";
import * as gre from "../../wire/gre.ts";
import * as gue from "../../wire/gue.ts";
import { OUTER_LEN, protocolFor } from "../../wire/ipip.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as udp from "../../wire/udp.ts";
import type { Flow } from "../flow.ts";
import type { Words } from "../host.ts";
import type { Packet } from "../packet.ts";
import { type RealServer, TUNNEL_NUMBER } from "../server.ts";
import type { Family } from "../service.ts";

const ECN = { mask: 3, ect0: 2, ce: 3 } as const;
const GUE_SOURCE_PORTS = { low: 32768, count: 28232 };

/** Bytes that tunneling to a server adds. */
export function overhead(server: RealServer): number {
  const ip = OUTER_LEN[server.family];
  if (server.tunnel === TUNNEL_NUMBER.gue) return ip + udp.HEADER_LEN + gue.HEADER_LEN;
  return server.tunnel === TUNNEL_NUMBER.gre ? ip + gre.lengthFor(greFlags(server)) : ip;
}

const greFlags = (server: RealServer): number =>
  server.spec.tunnel.checksum === "csum" ? gre.FLAG.checksum : 0;

/**
 * Puts the outer headers before the packet.
 * @param copyDf `pmtu_disc`: the outer header has the inner DF bit
 */
export function encapsulate(p: Packet, flow: Flow, server: RealServer, source: Words, copyDf: boolean): void {
  const v = p.view;
  const family = server.family;
  const tos = trafficClass(v, flow);
  const hopLimit = v.getUint8(flow.at + (flow.family === 4 ? ipv4.AT.ttl : ipv6.AT.hopLimit));
  const dont = copyDf && flow.family === 4 && ipv4.dontFragment(v, flow.at);
  const start = p.at - overhead(server);
  const payload = start + OUTER_LEN[family];
  const protocol = outerProtocol(server, flow.family);
  if (family === 4) outer4(v, start, p.end, tos, hopLimit, protocol, dont, source, server.words);
  else outer6(v, start, p.end, tos, hopLimit, protocol, source, server.words);
  if (server.tunnel === TUNNEL_NUMBER.gre) greHeader(v, payload, p.end, flow.family, server);
  else if (server.tunnel === TUNNEL_NUMBER.gue) gueHeader(v, start, payload, p.end, flow, server);
  p.at = start;
}

function outerProtocol(server: RealServer, inner: Family): number {
  if (server.tunnel === TUNNEL_NUMBER.gue) return ipv4.PROTOCOL.udp;
  return server.tunnel === TUNNEL_NUMBER.gre ? ipv4.PROTOCOL.gre : protocolFor(inner);
}

/** The inner class, but "congestion experienced" is not copied outside (RFC 6040 compatibility mode of the kernel). */
function trafficClass(v: DataView, flow: Flow): number {
  const inner = flow.family === 4 ? ipv4.tos(v, flow.at) : ipv6.trafficClass(v, flow.at);
  return (inner & ECN.mask) === ECN.ce ? (inner & ~ECN.mask) | ECN.ect0 : inner;
}

function outer4(
  v: DataView,
  at: number,
  end: number,
  tos: number,
  ttl: number,
  protocol: number,
  dont: boolean,
  source: Words,
  target: Words,
): void {
  v.setUint8(at, 0x45);
  v.setUint8(at + ipv4.AT.tos, tos);
  v.setUint16(at + ipv4.AT.length, end - at);
  v.setUint16(at + ipv4.AT.id, 0);
  v.setUint16(at + ipv4.AT.fragment, dont ? ipv4.FRAGMENT.dont : 0);
  v.setUint8(at + ipv4.AT.ttl, ttl);
  v.setUint8(at + ipv4.AT.protocol, protocol);
  writeWords(4, v, at + ipv4.AT.src, source);
  writeWords(4, v, at + ipv4.AT.dst, target);
  ipv4.setChecksum(v, at);
}

function outer6(
  v: DataView,
  at: number,
  end: number,
  tos: number,
  hopLimit: number,
  protocol: number,
  source: Words,
  target: Words,
): void {
  v.setUint32(at, 0x60000000 | (tos << 20));
  v.setUint16(at + ipv6.AT.length, end - at - ipv6.HEADER_LEN);
  v.setUint8(at + ipv6.AT.nextHeader, protocol);
  v.setUint8(at + ipv6.AT.hopLimit, hopLimit);
  writeWords(6, v, at + ipv6.AT.src, source);
  writeWords(6, v, at + ipv6.AT.dst, target);
}

function greHeader(v: DataView, at: number, end: number, inner: Family, server: RealServer): void {
  const flags = greFlags(server);
  v.setUint16(at + gre.AT.flags, flags);
  v.setUint16(at + gre.AT.protocol, inner === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4);
  if (flags === 0) return;
  v.setUint32(at + gre.AT.checksum, 0);
  gre.setChecksum(v, at, end);
}

function gueHeader(v: DataView, ip: number, at: number, end: number, flow: Flow, server: RealServer): void {
  const length = end - at;
  v.setUint16(at + udp.AT.srcPort, flowPort(flow));
  v.setUint16(at + udp.AT.dstPort, server.spec.tunnel.port);
  v.setUint16(at + udp.AT.length, length);
  v.setUint16(at + udp.AT.checksum, 0);
  // Version 0, no control, no options; then what is inside, then flags. Received packets have finished checksums, so
  // "remcsum" has nothing to put off and is the same as "csum".
  v.setUint32(at + udp.HEADER_LEN, protocolFor(flow.family) << 16);
  if (server.spec.tunnel.checksum === "none") return;
  const pseudo = server.family === 4 ? pseudo4 : pseudo6;
  udp.setChecksum(v, at, pseudo(v, ip, ipv4.PROTOCOL.udp, length));
}

/** One source port a flow, so that receivers spread the tunnel over their queues. */
function flowPort(flow: Flow): number {
  let h = Math.imul((flow.sourcePort << 16) | flow.targetPort, 0x9e3779b1) ^ flow.protocol;
  for (let i = 0; i < 4; i++)
    h = Math.imul(h ^ flow.source[i] ^ (flow.target[i] << 1), 0x85ebca6b) ^ (h >>> 15);
  return GUE_SOURCE_PORTS.low + ((h >>> 0) % GUE_SOURCE_PORTS.count);
}
