/**
 * From a packet without a connection to a new connection: who may be scheduled, which service, which destination, with or
 * without persistence (`ip_vs_core.c`: `ip_vs_schedule`, `ip_vs_sched_persist`, `ip_vs_leave`).
 * @module
 */
import { fold, maskWords, wordsToText } from "../wire/address.ts";
import * as tcp from "../wire/tcp.ts";
import { FLAG, type NewConnection } from "./connections.ts";
import type { Context } from "./context.ts";
import { PacketDropper } from "./defence.ts";
import { METHOD_NUMBER } from "./destination.ts";
import { type Flow, HOOK, type Hook, PROTO } from "./flow.ts";
import type { FullNat } from "./forward/fullnat.ts";
import type { FtpHelper } from "./ftp.ts";
import type { Words } from "./host.ts";
import type { Request } from "./schedulers/scheduler.ts";
import type { RealServer } from "./server.ts";
import type { Family } from "./service.ts";
import { callId } from "./sip.ts";
import { SCTP_CHUNK, sctpFirstChunk } from "./states/sctp.ts";
import type { Tracker } from "./tracker.ts";
import type { VirtualService } from "./virtual.ts";

/** What scheduling came to when it made no connection. Connections are positive. */
export const OUTCOME = {
  /** Not ours: on to the local stack. */
  accept: 0,
  /** Silently dropped. */
  drop: -1,
  /** No destination: the client is told (port unreachable). */
  refuse: -2,
} as const;

const FTP_PORT = 21;
const FTP_DATA_PORT = 20;

/** Makes connections. */
export class Scheduling {
  readonly dropper = new PacketDropper();
  private readonly context: Context;
  private readonly tracker: Tracker;
  private readonly fullNat: FullNat;
  private readonly ftp: FtpHelper;
  private readonly masked = new Int32Array(4);
  private readonly marked = new Int32Array(4);
  private readonly none = new Int32Array(4);
  private readonly asking = {
    clientFold: 0,
    clientPort: 0,
    targetFold: 0,
    targetKey: 0 as number | string,
    now: 0,
  } satisfies Request;
  private readonly templateKey = {
    family: 4 as Family,
    protocol: 0,
    source: this.masked as Words,
    target: this.none as Words,
    sourcePort: 0,
    targetPort: 0,
  };
  private readonly reverseKey = {
    family: 4 as Family,
    protocol: 0,
    source: this.none as Words,
    target: this.none as Words,
    sourcePort: 0,
    targetPort: 0,
  };

  constructor(context: Context, tracker: Tracker, fullNat: FullNat, ftp: FtpHelper) {
    this.context = context;
    this.tracker = tracker;
    this.fullNat = fullNat;
    this.ftp = ftp;
  }

  /**
   * Schedules a packet that belongs to no connection.
   * @param embedded the flow is quoted by an ICMP error
   * @returns a connection, or one of {@link OUTCOME}
   */
  schedule(v: DataView, bytes: Uint8Array, flow: Flow, mark: number, hook: Hook, embedded: boolean): number {
    if (flow.fragmentOffset !== 0) return OUTCOME.accept;
    if (flow.truncated) return OUTCOME.drop;
    if (!embedded && flow.protocol === PROTO.sctp && sctpFirstChunk(v, flow.l4, flow.end) < 0)
      return OUTCOME.drop;
    // An embedded packet says nothing about how a connection began.
    if (!embedded && !this.opens(v, flow)) return OUTCOME.accept;
    const { table } = this.context;
    const service = table.lookup(flow.family, flow.protocol, flow.target, flow.targetPort, mark);
    if (!service) return OUTCOME.accept;
    if (this.dropper.shouldDrop()) return OUTCOME.drop;
    if (flow.sourcePort === FTP_DATA_PORT) return OUTCOME.accept;
    if (hook === HOOK.localOut && this.isReply(flow)) return OUTCOME.accept;
    if (service.spec.persistent) return this.persistent(bytes, flow, service, mark, embedded);
    if (service.fwmark === 0 && flow.targetPort !== service.port)
      return this.leave(flow, service, mark, embedded);
    const server = this.pick(service, flow);
    if (!server) return this.leave(flow, service, mark, embedded);
    const flags = service.spec.onePacket && flow.protocol === PROTO.udp ? FLAG.onePacket : 0;
    return this.connect(flow, service, server, server.port || flow.targetPort, flags, mark, 0);
  }

  /** Whether this packet may open a connection. */
  private opens(v: DataView, flow: Flow): boolean {
    const { settings } = this.context;
    if (flow.protocol === PROTO.tcp) {
      const flags = tcp.flags(v, flow.l4);
      if (flags & tcp.FLAG.rst) return false;
      return (flags & tcp.FLAG.syn) !== 0 || settings.sloppy_tcp !== 0;
    }
    if (flow.protocol === PROTO.sctp) {
      const type = sctpFirstChunk(v, flow.l4, flow.end);
      if (type === SCTP_CHUNK.init) return true;
      return settings.sloppy_sctp !== 0 && type !== SCTP_CHUNK.abort;
    }
    return flow.protocol === PROTO.udp;
  }

