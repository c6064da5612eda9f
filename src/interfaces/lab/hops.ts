/**
 * A captured packet in words: what the trace shows of it at each interface.
 * @module
 */

import * as address from "../../wire/address.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as gre from "../../wire/gre.ts";
import * as gue from "../../wire/gue.ts";
import * as ipip from "../../wire/ipip.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { PROTOCOL as IP } from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as pcap from "../../wire/pcap.ts";
import * as tcp from "../../wire/tcp.ts";
import * as udp from "../../wire/udp.ts";

/** UDP ports that carry GUE (IANA: 6080). */
const GUE_PORT = 6080;

/** A packet at one interface. */
export interface Hop {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly host: string;
  readonly device: string;
  readonly direction: "in" | "out";
  /** MACs of the frame; undefined on devices without them (tunnels). */
  readonly macs: { readonly from: string; readonly to: string } | undefined;
  /** Outer headers first: `ipip 10.0.0.254 → 10.0.0.1`. */
  readonly outer: readonly string[];
  /** The innermost packet: `192.168.1.10:4711 → 192.168.1.100:80`. */
  readonly flow: string;
  readonly ttl: number;
  /** What the packet is, equal at every hop: `SYN`, `SYN+ACK`, `GET / HTTP/1.1`, `UDP 12 bytes`. */
  readonly kind: string;
  /** Whether it is an answer: it comes from the port of a service. */
  readonly reply: boolean;
}

interface Inner {
  readonly outer: string[];
  readonly flow: string;
  readonly ttl: number;
  readonly kind: string;
  readonly reply: boolean;
}

const upper = ipv6.upper();

/** The fields of an IP header that the story needs; undefined for what is no IP packet or is cut off. */
function ipHeader(v: DataView, at: number, end: number) {
  const family = ipip.inside(v, at, end);
  if (family === 4) {
    if (!ipv4.valid(v, at, end)) return undefined;
    return {
      from: address.format4(ipv4.src(v, at)),
      to: address.format4(ipv4.dst(v, at)),
      ttl: ipv4.ttl(v, at),
      protocol: ipv4.protocol(v, at),
      payload: at + ipv4.headerLen(v, at),
      end: at + ipv4.totalLength(v, at),
      family,
    };
  }
  if (family !== 6 || !ipv6.valid(v, at, end) || !ipv6.walk(v, at, end, upper)) return undefined;
  return {
    from: ipv6.textAt(v, at + ipv6.AT.src),
    to: ipv6.textAt(v, at + ipv6.AT.dst),
    ttl: ipv6.hopLimit(v, at),
    protocol: upper.protocol,
    payload: upper.offset,
    end: at + ipv6.HEADER_LEN + ipv6.payloadLength(v, at),
    family,
  };
}

const FLAG_NAMES = [
  ["SYN", tcp.FLAG.syn],
  ["FIN", tcp.FLAG.fin],
  ["RST", tcp.FLAG.rst],
  ["ACK", tcp.FLAG.ack],
] as const;

/** The first line of the payload when it is text, else its length. */
function payloadText(bytes: Uint8Array): string {
  const line = new TextDecoder("latin1").decode(bytes.subarray(0, 60)).split("\r\n")[0]!;
  return /^[\x20-\x7e]{3,60}$/.test(line) && /HTTP\/1/.test(line) ? line : `${bytes.length} bytes`;
}

function tcpKind(v: DataView, at: number, end: number): string {
  const from = at + tcp.headerLen(v, at);
  const flags = tcp.flags(v, at);
  if (end > from) return payloadText(new Uint8Array(v.buffer, v.byteOffset + from, end - from));
  return FLAG_NAMES.filter(([, bit]) => flags & bit)
    .map(([name]) => name)
    .join("+");
}

/** A port that clients choose themselves is high; services of the labs are below. */
const isServicePort = (port: number): boolean => port < 1024 || port === 8080;

/** Walks through tunnels to the packet inside; undefined for what the trace does not show (ARP, ICMPv6 neighbours ...). */
function innermost(v: DataView, at: number, end: number, outer: string[]): Inner | undefined {
  const ip = ipHeader(v, at, end);
  if (ip === undefined) return undefined;
  const bracket = (text: string) => (ip.family === 6 ? `[${text}]` : text);
  const tunnel = (name: string, from: number) =>
    innermost(v, from, ip.end, [...outer, `${name} ${ip.from} → ${ip.to}`]);

  if (ip.protocol === IP.ipip || ip.protocol === IP.ipv6) return tunnel("ipip", ip.payload);
  if (ip.protocol === IP.gre && gre.valid(v, ip.payload, ip.end)) {
    return tunnel("gre", ip.payload + gre.headerLen(v, ip.payload));
  }
  if (ip.protocol === IP.tcp && tcp.valid(v, ip.payload, ip.end)) {
    const [from, to] = [tcp.srcPort(v, ip.payload), tcp.dstPort(v, ip.payload)];
    return {
      outer,
      flow: `${bracket(ip.from)}:${from} → ${bracket(ip.to)}:${to}`,
      ttl: ip.ttl,
      kind: tcpKind(v, ip.payload, ip.end),
      reply: isServicePort(from),
    };
  }
  if (ip.protocol === IP.udp && udp.parse(v, ip.payload, ip.end) !== undefined) {
    const [from, to] = [udp.srcPort(v, ip.payload), udp.dstPort(v, ip.payload)];
    const data = ip.payload + udp.HEADER_LEN;
    if (to === GUE_PORT && gue.valid(v, data, ip.end)) return tunnel("gue", data + gue.headerLen(v, data));
    return {
      outer,
      flow: `${bracket(ip.from)}:${from} → ${bracket(ip.to)}:${to}`,
      ttl: ip.ttl,
      kind: `UDP ${ip.end - data} bytes`,
      reply: isServicePort(from),
    };
  }
  return undefined;
}

