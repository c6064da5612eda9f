/**
 * The director: packets in at three hooks, verdicts out. Pure: time, randomness and the machine are arguments. The order of
 * decisions is that of `ip_vs_in` and `ip_vs_out` (`net/netfilter/ipvs/ip_vs_core.c`, Linux 6.1).
 * @module
 */
import * as tcp from "../wire/tcp.ts";
import { Answers } from "./answers.ts";
import { ConnectionTable, FLAG } from "./connections.ts";
import type { Context } from "./context.ts";
import { Defence } from "./defending.ts";
import { METHOD_NUMBER } from "./destination.ts";
import { Flow, HOOK, type Hook, PROTO } from "./flow.ts";
import { Forwarder } from "./forward/forwarder.ts";
import { FullNat } from "./forward/fullnat.ts";
import { Path } from "./forward/path.ts";
import { Reassembler } from "./fragments.ts";
import { FtpHelper } from "./ftp.ts";
import type { Host } from "./host.ts";
import { IcmpErrors, isIcmp } from "./icmp.ts";
import type { Packet, Verdict } from "./packet.ts";
import { OUTCOME, Scheduling } from "./scheduling.ts";
import { checkSetting, DEFAULT_SETTINGS, type Settings } from "./settings.ts";
import { SCTP_CHUNK, SCTP_STATE, sctpFirstChunk } from "./states/sctp.ts";
import { DIRECTION, TCP_STATE } from "./states/tcp.ts";
import { countIn, countOut } from "./stats.ts";
import { SyncBackup } from "./sync/backup.ts";
import { SyncBinding } from "./sync/binding.ts";
import { type MasterOptions, SyncMaster } from "./sync/master.ts";
import { Table, TRASH_SWEEP_MS } from "./table.ts";
import { Tracker } from "./tracker.ts";

/** Length of an estimator slot, ms. */
export const ESTIMATE_MS = 2000;
const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const ISAKMP_PORT = 500;

/** What a director is made of. */
export interface DirectorOptions {
  readonly host: Host;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Monotonic ms. */
  readonly now: number;
  /** Connections to make room for at first. */
  readonly capacity?: number;
}

/** One network namespace's director. */
export class Director implements Context {
  readonly host: Host;
  readonly settings: Settings = { ...DEFAULT_SETTINGS };
  readonly table: Table;
  readonly connections: ConnectionTable;
  readonly tracker: Tracker;
  readonly random: () => number;
  now: number;
  /**
   * Connections that were here are lost, and a peer is about to give them back: packets that would belong to one are dropped, so
   * that nobody's stack ends it with a RST. Their senders send them again.
   */
  awaiting = false;

  private readonly flow = new Flow();
  private readonly mirrored = new Flow();
  private readonly fragments = new Reassembler();
  private readonly answers: Answers;
  private readonly scheduling: Scheduling;
  private readonly forwarder: Forwarder;
  private readonly icmp: IcmpErrors;
  private readonly defence: Defence;
  private readonly binding: SyncBinding;
  private readonly ftp: FtpHelper;
  private master: SyncMaster | undefined;
  private estimateAt: number;
  private defendAt: number;
  private sweepAt: number;
  private upkeepAt: number;

  constructor(options: DirectorOptions) {
    this.host = options.host;
    this.random = options.random;
    this.now = options.now;
    this.connections = new ConnectionTable(
      Math.floor(options.random() * 0x100000000),
      options.now,
      options.capacity,
    );
    this.table = new Table(options.host, { random: options.random, settings: this.settings });
    this.tracker = new Tracker(this);
    this.answers = new Answers(this);
    const path = new Path(this, this.answers);
    const ftp = new FtpHelper(this, this.tracker);
    this.ftp = ftp;
    const fullNat = new FullNat(this);
    this.scheduling = new Scheduling(this, this.tracker, fullNat, ftp);
    this.forwarder = new Forwarder(this, path, this.answers, fullNat, ftp);
    this.icmp = new IcmpErrors(this, this.tracker, this.scheduling, this.forwarder, path, this.answers);
    this.defence = new Defence(this, this.tracker, this.scheduling.dropper);
    this.binding = new SyncBinding(this, this.tracker);
    this.table.onAdded = (server) => this.binding.added(server);
    this.table.onRemoved = () => this.forgetOrphans();
    this.estimateAt = options.now + ESTIMATE_MS;
    this.defendAt = options.now + SECOND_MS;
    this.sweepAt = options.now + TRASH_SWEEP_MS;
    this.upkeepAt = options.now + MINUTE_MS;
  }

