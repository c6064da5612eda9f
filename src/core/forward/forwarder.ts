/**
 * The forwarding methods: what each does to a request on its way to the real server, and to the reply (`ip_vs_xmit.c`).
 * @module
 */
import type { Answers } from "../answers.ts";
import { FLAG } from "../connections.ts";
import type { Context } from "../context.ts";
import { METHOD_NUMBER } from "../destination.ts";
import type { Flow, Hook } from "../flow.ts";
import { HOOK } from "../flow.ts";
import { split6 } from "../fragments.ts";
import type { FtpHelper } from "../ftp.ts";
import type { Words } from "../host.ts";
import type { Packet, Verdict } from "../packet.ts";
import type { RealServer } from "../server.ts";
import type { Family } from "../service.ts";
import type { FullNat } from "./fullnat.ts";
import { isLoopback, type Path, STEP } from "./path.ts";
import { END, rewrite } from "./rewrite.ts";
import { encapsulate, overhead } from "./tunnel.ts";

/** Sends requests to their servers and replies to their clients. */
export class Forwarder {
  private readonly words = new Int32Array(4);
  private readonly context: Context;
  private readonly path: Path;
  private readonly answers: Answers;
  private readonly fullNat: FullNat;
  private readonly ftp: FtpHelper;

  constructor(context: Context, path: Path, answers: Answers, fullNat: FullNat, ftp: FtpHelper) {
    this.context = context;
    this.path = path;
    this.answers = answers;
    this.fullNat = fullNat;
    this.ftp = ftp;
  }

  /** Sends a request on by its connection's method. */
  request(p: Packet, flow: Flow, c: number, hook: Hook): Verdict {
    const { connections, table } = this.context;
    const server = table.server(connections.server(c));
    const method = connections.flags(c) & FLAG.methodMask;
    if (method === METHOD_NUMBER.bypass) return this.bypass(p, flow, hook);
    if (method === METHOD_NUMBER.local) return "accept";
    connections.copyDestination(c, this.words);
    const family = connections.destinationFamily(c);
    if (method === METHOD_NUMBER.nat) return this.nat(p, flow, c, hook, server, family);
    if (method === METHOD_NUMBER.dr) return this.direct(p, flow, hook, server, family);
    if (method === METHOD_NUMBER.fullnat) return this.full(p, flow, c, hook, server, family);
    // A tunnel without a destination cannot know its kind.
    return server ? this.tunnel(p, flow, hook, server) : "drop";
  }

  /** Takes a hop off a reply that goes on from here, as the stack does with those of NAT; false: drop it. */
  takeHop(p: Packet, flow: Flow, embedded: boolean): boolean {
    return this.path.takeHop(p, flow, embedded);
  }

  /** Hands a packet whose source is translated back to where it was going. */
  reply(p: Packet, flow: Flow, c: number): Verdict {
    const { connections } = this.context;
    const method = connections.flags(c) & FLAG.methodMask;
    if (method === METHOD_NUMBER.fullnat) {
      this.fullNat.reply(p, flow, c);
      connections.copyClient(c, this.words);
      return this.send(p, flow, flow.family, this.words);
    }
    if (method !== METHOD_NUMBER.nat) return "accept";
    if (!this.ftp.reply(p, flow, c)) return "drop";
    connections.copyVirtual(c, this.words);
    rewrite(p, flow, END.source, this.words, connections.virtualPort(c));
    p.modified = true;
    return "accept";
  }

  private nat(
    p: Packet,
    flow: Flow,
    c: number,
    hook: Hook,
    server: RealServer | undefined,
    family: Family,
  ): Verdict {
    const { connections } = this.context;
    if (connections.flags(c) & FLAG.noClientPort) connections.fillClientPort(c, flow.sourcePort);
    const step = this.path.prepare(p, flow, hook, server, family, this.words, true, 0);
    if (step === STEP.drop) return "drop";
    if (step === STEP.local && this.intrudes(flow, hook, family)) return "drop";
    if (!this.ftp.request(p, flow, c)) return "drop";
    rewrite(p, flow, END.target, this.words, connections.destinationPort(c));
    return this.leave(p, flow, step, family);
  }

