/**
 * The FTP helper of NAT services on port 21: it reads the control connection, opens the way for data connections, and puts
 * the VIP into what the server says (`net/netfilter/ipvs/ip_vs_ftp.c`).
 *
 * Active: the client's PORT or EPRT names where the server will connect to; a connection is prepared from VIP port 20.
 * Passive: the server's 227 or 229 names where the client will connect to; a connection is prepared whose client port the
 * first packet fills in, and the text is rewritten.
 * @module
 */
import { readWords } from "../wire/address.ts";
import * as tcp from "../wire/tcp.ts";
import { FLAG } from "./connections.ts";
import type { Context } from "./context.ts";
import { METHOD_NUMBER } from "./destination.ts";
import { type Flow, PROTO } from "./flow.ts";
import { resize, setTcpChecksum } from "./forward/rewrite.ts";
import { format227, isEpsv, isPasv, parse227, parse229, parseEprt, parsePort } from "./ftp-text.ts";
import type { Words } from "./host.ts";
import type { Packet } from "./packet.ts";
import { after, note, shiftAt, shiftSeq, unshiftAcks } from "./sequence.ts";
import { TCP_STATE, TCP_TIMEOUT_MS } from "./states/tcp.ts";
import type { Tracker } from "./tracker.ts";

/** Longest IPv4 packet, bytes. */
const LONGEST = 65535;
/** Control ports. */
const FTP_PORT = 21;

/** Watches FTP control connections. */
export class FtpHelper {
  /** Told when a connection's stream was shifted further. */
  onShift: (connection: number) => void = () => {};
  private readonly context: Context;
  private readonly tracker: Tracker;
  private readonly client = new Int32Array(4);
  private readonly virtual = new Int32Array(4);
  private readonly server = new Int32Array(4);

  constructor(context: Context, tracker: Tracker) {
    this.context = context;
    this.tracker = tracker;
  }

  /** A new connection: watched when it is an FTP control connection by NAT. */
  watch(c: number): void {
    const { connections } = this.context;
    if (connections.virtualPort(c) !== FTP_PORT || connections.protocol(c) !== PROTO.tcp) return;
    const flags = connections.flags(c);
    if (flags & FLAG.template || (flags & FLAG.methodMask) !== METHOD_NUMBER.nat) return;
    connections.rareData(c, true)!.ftp = { passive: false };
  }

  /** A request on its way to the server, before its addresses are rewritten. False: drop it. */
  request(p: Packet, flow: Flow, c: number): boolean {
    const rare = this.context.connections.rareData(c);
    if (!rare || flow.protocol !== PROTO.tcp) return true;
    const v = p.view;
    if (!tcp.valid(v, flow.l4, flow.end)) return true;
    // The client acknowledges what it was shown; the server wants to hear of what it sent.
    const record = rare.sequence?.[1];
    if (record) unshiftAcks(v, flow.l4, flow.end, record);
    if (rare.ftp && this.context.connections.state(c) === TCP_STATE.ESTABLISHED) {
      this.readRequest(p, flow, c, rare.ftp);
    }
    return true;
  }

  private readRequest(p: Packet, flow: Flow, c: number, ftp: { passive: boolean }): void {
    const from = flow.l4 + tcp.headerLen(p.view, flow.l4);
    if (from >= flow.end) return;
    if (
      (flow.family === 4 && isPasv(p.bytes, from, flow.end)) ||
      isEpsv(p.bytes, from, flow.end, flow.family)
    ) {
      ftp.passive = true;
      return;
    }
    const target =
      (flow.family === 4 ? parsePort(p.bytes, from, flow.end) : undefined) ??
      parseEprt(p.bytes, from, flow.end, flow.family);
    if (!target) return;
    ftp.passive = false;
    const { connections } = this.context;
    readWords(flow.family, new DataView(target.address.buffer, target.address.byteOffset), 0, this.client);
    connections.copyVirtual(c, this.virtual);
    connections.copyDestination(c, this.server);
    this.prepare(
      c,
      this.client,
      target.port,
      connections.virtualPort(c) - 1,
      this.server,
      connections.destinationPort(c) - 1,
      0,
    );
  }

