/**
 * Full-NAT: requests leave from a local address (LIP), so that real servers need no route back through the director. The
 * client's address travels in a TCP option (TOA, kind 254). Behaviour after DPVS.
 * @module
 */
import { writeWords } from "../../wire/address.ts";
import * as tcp from "../../wire/tcp.ts";
import { findOption, OPTION, TOA_LEN } from "../../wire/tcp-options.ts";
import type { FlowKey } from "../connections.ts";
import type { Context } from "../context.ts";
import { type Flow, PROTO } from "../flow.ts";
import type { Words } from "../host.ts";
import type { Packet } from "../packet.ts";
import { shiftSeq, unshiftAcks } from "../sequence.ts";
import type { RealServer } from "../server.ts";
import type { Family } from "../service.ts";
import type { VirtualService } from "../virtual.ts";
import { END, resize, rewrite, setTcpChecksum } from "./rewrite.ts";

/**
 * Ports for local addresses: what lies outside the range from which Linux takes ports for sockets (32768..60999), so that a
 * LIP that is also the director's own address never meets one of its sockets.
 */
const LOW = { from: 1025, count: 32768 - 1025 };
const HIGH = { from: 61000, count: 65536 - 61000 };
const PORTS = LOW.count + HIGH.count;
/** How many ports of a LIP, and how many LIPs, are tried. */
const TRIES = 256;
const MAX_ADDRESSES = 16;
const MAX_TCP_HEADER = 60;

/** Translation of both ends. */
export class FullNat {
  private readonly context: Context;
  private readonly words = new Int32Array(4);
  /** The shift of a stream that has the same all along. */
  private readonly shift = { initial: 0, delta: 0, previousDelta: 0 };
  private readonly key = {
    family: 4 as Family,
    protocol: 0,
    source: new Int32Array(4) as Words,
    target: new Int32Array(4) as Words,
    sourcePort: 0,
    targetPort: 0,
  } satisfies FlowKey;

  constructor(context: Context) {
    this.context = context;
  }

  /** Chooses local address and port for a new connection; false when all that were tried are taken. */
  assign(c: number, service: VirtualService, server: RealServer): boolean {
    const { connections, host, random } = this.context;
    const route =
      service.localAddresses.length === 0 ? host.route(server.family, server.words, 0) : undefined;
    const addresses = route ? [route.source] : service.localAddresses;
    const { key } = this;
    key.family = server.family;
    key.protocol = connections.protocol(c);
    connections.copyDestination(c, key.source);
    key.sourcePort = connections.destinationPort(c);
    for (let i = 0; i < Math.min(addresses.length, MAX_ADDRESSES); i++) {
      const local = addresses[service.localTurn++ % addresses.length];
      key.target.set(local);
      // Strides of chance do not run along the clusters that earlier ones left.
      let at = Math.floor(random() * PORTS);
      const stride = 1 + Math.floor(random() * (PORTS - 1));
      for (let n = 0; n < TRIES; n++) {
        at = (at + stride) % PORTS;
        key.targetPort = at < LOW.count ? LOW.from + at : HIGH.from + at - LOW.count;
        if (connections.localTaken(key)) continue;
        connections.hashLocal(c, local, key.targetPort);
        return true;
      }
    }
    return false;
  }

  /** A request: client to virtual becomes local to real. `mtu` limits what the address option may add. */
  request(p: Packet, flow: Flow, c: number, mtu: number): void {
    const { connections, settings } = this.context;
    if (flow.protocol === PROTO.tcp && tcp.valid(p.view, flow.l4, flow.end)) {
      const flags = tcp.flags(p.view, flow.l4);
      if (flags & tcp.FLAG.syn && !(flags & tcp.FLAG.ack)) this.open(p, flow, c);
      shiftSeq(p.view, flow.l4, connections.sequenceDelta(c));
      if (settings.fullnat_toa && this.wantsAddress(p.view, flow, c, flags)) this.addAddress(p, flow, mtu);
    }
    connections.copyLocal(c, this.words);
    rewrite(p, flow, END.source, this.words, connections.localPort(c));
    connections.copyDestination(c, this.words);
    rewrite(p, flow, END.target, this.words, connections.destinationPort(c));
  }