  /** What came from the wire must not reach a loopback address. */
  private intrudes(flow: Flow, hook: Hook, family: Family): boolean {
    return hook === HOOK.localIn && isLoopback(family, this.words) && !isLoopback(flow.family, flow.source);
  }

  private direct(p: Packet, flow: Flow, hook: Hook, server: RealServer | undefined, family: Family): Verdict {
    const step = this.path.prepare(p, flow, hook, server, family, this.words, false, 0);
    if (step === STEP.drop) return "drop";
    return step === STEP.local ? "accept" : this.send(p, flow, family, this.words);
  }

  private full(
    p: Packet,
    flow: Flow,
    c: number,
    hook: Hook,
    server: RealServer | undefined,
    family: Family,
  ): Verdict {
    const step = this.path.prepare(p, flow, hook, server, family, this.words, true, 0);
    if (step === STEP.drop) return "drop";
    if (step === STEP.local && this.intrudes(flow, hook, family)) return "drop";
    this.fullNat.request(p, flow, c, step === STEP.local ? 0xffff : this.path.mtu);
    return this.leave(p, flow, step, family);
  }

  private tunnel(p: Packet, flow: Flow, hook: Hook, server: RealServer): Verdict {
    const { settings } = this.context;
    const discover = settings.pmtu_disc !== 0;
    const outer = overhead(server);
    const step = this.path.prepare(
      p,
      flow,
      hook,
      server,
      server.family,
      server.words,
      false,
      outer,
      false,
      discover || flow.family === 6,
    );
    if (step === STEP.drop) return "drop";
    if (step === STEP.local) return "accept";
    encapsulate(p, flow, server, this.path.route!.source, discover);
    this.context.host.send(p, server.family, server.words);
    return "drop";
  }

  /** Routes the packet to its own destination address. */
  private bypass(p: Packet, flow: Flow, hook: Hook): Verdict {
    const step = this.path.prepare(p, flow, hook, undefined, flow.family, flow.target, false, 0);
    if (step !== STEP.go) return "drop";
    return this.send(p, flow, flow.family, flow.target);
  }

  private leave(p: Packet, flow: Flow, step: number, family: Family): Verdict {
    if (step === STEP.local) {
      p.modified = true;
      return "accept";
    }
    return this.send(p, flow, family, this.words);
  }

  /** Sends; an IPv6 packet that came in fragments leaves in fragments. */
  private send(p: Packet, flow: Flow, family: Family, nextHop: Words): Verdict {
    if (flow.family === 6 && p.fragmentSize !== 0) {
      split6(p, flow, (part) => this.context.host.send(part, family, nextHop));
    } else this.context.host.send(p, family, nextHop);
    return "drop";
  }

  /** Relays an ICMP error that concerns a connection's replies to the server, already translated. */
  relay(p: Packet, flow: Flow, c: number, hook: Hook, translate: (words: Words) => void): Verdict {
    const { connections, table } = this.context;
    const method = connections.flags(c) & FLAG.methodMask;
    if (method !== METHOD_NUMBER.nat && method !== METHOD_NUMBER.fullnat)
      return this.request(p, flow, c, hook);
    const server = table.server(connections.server(c));
    const family = connections.destinationFamily(c);
    connections.copyDestination(c, this.words);
    const step = this.path.prepare(p, flow, hook, server, family, this.words, true, 0, true);
    if (step === STEP.drop) return "drop";
    if (step === STEP.local && (hook === HOOK.forward || this.intrudes(flow, hook, family))) return "drop";
    translate(this.words);
    return this.leave(p, flow, step, family);
  }

  /** Tells the sender of a packet that nobody serves it. */
  refuse(p: Packet, flow: Flow): void {
    this.answers.send(p, flow.at, flow.end, "port");
  }
}
