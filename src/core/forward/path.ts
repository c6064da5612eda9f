/**
 * The steps that every forwarding method begins with (`__ip_vs_get_out_rt` in `ip_vs_xmit.c`): route, local delivery, the
 * boundary rules, TTL, MTU.
 * @module
 */
import { update16 } from "../../wire/checksum.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import type { Answers } from "../answers.ts";
import type { Context } from "../context.ts";
import { type Flow, HOOK, type Hook } from "../flow.ts";
import type { Route, Words } from "../host.ts";
import type { Packet } from "../packet.ts";
import type { RealServer } from "../server.ts";
import type { Family } from "../service.ts";

/** What the first steps came to. */
export const STEP = { go: 0, local: 1, drop: 2 } as const;
/** A value of {@link STEP}. */
export type Step = 0 | 1 | 2;

/** Smallest usable path MTU, bytes. */
const MIN_MTU = { 4: 68, 6: 1280 } as const;

/** Route lookups and the checks before a packet leaves. */
export class Path {
  private readonly context: Context;
  private readonly answers: Answers;
  /** The route of the last {@link prepare} that said go. */
  route: Route | undefined;
  /** MTU for the packet of the last {@link prepare}, tunnel overhead taken off. */
  mtu = 0;

  constructor(context: Context, answers: Answers) {
    this.context = context;
    this.answers = answers;
  }

  /** The route to a destination, from its cache while nothing changed. */
  find(server: RealServer | undefined, family: Family, words: Words, mark: number): Route | undefined {
    const { host } = this.context;
    if (!server) return host.route(family, words, mark);
    if (server.routeEpoch !== host.routeEpoch || server.routeMark !== mark) {
      server.route = host.route(family, words, mark);
      server.routeEpoch = host.routeEpoch;
      server.routeMark = mark;
    }
    return server.route;
  }

  /**
   * Route, local delivery, boundary rule, TTL and MTU for a packet on its way to `words`.
   * @param translated NAT or full-NAT: the target may be local even when the packet was not for this host
   * @param overhead bytes an outer header will add
   * @param embedded the packet is an ICMP error being relayed: it is not answered with errors
   */
  prepare(
    p: Packet,
    flow: Flow,
    hook: Hook,
    server: RealServer | undefined,
    family: Family,
    words: Words,
    translated: boolean,
    overhead: number,
    embedded = false,
    tellTooBig = true,
  ): Step {
    const route = this.find(server, family, words, p.mark);
    if (!route) {
      if (!embedded) this.answers.send(p, flow.at, flow.end, "host");
      return STEP.drop;
    }
    this.route = route;
    if (route.local) return translated || this.wasLocal(flow, hook) ? STEP.local : STEP.drop;
    if (isLoopback(flow.family, flow.source)) return STEP.drop;
    if (!this.takeHop(p, flow, embedded)) return STEP.drop;
    this.mtu = this.pathMtu(server, route) - overhead;
    // The family of the outer header counts.
    if (overhead !== 0 && this.mtu < MIN_MTU[family]) return STEP.drop;
    return this.fits(p, flow, embedded, tellTooBig) ? STEP.go : STEP.drop;
  }

  /** The MTU of a route, or the smaller one that a router on the way reported. */
  pathMtu(server: RealServer | undefined, route: Route): number {
    if (!server || server.pathMtu === 0 || this.context.now >= server.pathMtuUntil) return route.mtu;
    return Math.min(server.pathMtu, route.mtu);
  }

  /** The packet was on its way to this host itself. */
  private wasLocal(flow: Flow, hook: Hook): boolean {
    if (hook === HOOK.localIn) return true;
    if (hook === HOOK.forward) return false;
    return this.context.host.route(flow.family, flow.target, 0)?.local ?? false;
  }

  /** Takes a hop off a packet that goes on; false when it has none left, of which its sender is told. */
  takeHop(p: Packet, flow: Flow, embedded: boolean): boolean {
    const v = p.view;
    const at = flow.at + (flow.family === 4 ? ipv4.AT.ttl : ipv6.AT.hopLimit);
    const ttl = v.getUint8(at);
    if (ttl <= 1) {
      if (!embedded) this.answers.send(p, flow.at, flow.end, "ttl");
      return false;
    }
    v.setUint8(at, ttl - 1);
    if (flow.family === 4) {
      const word = v.getUint16(at);
      const check = flow.at + ipv4.AT.checksum;
      v.setUint16(check, update16(v.getUint16(check), word + 0x100, word));
    }
    return true;
  }

  private fits(p: Packet, flow: Flow, embedded: boolean, tellTooBig: boolean): boolean {
    const length = flow.end - flow.at;
    if (length <= this.mtu) return true;
    if (flow.family === 4 && !ipv4.dontFragment(p.view, flow.at)) return true;
    // A reassembled IPv6 packet is cut again as it came.
    if (flow.family === 6 && p.fragmentSize !== 0 && p.fragmentSize <= this.mtu) return true;
    if (!tellTooBig) return true;
    if (!embedded) this.answers.send(p, flow.at, flow.end, "big", this.mtu);
    return false;
  }
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(family: Family, w: Words): boolean {
  return family === 4 ? w[0] >>> 24 === 127 : w[0] === 0 && w[1] === 0 && w[2] === 0 && w[3] === 1;
}
