/**
 * Random traffic around a few virtual services: packets that open, continue and end connections, from both sides, in any order.
 * @module
 */
import { Flow, PROTO } from "../../src/core/flow.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import * as sctp from "../../src/wire/sctp.ts";
import type { Way } from "./twins.ts";

/** A packet and where the model is to see it. */
export interface Shown {
  readonly note: string;
  readonly ip: Uint8Array;
  readonly way: Way;
}

/** What packets are made around. */
export interface World {
  readonly family: 4 | 6;
  readonly vip: string;
  readonly clients: readonly string[];
  readonly servers: readonly string[];
  readonly clientPorts: readonly number[];
  readonly servicePorts: readonly number[];
  readonly serverPorts: readonly number[];
  /** Targets beside the VIP: for services by firewall mark, and for nobody. */
  readonly elsewhere?: readonly string[];
}

const FLAGS = ["S", "SA", "A", "PA", "FA", "F", "R", "RA", "-", "A", "PA", "A"];
const CHUNKS = ["INIT", "INIT-ACK", "COOKIE-ECHO", "COOKIE-ACK", "DATA", "SACK", "SHUTDOWN", "SHUTDOWN-ACK"];
const MORE_CHUNKS = ["SHUTDOWN-COMPLETE", "ABORT", "ERROR", "HEARTBEAT"];

/** Makes packets; the same random numbers give the same packets. */
export class Traffic {
  readonly #random: () => number;
  readonly #world: World;

  constructor(world: World, random: () => number) {
    this.#world = world;
    this.#random = random;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)];
  }
  chance(one: number): boolean {
    return this.#random() * one < 1;
  }

