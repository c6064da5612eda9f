/**
 * IP directly in IP: RFC 2003 (4 in 4), RFC 4213 (6 in 4), RFC 2473 (4 and 6 in 6). The tunnel has no header of its own: the
 * outer header's protocol says which version is inside.
 *
 *     | outer IP header, protocol 4 or 41 | inner IP packet
 * @module
 */
import type { Family } from "./address.ts";
import * as ipv4 from "./ipv4.ts";
import * as ipv6 from "./ipv6.ts";

/** Bytes that an outer header adds, by the outer family. */
export const OUTER_LEN = { 4: ipv4.HEADER_LEN, 6: ipv6.HEADER_LEN } as const;

/** The outer protocol number for an inner packet of that family. */
export function protocolFor(inner: Family): number {
  return inner === 4 ? ipv4.PROTOCOL.ipip : ipv4.PROTOCOL.ipv6;
}

/** The inner family that an outer protocol number announces, or undefined when it announces no IP packet. */
export function familyOf(protocol: number): Family | undefined {
  if (protocol === ipv4.PROTOCOL.ipip) return 4;
  return protocol === ipv4.PROTOCOL.ipv6 ? 6 : undefined;
}

/** The family of the IP packet at `at`, judged by its own header; undefined when it is not valid within `end`. */
export function inside(v: DataView, at: number, end: number): Family | undefined {
  if (ipv4.valid(v, at, end)) return 4;
  return ipv6.valid(v, at, end) ? 6 : undefined;
}
