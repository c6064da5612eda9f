/**
 * What Linux does around ip_vs, in the small: own addresses, a client and a server side, forwarding with TTL and MTU,
 * fragmenting on the way out, and a local stack on which every port is closed.
 * @module
 */
import type { Director } from "../core/director.ts";
import { Flow } from "../core/flow.ts";
import { split6 } from "../core/fragments.ts";
import type { AddressKind, Route, Words } from "../core/host.ts";
import { Packet } from "../core/packet.ts";
import type { Family } from "../core/service.ts";
import { formatAddress, parseAddress, toWords, wordsToText } from "../wire/address.ts";
import { checksum, pseudo4, pseudo6 } from "../wire/checksum.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import { buildPacket } from "./packet-build.ts";
import { TCP_FLAGS } from "./packet-notation.ts";
import type { Output } from "./play.ts";
import { RecordingHost } from "./recording-host.ts";
import { NAMES, type Side } from "./scenario.ts";

type Wire = "client" | "server";

interface Prefix {
  readonly family: Family;
  readonly bytes: Uint8Array;
  readonly length: number;
}

interface MarkRule {
  readonly mark: number;
  readonly protocol: number;
  readonly target: Prefix;
  readonly port: number;
}

const OWN = [
  "10.1.0.1",
  "10.2.0.1",
  "2001:db8:1::1",
  "2001:db8:2::1",
  "127.0.0.1",
  "::1",
  NAMES["VIP"],
  NAMES["VIP6"],
];
const SERVER_NETS = ["10.2.0.0/24", "2001:db8:2::/64"];
const SOURCE = {
  client: { 4: "10.1.0.1", 6: "2001:db8:1::1" },
  server: { 4: "10.2.0.1", 6: "2001:db8:2::1" },
} as const;
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, sctp: 132 };
const HOP_LIMIT = 64;
const LOOPBACK_MTU = 65536;

function prefix(cidr: string): Prefix {
  const [address, length] = cidr.split("/");
  const { family, bytes } = parseAddress(address)!;
  return { family, bytes, length: length === undefined ? bytes.length * 8 : Number(length) };
}

function covers(p: Prefix, family: Family, bytes: Uint8Array): boolean {
  if (p.family !== family) return false;
  for (let bit = 0; bit < p.length; bit += 8) {
    const mask = p.length - bit >= 8 ? 0xff : (0xff00 >> (p.length - bit)) & 0xff;
    if ((p.bytes[bit >> 3] & mask) !== (bytes[bit >> 3] & mask)) return false;
  }
  return true;
}

const familyOf = (bytes: Uint8Array): Family => (bytes[0] >> 4 === 6 ? 6 : 4);
const target = (bytes: Uint8Array): Uint8Array =>
  familyOf(bytes) === 4 ? bytes.subarray(16, 20) : bytes.subarray(24, 40);
const source = (bytes: Uint8Array): Uint8Array =>
  familyOf(bytes) === 4 ? bytes.subarray(12, 16) : bytes.subarray(8, 24);

/** See the module's description. Packets go in by `arrive` and `originate`; what came out is in `out`. */
export class ModelHost extends RecordingHost {
  director!: Director;
  now = 0;
  readonly out: Output[] = [];
  /** Record what the local stack gets. */
  watchLocal = false;
  /** Take packets whose source is an own address (`accept_local`). */
  acceptLocal = false;
  /** Packets of these marks are for the host itself, wherever they go. */
  readonly localMarks = new Set<number>();
  private readonly mtus: Record<Wire, number> = { client: 1500, server: 1500 };
  private readonly locals: Prefix[] = OWN.map(prefix);
  private readonly serverNets = SERVER_NETS.map(prefix);
  private readonly marks: MarkRule[] = [];

  // --- set-up -----------------------------------------------------------------------------------------------------------

  /** An address or network becomes the host's own. */
  addLocal(cidr: string): void {
    this.locals.push(prefix(cidr));
    this.routeEpoch++;
  }

  setMtu(side: Wire, mtu: number): void {
    this.mtus[side] = mtu;
    this.routeEpoch++;
  }

  /** Marks what arrives for an address; `port` 0 is every port. */
  addMark(mark: number, protocol: string, address: string, port: number): void {
    this.marks.push({ mark, protocol: PROTOCOLS[protocol], target: prefix(address), port });
  }

  // --- what the director asks -------------------------------------------------------------------------------------------

  private isLocal(family: Family, bytes: Uint8Array): boolean {
    if (family === 4 && bytes[0] === 127) return true;
    return this.locals.some((p) => covers(p, family, bytes));
  }