  #end(address: string, port: number): string {
    return this.#world.family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
  }

  #body(): string {
    const kind = this.pick(["tcp", "tcp", "udp", "sctp"]);
    const length = this.chance(8) ? 1300 + Math.floor(this.#random() * 200) : Math.floor(this.#random() * 40);
    const fields = [`ttl=${this.chance(12) ? 1 : 64}`, `tos=${Math.floor(this.#random() * 256)}`];
    if (this.#world.family === 4 && this.chance(2)) fields.push("df");
    if (kind === "tcp")
      return `${this.pick(FLAGS)} seq=${Math.floor(this.#random() * 1e6)} len=${length} ${fields.join(" ")}`;
    if (kind === "udp") {
      const bare = this.#world.family === 4 && this.chance(6) ? "csum=0 " : "";
      return `${bare}len=${length} ${fields.join(" ")}`;
    }
    return `${this.pick(this.chance(3) ? MORE_CHUNKS : CHUNKS)} tag=7 ${fields.join(" ")}`;
  }

  /** What few packets carry between the fixed header and the transport's. */
  #extras(): string {
    if (!this.chance(20)) return "";
    if (this.#world.family === 4) return ` ipopt=${this.pick(["01010101", "9404000001010101"])}`;
    return this.pick([" hbh=050200000100", " dstopt=010c000000000000000000000000", " flow=0x12345"]);
  }

  #note(kind: string, from: string, to: string, body: string): string {
    return `${kind} ${from} > ${to} ${body}`;
  }

  #kindOf(body: string): string {
    return body.includes("seq=") ? "tcp" : body.includes("tag=") ? "sctp" : "udp";
  }

  /**
   * A client's port for talking to this port of the VIP. Never one for two: of two connections that meet at one server's port the
   * programs know the newest only, also after it ended.
   */
  #portFor(port: number): number {
    const base = this.pick(this.#world.clientPorts);
    return base < 1024 && port === this.#world.servicePorts[0]
      ? base
      : 30000 + (base % 1000) + 1000 * this.#world.servicePorts.indexOf(port);
  }
  #anyClientPort(): number {
    return this.#portFor(this.pick(this.#world.servicePorts));
  }

  /** A packet from a client to the VIP. */
  request(): Shown {
    const w = this.#world;
    const body = this.#body();
    const port = this.pick(w.servicePorts);
    const from = this.#end(this.pick(w.clients), this.#portFor(port));
    const to = w.elsewhere && this.chance(12) ? this.pick(w.elsewhere) : w.vip;
    return this.#shown(
      this.#note(this.#kindOf(body), from, this.#end(to, port), body + this.#extras()),
      "in",
    );
  }

  /** A packet from a server, or from the VIP as DR servers answer, to a client. */
  reply(): Shown {
    const w = this.#world;
    const body = this.#body()
      .replace("ttl=1 ", "ttl=64 ")
      .replace(/len=1[345]\d\d/, "len=1200");
    const direct = this.chance(4);
    const from = direct
      ? this.#end(w.vip, this.pick(w.servicePorts))
      : this.#end(this.pick(w.servers), this.pick(w.serverPorts));
    const to = this.#end(this.pick(w.clients), this.#anyClientPort());
    return this.#shown(this.#note(this.#kindOf(body), from, to, body), "through");
  }

  /** An ICMP error about a request as a server's side saw it, or about a reply as a client's side saw it. */
  error(): Shown {
    const w = this.#world;
    const about = this.pick(["tcp", "udp", "sctp"]);
    const more = about === "tcp" ? "A seq=5 len=20" : about === "sctp" ? "DATA tag=7" : "len=20";
    const client = this.#end(this.pick(w.clients), this.#anyClientPort());
    const what = this.pick([
      w.family === 4 ? "unreach-host" : "unreach-addr",
      "unreach-port",
      w.family === 4 ? "frag-needed mtu=1400" : "too-big mtu=1400",
    ]);
    if (w.family === 4 && this.chance(3)) {
      const outer = this.pick(["ipip 10.2.0.1 > *", "gre 10.2.0.1 > *", "gue 10.2.0.1:40000 > *:6080"]);
      const inner = `${about} ${client} > ${this.#end(w.vip, this.pick(w.servicePorts))} ${this.chance(2) ? "df" : ""} ${more}`;
      const mtu = this.pick([400, 1000, 1400]);
      const kind = this.pick([`frag-needed mtu=${mtu}`, "unreach-host", "time-exceeded"]);
      const note = `icmp 192.0.2.9 > 10.2.0.1 ${kind} ttl=60 [ ${outer.replace("*", this.pick(w.servers))} df ttl=9 [ ${inner} ] ]`;
      return this.#shown(note, "in");
    }
    if (this.chance(2)) {
      const server = this.pick(w.servers);
      const note = `icmp ${server} > ${this.#client(client)} ${what} ttl=64 [ ${about} ${client} > ${this.#end(server, this.pick(w.serverPorts))} ${more} ]`;
      return this.#shown(note, "through");
    }
    const note = `icmp ${this.pick(w.clients)} > ${w.vip} ${what} ttl=64 [ ${about} ${this.#end(w.vip, this.pick(w.servicePorts))} > ${client} ${more} ]`;
    return this.#shown(note, "in");
  }

  #client(end: string): string {
    return end.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  }

  /** A packet without ports: of IPsec, which follows its ISAKMP connection, a ping, and protocols that nobody balances. */
  portless(): Shown {
    const w = this.#world;
    const [client, server] = [this.pick(w.clients), this.pick(w.servers)];
    const kind = this.pick(["proto=50", "proto=51", "proto=89", "echo", "isakmp"]);
    if (kind === "echo")
      return this.#shown(
        `icmp ${client} > ${w.vip} echo eid=7 eseq=1 len=${this.chance(2) ? 8 : 0} ttl=64`,
        "in",
      );
    if (kind === "isakmp")
      return this.#shown(`udp ${this.#end(client, 500)} > ${this.#end(w.vip, 500)} len=40 ttl=64`, "in");
    if (this.chance(2)) return this.#shown(`ip ${server} > ${client} ${kind} len=40 ttl=64`, "through");
    return this.#shown(`ip ${client} > ${w.vip} ${kind} len=40 ttl=64`, "in");
  }

  /** Any of these, some of them broken. */
  next(): Shown {
    const shown = this.#sound();
    return this.chance(12) ? this.#broken(shown) : shown;
  }

  /**
   * A packet with some bytes that chance put there. Not a fragment, which the model joins first, and with a right IPv4 header checksum,
   * which the stack checks before the model sees a packet.
   */
  #broken({ note, way, ip }: Shown): Shown {
    const bytes = ip.slice();
    const changes: string[] = [];
    for (let n = 0; n <= Math.floor(this.#random() * 3); n++) {
      const at = Math.floor(this.#random() * Math.min(bytes.length, 80));
      bytes[at] = Math.floor(this.#random() * 256);
      // Test runs take whole IP headers only.
      if (bytes[0] >> 4 === 6 && bytes.length < 40) bytes[0] = ip[0];
      changes.push(`${at}=${bytes[at]}`);
    }
    if (this.chance(8)) changes.push(`cut ${bytes.length}`);
    const length = changes.at(-1)!.startsWith("cut")
      ? Math.floor(this.#random() * bytes.length)
      : bytes.length;
    const whole = bytes.subarray(0, Math.max(length, bytes[0] >> 4 === 6 ? 40 : 20));
    this.#settle(whole);
    return { note: `${note} with ${changes.join(" ")}, ${whole.length} bytes`, ip: whole, way };
  }

  #settle(ip: Uint8Array): void {
    const v = new DataView(ip.buffer, 0, ip.length);
    const header = ip[0] >> 4 === 4 ? 4 * (ip[0] & 15) : 40;
    if (ip[0] >> 4 === 4 && header >= 20 && ip.length >= header) {
      ip[6] &= 0xc0;
      ip[7] = 0;
      ipv4.setChecksum(v, 0);
    }
    // No fragment header, neither first nor behind another one.
    if (ip[0] >> 4 === 6 && ip[6] === ipv6.EXTENSION.fragment) ip[6] = ipv6.EXTENSION.none;
    if (ip[0] >> 4 === 6 && ip[40] === ipv6.EXTENSION.fragment) ip[40] = ipv6.EXTENSION.none;
    // As ip_vs, the model makes a new checksum where ports change, right or wrong as the old one was.
    const flow = new Flow();
    if (flow.read(v, 0, ip.length) && flow.protocol === PROTO.sctp && flow.end - flow.l4 >= sctp.HEADER_LEN)
      sctp.setChecksum(v, ip, flow.l4, flow.end);
  }

  #sound(): Shown {
    const n = this.#random();
    return n < 0.54 ? this.request() : n < 0.91 ? this.reply() : n < 0.98 ? this.error() : this.portless();
  }

  #shown(note: string, way: Way): Shown {
    return { note, ip: buildPacket(parseNote(note)), way };
  }
}