  /** A reply of a server on this host itself, on its way out. */
  private isReply(flow: Flow): boolean {
    const key = this.reverseKey;
    key.family = flow.family;
    key.protocol = flow.protocol;
    key.source = flow.target;
    key.target = flow.source;
    key.sourcePort = flow.targetPort;
    key.targetPort = flow.sourcePort;
    return this.context.connections.lookupIn(key) !== 0;
  }

  /** Asks the scheduler. */
  private pick(service: VirtualService, flow: Flow): RealServer | undefined {
    if (!service.scheduler) return undefined;
    const r = this.asking;
    r.clientFold = fold(flow.family, flow.source);
    r.clientPort = flow.sourcePort;
    r.targetFold = fold(flow.family, flow.target);
    r.targetKey = flow.family === 4 ? r.targetFold : wordsToText(6, flow.target);
    r.now = this.context.now;
    return service.scheduler.pick(r);
  }

  /** What happens to a packet for which there is no destination. */
  private leave(flow: Flow, service: VirtualService, mark: number, embedded: boolean): number {
    const { settings, host } = this.context;
    if (settings.cache_bypass && service.fwmark !== 0 && !embedded) {
      if (host.addressKind(flow.family, flow.target) === "unicast") return this.bypass(flow, service, mark);
    }
    if (service.port === FTP_PORT && flow.targetPort !== FTP_PORT) return OUTCOME.accept;
    return embedded ? OUTCOME.drop : OUTCOME.refuse;
  }

  private bypass(flow: Flow, service: VirtualService, mark: number): number {
    const { connections, now } = this.context;
    const onePacket = service.spec.onePacket && flow.protocol === PROTO.udp ? FLAG.onePacket : 0;
    const c = this.make(flow, flow.family, this.none, 0, METHOD_NUMBER.bypass | onePacket, mark);
    if (!onePacket) connections.hash(c, now);
    return c;
  }

  private make(
    flow: Flow,
    destinationFamily: Family,
    destination: Words,
    destinationPort: number,
    flags: number,
    mark: number,
  ): number {
    const n: NewConnection = {
      family: flow.family,
      protocol: flow.protocol,
      client: flow.source,
      clientPort: flow.sourcePort,
      virtual: flow.target,
      virtualPort: flow.targetPort,
      destinationFamily,
      destination,
      destinationPort,
      flags,
      fwmark: mark,
    };
    return this.context.connections.make(n);
  }

  /** A new connection to a chosen destination, counted. */
  private connect(
    flow: Flow,
    service: VirtualService,
    server: RealServer,
    port: number,
    flags: number,
    mark: number,
    parent: number,
  ): number {
    const { connections, table, now } = this.context;
    const c = this.make(flow, server.family, server.words, port, flags, mark);
    this.tracker.bind(c, server);
    if (server.method === METHOD_NUMBER.fullnat && !this.fullNat.assign(c, service, server)) {
      this.tracker.end(c);
      return OUTCOME.drop;
    }
    if (parent !== 0) connections.adopt(parent, c);
    if (!(connections.flags(c) & FLAG.onePacket)) connections.hash(c, now);
    this.ftp.watch(c);
    server.meter.conns++;
    service.meter.conns++;
    table.total.conns++;
    return c;
  }

  // --- persistence ----------------------------------------------------------------------------------------------------

  private persistent(
    bytes: Uint8Array,
    flow: Flow,
    service: VirtualService,
    mark: number,
    embedded: boolean,
  ): number {
    const { connections, now } = this.context;
    const data = this.engineData(bytes, flow, service, embedded);
    if (data === null) return OUTCOME.drop;
    this.keyTemplate(flow, service);
    let template = connections.lookupTemplate(this.templateKey, data);
    let server = template === 0 ? undefined : this.templateServer(template);
    if (!server) {
      if (template !== 0) connections.invalidateTemplate(template);
      server = this.pick(service, flow);
      if (!server) return this.leave(flow, service, mark, embedded);
      template = this.makeTemplate(flow, service, server, mark, data);
    }
    const atServicePort = flow.targetPort === service.port && server.port !== 0;
    const flags = service.spec.onePacket && flow.protocol === PROTO.udp ? FLAG.onePacket : 0;
    const port = atServicePort ? server.port : flow.targetPort;
    const c = this.connect(flow, service, server, port, flags, mark, template);
    // Only new connections keep a template alive.
    connections.restart(template, now);
    return c;
  }

