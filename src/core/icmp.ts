/**
 * ICMP errors that concern connections: translated and passed on in both directions, and unwrapped when they are about the
 * director's own tunnel packets (`ip_vs_in_icmp`, `ip_vs_out_icmp`, `ip_vs_nat_icmp`).
 * @module
 */
import { writeWords } from "../wire/address.ts";
import { pseudo6 } from "../wire/checksum.ts";
import * as gre from "../wire/gre.ts";
import * as gue from "../wire/gue.ts";
import * as icmp from "../wire/icmp.ts";
import * as icmpv6 from "../wire/icmpv6.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import * as udp from "../wire/udp.ts";
import type { Answers } from "./answers.ts";
import { FLAG } from "./connections.ts";
import type { Context } from "./context.ts";
import { METHOD_NUMBER } from "./destination.ts";
import { Flow, HOOK, type Hook, PROTO } from "./flow.ts";
import type { Forwarder } from "./forward/forwarder.ts";
import type { Path } from "./forward/path.ts";
import { overhead } from "./forward/tunnel.ts";
import type { Packet, Verdict } from "./packet.ts";
import { OUTCOME, type Scheduling } from "./scheduling.ts";
import { shiftAck } from "./sequence.ts";
import { type RealServer, TUNNEL_NUMBER } from "./server.ts";
import { countIn, countOut } from "./stats.ts";
import type { Tracker } from "./tracker.ts";

const HEADER_LEN = 8;
/** How long a path MTU is remembered, ms (`net.ipv4.route.mtu_expires`). */
const PATH_MTU_MS = 600_000;
/** A router that reports less is not believed, bytes (`net.ipv4.route.min_pmtu`). */
const MIN_PATH_MTU = 552;

/** Whether a packet is ICMP of its family. */
export const isIcmp = (flow: Flow): boolean =>
  flow.protocol === (flow.family === 4 ? PROTO.icmp : PROTO.icmpv6);

/** ICMP errors about connections. */
export class IcmpErrors {
  private readonly context: Context;
  private readonly tracker: Tracker;
  private readonly scheduling: Scheduling;
  private readonly forwarder: Forwarder;
  private readonly path: Path;
  private readonly answers: Answers;
  /** The packet that the error quotes, and the same as its connection's requests or replies look. */
  private readonly quoted = new Flow();
  private readonly mirrored = new Flow();
  private readonly words = new Int32Array(4);

  constructor(
    context: Context,
    tracker: Tracker,
    scheduling: Scheduling,
    forwarder: Forwarder,
    path: Path,
    answers: Answers,
  ) {
    this.context = context;
    this.tracker = tracker;
    this.scheduling = scheduling;
    this.forwarder = forwarder;
    this.path = path;
    this.answers = answers;
  }

  /** An error from the server's side about a request. undefined: not about a connection. */
  reply(p: Packet, flow: Flow): Verdict | undefined {
    if (!this.related(p, flow)) return undefined;
    const { connections } = this.context;
    const c = connections.lookupOut(this.mirrored.reverse(this.quoted));
    if (c === 0) return undefined;
    const method = connections.flags(c) & FLAG.methodMask;
    if (method === METHOD_NUMBER.nat || method === METHOD_NUMBER.fullnat) {
      if (!this.checksumOk(p, flow)) return "drop";
      if (method === METHOD_NUMBER.fullnat && !this.forwarder.takeHop(p, flow, true)) return "drop";
      this.translateReply(p, flow, c, method === METHOD_NUMBER.fullnat);
      p.modified = true;
    }
    countOut(this.context, c, flow.end - flow.at);
    if (method !== METHOD_NUMBER.fullnat) return "accept";
    connections.copyClient(c, this.words);
    this.context.host.send(p, flow.family, this.words);
    return "drop";
  }