  // --- packets --------------------------------------------------------------------------------------------------------

  /** A packet for this host itself. */
  localIn(p: Packet, now: number): Verdict {
    return this.look(p, now, HOOK.localIn);
  }

  /** A packet on its way through this host. */
  forward(p: Packet, now: number): Verdict {
    return this.look(p, now, HOOK.forward);
  }

  /** A packet from this host itself. */
  localOut(p: Packet, now: number): Verdict {
    return this.look(p, now, HOOK.localOut);
  }

  private look(p: Packet, now: number, hook: Hook): Verdict {
    this.now = now;
    p.modified = false;
    p.fragmentSize = 0;
    const flow = this.flow;
    // A broken packet is the stack's affair.
    if (!flow.read(p.view, p.at, p.end)) return "accept";
    if (!this.table.serves(flow.family)) return "accept";
    // What lies behind the packet, as link layers pad, goes nowhere.
    p.end = flow.end;
    if (flow.fragment && flow.protocol !== PROTO.ah && flow.protocol !== PROTO.esp) {
      if (!this.fragments.add(p, flow, now)) return "drop";
      if (!flow.read(p.view, p.at, p.end)) return "drop";
      p.modified = true;
    }
    const whole = p.modified;
    const verdict = this.decide(p, flow, hook);
    if (whole && verdict === "accept") p.modified = true;
    return verdict;
  }

  private decide(p: Packet, flow: Flow, hook: Hook): Verdict {
    if (isIcmp(flow)) {
      if (hook === HOOK.forward) {
        return this.relayed(p, flow, hook) ?? this.icmp.reply(p, flow) ?? "accept";
      }
      return this.icmp.reply(p, flow) ?? this.relayed(p, flow, hook) ?? "accept";
    }
    if (flow.protocol === PROTO.ah || flow.protocol === PROTO.esp) return this.ipsec(p, flow, hook);
    if (!flow.hasPorts) return "accept";
    const answered = flow.truncated ? undefined : this.reply(p, flow);
    if (answered || hook === HOOK.forward) return answered ?? "accept";
    return this.request(p, flow, hook);
  }

  /** Requests are left alone while the backup daemon runs with `backup_only`. */
  private standsBack(): boolean {
    return this.settings.backup_only !== 0 && this.table.daemons.has("backup");
  }

  private relayed(p: Packet, flow: Flow, hook: Hook): Verdict | undefined {
    return this.standsBack() ? undefined : this.icmp.request(p, flow, hook);
  }

  /** A packet from a server's side; undefined when it is none. */
  private reply(p: Packet, flow: Flow): Verdict | undefined {
    let c = this.connections.lookupOut(flow);
    if (c === 0) {
      if (flow.protocol === PROTO.udp) c = this.scheduling.outgoing(p.bytes, flow);
      if (c === 0 && this.awaiting && this.ofServer(flow)) return "drop";
      if (c === 0) return this.settings.nat_icmp_send ? this.stray(p, flow) : undefined;
    }
    const full = (this.connections.flags(c) & FLAG.methodMask) === METHOD_NUMBER.fullnat;
    if (full && !this.forwarder.takeHop(p, flow, false)) return "drop";
    // Counted after the translation, which may lengthen the packet; states look at what the server sent.
    const verdict = this.translateReply(p, flow, c);
    if (this.connections.flags(c) & FLAG.onePacket) this.tracker.end(c);
    else this.connections.restart(c, this.now);
    return verdict;
  }

  private translateReply(p: Packet, flow: Flow, c: number): Verdict {
    const v = p.view;
    const method = this.connections.flags(c) & FLAG.methodMask;
    if (method === METHOD_NUMBER.fullnat) {
      // Sent from within: count and track first, the packet is gone afterwards.
      countOut(this, c, flow.end - flow.at);
      this.tracker.update(c, v, flow, DIRECTION.out);
      return this.forwarder.reply(p, flow, c);
    }
    const verdict = this.forwarder.reply(p, flow, c);
    if (verdict === "drop") return verdict;
    countOut(this, c, flow.end - flow.at);
    this.tracker.update(c, v, flow, DIRECTION.out);
    return verdict;
  }

