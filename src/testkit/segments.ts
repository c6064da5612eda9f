/**
 * Short ways to make and read IP packets in tests of the director.
 * @module
 */
import { Packet } from "../core/packet.ts";
import { formatAddress, parseAddress } from "../wire/address.ts";
import { pseudo4, pseudo6 } from "../wire/checksum.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import * as tcp from "../wire/tcp.ts";
import * as udp from "../wire/udp.ts";

/** "10.1.0.2:40001" or "[2001:db8::1]:80". */
function end(text: string): { family: 4 | 6; bytes: Uint8Array; port: number } {
  const colon = text.lastIndexOf(":");
  const parsed = parseAddress(text.slice(0, colon).replace(/^\[|\]$/g, ""))!;
  return { ...parsed, port: Number(text.slice(colon + 1)) };
}

/** What varies between packets. */
export interface Extra {
  readonly seq?: number;
  readonly ack?: number;
  readonly payload?: Uint8Array | string;
  readonly ttl?: number;
  readonly dontFragment?: boolean;
  /** TCP options, raw, a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  readonly mark?: number;
}

const FLAGS: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, A: 16 };

function ip(from: string, to: string, protocol: number, l4: Uint8Array, extra: Extra): Uint8Array {
  const a = end(from);
  const b = end(to);
  const header = a.family === 4 ? 20 : 40;
  const bytes = new Uint8Array(header + l4.length);
  const v = new DataView(bytes.buffer);
  bytes.set(l4, header);
  if (a.family === 4) {
    v.setUint32(0, 0x45000000 | bytes.length);
    v.setUint32(4, 0x12340000 | (extra.dontFragment ? ipv4.FRAGMENT.dont : 0));
    v.setUint8(8, extra.ttl ?? 64);
    v.setUint8(9, protocol);
    bytes.set(a.bytes, 12);
    bytes.set(b.bytes, 16);
    ipv4.setChecksum(v, 0);
  } else {
    v.setUint32(0, 0x60000000);
    v.setUint16(4, l4.length);
    v.setUint8(6, protocol);
    v.setUint8(7, extra.ttl ?? 64);
    bytes.set(a.bytes, 8);
    bytes.set(b.bytes, 24);
  }
  return bytes;
}

const body = (extra: Extra): Uint8Array =>
  typeof extra.payload === "string"
    ? new TextEncoder().encode(extra.payload)
    : (extra.payload ?? new Uint8Array());

const pseudo = (v: DataView, header: number, protocol: number, length: number): number =>
  header === 20 ? pseudo4(v, 0, protocol, length) : pseudo6(v, 0, protocol, length);

/** A TCP segment; `flags` as in tcpdump: "S", "SA", "A", "FA", "R". */
export function tcpPacket(from: string, to: string, flags: string, extra: Extra = {}): Packet {
  const payload = body(extra);
  const options = extra.options ?? new Uint8Array();
  const l4 = new Uint8Array(20 + options.length + payload.length);
  const v = new DataView(l4.buffer);
  v.setUint16(0, end(from).port);
  v.setUint16(2, end(to).port);
  v.setUint32(4, extra.seq ?? 1);
  v.setUint32(8, extra.ack ?? 0);
  v.setUint8(12, ((20 + options.length) / 4) << 4);
  v.setUint8(
    13,
    [...flags].reduce((n, f) => n | FLAGS[f], 0),
  );
  v.setUint16(14, 0xffff);
  l4.set(options, 20);
  l4.set(payload, 20 + options.length);
  const bytes = ip(from, to, 6, l4, extra);
  const header = bytes.length - l4.length;
  const view = new DataView(bytes.buffer);
  tcp.setChecksum(view, header, l4.length, pseudo(view, header, 6, l4.length));
  return new Packet().load(bytes, extra.mark ?? 0);
}

/** A UDP datagram. */
export function udpPacket(from: string, to: string, extra: Extra & { checksum?: boolean } = {}): Packet {
  const payload = body(extra);
  const l4 = new Uint8Array(8 + payload.length);
  const v = new DataView(l4.buffer);
  v.setUint16(0, end(from).port);
  v.setUint16(2, end(to).port);
  v.setUint16(4, l4.length);
  l4.set(payload, 8);
  const bytes = ip(from, to, 17, l4, extra);
  const header = bytes.length - l4.length;
  const view = new DataView(bytes.buffer);
  if (extra.checksum !== false) udp.setChecksum(view, header, pseudo(view, header, 17, l4.length));
  return new Packet().load(bytes, extra.mark ?? 0);
}

const textEnd = (family: 4 | 6, bytes: Uint8Array, at: number, port: number): string =>
  family === 6 ? `[${formatAddress(6, bytes, at)}]:${port}` : `${formatAddress(4, bytes, at)}:${port}`;

/**
 * One line about a TCP or UDP packet, with every checksum verified: `tcp 10.1.0.2:40001 > 10.9.0.1:80 S ttl=64`, followed by
 * `BAD` and the name of a checksum that is wrong.
 */
export function describe(bytes: Uint8Array): string {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const family = bytes[0] >> 4 === 6 ? 6 : 4;
  const header = family === 6 ? ipv6.HEADER_LEN : ipv4.headerLen(v, 0);
  const protocol = family === 6 ? ipv6.nextHeader(v, 0) : ipv4.protocol(v, 0);
  const ttl = family === 6 ? ipv6.hopLimit(v, 0) : ipv4.ttl(v, 0);
  const from = textEnd(family, bytes, family === 6 ? 8 : 12, v.getUint16(header));
  const to = textEnd(family, bytes, family === 6 ? 24 : 16, v.getUint16(header + 2));
  const bad = family === 4 && !ipv4.checksumOk(v, 0) ? " BAD ip" : "";
  const length = bytes.length - header;
  const sum = pseudo(v, header === 40 ? 40 : 20, protocol, length);
  if (protocol === 6) {
    const flags = Object.keys(FLAGS)
      .reverse()
      .filter((f) => v.getUint8(header + 13) & FLAGS[f]);
    const order = ["S", "F", "R", "P", "A"].filter((f) => flags.includes(f)).join("");
    const ok = tcp.checksumOk(v, header, length, sum) ? "" : " BAD tcp";
    return `tcp ${from} > ${to} ${order} ttl=${ttl}${bad}${ok}`;
  }
  if (protocol === 17) {
    const ok = udp.checksumOk(v, header, sum) ? "" : " BAD udp";
    return `udp ${from} > ${to} ttl=${ttl}${bad}${ok}`;
  }
  return `ip ${protocol} ${formatAddress(family, bytes, family === 6 ? 8 : 12)} > ${formatAddress(family, bytes, family === 6 ? 24 : 16)} ttl=${ttl}${bad}`;
}
