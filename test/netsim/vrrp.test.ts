import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { VrrpInstanceSpec } from "../../src/control/vrrp/spec.ts";
import { downMs } from "../../src/control/vrrp/timers.ts";
import { syncGroup, virtualAddress, vrrpInstance, vrrpSpec } from "../../src/testkit/vrrp-spec.ts";
import { CALM, SimNetwork, type SimRouter } from "./vrrp-network.ts";

const NAMES = ["a", "b", "c"];

function three(seed: number, over: Partial<VrrpInstanceSpec> = {}, priorities = [150, 100, 50]): SimNetwork {
  const net = new SimNetwork(seed);
  NAMES.forEach((name, i) => {
    const instance = vrrpInstance({ ...over, name: "VI", priority: priorities[i] });
    net.add(name, `192.0.2.${i + 1}`, vrrpSpec([instance]));
  });
  return net;
}

/** Longest silence that any of the routers bears. */
const DOWN = downMs(2, 1, 1000, 3);

test("the best of three becomes master, and the next best after it", () => {
  const net = three(1);
  net.run(5000);
  expect(net.masters("VI")).toEqual(["a"]);
  net.kill(net.routers[0]);
  net.run(5000);
  expect(net.masters("VI")).toEqual(["b"]);
  net.stop(net.routers[1]);
  net.run(810); // the skew of priority 50
  expect(net.masters("VI")).toEqual(["c"]);
  net.boot(net.routers[0]);
  net.run(5000);
  expect(net.masters("VI")).toEqual(["a"]);
});

test("a split makes two masters; when it heals the better one stays, says where the addresses are, and the other has nothing more to say", () => {
  const net = three(2);
  net.run(10_000);
  net.routers[0].side = 1;
  net.run(10_000);
  expect(net.masters("VI")).toEqual(["a", "b"]);
  net.routers[0].side = 0;
  net.announced.length = 0;
  const healed = net.now;
  net.run(20_000);
  expect(net.masters("VI")).toEqual(["a"]);
  expect(net.announced.filter((x) => x.router === "a").length).toBeGreaterThan(0);
  const stepped = net.routers[1].log.map((l) => Number(l.split(" ")[0])).filter((at) => at >= healed)[0];
  expect(net.announced.filter((x) => x.router === "b" && x.at > stepped)).toEqual([]);
});

test("a process that was paused steps back, and the network settles on one master", () => {
  const net = three(3);
  net.run(10_000);
  const [a] = net.routers;
  a.paused = true;
  net.run(10_000);
  expect(net.masters("VI")).toEqual(["a", "b"]); // it does not know better
  net.resume(a);
  expect(a.state("VI")).toBe("backup");
  expect(a.holds.size).toBe(0);
  net.run(2 * DOWN);
  expect(net.masters("VI")).toEqual(["a"]);
});

test("members of a group are on one router, also when only one of them can be heard there", () => {
  const net = new SimNetwork(4);
  NAMES.slice(0, 2).forEach((name, i) => {
    const priority = [150, 100][i];
    const one = vrrpInstance({ name: "VI1", routerId: 51, priority });
    const two = vrrpInstance({
      name: "VI2",
      routerId: 52,
      priority,
      addresses: [virtualAddress("198.51.100.1")],
    });
    net.add(name, `192.0.2.${i + 1}`, vrrpSpec([one, two], { groups: [syncGroup("G", ["VI1", "VI2"])] }));
  });
  net.run(10_000);
  expect([net.masters("VI1"), net.masters("VI2")]).toEqual([["a"], ["a"]]);
  net.kill(net.routers[0]);
  net.run(8000);
  expect([net.masters("VI1"), net.masters("VI2")]).toEqual([["b"], ["b"]]);
});

/** What happens to the routers, one thing after another. */
type Deed =
  | {
      readonly kind: "kill" | "stop" | "boot" | "pause" | "resume";
      readonly who: number;
      readonly forMs: number;
    }
  | { readonly kind: "cut"; readonly sides: readonly number[]; readonly forMs: number }
  | { readonly kind: "weather"; readonly loss: number; readonly jitterMs: number; readonly forMs: number };

