/**
 * A director with a small host around it, spoken to in packet notation: what a test shows it, and what became of that, are
 * lines of text that read like a trace.
 * @module
 */
import { type DestinationSpec, IPIP } from "../core/destination.ts";
import { Director } from "../core/director.ts";
import { Packet, type Verdict } from "../core/packet.ts";
import type { ServiceId, ServiceSpec } from "../core/service.ts";
import { serviceSpec } from "../core/table.ts";
import { buildPacket } from "./packet-build.ts";
import { describePacket, TTL_IN } from "./packet-compare.ts";
import { parseNote } from "./packet-notation.ts";
import { seeded } from "./random.ts";
import { RecordingHost } from "./recording-host.ts";

/** The virtual addresses of every bed. */
export const VIP = "10.9.0.1";
export const VIP6 = "2001:db8:9::1";

/** An address service; IPv6 when the address has a colon. */
export const service = (protocol: "tcp" | "udp" | "sctp", address: string, port: number): ServiceId => ({
  kind: "address",
  family: address.includes(":") ? 6 : 4,
  protocol,
  address,
  port,
});

/** See the module's description. */
export class DirectorBed {
  readonly host = new RecordingHost([VIP, VIP6, "10.1.0.1", "10.2.0.1", "2001:db8:2::1"]);
  readonly director: Director;
  now = 1000;

  /** @param random for the director; repeatable numbers when not given */
  constructor(random: () => number = seeded(1)) {
    this.director = new Director({ host: this.host, random, now: this.now });
  }

  /** Adds a service, round robin unless said otherwise. */
  add(id: ServiceId, change: Partial<ServiceSpec> = {}): this {
    this.director.table.addService(serviceSpec(id, { scheduler: "rr", ...change }));
    return this;
  }

  /** Adds a destination by NAT, weight 1, port 80 unless said otherwise. */
  to(id: ServiceId, address: string, change: Partial<DestinationSpec> = {}): this {
    this.director.table.addDestination(id, destination(address, change));
    return this;
  }

  /** What becomes of a packet at LOCAL_IN: the verdict when it is "accept", with the packet if it was changed, then what was sent. */
  in(note: string, mark = 0): string[] {
    const p = load(note, mark);
    return this.told(this.director.localIn(p, this.now), p);
  }

  /** The same at FORWARD. */
  through(note: string, mark = 0): string[] {
    const p = load(note, mark);
    return this.told(this.director.forward(p, this.now), p);
  }

  /** The same at LOCAL_OUT. */
  out(note: string, mark = 0): string[] {
    const p = load(note, mark);
    return this.told(this.director.localOut(p, this.now), p);
  }

  /** Lets time pass in one step. */
  wait(seconds: number): void {
    this.now += seconds * 1000;
    this.director.advance(this.now);
  }

  /** The state of every connection, in the order of their slots. */
  get states(): string[] {
    const states: string[] = [];
    this.director.connections.forEach((c) => {
      states.push(this.director.tracker.stateName(c));
    });
    return states;
  }

  private told(verdict: Verdict, p: Packet): string[] {
    const sent = this.host.sent.splice(0).map((s) => `${s.via} < ${describePacket(s.bytes)}`);
    if (verdict === "drop") return sent;
    return [p.modified ? `accept ${describePacket(p.copy())}` : "accept", ...sent];
  }
}

/** A destination by NAT, weight 1, port 80 unless said otherwise. */
export const destination = (address: string, change: Partial<DestinationSpec> = {}): DestinationSpec => ({
  family: address.includes(":") ? 6 : 4,
  address,
  port: 80,
  method: "nat",
  weight: 1,
  upper: 0,
  lower: 0,
  tunnel: IPIP,
  ...change,
});

const load = (note: string, mark: number): Packet =>
  new Packet().load(buildPacket(parseNote(note, TTL_IN)), mark);
