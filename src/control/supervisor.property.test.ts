/**
 * After any sequence of verdicts, reloads, operator's words and foreign changes the table is what a simple oracle says.
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { IPIP } from "../core/destination.ts";
import { TableError } from "../core/errors.ts";
import { serviceSpec } from "../core/table.ts";
import { settled } from "../testkit/fake-clock.ts";
import {
  configuration,
  realServer,
  SupervisorBed,
  serviceId,
  sorryServer,
  TIMING,
  tcpCheck,
  virtualServer,
} from "../testkit/supervisor-bed.ts";
import type { VirtualServerSpec } from "./wanted.ts";

const SERVERS = ["10.0.1.1", "10.0.1.2", "10.0.1.3"];
const SORRY = "10.0.1.9";
const FOREIGN = serviceId("10.0.0.99:80");
/** Long enough for every check to come to its result. */
const ROUND_S = 30;

interface Shape {
  readonly servers: readonly { readonly n: number; readonly weight: number; readonly inhibit: boolean }[];
  readonly sorry: boolean;
  readonly sorryInhibit: boolean;
  readonly quorum: number;
  readonly hysteresis: number;
  readonly scheduler: string;
}

const shape: fc.Arbitrary<Shape> = fc.record({
  servers: fc
    .uniqueArray(fc.nat(2), { minLength: 1 })
    .chain((ns) =>
      fc.tuple(...ns.map((n) => fc.record({ n: fc.constant(n), weight: fc.nat(3), inhibit: fc.boolean() }))),
    ),
  sorry: fc.boolean(),
  sorryInhibit: fc.boolean(),
  quorum: fc.integer({ min: 1, max: 4 }),
  hysteresis: fc.nat(1),
  scheduler: fc.constantFrom("rr", "wlc"),
});

const service = (vip: number): string => `10.0.0.${vip + 1}:80`;

function specOf(vip: number, s: Shape): VirtualServerSpec {
  const servers = s.servers.map(({ n, weight, inhibit }) =>
    realServer(SERVERS[n], {
      weight,
      inhibitOnFailure: inhibit,
      checks: [tcpCheck(SERVERS[n], { timing: { ...TIMING, delayLoopMs: 3000 } })],
    }),
  );
  const base = virtualServer(service(vip), servers);
  return {
    ...base,
    service: { ...base.service, scheduler: s.scheduler },
    quorum: s.quorum,
    hysteresis: Math.min(s.hysteresis, s.quorum - 1),
    ...(s.sorry && { sorry: sorryServer(SORRY, s.sorryInhibit) }),
  };
}

type Command =
  | { readonly kind: "reload"; readonly shapes: readonly (Shape | undefined)[] }
  | { readonly kind: "health"; readonly n: number; readonly ok: boolean }
  | { readonly kind: "hold"; readonly vip: number; readonly n: number; readonly weight: number | undefined }
  | {
      readonly kind: "meddle";
      readonly vip: number;
      readonly n: number;
      readonly how: "remove" | "edit" | "service" | "add";
    };

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constant("reload" as const),
    shapes: fc.tuple(fc.option(shape, { nil: undefined }), shape),
  }),
  fc.record({ kind: fc.constant("health" as const), n: fc.nat(2), ok: fc.boolean() }),
  fc.record({
    kind: fc.constant("hold" as const),
    vip: fc.nat(1),
    n: fc.nat(2),
    weight: fc.option(fc.nat(3), { nil: undefined }),
  }),
  fc.record({
    kind: fc.constant("meddle" as const),
    vip: fc.nat(1),
    n: fc.nat(2),
    how: fc.constantFrom("remove", "edit", "service", "add"),
  }),
);

/** What is expected of one virtual server: only what history decides (quorum between its limits, operator's words) is remembered. */
class Oracle {
  readonly holds = new Map<number, number>();
  met = false;
  shape: Shape;