  private sideOf(family: Family, bytes: Uint8Array): Side {
    if (this.isLocal(family, bytes)) return "local";
    return this.serverNets.some((p) => covers(p, family, bytes)) ? "server" : "client";
  }

  private sideOfWords(family: Family, words: Words): Side {
    return this.sideOf(family, parseAddress(wordsToText(family, words))!.bytes);
  }

  override route(family: Family, address: Words): Route {
    const side = this.sideOfWords(family, address);
    if (side === "local") return { local: true, mtu: LOOPBACK_MTU, source: address };
    return { local: false, mtu: this.mtus[side], source: toWords(SOURCE[side][family]) };
  }

  override addressKind(family: Family, address: Words): AddressKind {
    if (this.sideOfWords(family, address) === "local") return "local";
    if (/^10\.[12]\.0\.255$/.test(wordsToText(family, address))) return "broadcast";
    return super.addressKind(family, address);
  }

  override send(packet: Packet, family: Family, nextHop: Words): void {
    const side = this.sideOfWords(family, nextHop);
    if (side === "local") this.deliver(packet.copy());
    else this.emit(packet, side);
  }

  // --- packets ----------------------------------------------------------------------------------------------------------

  /** A packet comes in from one side. */
  arrive(side: Wire, bytes: Uint8Array): void {
    const p = new Packet(bytes.length + 70_000).load(bytes, this.markOf(bytes));
    const family = familyOf(bytes);
    if (family === 4 && !ipv4.checksumOk(p.view, p.at)) return;
    if (family === 4 && !this.acceptLocal && this.isLocal(family, source(bytes))) return;
    if (this.isLocal(family, target(bytes)) || this.localMarks.has(p.mark)) {
      if (this.director.localIn(p, this.now) === "accept") this.deliver(p.copy());
    } else this.forward(p, family, side);
  }

  /** A packet of the local stack, or of a process that writes its own headers. */
  originate(bytes: Uint8Array): void {
    const p = new Packet(bytes.length + 70_000).load(bytes);
    if (this.director.localOut(p, this.now) === "drop") return;
    const side = this.sideOf(familyOf(bytes), target(p.copy()));
    if (side !== "local") this.transmit(p, side);
    else if (this.director.localIn(p, this.now) === "accept") this.deliver(p.copy());
  }

  private markOf(bytes: Uint8Array): number {
    const family = familyOf(bytes);
    const flow = new Flow();
    const p = new Packet(bytes.length + 256).load(bytes);
    if (!flow.read(p.view, p.at, p.end)) return 0;
    let mark = 0;
    for (const rule of this.marks) {
      const fits = rule.protocol === flow.protocol && covers(rule.target, family, target(bytes));
      if (fits && (rule.port === 0 || (flow.fragmentOffset === 0 && rule.port === flow.targetPort)))
        mark = rule.mark;
    }
    return mark;
  }

  private forward(p: Packet, family: Family, from: Wire): void {
    const bytes = p.copy();
    const hopAt = p.at + (family === 4 ? ipv4.AT.ttl : ipv6.AT.hopLimit);
    const hops = p.view.getUint8(hopAt);
    if (hops <= 1) {
      this.error(family === 4 ? "11/0" : "3/0", bytes, SOURCE[from][family]);
      return;
    }
    const side = this.sideOf(family, target(bytes)) as Wire;
    p.view.setUint8(hopAt, hops - 1);
    if (family === 4) ipv4.setChecksum(p.view, p.at);
    const mtu = this.mtus[side];
    if (p.length > mtu && (family === 6 || ipv4.dontFragment(p.view, p.at))) {
      this.error(family === 4 ? "3/4" : "2/0", family === 4 ? p.copy() : bytes, SOURCE[from][family], mtu);
      return;
    }
    if (this.director.forward(p, this.now) === "accept")
      this.transmit(p, this.sideOf(family, target(p.copy())) as Wire);
  }

  /** Puts a packet on the wire, in the pieces it came in. */
  private transmit(p: Packet, side: Wire): void {
    if (p.view.getUint8(p.at) >> 4 === 6 && p.fragmentSize !== 0) {
      const flow = new Flow();
      flow.read(p.view, p.at, p.end);
      split6(p, flow, (part) => this.emit(part, side));
    } else this.emit(p, side);
  }

  private emit(p: Packet, side: Wire): void {
    const mtu = this.mtus[side];
    if (p.length > mtu && p.view.getUint8(p.at) >> 4 === 4) this.split4(p.copy(), mtu, side);
    else this.out.push({ side, bytes: p.copy() });
  }

