import { describe, expect, test } from "vitest";
import { serviceSpec } from "../core/table.ts";
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

const VIP = "10.0.0.1:80";
const A = "10.0.1.1";
const B = "10.0.1.2";
const S = "10.0.1.9";

describe("ldirectord", () => {
  /** Changes of the table, and fallbackcommand. */
  const changes = (bed: SupervisorBed) => bed.done().filter((d) => !d.startsWith("fifo"));
  const timing = { ...TIMING, firstFailureCounts: false, delayLoopMs: 10_000, delayBeforeRetryMs: 10_000 };
  const real = (a: string, quiescent: boolean) =>
    realServer(a, { checks: [tcpCheck(a, { timing, alpha: true })], inhibitOnFailure: quiescent });
  const wanted = (quiescent: boolean, change: Partial<VirtualServerSpec> = {}) =>
    configuration(
      [
        virtualServer(VIP, [real(A, quiescent), real(B, quiescent)], {
          sorry: sorryServer(S),
          fallbackCommand: "/bin/fb",
          ...change,
        }),
      ],
      {},
      "ldirectord",
    );

  test("begins with the fallback, brings servers in as their checks succeed, the fallback out after the first", async () => {
    const bed = new SupervisorBed();
    bed.fail(B);
    await bed.supervisor.apply(wanted(false));
    const start = ["add tcp 10.0.0.1:80 wlc", "add 10.0.1.9:80 weight 1", "fallback: /bin/fb start"];
    expect(changes(bed)).toEqual(start);
    await bed.pass(0);
    expect(changes(bed)).toEqual([
      "add 10.0.1.1:80 weight 1",
      "remove 10.0.1.9:80",
      "fallback: /bin/fb stop",
    ]);
    bed.heal(B);
    await bed.pass(10);
    expect(changes(bed)).toEqual(["add 10.0.1.2:80 weight 1"]);
  });

  test("takes servers out after as many failures as failurecount says, the last one against the fallback", async () => {
    const bed = new SupervisorBed();
    await bed.supervisor.apply(wanted(false));
    await bed.pass(1);
    bed.done();
    bed.events.length = 0;
    bed.fail(A);
    await bed.pass(20);
    expect(changes(bed)).toEqual([]);
    const soft = bed.events.filter((e) => e.kind === "check-failure").map((e) => e.failures);
    expect(soft).toEqual([
      { count: 1, limit: 3 },
      { count: 2, limit: 3 },
    ]);
    await bed.pass(10);
    expect(changes(bed)).toEqual(["remove 10.0.1.1:80"]);
    bed.answer(B, { ok: false, final: true, detail: "in maintenance", latencyMs: 0 });
    await bed.pass(10);
    expect(changes(bed)).toEqual([
      "remove 10.0.1.2:80",
      "add 10.0.1.9:80 weight 1",
      "fallback: /bin/fb start",
    ]);
  });

  test("with quiescent leaves servers at weight 0 without thresholds, beside the fallback", async () => {
    const bed = new SupervisorBed();
    const servers = [A, B].map((a) => ({ ...real(a, true), upper: 20, lower: 10 }));
    bed.fail(A, B);
    await bed.supervisor.apply(wanted(true, { servers }));
    await bed.pass(1);
    const out = ["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 0", "  10.0.1.2:80 0", "  10.0.1.9:80 1"];
    expect(bed.fake.table()).toEqual(out);
    const thresholds = async () =>
      (await bed.fake.plane.service(serviceId(VIP))).destinations.map((d) => d.spec.upper).sort();
    expect(await thresholds()).toEqual([0, 0, 0]);
    bed.heal(A, B);
    await bed.pass(10);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1", "  10.0.1.2:80 1"]);
    expect(await thresholds()).toEqual([20, 20]);
  });

  test("adopts servers in the table with weight, removes what it does not know, restores what is changed by hand", async () => {
    const bed = new SupervisorBed({ repairMs: 10_000 });
    const { plane } = bed.fake;
    const entry = { ...real(A, false), family: 4, port: 80 } as const;
    await plane.addService(serviceSpec(serviceId(VIP)));
    for (const [address, weight] of [
      [A, 1],
      [B, 0],
      ["10.0.1.77", 1],
    ] as const) {
      await plane.addDestination(serviceId(VIP), { ...entry, address, weight });
    }
    bed.fail(B);
    bed.done();
    await bed.supervisor.apply(wanted(false));
    expect(changes(bed).sort()).toEqual(["remove 10.0.1.2:80", "remove 10.0.1.77:80"]);
    await plane.editDestination(serviceId(VIP), { ...entry, address: A, weight: 9 });
    await bed.pass(10);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1"]);
  });

  test("counts a server of weight 0 as up", async () => {
    const bed = new SupervisorBed();
    const servers = [{ ...real(A, false), weight: 0 }];
    await bed.supervisor.apply(wanted(false, { servers }));
    await bed.pass(1);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 0"]);
  });

  test("keeps a real server that is its own fallback", async () => {
    const bed = new SupervisorBed();
    await bed.supervisor.apply(wanted(true, { sorry: sorryServer(A) }));
    const weights = ["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1", "  10.0.1.2:80 1"];
    await bed.pass(1);
    expect(bed.fake.table()).toEqual(weights);
    bed.fail(A, B);
    await bed.pass(40);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1", "  10.0.1.2:80 0"]);
    bed.heal(A, B);
    await bed.pass(10);
    expect(bed.fake.table()).toEqual(weights);
  });
});