  /** Engine data of the packet: undefined without an engine, null when the packet has none and must be dropped. */
  private engineData(
    bytes: Uint8Array,
    flow: Flow,
    service: VirtualService,
    embedded: boolean,
  ): string | undefined | null {
    if (service.spec.engine !== "sip") return undefined;
    if (flow.protocol !== PROTO.udp || embedded) return null;
    const id = callId(bytes, flow.l4 + 8, flow.end);
    if (!id) return null;
    let text = "";
    for (let i = id.start; i < id.end; i++) text += String.fromCharCode(bytes[i]);
    return text;
  }

  /** The key of the template that covers this packet: per port, per mark, or per client. */
  private keyTemplate(flow: Flow, service: VirtualService): void {
    const key = this.templateKey;
    key.family = flow.family;
    key.protocol = flow.protocol;
    this.masked.set(flow.source);
    maskWords(flow.family, service.spec.netmask, this.masked);
    key.target = flow.target;
    key.targetPort = 0;
    if (service.fwmark !== 0) {
      key.protocol = PROTO.ip;
      this.marked[0] = service.fwmark;
      key.target = this.marked;
    } else if (flow.targetPort === service.port && service.port !== FTP_PORT) {
      key.targetPort = flow.targetPort;
    }
  }

  /** The destination of a template, if it may still be used. */
  private templateServer(template: number): RealServer | undefined {
    const { connections, table, settings } = this.context;
    const server = table.server(connections.server(template));
    if (!server?.available) return undefined;
    return settings.expire_quiescent_template && server.weight === 0 ? undefined : server;
  }

  private makeTemplate(
    flow: Flow,
    service: VirtualService,
    server: RealServer,
    mark: number,
    data: string | undefined,
  ): number {
    const { connections, now } = this.context;
    const key = this.templateKey;
    const c = connections.make({
      family: key.family,
      protocol: key.protocol,
      client: this.masked,
      clientPort: 0,
      virtual: key.target,
      virtualPort: key.targetPort,
      destinationFamily: server.family,
      destination: server.words,
      destinationPort: key.targetPort !== 0 && flow.targetPort === service.port ? server.port : 0,
      flags: FLAG.template,
      fwmark: mark,
    });
    this.tracker.bind(c, server);
    if (data !== undefined) connections.rareData(c, true)!.engine = { name: "sip", data };
    connections.setTimeoutMs(c, service.spec.timeoutS * 1000);
    connections.hash(c, now);
    return c;
  }

  /**
   * A UDP packet of a real server that belongs to no connection, while its service has a persistence engine: the server
   * starts a call. Makes connection and template from the server's side (`ip_vs_new_conn_out`).
   * @returns the connection, or 0
   */
  outgoing(bytes: Uint8Array, flow: Flow): number {
    const { connections, table, now } = this.context;
    if (flow.protocol !== PROTO.udp) return 0;
    const server = table.natServer(flow.family, flow.source, flow.sourcePort, PROTO.udp);
    const service = server?.service;
    if (!server || !service?.spec.persistent || service.spec.engine !== "sip") return 0;
    if (service.fwmark !== 0 || service.port === 0 || server.port === 0) return 0;
    const data = this.engineData(bytes, flow, service, false);
    if (!data) return 0;
    // Seen from the client's side: it talks to the VIP.
    const key = this.templateKey;
    key.family = flow.family;
    key.protocol = flow.protocol;
    this.masked.set(flow.target);
    maskWords(flow.family, service.spec.netmask, this.masked);
    key.target = service.words;
    key.targetPort = service.port;
    let template = connections.lookupTemplate(key, data);
    if (template !== 0 && this.templateServer(template) !== server) {
      connections.invalidateTemplate(template);
      template = 0;
    }
    if (template === 0) {
      template = connections.make({
        family: flow.family,
        protocol: flow.protocol,
        client: this.masked,
        clientPort: 0,
        virtual: service.words,
        virtualPort: service.port,
        destinationFamily: server.family,
        destination: server.words,
        destinationPort: server.port,
        flags: FLAG.template,
        fwmark: 0,
      });
      this.tracker.bind(template, server);
      connections.rareData(template, true)!.engine = { name: "sip", data };
      connections.setTimeoutMs(template, service.spec.timeoutS * 1000);
      connections.hash(template, now);
    }
    const c = connections.make({
      family: flow.family,
      protocol: flow.protocol,
      client: flow.target,
      clientPort: flow.targetPort,
      virtual: service.words,
      virtualPort: service.port,
      destinationFamily: server.family,
      destination: server.words,
      destinationPort: server.port,
      flags: service.spec.onePacket ? FLAG.onePacket : 0,
      fwmark: 0,
    });
    this.tracker.bind(c, server);
    connections.adopt(template, c);
    if (!(connections.flags(c) & FLAG.onePacket)) connections.hash(c, now);
    connections.restart(template, now);
    server.meter.conns++;
    service.meter.conns++;
    table.total.conns++;
    return c;
  }
}