/** Where a capture was made. */
export interface Place {
  readonly host: string;
  readonly device: string;
  /** MAC of the device, which tells frames that leave from frames that arrive; undefined on devices without. */
  readonly mac: string | undefined;
}

/** The packets of one capture file (classic pcap) as hops; frames of other stations are left out. */
export function hopsOf(place: Place, file: Uint8Array): Hop[] {
  const header = pcap.parseHeader(file);
  if (header === undefined) return [];
  const hops: Hop[] = [];
  for (const record of pcap.records(file, header)) {
    const v = new DataView(record.data.buffer, record.data.byteOffset, record.data.length);
    const at = pcap.ipAt(header.linktype, v, 0, record.data.length);
    const inner = at < 0 ? undefined : innermost(v, at, record.data.length, []);
    if (inner === undefined) continue;
    const macs =
      header.linktype === pcap.LINKTYPE.ethernet
        ? { from: ethernet.macAt(v, ethernet.AT.src), to: ethernet.macAt(v, ethernet.AT.dst) }
        : undefined;
    if (macs !== undefined && macs.from !== place.mac && macs.to !== place.mac) continue;
    hops.push({
      time: BigInt(record.seconds) * 1_000_000_000n + BigInt(record.nanoseconds),
      host: place.host,
      device: place.device,
      direction: macs !== undefined && macs.from === place.mac ? "out" : "in",
      macs,
      ...inner,
    });
  }
  return hops;
}

/** A packet on its way: its hops in the order of time. */
export interface Journey {
  readonly kind: string;
  readonly reply: boolean;
  readonly hops: readonly Hop[];
}

/**
 * Sorts hops into packets: hops of the same kind and direction belong together until a place is passed a second time.
 * Journeys come in the order of their first hop.
 */
export function journeys(hops: readonly Hop[]): Journey[] {
  const all: { kind: string; reply: boolean; hops: Hop[] }[] = [];
  const open = new Map<string, (typeof all)[0][]>();
  for (const hop of [...hops].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))) {
    const key = `${hop.reply} ${hop.kind}`;
    const same = open.get(key) ?? [];
    open.set(key, same);
    const place = (other: Hop) =>
      other.host === hop.host && other.device === hop.device && other.direction === hop.direction;
    let journey = same.find((candidate) => !candidate.hops.some(place));
    if (journey === undefined) {
      journey = { kind: hop.kind, reply: hop.reply, hops: [] };
      same.push(journey);
      all.push(journey);
    }
    journey.hops.push(hop);
  }
  return all;
}

/** The journeys that tell the story: the first of each kind that is not a bare ACK or a goodbye. */
export function telling(all: readonly Journey[]): Journey[] {
  const seen = new Set<string>();
  return all.filter(({ kind, reply }) => {
    const key = `${reply} ${kind.endsWith(" bytes") && !kind.startsWith("UDP") ? "data" : kind}`;
    if (seen.has(key) || ["ACK", "FIN+ACK", "FIN", "RST", "RST+ACK"].includes(kind)) return false;
    seen.add(key);
    return true;
  });
}

/** The lines that show a journey. Times are microseconds after `start` (nanoseconds). */
export function describe(journey: Journey, start: bigint): string[] {
  const width = (pick: (hop: Hop) => string) => Math.max(...journey.hops.map((hop) => pick(hop).length));
  const place = (hop: Hop) => `${hop.host} ${hop.device}`;
  const placeWidth = width(place);
  const lines = journey.hops.map((hop) => {
    const time = `${Number(hop.time - start) / 1000 < 0 ? 0 : Math.round(Number(hop.time - start) / 1000)} µs`;
    const macs = hop.macs ? `${hop.macs.from} → ${hop.macs.to}` : "no MAC".padEnd(37);
    const outer = hop.outer.map((header) => `[${header}] `).join("");
    return `  ${time.padStart(9)}  ${place(hop).padEnd(placeWidth)} ${hop.direction.padEnd(3)}  ${macs}  ${outer}${hop.flow}  ttl ${hop.ttl}`;
  });
  const heading = journey.reply ? `${journey.kind} (reply)` : journey.kind;
  return [heading, ...lines];
}
