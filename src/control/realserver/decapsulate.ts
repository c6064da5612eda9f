/**
 * Finds the packet inside a tunnel packet, as the director of a TUN service sends it: IPIP and its IPv6 kin, GRE, GUE.
 * @module
 */
import { fold, pseudo4, pseudo6, sum } from "../../wire/checksum.ts";
import * as gre from "../../wire/gre.ts";
import * as gue from "../../wire/gue.ts";
import { familyOf, inside } from "../../wire/ipip.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";

const GRE_IPV4 = 0x0800;
const GRE_IPV6 = 0x86dd;

/** Whether a whole IP packet of that family lies at `at`. */
function whole(family: 4 | 6 | undefined, v: DataView, at: number, end: number): boolean {
  if (family === undefined || inside(v, at, end) !== family) return false;
  return family === 4 ? ipv4.valid(v, at, end) : ipv6.valid(v, at, end);
}

/** Offset behind an IPv4 header; for packets as a raw IPv4 socket hands them over. -1 when it is cut off. */
export const behindIpv4 = (v: DataView, at: number, end: number): number =>
  ipv4.valid(v, at, end) ? at + ipv4.headerLen(v, at) : -1;

/** Where the inner packet of an IPIP payload starts (`at` itself), or -1. `protocol` is 4 or 41. */
export const insideIpip = (protocol: number, v: DataView, at: number, end: number): number =>
  whole(familyOf(protocol), v, at, end) ? at : -1;

/** Where the inner packet of a GRE payload starts, or -1 for keys, sequences, other protocols, a wrong checksum. */
export function insideGre(v: DataView, at: number, end: number): number {
  if (!gre.valid(v, at, end)) return -1;
  const flags = gre.flags(v, at);
  if ((flags & ~gre.FLAG.checksum) !== 0) return -1;
  if (flags & gre.FLAG.checksum && !gre.checksumOk(v, at, end)) return -1;
  const type = gre.protocol(v, at);
  const family = type === GRE_IPV4 ? 4 : type === GRE_IPV6 ? 6 : undefined;
  const from = at + gre.headerLen(v, at);
  return whole(family, v, from, end) ? from : -1;
}

/**
 * Completes a checksum that the sender left to the receiver (remote checksum offload of GUE): the field holds the sum of the
 * pseudo header, the rest is added here. False when it points outside the packet.
 */
function completeChecksum(
  { start, offset }: gue.RemoteChecksum,
  v: DataView,
  inner: number,
  end: number,
): boolean {
  const [from, field] = [inner + start, inner + offset];
  if (from > field || field + 2 > end) return false;
  v.setUint16(field, ~fold(sum(v, from, end - from)) & 0xffff || 0xffff);
  return true;
}

/**
 * Where the inner packet of a GUE datagram's payload starts, or -1 for control messages and other versions. Completes the
 * packet's checksum in place when the header asks for it.
 */
export function insideGue(v: DataView, at: number, end: number): number {
  const header = gue.parse(v, at, end);
  if (header === undefined || header.control || gue.version(v, at) !== 0) return -1;
  const from = at + gue.headerLen(v, at);
  if (!whole(familyOf(header.protocol), v, from, end)) return -1;
  if (header.remoteChecksum && !completeChecksum(header.remoteChecksum, v, from, end)) return -1;
  return from;
}

/** Offsets of the checksum by protocol: TCP, UDP. */
const CHECKSUM_AT: Readonly<Record<number, number>> = { 6: 16, 17: 6 };

/**
 * Completes the transport checksum of the packet at `at` when its sender left that to a network card there was none of: between
 * namespaces the field then holds the sum of the pseudo header alone. A finished checksum that looks the same stays as it is.
 */
export function finishChecksum(v: DataView, at: number, end: number): void {
  const four = v.getUint8(at) >> 4 === 4;
  if (four && ipv4.isFragment(v, at)) return;
  const protocol = four ? ipv4.protocol(v, at) : ipv6.nextHeader(v, at);
  const transport = at + (four ? ipv4.headerLen(v, at) : ipv6.HEADER_LEN);
  const field = transport + (CHECKSUM_AT[protocol] ?? Number.POSITIVE_INFINITY);
  if (field + 2 > end) return;
  const stop = Math.min(end, four ? at + ipv4.totalLength(v, at) : transport + ipv6.payloadLength(v, at));
  const length = stop - transport;
  const pseudo = four ? pseudo4(v, at, protocol, length) : pseudo6(v, at, protocol, length);
  if (v.getUint16(field) !== fold(pseudo)) return;
  // The field itself is part of what is summed: it stands for the pseudo header.
  v.setUint16(field, ~fold(sum(v, transport, length)) & 0xffff || 0xffff);
}