  /** Servers that have not been checked are presumed to be well. */
  constructor(s: Shape) {
    this.shape = s;
    const live = this.live(new Set());
    this.met = live > 0 && live >= s.quorum + this.hysteresis;
  }
  get hysteresis(): number {
    return Math.min(this.shape.hysteresis, this.shape.quorum - 1);
  }
  weight(n: number, configured: number): number {
    return this.holds.get(n) ?? configured;
  }
  live(sick: ReadonlySet<number>): number {
    let sum = 0;
    for (const s of this.shape.servers) if (!sick.has(s.n)) sum += this.weight(s.n, s.weight);
    return sum;
  }
  settle(sick: ReadonlySet<number>): void {
    const live = this.live(sick);
    if (this.met && (live < this.shape.quorum - this.hysteresis || live === 0)) this.met = false;
    else if (!this.met && live >= this.shape.quorum + this.hysteresis) this.met = true;
  }
  lines(vip: number, sick: ReadonlySet<number>): string[] {
    const sorryIn = this.shape.sorry && !this.met;
    const entries: string[] = [];
    for (const s of this.shape.servers) {
      const serves = !sick.has(s.n) && !sorryIn;
      if (serves) entries.push(`  ${SERVERS[s.n]}:80 ${this.weight(s.n, s.weight)}`);
      // What the operator drains finishes its connections, whoever serves.
      else if (s.inhibit || (!sick.has(s.n) && this.holds.get(s.n) === 0))
        entries.push(`  ${SERVERS[s.n]}:80 0`);
    }
    if (this.shape.sorry && (sorryIn || this.shape.sorryInhibit))
      entries.push(`  ${SORRY}:80 ${sorryIn ? 1 : 0}`);
    return [`tcp ${service(vip)} ${this.shape.scheduler}`, ...entries.sort()];
  }
}