  /** Whether a packet comes from a known server. */
  private ofServer(flow: Flow): boolean {
    const { family, source, sourcePort, protocol } = flow;
    return (
      flow.fragmentOffset === 0 && this.table.natServer(family, source, sourcePort, protocol) !== undefined
    );
  }

  /** Whether a packet that opens nothing is for a service, and could be of a connection that is not known yet. */
  private ofService(p: Packet, flow: Flow): boolean {
    if (flow.fragmentOffset !== 0 || flow.truncated || flow.protocol === PROTO.udp) return false;
    const { family, protocol, target, targetPort } = flow;
    return this.table.lookup(family, protocol, target, targetPort, p.mark) !== undefined;
  }

  /** A packet of a known server that belongs to no connection. */
  private stray(p: Packet, flow: Flow): Verdict | undefined {
    const { protocol } = flow;
    if (!this.ofServer(flow)) return undefined;
    if (protocol === PROTO.tcp && tcp.flags(p.view, flow.l4) & tcp.FLAG.rst) return undefined;
    if (protocol === PROTO.sctp && sctpFirstChunk(p.view, flow.l4, flow.end) === SCTP_CHUNK.abort)
      return undefined;
    const route = this.host.route(flow.family, flow.source, 0);
    this.answers.send(p, flow.at, flow.end, "port", 0, route?.source);
    return "drop";
  }

  private request(p: Packet, flow: Flow, hook: Hook): Verdict {
    if (this.standsBack()) return "accept";
    let c = flow.truncated ? 0 : this.connections.lookupIn(flow);
    if (c !== 0 && this.opensAnew(p.view, flow) && this.reusable(c)) c = this.giveWay(c);
    if (c !== 0 && this.abandoned(c)) {
      if (!this.settings.expire_nodest_conn) return "drop";
      c = this.giveWay(c);
    }
    if (c === 0) {
      c = this.scheduling.schedule(p.view, p.bytes, flow, p.mark, hook, false);
      if (c === OUTCOME.accept) return this.awaiting && this.ofService(p, flow) ? "drop" : "accept";
      if (c === OUTCOME.refuse) this.forwarder.refuse(p, flow);
      if (c <= 0) return "drop";
    }
    countIn(this, c, flow.end - flow.at);
    this.tracker.update(c, p.view, flow, DIRECTION.in);
    const passing = (this.connections.flags(c) & FLAG.onePacket) !== 0;
    // A connection for one packet leaves its count with the template.
    if (!this.master) this.connections.countIn(passing ? this.connections.parent(c) || c : c);
    const verdict = this.forwarder.request(p, flow, c, hook);
    this.master?.packet(c);
    if (passing) this.tracker.end(c);
    else this.connections.restart(c, this.now);
    return verdict;
  }

  /** An old connection makes room for a new one with the same ends; it goes unless it still controls others. */
  private giveWay(c: number): 0 {
    if (this.connections.children(c) === 0) this.connections.expireNow(c, this.now);
    return 0;
  }

  /** The first packet of a new connection by its looks. */
  private opensAnew(v: DataView, flow: Flow): boolean {
    if (flow.fragmentOffset !== 0 || flow.truncated) return false;
    if (flow.protocol === PROTO.tcp) return (tcp.flags(v, flow.l4) & tcp.FLAG.syn) !== 0;
    return flow.protocol === PROTO.sctp && sctpFirstChunk(v, flow.l4, flow.end) === SCTP_CHUNK.init;
  }

  /** Whether the old connection of these ports gives way to a new one (`conn_reuse_mode`). */
  private reusable(c: number): boolean {
    const { connections, settings } = this;
    if (settings.expire_nodest_conn) {
      const server = this.table.server(connections.server(c));
      if (server && server.weight === 0) return true;
    }
    if (settings.conn_reuse_mode === 0 || connections.parent(c) !== 0) return false;
    const state = connections.state(c);
    const protocol = connections.protocol(c);
    if (protocol === PROTO.sctp) return state === SCTP_STATE.CLOSED;
    if (protocol !== PROTO.tcp) return false;
    if (state === TCP_STATE.TIME_WAIT || state === TCP_STATE.CLOSE) return true;
    const oneSided = (connections.flags(c) & FLAG.noOutput) !== 0;
    return (settings.conn_reuse_mode & 2) !== 0 && state === TCP_STATE.FIN_WAIT && oneSided;
  }

