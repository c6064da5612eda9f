/**
 * The life of a connection: binding to a destination, state and timeout after each packet, active and inactive counts,
 * expiry (`ip_vs_conn.c`, `ip_vs_proto_*.c`).
 * @module
 */
import * as tcp from "../wire/tcp.ts";
import { FLAG } from "./connections.ts";
import type { Context } from "./context.ts";
import { METHOD_NUMBER } from "./destination.ts";
import { type Flow, PROTO } from "./flow.ts";
import type { RealServer } from "./server.ts";
import {
  SCTP_STATE,
  SCTP_STATE_NAMES,
  SCTP_TIMEOUT_MS,
  sctpActive,
  sctpEvent,
  sctpNext,
} from "./states/sctp.ts";
import {
  DIRECTION,
  type Direction,
  TCP_STATE,
  TCP_STATE_NAMES,
  TCP_TIMEOUT_MS,
  tcpActive,
  tcpEvent,
  tcpNext,
} from "./states/tcp.ts";
import { UDP_TIMEOUT_MS } from "./states/udp.ts";
import type { Timeouts } from "./timeouts.ts";

/** State of a template one of whose connections was seen complete. */
export const ASSURED = 1;

/** Keeps connections in step with their packets. */
export class Tracker {
  /** Whether the secure TCP table is in force. */
  secure = false;
  private readonly tcpMs = [...TCP_TIMEOUT_MS];
  private udpMs = UDP_TIMEOUT_MS[0];
  private readonly context: Context;
  /** Told when a connection ends. */
  onEnd: (connection: number) => void = () => {};
  /** Told when a connection without a destination ends. */
  onUnboundEnd: (connection: number) => void = () => {};
  /** Told when a connection was due and stays, because it controls others. */
  onKept: (connection: number) => void = () => {};

  constructor(context: Context) {
    this.context = context;
  }

  get timeouts(): Timeouts {
    return {
      tcp: this.tcpMs[TCP_STATE.ESTABLISHED] / 1000,
      tcpFin: this.tcpMs[TCP_STATE.FIN_WAIT] / 1000,
      udp: this.udpMs / 1000,
    };
  }

  /** Sets the timeouts that are not 0. Live connections take them over with their next packet. */
  setTimeouts(t: Timeouts): void {
    if (t.tcp) this.tcpMs[TCP_STATE.ESTABLISHED] = t.tcp * 1000;
    if (t.tcpFin) this.tcpMs[TCP_STATE.FIN_WAIT] = t.tcpFin * 1000;
    if (t.udp) this.udpMs = t.udp * 1000;
  }

  /** Binds a new connection or template to its destination: flags, counts, thresholds. */
  bind(c: number, server: RealServer, method: number = server.method): void {
    const { connections } = this.context;
    let flags = (connections.flags(c) & ~FLAG.methodMask) | method;
    // Replies pass the director only when it translates.
    if (method !== 0 && method !== 5) flags |= FLAG.noOutput;
    if (connections.protocol(c) !== PROTO.udp || flags & FLAG.template) flags &= ~FLAG.onePacket;
    flags |= FLAG.inactive;
    connections.setFlags(c, flags);
    connections.setServer(c, server.index);
    if (flags & FLAG.template) {
      server.persistent++;
      return;
    }
    server.inactive++;
    server.bound();
  }

  /** Binds a connection that a sync master told of: it keeps its activity, and takes the method of the destination here. */
  bindSynced(c: number, server: RealServer): void {
    const { connections } = this.context;
    let flags = (connections.flags(c) & ~(FLAG.methodMask | FLAG.noOutput)) | server.method;
    if (server.method !== 0 && server.method !== 5) flags |= FLAG.noOutput;
    connections.setFlags(c, flags);
    connections.setServer(c, server.index);
    if (flags & FLAG.template) {
      server.persistent++;
      return;
    }
    if (flags & FLAG.inactive) server.inactive++;
    else server.active++;
    server.bound();
  }

  /** Timeout of a state as the table in force has it, ms. */
  stateTimeoutMs(protocol: number, state: number): number {
    if (protocol === PROTO.tcp) return this.tcpMs[state];
    return protocol === PROTO.sctp ? SCTP_TIMEOUT_MS[state] : this.udpMs;
  }

  private unbind(c: number): void {
    const { connections, table } = this.context;
    const server = table.server(connections.server(c));
    if (!server) {
      this.onUnboundEnd(c);
      return;
    }
    const flags = connections.flags(c);
    connections.setServer(c, -1);
    if (flags & FLAG.template) {
      server.persistent--;
      return;
    }
    if (flags & FLAG.inactive) server.inactive--;
    else server.active--;
    server.unbound();
  }

