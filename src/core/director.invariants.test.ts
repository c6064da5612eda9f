/**
 * Whatever happens to a director, its books balance: counts of every destination equal what the connection table holds, and
 * when all is over nothing is left.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { seeded } from "../testkit/random.ts";
import { RecordingHost } from "../testkit/recording-host.ts";
import { tcpPacket, udpPacket } from "../testkit/segments.ts";
import { FLAG } from "./connections.ts";
import { type DestinationSpec, type ForwardingMethod, IPIP } from "./destination.ts";
import { Director } from "./director.ts";
import { TableError } from "./errors.ts";
import { SCHEDULERS } from "./schedulers/index.ts";
import type { ServiceId } from "./service.ts";
import { serviceSpec } from "./table.ts";

const VIP = "10.9.0.1";
const IDS: ServiceId[] = [
  { kind: "address", family: 4, protocol: "tcp", address: VIP, port: 80 },
  { kind: "address", family: 4, protocol: "tcp", address: VIP, port: 21 },
  { kind: "address", family: 4, protocol: "tcp", address: VIP, port: 0 },
  { kind: "address", family: 4, protocol: "udp", address: VIP, port: 53 },
  { kind: "fwmark", family: 4, fwmark: 7 },
];

const step = fc.oneof(
  fc.record({
    kind: fc.constant("service" as const),
    which: fc.nat(4),
    scheduler: fc.constantFrom(...SCHEDULERS.map((s) => s.name), "none"),
    persistent: fc.boolean(),
    onePacket: fc.boolean(),
    netmask: fc.constantFrom(0xffffffff, 0xffffff00),
  }),
  fc.record({
    kind: fc.constant("server" as const),
    which: fc.nat(4),
    server: fc.nat(3),
    method: fc.constantFrom<ForwardingMethod>("nat", "dr", "tun", "fullnat", "local"),
    weight: fc.nat(3),
    upper: fc.nat(4),
  }),
  fc.record({ kind: fc.constant("removeServer" as const), which: fc.nat(4), server: fc.nat(3) }),
  fc.record({ kind: fc.constant("removeService" as const), which: fc.nat(4) }),
  fc.record({
    kind: fc.constant("packet" as const),
    client: fc.nat(3),
    port: fc.nat(3),
    to: fc.constantFrom(80, 21, 53, 2000),
    flags: fc.constantFrom("S", "A", "FA", "R", "SA", "udp"),
    mark: fc.constantFrom(0, 0, 7),
    payload: fc.constantFrom("", "PASV\r\n", "PORT 10,1,0,2,9,9\r\n"),
  }),
  fc.record({
    kind: fc.constant("answer" as const),
    flags: fc.constantFrom("SA", "A", "FA", "R"),
    pick: fc.nat(50),
  }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(50, 2_000, 15_000, 61_000, 200_000) }),
  fc.record({
    kind: fc.constant("setting" as const),
    name: fc.constantFrom(
      "expire_nodest_conn" as const,
      "expire_quiescent_template" as const,
      "sloppy_tcp" as const,
      "drop_entry" as const,
      "conn_reuse_mode" as const,
    ),
    value: fc.nat(3),
  }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const real = (n: number, change: Partial<DestinationSpec> = {}): DestinationSpec => ({
  family: 4,
  address: `10.2.0.${11 + n}`,
  port: 80,
  method: "nat",
  weight: 1,
  upper: 0,
  lower: 0,
  tunnel: IPIP,
  ...change,
});

function run(d: Director, s: Step, now: number): void {
  const { table } = d;
  if (s.kind === "service") {
    const spec = serviceSpec(IDS[s.which], {
      scheduler: s.scheduler,
      persistent: s.persistent,
      timeoutS: s.persistent ? 100 : 0,
      onePacket: s.onePacket,
      netmask: s.netmask,
    });
    if (table.services().some((x) => x.id === IDS[s.which])) table.editService(spec);
    else table.addService(spec);
  } else if (s.kind === "server") {
    const spec = real(s.server, { method: s.method, weight: s.weight, upper: s.upper });
    const known = table.find(IDS[s.which]).destinations.some((x) => x.spec.address === spec.address);
    if (known) table.editDestination(IDS[s.which], spec);
    else table.addDestination(IDS[s.which], spec);
  } else if (s.kind === "removeServer") table.removeDestination(IDS[s.which], real(s.server));
  else if (s.kind === "removeService") table.removeService(IDS[s.which]);
  else if (s.kind === "packet") {
    const from = `10.1.0.${2 + s.client}:${1000 + s.port}`;
    const extra = { mark: s.mark, payload: s.payload };
    const p =
      s.flags === "udp"
        ? udpPacket(from, `${VIP}:${s.to}`, extra)
        : tcpPacket(from, `${VIP}:${s.to}`, s.flags, extra);
    d.localIn(p, now);
  } else if (s.kind === "answer") answer(d, s, now);
  else if (s.kind === "setting") d.change({ [s.name]: s.value });
}

/** A real server answers some connection. */
function answer(d: Director, s: { flags: string; pick: number }, now: number): void {
  const all: number[] = [];
  d.connections.forEach((c) => {
    if (!(d.connections.flags(c) & FLAG.template) && d.connections.protocol(c) === 6) all.push(c);
  });
  if (all.length === 0) return;
  const c = all[s.pick % all.length];
  const dotted = (n: number): string => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join(".");
  const t = d.connections;
  const full = t.localPort(c) !== 0;
  const to = full
    ? `${dotted(t.localWord(c, 0))}:${t.localPort(c)}`
    : `${dotted(t.clientWord(c, 0))}:${t.clientPort(c)}`;
  const p = tcpPacket(`${dotted(t.destinationWord(c, 0))}:${t.destinationPort(c)}`, to, s.flags);
  if (full) d.localIn(p, now);
  else d.forward(p, now);
}

/** Counts of each destination as its connections have it. */
function recount(d: Director): Map<number, { active: number; inactive: number; persistent: number }> {
  const counts = new Map<number, { active: number; inactive: number; persistent: number }>();
  d.connections.forEach((c) => {
    const server = d.connections.server(c);
    if (server < 0) return;
    const n = counts.get(server) ?? { active: 0, inactive: 0, persistent: 0 };
    const flags = d.connections.flags(c);
    if (flags & FLAG.template) n.persistent++;
    else if (flags & FLAG.inactive) n.inactive++;
    else n.active++;
    counts.set(server, n);
  });
  return counts;
}

test("counts of destinations equal the connection table after any sequence, and end at zero", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), fc.nat(), (steps, seed) => {
      const host = new RecordingHost([VIP]);
      const d = new Director({ host, random: seeded(seed), now: 0 });
      let now = 0;
      for (const s of steps) {
        if (s.kind === "wait") {
          now += s.ms;
          d.advance(now);
        } else {
          try {
            run(d, s, now);
          } catch (error) {
            if (!(error instanceof TableError)) throw error;
          }
        }
        const counts = recount(d);
        const all = [...d.table.services().flatMap((x) => x.destinations), ...d.table.trashed()];
        for (const server of all) {
          const { active, inactive, persistent } = server;
          expect({ active, inactive, persistent }).toEqual(
            counts.get(server.index) ?? { active: 0, inactive: 0, persistent: 0 },
          );
          counts.delete(server.index);
        }
        expect([...counts]).toEqual([]);
      }
      for (let i = 1; i <= 40; i++) d.advance(now + i * 120_000);
      expect(d.connections.count).toBe(0);
    }),
    { numRuns: 300 },
  );
}, 60_000);
