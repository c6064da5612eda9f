/**
 * ARP for IPv4 over Ethernet, RFC 826. All fields are big-endian.
 *
 *     0       2       4     5     6    8            14          18           24          28
 *     | htype | ptype | hlen | plen | op | sender mac | sender ip | target mac | target ip
 * @module
 */
import { format4, parse4 } from "./address.ts";
import { macAt, TYPE, writeMac } from "./ethernet.ts";

export const AT = {
  hardwareType: 0,
  protocolType: 2,
  hardwareLen: 4,
  protocolLen: 5,
  operation: 6,
  senderMac: 8,
  senderIp: 14,
  targetMac: 18,
  targetIp: 24,
} as const;
/** Length of the message, in bytes. */
export const LEN = 28;

export const OPERATION = { request: 1, reply: 2 } as const;

const HARDWARE_ETHERNET = 1;

/** What a valid ARP message says. */
export interface Arp {
  /** See {@link OPERATION}. */
  readonly operation: number;
  readonly senderMac: string;
  /** Dotted quad. */
  readonly senderIp: string;
  /** All zero in a request. */
  readonly targetMac: string;
  readonly targetIp: string;
}

/** Reads the message at `at`; undefined when it is short or not about IPv4 over Ethernet. */
export function parse(v: DataView, at: number, end: number): Arp | undefined {
  if (end - at < LEN) return undefined;
  if (v.getUint16(at + AT.hardwareType) !== HARDWARE_ETHERNET) return undefined;
  if (v.getUint16(at + AT.protocolType) !== TYPE.ipv4) return undefined;
  if (v.getUint8(at + AT.hardwareLen) !== 6 || v.getUint8(at + AT.protocolLen) !== 4) return undefined;
  return {
    operation: v.getUint16(at + AT.operation),
    senderMac: macAt(v, at + AT.senderMac),
    senderIp: format4(v.getUint32(at + AT.senderIp)),
    targetMac: macAt(v, at + AT.targetMac),
    targetIp: format4(v.getUint32(at + AT.targetIp)),
  };
}

/** Writes the message; always {@link LEN} bytes. */
export function emit(arp: Arp, v: DataView, at: number): void {
  v.setUint16(at + AT.hardwareType, HARDWARE_ETHERNET);
  v.setUint16(at + AT.protocolType, TYPE.ipv4);
  v.setUint8(at + AT.hardwareLen, 6);
  v.setUint8(at + AT.protocolLen, 4);
  v.setUint16(at + AT.operation, arp.operation);
  writeMac(v, at + AT.senderMac, arp.senderMac);
  v.setUint32(at + AT.senderIp, quad(arp.senderIp));
  writeMac(v, at + AT.targetMac, arp.targetMac);
  v.setUint32(at + AT.targetIp, quad(arp.targetIp));
}

function quad(text: string): number {
  const n = parse4(text);
  if (n === undefined) throw new RangeError(`"${text}" is not an IPv4 address`);
  return n;
}