  /** An error from the client's side about a reply. undefined: not about a connection. */
  request(p: Packet, flow: Flow, hook: Hook): Verdict | undefined {
    if (hook === HOOK.localIn && flow.family === 4) {
      const tunnel = this.aboutTunnel(p, flow);
      if (tunnel) return tunnel;
    }
    if (!this.related(p, flow)) return undefined;
    const { connections, settings } = this.context;
    this.mirrored.reverse(this.quoted);
    let c = connections.lookupIn(this.mirrored);
    if (c === 0) {
      if (!settings.schedule_icmp) return undefined;
      c = this.scheduling.schedule(p.view, p.bytes, this.mirrored, p.mark, hook, true);
      if (c === OUTCOME.accept) return undefined;
      if (c < 0) return "drop";
    }
    const verdict = this.relay(p, flow, c, hook);
    // Scheduled for this error alone.
    if (connections.flags(c) & FLAG.onePacket) this.tracker.end(c);
    return verdict;
  }

  private relay(p: Packet, flow: Flow, c: number, hook: Hook): Verdict {
    const method = this.context.connections.flags(c) & FLAG.methodMask;
    const translated = method === METHOD_NUMBER.nat || method === METHOD_NUMBER.fullnat;
    // What is passed on as it is keeps its checksum, right or wrong: the server judges it.
    if (translated && !this.checksumOk(p, flow)) return "drop";
    countIn(this.context, c, flow.end - flow.at);
    return this.forwarder.relay(p, flow, c, hook, (server) => this.translateRequest(p, flow, c, server));
  }

  /** Reads the quoted packet; false for ICMP that is none of the director's business. */
  private related(p: Packet, flow: Flow): boolean {
    const v = p.view;
    if (flow.end - flow.l4 < HEADER_LEN) return false;
    const type = v.getUint8(flow.l4);
    if (flow.family === 4 ? !isRelated4(type) : !icmpv6.isError(type)) return false;
    if (!this.quoted.read(v, flow.l4 + HEADER_LEN, flow.end, true)) return false;
    const { quoted } = this;
    return (
      quoted.family === flow.family && quoted.hasPorts && quoted.fragmentOffset === 0 && !quoted.truncated
    );
  }

  private checksumOk(p: Packet, flow: Flow): boolean {
    const length = flow.end - flow.l4;
    return flow.family === 4
      ? icmp.checksumOk(p.view, flow.l4, length)
      : icmpv6.checksumOk(p.view, flow.l4, length, pseudo6(p.view, flow.at, PROTO.icmpv6, length));
  }

  /** Server's side to client: the quoted packet becomes what the client sent, the sender becomes the VIP. */
  private translateReply(p: Packet, flow: Flow, c: number, full: boolean): void {
    const { connections } = this.context;
    const { quoted, words } = this;
    const v = p.view;
    connections.copyVirtual(c, words);
    this.setAddress(v, flow, "source", words);
    this.setAddress(v, quoted, "target", words);
    v.setUint16(quoted.l4 + 2, connections.virtualPort(c));
    if (full) {
      connections.copyClient(c, words);
      this.setAddress(v, flow, "target", words);
      this.setAddress(v, quoted, "source", words);
      v.setUint16(quoted.l4, connections.clientPort(c));
      this.shiftQuoted(v, -connections.sequenceDelta(c));
    }
    this.finish(p, flow);
  }

  /** Client's side to server: the quoted packet becomes what the server sent. */
  private translateRequest(p: Packet, flow: Flow, c: number, server: Int32Array): void {
    const { connections } = this.context;
    const { quoted, words } = this;
    const v = p.view;
    this.setAddress(v, flow, "target", server);
    this.setAddress(v, quoted, "source", server);
    v.setUint16(quoted.l4, connections.destinationPort(c));
    const record = connections.rareData(c)?.sequence?.[1];
    if (record && quoted.end - quoted.l4 >= 8)
      this.shiftQuoted(v, -shiftAck(record, v.getUint32(quoted.l4 + 4)));
    if ((connections.flags(c) & FLAG.methodMask) === METHOD_NUMBER.fullnat) {
      connections.copyLocal(c, words);
      this.setAddress(v, flow, "source", words);
      this.setAddress(v, quoted, "target", words);
      v.setUint16(quoted.l4 + 2, connections.localPort(c));
    }
    this.finish(p, flow);
  }

  private shiftQuoted(v: DataView, by: number): void {
    const { quoted } = this;
    if (by === 0 || quoted.protocol !== PROTO.tcp || quoted.end - quoted.l4 < 8) return;
    v.setUint32(quoted.l4 + 4, (v.getUint32(quoted.l4 + 4) + by) >>> 0);
  }