  /** Its destination left the service. */
  private abandoned(c: number): boolean {
    const server = this.table.server(this.connections.server(c));
    return server !== undefined && !server.available;
  }

  /** AH and ESP follow the ISAKMP connection of their two ends (`ip_vs_proto_ah_esp.c`). */
  private ipsec(p: Packet, flow: Flow, hook: Hook): Verdict {
    // The same two ends, as their UDP connection between ISAKMP ports.
    const key = this.mirrored;
    key.family = flow.family;
    key.source.set(flow.source);
    key.target.set(flow.target);
    key.protocol = PROTO.udp;
    key.sourcePort = ISAKMP_PORT;
    key.targetPort = ISAKMP_PORT;
    const out = this.connections.lookupOut(key);
    if (out !== 0) {
      const verdict = this.translateReply(p, flow, out);
      this.connections.restart(out, this.now);
      return verdict;
    }
    const c = hook === HOOK.forward || this.standsBack() ? 0 : this.connections.lookupIn(key);
    if (c === 0) return "accept";
    if (this.abandoned(c)) {
      if (!this.settings.expire_nodest_conn) return "drop";
      this.giveWay(c);
      return "accept";
    }
    countIn(this, c, flow.end - flow.at);
    if (!this.master) this.connections.countIn(c);
    const verdict = this.forwarder.request(p, flow, c, hook);
    this.master?.packet(c);
    this.connections.restart(c, this.now);
    return verdict;
  }

  // --- synchronisation ------------------------------------------------------------------------------------------------

  /** Announces connections from now on, as its options say. @returns the master, for its counts and `flush` */
  startMaster(options: MasterOptions): SyncMaster {
    const master = new SyncMaster(this, options);
    this.master = master;
    this.tracker.onEnd = (c) => master.forget(c);
    this.tracker.onKept = (c) => master.kept(c);
    this.ftp.onShift = (c) => master.kept(c);
    return master;
  }

  /** Ends announcing; what waits is sent. */
  stopMaster(): void {
    this.master?.flush(this.now, true);
    this.master = undefined;
    this.tracker.onEnd = () => {};
    this.tracker.onKept = () => {};
    this.ftp.onShift = () => {};
  }

  /**
   * A receiver of a master's messages; `syncId` 0 takes those of every id.
   * @param newer what is known here is newer than what comes: it stays as it is
   */
  backup(syncId: number, newer = false): SyncBackup {
    return new SyncBackup(this, this.tracker, this.binding, this.ftp, syncId, newer);
  }

  // --- time -----------------------------------------------------------------------------------------------------------

  /** Fires what is due: connection timers, estimator, defence, trash, scheduler caches. Call every 100 ms or so. */
  advance(now: number): void {
    this.now = now;
    while (now >= this.estimateAt) {
      if (this.settings.run_estimation) this.table.estimate();
      // After a pause longer than this rates are zero anyway.
      if (now - this.estimateAt > 100 * ESTIMATE_MS) this.estimateAt = now - 100 * ESTIMATE_MS;
      this.estimateAt += ESTIMATE_MS;
    }
    if (now >= this.defendAt) {
      this.defendAt = now + SECOND_MS;
      this.defence.tick();
    }
    this.connections.expire(now, this.tracker.expire);
    this.fragments.forget(now);
    this.master?.flush(now);
    if (now >= this.sweepAt) {
      this.sweepAt = now + TRASH_SWEEP_MS;
      this.table.sweepTrash(now);
    }
    if (now >= this.upkeepAt) {
      this.upkeepAt = now + MINUTE_MS;
      for (const service of this.table.services()) service.scheduler?.tick?.(now);
    }
  }

  // --- settings ---------------------------------------------------------------------------------------------------------

  /** Changes settings; all of them or, when one is refused, none. @throws TableError EINVAL */
  change(change: Partial<Settings>): void {
    const checked: Partial<Settings> = {};
    for (const [name, value] of Object.entries(change) as [keyof Settings, number | string][]) {
      Object.assign(checked, { [name]: checkSetting(name, value) });
    }
    Object.assign(this.settings, checked);
    this.defence.apply();
  }

  /** With `expire_nodest_conn`, connections of destinations that left go at once. */
  private forgetOrphans(): void {
    if (!this.settings.expire_nodest_conn) return;
    this.connections.forEach((c) => {
      if (!this.abandoned(c) || this.connections.flags(c) & FLAG.template) return;
      this.tracker.force(c);
    });
  }
}