test("the table is what the oracle says, after every round, and quiet rounds change nothing", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(shape, shape),
      fc.array(command, { maxLength: 12 }),
      async (first, commands) => {
        const bed = new SupervisorBed({ repairMs: 10_000 });
        const { plane } = bed.fake;
        await plane.addService(serviceSpec(FOREIGN, { scheduler: "rr" }));
        const sick = new Set<number>();
        let oracles: (Oracle | undefined)[] = first.map((s) => new Oracle(s));
        const reload = async (shapes: readonly (Shape | undefined)[]) => {
          await bed.supervisor.apply(configuration(shapes.flatMap((s, vip) => (s ? [specOf(vip, s)] : []))));
        };
        const round = async () => {
          await bed.pass(ROUND_S);
          for (const oracle of oracles) oracle?.settle(sick);
          const expected = oracles.flatMap((oracle, vip) => oracle?.lines(vip, sick) ?? []);
          expect(bed.fake.table()).toEqual([...expected, "tcp 10.0.0.99:80 rr"]);
        };
        await reload(first);
        await round();
        for (const c of commands) {
          if (c.kind === "health") {
            if (c.ok) bed.heal(SERVERS[c.n]);
            else bed.fail(SERVERS[c.n]);
            if (c.ok) sick.delete(c.n);
            else sick.add(c.n);
          } else if (c.kind === "hold") {
            const oracle = oracles[c.vip];
            if (!oracle?.shape.servers.some((s) => s.n === c.n)) continue;
            if (c.weight === undefined) await bed.supervisor.undrain(service(c.vip), SERVERS[c.n]);
            else await bed.supervisor.weight(service(c.vip), SERVERS[c.n], c.weight);
            if (c.weight === undefined) oracle.holds.delete(c.n);
            else oracle.holds.set(c.n, c.weight);
            oracle.settle(sick);
          } else if (c.kind === "reload") {
            oracles = c.shapes.map((s, vip) => {
              const was = oracles[vip];
              if (!s) return undefined;
              if (!was) return new Oracle(s);
              for (const n of [...was.holds.keys()])
                if (!s.servers.some((x) => x.n === n)) was.holds.delete(n);
              const gone = was.shape.servers.map((x) => x.n);
              was.shape = s;
              // Servers that are new are presumed to be well until they are checked.
              was.settle(new Set([...sick].filter((n) => gone.includes(n))));
              return was;
            });
            await reload(c.shapes);
          } else await meddle(c);
          await round();
        }
        bed.done();
        await bed.pass(ROUND_S);
        expect(bed.done()).toEqual([]);
        await bed.supervisor.stop();
        expect(bed.fake.table()).toEqual(["tcp 10.0.0.99:80 rr"]);
        expect(bed.clock.waiting).toBe(0);
        expect(bed.open).toBe(0);

        async function meddle(c: Command & { kind: "meddle" }): Promise<void> {
          const id = serviceId(service(c.vip));
          const entry = {
            family: 4,
            address: SERVERS[c.n],
            port: 80,
            method: "nat",
            tunnel: IPIP,
            upper: 0,
            lower: 0,
          } as const;
          const tries = {
            remove: () => plane.removeDestination(id, entry),
            edit: () => plane.editDestination(id, { ...entry, weight: 9 }),
            service: () => plane.removeService(id),
            // One that is configured but out: it is ours to remove again.
            add: () => {
              const ours = oracles[c.vip]?.shape.servers.some((s) => s.n === c.n);
              return ours ? plane.addDestination(id, { ...entry, weight: 9 }) : Promise.resolve();
            },
          };
          await tries[c.how]().catch(() => {});
          await settled();
        }
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);

test("whatever the plane fails to do, and whenever, the table is right once it answers again", async () => {
  const trouble = fc.record({
    /** Of so many calls one fails; each may take a while. */
    every: fc.integer({ min: 1, max: 6 }),
    code: fc.constantFrom("EIO", "ENOMEM", "ENOENT", "EEXIST", "ESRCH", undefined),
    slow: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(shape, shape),
      fc.array(fc.tuple(command, trouble), { minLength: 1, maxLength: 8 }),
      async (first, commands) => {
        const bed = new SupervisorBed({ repairMs: 10_000, removal: { mode: "drain", limitMs: 5000 } });
        const { fake } = bed;
        const { plane } = fake;
        const sick = new Set<number>();
        let shapes: readonly (Shape | undefined)[] = first;
        const specs = () => shapes.flatMap((s, vip) => (s ? [specOf(vip, s)] : []));
        const applies: Promise<unknown>[] = [bed.supervisor.apply(configuration(specs()))];
        let calls = 0;
        for (const [c, t] of commands) {
          fake.gate = () => (t.slow ? new Promise((resolve) => setImmediate(resolve)) : Promise.resolve());
          fake.refuse = (call) => {
            // That something is gone is taken as true.
            if (call.startsWith("remove") && (t.code === "ENOENT" || t.code === "ESRCH")) return;
            if (calls++ % t.every !== 0) return;
            if (t.code === undefined) throw new Error("the engine ended");
            throw new TableError(t.code, "by chance");
          };
          if (c.kind === "health") {
            if (c.ok) bed.heal(SERVERS[c.n]);
            else bed.fail(SERVERS[c.n]);
            if (c.ok) sick.delete(c.n);
            else sick.add(c.n);
          } else if (c.kind === "reload") {
            shapes = c.shapes;
            applies.push(bed.supervisor.apply(configuration(specs())));
          } else if (c.kind === "meddle")
            await plane.removeService(serviceId(service(c.vip))).catch(() => {});
          await bed.pass(2);
        }
        fake.gate = () => Promise.resolve();
        fake.refuse = () => {};
        await Promise.all(applies);
        await bed.pass(2 * ROUND_S);
        const { virtualServers, trouble: left, pendingWrites } = await bed.supervisor.status();
        expect({ left, pendingWrites }).toEqual({ left: undefined, pendingWrites: 0 });
        // Which servers there are follows from health alone, apart from the quorum, which has a memory.
        const expected = shapes.flatMap((s, vip) => {
          if (!s) return [];
          const oracle = new Oracle(s);
          oracle.met = virtualServers.find((v) => v.name === specOf(vip, s).name)!.up;
          const live = oracle.live(sick);
          if (live === 0) expect(oracle.met).toBe(false);
          if (live >= s.quorum + oracle.hysteresis) expect(oracle.met).toBe(true);
          return oracle.lines(vip, sick);
        });
        expect(fake.table()).toEqual(expected);
        await bed.supervisor.stop();
        expect(fake.table()).toEqual([]);
        expect(bed.clock.waiting).toBe(0);
        expect(bed.open).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