  private setAddress(v: DataView, flow: Flow, end: "source" | "target", words: Int32Array): void {
    const at = flow.family === 4 ? ipv4.AT : ipv6.AT;
    writeWords(flow.family, v, flow.at + (end === "source" ? at.src : at.dst), words);
    if (flow.family === 4) ipv4.setChecksum(v, flow.at);
  }

  private finish(p: Packet, flow: Flow): void {
    const length = flow.end - flow.l4;
    if (flow.family === 4) icmp.setChecksum(p.view, flow.l4, length);
    else icmpv6.setChecksum(p.view, flow.l4, length, pseudo6(p.view, flow.at, PROTO.icmpv6, length));
  }

  // --- errors about tunnel packets --------------------------------------------------------------------------------------

  /** An error about an outer packet of ours: the client hears of the inner one. */
  private aboutTunnel(p: Packet, flow: Flow): Verdict | undefined {
    const v = p.view;
    if (flow.end - flow.l4 < HEADER_LEN || !isRelated4(v.getUint8(flow.l4))) return undefined;
    const { quoted } = this;
    if (!quoted.read(v, flow.l4 + HEADER_LEN, flow.end, true)) return undefined;
    if (quoted.family !== 4 || quoted.fragmentOffset !== 0) return undefined;
    const inner = tunnelPayload(v, quoted);
    if (inner < 0) return undefined;
    const { table, connections, host, now } = this.context;
    const target = quoted.target;
    const kind = quoted.protocol;
    const port = kind === PROTO.udp ? v.getUint16(quoted.l4 + 2) : 0;
    const server = table.serverAt(4, target, (d) => d.method === METHOD_NUMBER.tun && carries(d, kind, port));
    if (!server) return undefined;
    // Routers may quote too little of the inner packet: then nothing can be told.
    if (!this.mirrored.read(v, inner, flow.end, true)) return undefined;
    if (this.mirrored.truncated || this.mirrored.fragmentOffset !== 0) return undefined;
    const c = connections.lookupIn(this.mirrored);
    if (c === 0) return undefined;
    if (!this.checksumOk(p, flow)) return "drop";
    const type = v.getUint8(flow.l4);
    const code = v.getUint8(flow.l4 + 1);
    const reported = icmp.mtu(v, flow.l4);
    countIn(this.context, c, flow.end - flow.at);
    let mtu = 0;
    if (type === icmp.TYPE.unreachable && code === 4) {
      const before = this.path.pathMtu(
        server,
        host.route(4, server.words, 0) ?? { local: false, mtu: reported, source: target },
      );
      server.pathMtu = Math.max(reported, MIN_PATH_MTU);
      server.pathMtuUntil = now + PATH_MTU_MS;
      const small = this.mirrored.family === 4 && !ipv4.dontFragment(v, inner);
      if (small) return "drop";
      // As the kernel: the first relayed error still carries what was known before.
      mtu = before - overhead(server);
    }
    this.answers.relay(p, inner, flow.end, type, code, mtu);
    return "drop";
  }
}

const isRelated4 = (type: number): boolean =>
  type === icmp.TYPE.unreachable || type === 4 || type === icmp.TYPE.timeExceeded;

/** Offset of the inner packet of a quoted tunnel packet, -1 when it is none. */
function tunnelPayload(v: DataView, outer: Flow): number {
  const { l4, end } = outer;
  if (outer.protocol === ipv4.PROTOCOL.ipip || outer.protocol === ipv4.PROTOCOL.ipv6) return l4;
  if (outer.protocol === ipv4.PROTOCOL.gre) return gre.valid(v, l4, end) ? l4 + gre.headerLen(v, l4) : -1;
  const inner = l4 + udp.HEADER_LEN;
  if (outer.protocol !== PROTO.udp || !gue.valid(v, inner, end)) return -1;
  return inner + gue.headerLen(v, inner);
}

/** Whether a tunnel destination sends packets of this outer protocol. */
function carries(server: RealServer, protocol: number, port: number): boolean {
  if (protocol === ipv4.PROTOCOL.gre) return server.tunnel === TUNNEL_NUMBER.gre;
  if (protocol === PROTO.udp) return server.tunnel === TUNNEL_NUMBER.gue && server.spec.tunnel.port === port;
  return server.tunnel === TUNNEL_NUMBER.ipip;
}