  /** A reply: real to local becomes virtual to client. */
  reply(p: Packet, flow: Flow, c: number): void {
    const { connections, settings } = this.context;
    const v = p.view;
    if (flow.protocol === PROTO.tcp && tcp.valid(v, flow.l4, flow.end)) {
      const flags = tcp.flags(v, flow.l4);
      this.shift.delta = this.shift.previousDelta = connections.sequenceDelta(c);
      unshiftAcks(v, flow.l4, flow.end, this.shift);
      if (flags & tcp.FLAG.syn && flags & tcp.FLAG.ack) {
        connections.setServerIsn(c, (tcp.seq(v, flow.l4) + 1) >>> 0);
        if (settings.fullnat_toa) this.lowerMss(p, flow);
      }
    }
    connections.copyVirtual(c, this.words);
    rewrite(p, flow, END.source, this.words, connections.virtualPort(c));
    connections.copyClient(c, this.words);
    rewrite(p, flow, END.target, this.words, connections.clientPort(c));
  }

  /** A SYN: time stamps of many clients behind one address would confuse the server, and so would their sequence numbers. */
  private open(p: Packet, flow: Flow, c: number): void {
    const v = p.view;
    const end = Math.min(flow.l4 + tcp.headerLen(v, flow.l4), flow.end);
    const stamp = findOption(v, flow.l4 + tcp.HEADER_LEN, end, OPTION.timestamps);
    if (stamp >= 0) {
      p.bytes.fill(OPTION.nop, stamp, stamp + v.getUint8(stamp + 1));
      setTcpChecksum(v, flow);
    }
    const { connections, random } = this.context;
    // A retransmitted SYN keeps its number.
    if (connections.sequenceDelta(c) !== 0) return;
    const fresh = Math.floor(random() * 0x100000000) >>> 0;
    connections.setSequenceDelta(c, (fresh - tcp.seq(v, flow.l4)) | 0);
  }

  /** The handshake's ACK, and what the client sends before it acknowledged data. */
  private wantsAddress(v: DataView, flow: Flow, c: number, flags: number): boolean {
    if (flags & (tcp.FLAG.syn | tcp.FLAG.rst) || !(flags & tcp.FLAG.ack)) return false;
    return this.context.connections.serverIsn(c) === tcp.ack(v, flow.l4);
  }

  private addAddress(p: Packet, flow: Flow, mtu: number): void {
    const v = p.view;
    const size = TOA_LEN[flow.family];
    const header = tcp.headerLen(v, flow.l4);
    if (header + size > MAX_TCP_HEADER || flow.end - flow.at + size > mtu) return;
    // Headers move forward into the headroom; the payload stays where it is.
    p.bytes.copyWithin(flow.at - size, flow.at, flow.l4 + tcp.HEADER_LEN);
    flow.at -= size;
    flow.l4 -= size;
    p.at = flow.at;
    const option = flow.l4 + tcp.HEADER_LEN;
    v.setUint8(option, OPTION.toa);
    v.setUint8(option + 1, size);
    v.setUint16(option + 2, flow.sourcePort);
    writeWords(flow.family, v, option + 4, flow.source);
    const offset = flow.l4 + tcp.AT.offset;
    // Beside the length: flags (Accurate ECN).
    v.setUint8(offset, (((header + size) >>> 2) << 4) | (v.getUint8(offset) & 15));
    resize(p, flow, flow.end);
    setTcpChecksum(v, flow);
  }

  private lowerMss(p: Packet, flow: Flow): void {
    const v = p.view;
    const end = Math.min(flow.l4 + tcp.headerLen(v, flow.l4), flow.end);
    const at = findOption(v, flow.l4 + tcp.HEADER_LEN, end, OPTION.mss);
    if (at < 0 || v.getUint8(at + 1) !== 4) return;
    v.setUint16(at + 2, Math.max(v.getUint16(at + 2) - TOA_LEN[flow.family], 0));
    setTcpChecksum(v, flow);
  }
}