  private split4(whole: Uint8Array, mtu: number, side: Wire): void {
    const header = (whole[0] & 0xf) << 2;
    const room = (mtu - header) & ~7;
    const base = ((whole[6] & 0x1f) << 8) | whole[7];
    for (let from = header; from < whole.length; from += room) {
      const to = Math.min(from + room, whole.length);
      const part = new Uint8Array(header + to - from);
      part.set(whole.subarray(0, header));
      part.set(whole.subarray(from, to), header);
      const v = new DataView(part.buffer);
      const more = to < whole.length || (whole[6] & 0x20) !== 0;
      v.setUint16(2, part.length);
      v.setUint16(6, ((whole[6] & 0x40) << 8) | (more ? 0x2000 : 0) | (base + ((from - header) >> 3)));
      ipv4.setChecksum(v, 0);
      this.out.push({ side, bytes: part });
    }
  }

  // --- the local stack --------------------------------------------------------------------------------------------------

  private deliver(bytes: Uint8Array): void {
    if (this.watchLocal) this.out.push({ side: "local", bytes });
    const family = familyOf(bytes);
    const p = new Packet(bytes.length + 256).load(bytes);
    const flow = new Flow();
    if (!flow.read(p.view, p.at, p.end) || flow.fragment) return;
    const l4 = bytes.subarray(flow.l4 - p.at, flow.end - p.at);
    const v = new DataView(l4.buffer, l4.byteOffset, l4.byteLength);
    const pseudo =
      family === 4
        ? pseudo4(p.view, p.at, flow.protocol, l4.length)
        : pseudo6(p.view, p.at, flow.protocol, l4.length);
    if (flow.protocol === 6) {
      if (l4.length >= 20 && checksum(v, 0, l4.length, pseudo) === 0) this.reset(bytes, v);
    } else if (flow.protocol === 17) {
      const sound = v.getUint16(6) === 0 || checksum(v, 0, l4.length, pseudo) === 0;
      if (sound) this.error(family === 4 ? "3/3" : "1/4", bytes);
    } else if (flow.protocol === (family === 4 ? 1 : 58)) {
      if (l4[0] === (family === 4 ? 8 : 128)) this.echo(bytes, v);
    } else if (family === 4) this.error("3/2", bytes);
  }

  /** An answer of the local stack to `bytes`, on its way out. */
  private answer(
    bytes: Uint8Array,
    kind: "tcp" | "icmp",
    words: string[],
    fields: Record<string, string>,
    from?: string,
  ): void {
    const family = familyOf(bytes);
    const ports = kind === "tcp";
    const l4 = family === 4 ? (bytes[0] & 0xf) << 2 : ipv6.HEADER_LEN;
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.originate(
      buildPacket({
        kind,
        src: from ?? formatAddress(family, target(bytes)),
        dst: formatAddress(family, source(bytes)),
        ...(ports && { srcPort: String(v.getUint16(l4 + 2)), dstPort: String(v.getUint16(l4)) }),
        words,
        fields: new Map(Object.entries({ ttl: String(HOP_LIMIT), ...fields })),
      }),
    );
  }

  /** RST for a segment to a closed port (RFC 9293 §3.10.7.1). */
  private reset(bytes: Uint8Array, v: DataView): void {
    const flags = v.getUint8(13);
    const has = (letter: string): number => (flags >> TCP_FLAGS.indexOf(letter)) & 1;
    if (has("R")) return;
    const df: Record<string, string> = familyOf(bytes) === 4 ? { df: "" } : {};
    if (has("A")) this.answer(bytes, "tcp", ["R"], { ...df, seq: String(v.getUint32(8)) });
    else {
      const length = v.byteLength - ((v.getUint8(12) >> 4) << 2) + has("S") + has("F");
      this.answer(bytes, "tcp", ["RA"], { ...df, ack: String((v.getUint32(4) + length) >>> 0) });
    }
  }

  private echo(bytes: Uint8Array, v: DataView): void {
    const payload = Buffer.from(v.buffer, v.byteOffset + 8, v.byteLength - 8).toString("hex");
    this.answer(bytes, "icmp", ["reply"], {
      eid: String(v.getUint16(4)),
      eseq: String(v.getUint16(6)),
      hex: payload,
    });
  }

  private error(message: string, about: Uint8Array, from?: string, rest = 0): void {
    const four = familyOf(about) === 4;
    const quoted = Buffer.from(about.subarray(0, four ? 548 : 1232)).toString("hex");
    const tos: Record<string, string> = four ? { tos: String((about[1] & 0x1e) | 0xc0) } : {};
    this.answer(about, "icmp", [message], { ...tos, rest: String(rest), hex: quoted }, from);
  }
}