  /** A reply of the server, before its addresses are rewritten. False: drop it. */
  reply(p: Packet, flow: Flow, c: number): boolean {
    const rare = this.context.connections.rareData(c);
    if (!rare || flow.protocol !== PROTO.tcp) return true;
    const v = p.view;
    if (!tcp.valid(v, flow.l4, flow.end)) return true;
    const seq = tcp.seq(v, flow.l4);
    if (rare.ftp?.passive && this.context.connections.state(c) === TCP_STATE.ESTABLISHED) {
      const delta = this.readReply(p, flow, c);
      if (delta === undefined) return false;
      if (delta !== 0) {
        rare.sequence ??= [undefined, undefined];
        const old = rare.sequence[1];
        // The segment itself is shifted by what was before it.
        if (old) shiftSeq(v, flow.l4, after(seq, old.initial) ? old.delta : old.previousDelta);
        rare.sequence[1] = note(old, seq, delta);
        if (rare.sequence[1] !== old) this.onShift(c);
        return true;
      }
    }
    const record = rare.sequence?.[1];
    if (record) shiftSeq(v, flow.l4, shiftAt(record, seq));
    return true;
  }

  /** Opens the way for a passive data connection; returns by how many bytes the text grew, undefined when it cannot. */
  private readReply(p: Packet, flow: Flow, c: number): number | undefined {
    const v = p.view;
    const from = flow.l4 + tcp.headerLen(v, flow.l4);
    const { connections } = this.context;
    connections.copyClient(c, this.client);
    connections.copyVirtual(c, this.virtual);
    if (flow.family === 4) {
      const answer = parse227(p.bytes, from, flow.end);
      if (answer) {
        readWords(4, new DataView(answer.address.buffer, answer.address.byteOffset), 0, this.server);
        this.prepare(c, this.client, 0, answer.port, this.server, answer.port, FLAG.noClientPort);
        return this.replace(p, flow, answer.start, answer.end, format227(this.virtual[0] >>> 0, answer.port));
      }
    }
    const extended = parse229(p.bytes, from, flow.end);
    if (extended) {
      connections.copyDestination(c, this.server);
      this.prepare(c, this.client, 0, extended.port, this.server, extended.port, FLAG.noClientPort);
    }
    return 0;
  }

  private replace(p: Packet, flow: Flow, start: number, end: number, text: Uint8Array): number | undefined {
    const delta = text.length - (end - start);
    if (flow.end - flow.at + delta > LONGEST || flow.end + delta > p.bytes.length) return undefined;
    p.bytes.copyWithin(start + text.length, end, flow.end);
    p.bytes.set(text, start);
    resize(p, flow, flow.end + delta);
    setTcpChecksum(p.view, flow);
    return delta;
  }

  /** Makes the data connection in LISTEN under the control connection, unless it exists. */
  private prepare(
    control: number,
    client: Words,
    clientPort: number,
    virtualPort: number,
    server: Words,
    serverPort: number,
    flags: number,
  ): void {
    const { connections, table, now } = this.context;
    const family = connections.family(control);
    const key = {
      family,
      protocol: PROTO.tcp,
      source: client,
      target: this.virtual,
      sourcePort: clientPort,
      targetPort: virtualPort,
    };
    let c = flags & FLAG.noClientPort ? connections.lookupWaiting(key) : connections.lookupIn(key);
    if (c === 0) {
      c = connections.make({
        family,
        protocol: PROTO.tcp,
        client,
        clientPort,
        virtual: this.virtual,
        virtualPort,
        destinationFamily: family,
        destination: server,
        destinationPort: serverPort,
        flags,
        fwmark: connections.fwmark(control),
      });
      const owner = table.server(connections.server(control));
      // A server that is full-NAT's by now: it has heard of the client, and nothing of a local end.
      const method = owner?.method === METHOD_NUMBER.fullnat ? METHOD_NUMBER.nat : owner?.method;
      if (owner) this.tracker.bind(c, owner, method);
      connections.adopt(control, c);
      connections.hash(c, now);
    }
    connections.setState(c, TCP_STATE.LISTEN);
    connections.setTimeoutMs(c, TCP_TIMEOUT_MS[TCP_STATE.LISTEN]);
    connections.restart(c, now);
  }
}
