import { describe, expect, test } from "vitest";
import { FakePlane } from "../testkit/fake-plane.ts";
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
import { planFromTable } from "./plan.ts";
import type { Plan, Removal } from "./supervision.ts";
import type { VirtualServerSpec } from "./wanted.ts";

const VIP = "10.0.0.1:80";
const V = "[10.0.0.1]:tcp:80";
const [A, B, C, S] = ["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.9"];

/** Two servers with 3 and 5 connections. */
async function running(removal?: Removal): Promise<SupervisorBed> {
  const bed = new SupervisorBed(removal ? { removal } : {});
  await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
  bed.fake.connect(serviceId(VIP), A, 2, 1);
  bed.fake.connect(serviceId(VIP), B, 5);
  return bed;
}

/** The plan for it, after making sure that the plan did nothing and that the reload does what the plan says. */
async function planned(bed: SupervisorBed, ...specs: VirtualServerSpec[]): Promise<Plan> {
  const before = bed.fake.table();
  const plan = await bed.supervisor.plan(configuration(specs));
  expect(bed.fake.table()).toEqual(before);
  bed.done();
  await bed.apply(...specs);
  const changes = bed.done().filter((d) => /^(add|edit|remove)/.test(d));
  const inTable = plan.changes.filter((c) => c.what !== "check" && c.id !== undefined);
  expect(changes.length > 0).toBe(inTable.length > 0);
  return plan;
}

const texts = (plan: Plan): string[] => plan.changes.map((c) => c.text);

describe("a plan", () => {
  test("is empty when nothing would change", async () => {
    const bed = await running();
    const plan = await planned(bed, virtualServer(VIP, [realServer(A), realServer(B)]));
    expect(plan).toEqual({
      changes: [],
      unchanged: { services: 1, servers: 2, checks: 2 },
      connections: { untouched: 8, drained: 0, cut: 0 },
    });
  });

  test("tells what is added, edited, drained, and what it costs", async () => {
    const bed = await running();
    const service = { ...virtualServer(VIP, []).service, scheduler: "rr" };
    const servers = [realServer(B, { weight: 4 }), realServer(C)];
    const other = virtualServer("10.0.0.2:80", [realServer(C)]);
    const plan = await planned(bed, virtualServer(VIP, servers, { service, quorum: 2 }), other);
    expect(texts(plan)).toEqual([
      `edit service tcp 10.0.0.1:80 of ${V}: scheduler wlc -> rr`,
      `edit server [10.0.1.2]:tcp:80 of ${V}: weight 1 -> 4`,
      `add server [10.0.1.3]:tcp:80 to ${V}, weight 1`,
      `drain server [10.0.1.1]:tcp:80 of ${V}: 3 connections may finish`,
      `edit ${V}: quorum 1 -> 2`,
      "add service tcp 10.0.0.2:80 of [10.0.0.2]:tcp:80",
      "add server [10.0.1.3]:tcp:80 to [10.0.0.2]:tcp:80, weight 1",
    ]);
    expect(plan.connections).toEqual({ untouched: 5, drained: 3, cut: 0 });
    expect(plan.unchanged).toEqual({ services: 0, servers: 0, checks: 1 });
  });

  test("tells which connections are cut where servers are removed at once", async () => {
    const bed = await running({ mode: "immediate", limitMs: 0 });
    const one = await bed.supervisor.plan(configuration([virtualServer(VIP, [realServer(B)])]));
    expect(texts(one)).toEqual([`remove server [10.0.1.1]:tcp:80 from ${V}: 3 connections are cut`]);
    expect(one.connections).toEqual({ untouched: 5, drained: 0, cut: 3 });
    const all = await planned(bed);
    expect(texts(all)).toEqual([`remove service tcp 10.0.0.1:80 of ${V}: 8 connections are cut`]);
  });

  test("tells that a removed service may finish", async () => {
    const plan = await planned(await running());
    expect(texts(plan)).toEqual([`drain service tcp 10.0.0.1:80 of ${V}: 8 connections may finish`]);
    expect(plan.connections).toEqual({ untouched: 0, drained: 8, cut: 0 });
  });

  test("shows checks and sorry servers, and what the state of servers makes of them", async () => {
    const bed = await running();
    bed.fail(A, B);
    await bed.pass(10);
    const checks = [tcpCheck(A, { timing: { ...TIMING, retry: 9 } }), tcpCheck(C)];
    const servers = [realServer(A, { checks }), realServer(B, { checks: [] })];
    const plan = await planned(bed, virtualServer(VIP, servers, { sorry: sorryServer(S), quorum: 2 }));
    expect(texts(plan).filter((t) => /check|sorry/.test(t))).toEqual([
      `add sorry server [10.0.1.9]:tcp:80 to ${V}, weight 1`,
      `edit ${V}: quorum 1 -> 2, sorry none -> 10.0.1.9:80`,
      `edit tcp check of [10.0.1.1]:tcp:80 of ${V}: timing.retry 2 -> 9`,
      `add tcp check of [10.0.1.1]:tcp:80 of ${V}`,
      `remove tcp check of [10.0.1.2]:tcp:80 of ${V}`,
    ]);
  });

  test("is made without a daemon from the table alone", async () => {
    const fake = new FakePlane();
    await fake.plane.addService({ ...virtualServer(VIP, []).service, id: serviceId(VIP) });
    const { method, tunnel, upper, lower } = realServer(A);
    const entry = { family: 4, address: A, port: 80, method, tunnel, upper, lower, weight: 7 } as const;
    await fake.plane.addDestination(serviceId(VIP), entry);
    await fake.plane.addDestination(serviceId(VIP), { ...entry, address: S });
    fake.connect(serviceId(VIP), S, 4);
    const statuses = await fake.plane.services();
    const wanted = configuration([virtualServer(VIP, [realServer(A)])]);
    expect(texts(planFromTable(statuses, wanted))).toEqual([
      `edit server [10.0.1.1]:tcp:80 of ${V}: weight 7 -> 1`,
    ]);
    expect(texts(planFromTable(statuses, { ...wanted, language: "ldirectord" }))).toEqual([
      `edit server [10.0.1.1]:tcp:80 of ${V}: weight 7 -> 1`,
      `remove server [10.0.1.9]:tcp:80 from ${V}: 4 connections are cut`,
    ]);
    const flushed = planFromTable(statuses, configuration(wanted.virtualServers, { flush: true }));
    expect(texts(flushed)[0]).toBe("empty the table (lvs_flush): 1 services, 4 connections are cut");
  });
});