  /**
   * Runs the state machine for a packet and sets the timeout; the caller restarts the timer.
   * @param direction `DIRECTION.in` or `DIRECTION.out`
   */
  update(c: number, v: DataView, flow: Flow, direction: Direction): void {
    const protocol = flow.protocol;
    if (protocol === PROTO.tcp) this.updateTcp(c, v, flow, direction);
    else if (protocol === PROTO.udp) {
      this.context.connections.setTimeoutMs(c, this.udpMs);
      if (direction === DIRECTION.out) this.assure(c);
    } else if (protocol === PROTO.sctp) this.updateSctp(c, v, flow, direction);
  }

  /** What becomes of the direction with a connection of which no reply is seen. */
  private seen(c: number, direction: Direction): Direction {
    const { connections } = this.context;
    const flags = connections.flags(c);
    if (!(flags & FLAG.noOutput)) return direction;
    if (direction !== DIRECTION.out) return DIRECTION.inOnly;
    connections.setFlags(c, flags & ~FLAG.noOutput);
    return direction;
  }

  private updateTcp(c: number, v: DataView, flow: Flow, given: Direction): void {
    const { connections } = this.context;
    const event = tcpEvent(tcp.flags(v, flow.l4));
    const state = connections.state(c);
    const direction = this.seen(c, given);
    const next = event < 0 ? TCP_STATE.CLOSE : tcpNext(this.secure, direction, event, state);
    if (next !== state) {
      this.setActive(c, tcpActive(next));
      if (next === TCP_STATE.ESTABLISHED) this.assure(c);
      connections.setState(c, next);
    }
    connections.setTimeoutMs(c, this.tcpMs[next]);
  }

  private updateSctp(c: number, v: DataView, flow: Flow, given: Direction): void {
    const { connections } = this.context;
    const event = sctpEvent(v, flow.l4, flow.end);
    if (event < 0) return;
    const state = connections.state(c);
    const direction = this.seen(c, given);
    const next = sctpNext(direction, event, state);
    if (next !== state) {
      this.setActive(c, sctpActive(next));
      if (next === SCTP_STATE.ESTABLISHED) this.assure(c);
      connections.setState(c, next);
    }
    connections.setTimeoutMs(c, SCTP_TIMEOUT_MS[next]);
  }

  /**
   * Marks the connection, and moves it between the active and inactive count of its destination, if it is bound to one. One past
   * every destination is never marked.
   */
  setActive(c: number, active: boolean): void {
    const { connections, table } = this.context;
    const flags = connections.flags(c);
    if (active === !(flags & FLAG.inactive) || (flags & FLAG.methodMask) === METHOD_NUMBER.bypass) return;
    const server = table.server(connections.server(c));
    if (server) {
      server.active += active ? 1 : -1;
      server.inactive += active ? -1 : 1;
    }
    connections.setFlags(c, flags ^ FLAG.inactive);
  }

  /** The template above, if any, has seen one of its connections complete. */
  private assure(c: number): void {
    const { connections } = this.context;
    const parent = connections.parent(c);
    if (parent !== 0 && connections.flags(parent) & FLAG.template) {
      connections.setState(parent, connections.state(parent) | ASSURED);
    }
  }

  /** The timer of a connection fired: drops it, unless it still controls others. */
  readonly expire = (c: number): boolean => {
    if (this.context.connections.children(c) > 0) {
      this.onKept(c);
      return false;
    }
    this.end(c);
    return true;
  };

  /**
   * Drops a connection on purpose (drop_entry, removal of its destination). Its controller goes too when it controls nothing
   * else, unless it is an assured template. One that controls others is left to its timer.
   */
  force(c: number): void {
    const { connections } = this.context;
    if (connections.children(c) > 0) {
      connections.expireNow(c, this.context.now);
      return;
    }
    const parent = connections.parent(c);
    this.end(c);
    if (parent === 0 || connections.children(parent) > 0) return;
    const assured = connections.flags(parent) & FLAG.template && connections.state(parent) & ASSURED;
    if (!assured) this.force(parent);
  }

  /** Ends a connection that controls nothing. */
  end(c: number): void {
    this.onEnd(c);
    const { connections } = this.context;
    connections.orphan(c);
    this.unbind(c);
    connections.drop(c);
  }

  /** The state's name as listings print it. */
  stateName(c: number): string {
    const { connections } = this.context;
    const state = connections.state(c);
    if (connections.flags(c) & FLAG.template) return state & ASSURED ? "ASSURED" : "NONE";
    const protocol = connections.protocol(c);
    if (protocol === PROTO.tcp) return TCP_STATE_NAMES[state] ?? "ERR!";
    if (protocol === PROTO.sctp) return SCTP_STATE_NAMES[state] ?? "ERR!";
    return protocol === PROTO.udp ? "UDP" : "NONE";
  }
}
