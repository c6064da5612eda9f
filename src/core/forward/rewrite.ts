/**
 * Address and port translation in place: IP header, transport ports and checksums (RFC 1624 for those that are sums).
 * @module
 */
import { writeWords } from "../../wire/address.ts";
import { pseudo4, pseudo6, update16, update32 } from "../../wire/checksum.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as sctp from "../../wire/sctp.ts";
import * as tcp from "../../wire/tcp.ts";
import * as udp from "../../wire/udp.ts";
import { type Flow, PROTO } from "../flow.ts";
import type { Packet } from "../packet.ts";

/** Which end of a packet is translated. */
export const END = { source: 0, target: 1 } as const;
/** A value of {@link END}. */
export type End = 0 | 1;

/**
 * Gives one end of a packet another address and port. Updates the IP and transport checksums; a UDP datagram without a
 * checksum gets one. The flow's own fields keep what was read, but for the port and address of this end.
 */
export function rewrite(p: Packet, flow: Flow, end: End, words: Int32Array, port: number): void {
  const v = p.view;
  const old = end === END.source ? flow.source : flow.target;
  const l4 = flow.l4;
  const ported = flow.hasPorts && flow.fragmentOffset === 0;
  const portAt = end === END.source ? l4 : l4 + 2;
  const oldPort = ported ? v.getUint16(portAt) : 0;
  if (ported) v.setUint16(portAt, port);
  if (flow.family === 4) {
    const at = flow.at + (end === END.source ? ipv4.AT.src : ipv4.AT.dst);
    v.setUint16(
      flow.at + ipv4.AT.checksum,
      update32(v.getUint16(flow.at + ipv4.AT.checksum), old[0], words[0]),
    );
    v.setUint32(at, words[0]);
  } else {
    writeWords(6, v, flow.at + (end === END.source ? ipv6.AT.src : ipv6.AT.dst), words);
  }
  if (ported) {
    if (flow.protocol === PROTO.tcp) {
      const at = l4 + tcp.AT.checksum;
      v.setUint16(at, shifted(v.getUint16(at), flow, old, words, oldPort, port));
    } else if (flow.protocol === PROTO.udp) {
      const at = l4 + udp.AT.checksum;
      const check = v.getUint16(at);
      if (check === 0) setUdpChecksum(v, flow);
      else v.setUint16(at, shifted(check, flow, old, words, oldPort, port) || 0xffff);
    } else if (oldPort !== port) {
      sctp.setChecksum(v, p.bytes, l4, flow.end);
    }
  }
  old.set(words);
  if (ported) {
    if (end === END.source) flow.sourcePort = port;
    else flow.targetPort = port;
  }
}

function shifted(
  check: number,
  flow: Flow,
  from: Int32Array,
  to: Int32Array,
  fromPort: number,
  toPort: number,
): number {
  let sum = update32(check, from[0], to[0]);
  if (flow.family === 6) {
    sum = update32(sum, from[1], to[1]);
    sum = update32(sum, from[2], to[2]);
    sum = update32(sum, from[3], to[3]);
  }
  return fromPort === toPort ? sum : update16(sum, fromPort, toPort);
}

/** The sum of the pseudo header of a packet's transport part. */
export function pseudo(v: DataView, flow: Flow, length: number): number {
  return flow.family === 4
    ? pseudo4(v, flow.at, flow.protocol, length)
    : pseudo6(v, flow.at, flow.protocol, length);
}

function setUdpChecksum(v: DataView, flow: Flow): void {
  const length = udp.length(v, flow.l4);
  // A datagram that lies about its length stays without: the receiver will drop it.
  if (length < udp.HEADER_LEN || flow.l4 + length > flow.end) return;
  udp.setChecksum(v, flow.l4, pseudo(v, flow, length));
}

/** Computes the TCP checksum anew after the payload or options changed. */
export function setTcpChecksum(v: DataView, flow: Flow): void {
  const length = flow.end - flow.l4;
  tcp.setChecksum(v, flow.l4, length, pseudo(v, flow, length));
}

/** The packet became `end - old end` bytes longer: lengths in the IP header, and its checksum. */
export function resize(p: Packet, flow: Flow, end: number): void {
  const v = p.view;
  p.end = end;
  flow.end = end;
  if (flow.family === 4) {
    v.setUint16(flow.at + ipv4.AT.length, end - flow.at);
    ipv4.setChecksum(v, flow.at);
  } else {
    v.setUint16(flow.at + ipv6.AT.length, end - flow.at - ipv6.HEADER_LEN);
  }
}
