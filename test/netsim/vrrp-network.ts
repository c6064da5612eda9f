/**
 * Routers on a simulated network segment: the real state machines and the real packets, with a clock, a wire that loses, delays and reorders,
 * and hands that cut, heal, stop, kill and pause. Everything follows from the seed.
 * @module
 */
import {
  type Cluster,
  due,
  EMPTY,
  nextTimeout,
  reconfigure,
  step,
  steps,
} from "../../src/control/vrrp/cluster.ts";
import { Composer } from "../../src/control/vrrp/compose.ts";
import type { Action } from "../../src/control/vrrp/instance.ts";
import { judge, routerIdOf } from "../../src/control/vrrp/receive.ts";
import type { VrrpSpec } from "../../src/control/vrrp/spec.ts";

/** How the wire treats a packet. */
export interface Weather {
  /** 0..1. */
  readonly loss: number;
  /** Every packet takes this at least. */
  readonly delayMs: number;
  /** And up to this more, each its own, so that packets overtake one another. */
  readonly jitterMs: number;
}

export const CALM: Weather = { loss: 0, delayMs: 1, jitterMs: 0 };

/** mulberry32. */
function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Flight {
  readonly at: number;
  readonly to: SimRouter;
  readonly packet: Uint8Array;
  readonly src: string;
}

/** One host on the segment. */
export class SimRouter {
  readonly name: string;
  readonly address: string;
  readonly spec: VrrpSpec;
  cluster: Cluster = EMPTY;
  /** Instances whose addresses are on this host. */
  readonly holds = new Set<string>();
  alive = false;
  /** A paused process does nothing, but its host keeps the addresses. */
  paused = false;
  /** Side of a cut; routers hear those on their own side. */
  side = 0;
  /** Packets that wait in the socket of a paused process. */
  readonly inbox: Uint8Array[] = [];
  readonly composers = new Map<string, Composer>();
  readonly log: string[] = [];

  constructor(name: string, address: string, spec: VrrpSpec) {
    this.name = name;
    this.address = address;
    this.spec = spec;
  }

  state(instance: string): string {
    return this.alive ? (this.cluster.instances.get(instance)?.state ?? "none") : "dead";
  }
}

/** The segment. */
export class SimNetwork {
  now = 0;
  weather: Weather = CALM;
  readonly routers: SimRouter[] = [];
  readonly #random: () => number;
  #flights: Flight[] = [];
  /** Called after everything that happened, with the time. */
  onChange: () => void = () => {};
  /** Every gratuitous announcement: time, router, instance. */
  readonly announced: { at: number; router: string; instance: string }[] = [];

  constructor(seed: number) {
    this.#random = random(seed);
  }

  add(name: string, address: string, spec: VrrpSpec): SimRouter {
    const router = new SimRouter(name, address, spec);
    this.routers.push(router);
    this.boot(router);
    return router;
  }

  boot(router: SimRouter): void {
    router.alive = true;
    router.paused = false;
    router.inbox.length = 0;
    router.composers.clear();
    const { cluster, fresh } = reconfigure(EMPTY, router.spec, this.now);
    this.#take(
      router,
      steps(
        cluster,
        fresh.map((instance) => ({ kind: "start", instance }) as const),
        this.now,
      ),
    );
  }

  /** The process is killed and the host with it. */
  kill(router: SimRouter): void {
    router.alive = false;
    router.cluster = EMPTY;
    router.holds.clear();
    this.onChange();
  }

  stop(router: SimRouter): void {
    if (!router.alive || router.paused) return;
    for (const instance of router.cluster.instances.keys())
      this.#take(router, step(router.cluster, { kind: "stop", instance, reason: "stop" }, this.now));
    this.kill(router);
  }

  resume(router: SimRouter): void {
    if (!router.paused) return;
    router.paused = false;
    // As the driver does: what waits is heard before the clock is looked at.
    for (const packet of router.inbox.splice(0)) this.#deliver(router, packet);
    this.#wake(router);
  }

  #take(router: SimRouter, [cluster, actions]: [Cluster, Action[]]): void {
    router.cluster = cluster;
    for (const action of actions) this.#perform(router, action);
    this.onChange();
  }

  #perform(router: SimRouter, action: Action): void {
    switch (action.kind) {
      case "take":
        router.holds.add(action.instance);
        return;
      case "release":
        router.holds.delete(action.instance);
        return;
      case "announce":
        this.announced.push({ at: this.now, router: router.name, instance: action.instance });
        return;
      case "tell":
        router.log.push(`${this.now} ${action.text}`);
        return;
      case "advert": {
        const spec = router.spec.instances.find((i) => i.name === action.instance)!;
        let composer = router.composers.get(action.instance);
        if (!composer) {
          composer = new Composer(spec);
          router.composers.set(action.instance, composer);
        }
        this.#broadcast(router, composer.packet(router.address, spec.group, action.priority));
      }
    }
  }

  #broadcast(from: SimRouter, packet: Uint8Array): void {
    for (const to of this.routers) {
      if (to === from || to.side !== from.side || this.#random() < this.weather.loss) continue;
      const at = this.now + this.weather.delayMs + this.#random() * this.weather.jitterMs;
      this.#flights.push({ at, to, packet, src: from.address });
    }
  }

  #deliver(router: SimRouter, bytes: Uint8Array): void {
    const src = `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
    const packet = { family: 4, bytes, src, dst: "224.0.0.18", ttl: bytes[8] } as const;
    const id = routerIdOf(packet);
    const spec = router.spec.instances.find((i) => i.routerId === id);
    if (!spec) return;
    const judgement = judge(packet, {
      spec,
      source: router.address,
      knownMaster: undefined,
      sequenceOf: () => undefined,
    });
    if (judgement.kind !== "advert")
      throw new Error(`${router.name} does not believe ${src}: ${JSON.stringify(judgement)}`);
    this.#take(
      router,
      step(router.cluster, { kind: "advert", instance: spec.name, advert: judgement.advert }, this.now),
    );
  }

  #wake(router: SimRouter): void {
    const events = due(router.cluster, this.now).map((instance) => ({ kind: "timeout", instance }) as const);
    if (events.length > 0) this.#take(router, steps(router.cluster, events, this.now));
  }

  /** Lets time pass. */
  run(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      let at = until;
      for (const f of this.#flights) at = Math.min(at, f.at);
      for (const r of this.routers) if (r.alive && !r.paused) at = Math.min(at, nextTimeout(r.cluster));
      this.now = Math.max(this.now, at);
      const arrived = this.#flights.filter((f) => f.at <= this.now);
      this.#flights = this.#flights.filter((f) => f.at > this.now);
      for (const f of arrived) {
        if (!f.to.alive) continue;
        if (f.to.paused) f.to.inbox.push(f.packet);
        else this.#deliver(f.to, f.packet);
      }
      for (const r of this.routers) if (r.alive && !r.paused) this.#wake(r);
      if (this.now >= until && arrived.length === 0) return;
    }
  }

  masters(instance: string): string[] {
    return this.routers.filter((r) => r.state(instance) === "master").map((r) => r.name);
  }
}