const forMs = fc.integer({ min: 1, max: 12_000 });
const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("kill", "stop", "boot", "pause", "resume"),
    who: fc.nat(2),
    forMs,
  }) as fc.Arbitrary<Deed>,
  fc.record({
    kind: fc.constant("cut" as const),
    sides: fc.array(fc.nat(1), { minLength: 3, maxLength: 3 }),
    forMs,
  }),
  fc.record({
    kind: fc.constant("weather" as const),
    loss: fc.constantFrom(0, 0.1, 0.5),
    jitterMs: fc.constantFrom(0, 50, 900),
    forMs,
  }),
);

function apply(net: SimNetwork, d: Deed): void {
  if (d.kind === "weather") net.weather = { loss: d.loss, delayMs: 1, jitterMs: d.jitterMs };
  else if (d.kind === "cut") for (const [i, r] of net.routers.entries()) r.side = d.sides[i];
  else {
    const r = net.routers[d.who];
    if (d.kind === "boot" && !r.alive) net.boot(r);
    if (d.kind === "kill") net.kill(r);
    if (d.kind === "stop") net.stop(r);
    if (d.kind === "pause" && r.alive) r.paused = true;
    if (d.kind === "resume") net.resume(r);
  }
  net.run(d.forMs);
}

/** Longest time for which two routers that hear each other hold the addresses at once, nothing being lost. */
class Overlap {
  longest = 0;
  readonly #since = new Map<string, number>();
  readonly #net: SimNetwork;

  constructor(net: SimNetwork) {
    this.#net = net;
    net.onChange = () => this.look();
  }

  look(): void {
    const { routers, now, weather } = this.#net;
    for (const a of routers)
      for (const b of routers) {
        if (a.address >= b.address) continue;
        const key = a.name + b.name;
        const holds = (r: SimRouter) => r.alive && !r.paused && r.holds.size > 0;
        if (!holds(a) || !holds(b) || a.side !== b.side || weather.loss > 0) {
          this.#since.delete(key);
          continue;
        }
        const since = this.#since.get(key) ?? now;
        this.#since.set(key, since);
        this.longest = Math.max(this.longest, now - since);
      }
  }

  /** The conditions changed: what is counted begins anew. */
  reset(): void {
    this.#since.clear();
    this.look();
  }
}

describe.each([
  ["with preemption", {}],
  ["without", { preempt: false }],
  ["with a delay before it", { preemptDelayMs: 7000 }],
  ["with sub-second adverts", { version: 3, advertIntMs: 100 }],
] as const)("whatever happens to three routers %s", (_, over) => {
  const interval = (over as Partial<VrrpInstanceSpec>).advertIntMs ?? 1000;

  test("after quiet there is one master, and no address is on two hosts for longer than an interval and the delay of the wire", () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(deed, { minLength: 1, maxLength: 12 }), (seed, deeds) => {
        const net = three(seed, over);
        const overlap = new Overlap(net);
        for (const d of deeds) {
          apply(net, d);
          overlap.reset();
        }
        // Packets of a delayed wire may tell old news for a while.
        expect(overlap.longest).toBeLessThanOrEqual(interval + 901 * 2);
        net.weather = CALM;
        for (const r of net.routers) {
          r.side = 0;
          net.resume(r);
        }
        if (net.routers.every((r) => !r.alive)) net.boot(net.routers[0]);
        net.run(7000 + 4 * DOWN);
        overlap.longest = 0;
        overlap.reset();
        const living = net.routers.filter((r) => r.alive);
        expect(net.masters("VI")).toHaveLength(1);
        expect(living.filter((r) => r.holds.size > 0).map((r) => r.name)).toEqual(net.masters("VI"));
        if ((over as Partial<VrrpInstanceSpec>).preempt !== false)
          expect(net.masters("VI")).toEqual([living[0].name]);
        net.run(20_000);
        expect(overlap.longest).toBe(0);
        expect(net.masters("VI")).toHaveLength(1);
      }),
      { numRuns: 150, seed: 112 },
    );
  }, 60_000);
});

test("equal priorities: the higher address wins, after any split", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }), { maxLength: 5 }),
      (seed, cuts) => {
        const net = three(seed, {}, [100, 100, 100]);
        for (const sides of cuts) apply(net, { kind: "cut", sides, forMs: 9000 });
        apply(net, { kind: "cut", sides: [0, 0, 0], forMs: 10_000 });
        expect(net.masters("VI")).toHaveLength(1);
        const last = cuts.at(-1);
        if (last && new Set(last).size === 3) expect(net.masters("VI")).toEqual(["c"]);
      },
    ),
    { numRuns: 60, seed: 112 },
  );
});
