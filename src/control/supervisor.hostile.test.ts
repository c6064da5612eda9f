/** What goes wrong around a supervisor: planes that fail, daemons that are killed, reloads at a bad moment, operators and sorry servers. */
import { describe, expect, test } from "vitest";
import { TableError } from "../core/errors.ts";
import { settled } from "../testkit/fake-clock.ts";
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
import type { Memory, SupervisorOptions } from "./supervision.ts";

const VIP = "10.0.0.1:80";
const V = "[10.0.0.1]:tcp:80";
const A = "10.0.1.1";
const B = "10.0.1.2";
const C = "10.0.1.3";
const S = "10.0.1.9";
const W1 = "tcp 10.0.0.1:80 wlc";

const alpha = (a: string, inhibitOnFailure = false) =>
  realServer(a, { checks: [tcpCheck(a, { alpha: true })], inhibitOnFailure });
const unchecked = (a: string, weight = 1) => realServer(a, { checks: [], weight });
const table = (bed: SupervisorBed, vip = W1): string[] => bed.fake.table().filter((l) => l !== vip);

describe("a plane that does not answer", () => {
  test("is told of once, however many servers wait for it, and gets everything when it is back", async () => {
    const bed = new SupervisorBed({ repairMs: 10_000 });
    const fleet = [1, 2, 3].map((n) => virtualServer(`10.0.0.${n}:80`, [realServer(A), realServer(B)]));
    await bed.apply(...fleet);
    await bed.pass(2);
    const { refuse } = bed.fake;
    bed.fake.refuse = () => {
      throw new TableError("EIO", "the engine does not stay up");
    };
    bed.events.length = 0;
    bed.fail(A, B);
    await bed.pass(30);
    expect(bed.events.filter((e) => e.kind === "refused").map((e) => e.reason)).toEqual([
      "the plane does not answer: the engine does not stay up",
    ]);
    expect((await bed.supervisor.status()).trouble).toMatch(/does not answer/);
    bed.fake.refuse = refuse;
    await bed.pass(10);
    expect(bed.fake.table()).toEqual([1, 2, 3].map((n) => `tcp 10.0.0.${n}:80 wlc`));
    expect((await bed.supervisor.status()).trouble).toBeUndefined();
  });

  test("that comes back empty is filled again by the next change already", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B), realServer(C)]));
    await bed.pass(2);
    await bed.fake.plane.flush();
    bed.fail(A);
    await bed.pass(12);
    expect(table(bed)).toEqual(["  10.0.1.2:80 1", "  10.0.1.3:80 1"]);
  });

  test("or did what it seemed not to do, is understood", async () => {
    const bed = new SupervisorBed({ repairMs: 10_000 });
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    await bed.pass(2);
    const { removeDestination } = bed.fake.plane;
    bed.fake.plane.removeDestination = async (...args) => {
      await removeDestination(...args);
      throw new TableError("EIO", "it ended before it answered");
    };
    bed.fail(A);
    await bed.pass(12);
    expect(table(bed)).toEqual(["  10.0.1.2:80 1"]);
    bed.fake.plane.removeDestination = removeDestination;
    await bed.pass(20);
    expect((await bed.supervisor.status()).trouble).toBeUndefined();
    bed.heal(A);
    await bed.pass(10);
    expect(table(bed)).toEqual(["  10.0.1.1:80 1", "  10.0.1.2:80 1"]);
  });
});

describe("a callback that throws", () => {
  test("is told of, and nothing else stops", async () => {
    const bugs: unknown[] = [];
    const onEffect: SupervisorOptions["onEffect"] = () => {
      throw new Error("no disk");
    };
    const bed = new SupervisorBed({ onEffect, onBug: (error) => bugs.push(error) });
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    bed.fail(A);
    await bed.pass(10);
    expect(bugs.length).toBeGreaterThan(0);
    expect(table(bed)).toEqual(["  10.0.1.2:80 1"]);
    await bed.supervisor.stop();
    expect(bed.fake.table()).toEqual([]);
  });
});

describe("a killed daemon", () => {
  /** A bed, and what it last wanted to be remembered. */
  function remembering(options: Partial<SupervisorOptions>, fake?: FakePlane) {
    const memory: { last?: Memory } = {};
    const bed = new SupervisorBed({ ...options, onMemory: (m) => (memory.last = m) }, fake);
    return { bed, memory };
  }
  const successor = ({ holds, virtualServers }: Memory, fake: FakePlane) =>
    remembering({ holds, former: structuredClone(virtualServers) }, fake);

  test("in the middle of a drain leaves nothing behind: the next one goes on with it", async () => {
    const fake = new FakePlane();
    const { bed: former, memory } = remembering({}, fake);
    await former.apply(
      virtualServer(VIP, [realServer(A), realServer(B)]),
      virtualServer("10.0.0.2:80", [realServer(A)]),
    );
    fake.connect(serviceId(VIP), A, 3);
    fake.connect(serviceId("10.0.0.2:80"), A, 2);
    await former.apply(virtualServer(VIP, [realServer(B)]));
    expect(fake.table()).toEqual([
      W1,
      "  10.0.1.1:80 0",
      "  10.0.1.2:80 1",
      "tcp 10.0.0.2:80 wlc",
      "  10.0.1.1:80 0",
    ]);
    const { bed, memory: next } = successor(memory.last!, fake);
    await bed.apply(virtualServer(VIP, [realServer(B)]));
    const { virtualServers } = await bed.supervisor.status();
    expect(virtualServers[0]!.leavingServers).toMatchObject([
      { name: `[${A}]:tcp:80`, connections: { active: 3 } },
    ]);
    expect(virtualServers[1]).toMatchObject({ name: "[10.0.0.2]:tcp:80", leaving: true });
    fake.connect(serviceId(VIP), A, 0);
    fake.connect(serviceId("10.0.0.2:80"), A, 0);
    await bed.pass(3);
    expect(fake.table()).toEqual([W1, "  10.0.1.2:80 1"]);
    expect(next.last!.virtualServers).toHaveLength(1);
    expect(next.last!.virtualServers[0]!.servers).toHaveLength(1);
  });

  test("whose configuration changed meanwhile: what left it drains, what others put there stays", async () => {
    const fake = new FakePlane();
    const { bed: former, memory } = remembering({}, fake);
    await former.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    const stranger = {
      family: 4,
      address: "10.0.1.77",
      port: 80,
      method: "nat",
      weight: 1,
      upper: 0,
      lower: 0,
      tunnel: { type: "ipip", port: 0, checksum: "none" },
    } as const;
    await fake.plane.addDestination(serviceId(VIP), stranger);
    fake.connect(serviceId(VIP), A, 3);
    const { bed } = successor(memory.last!, fake);
    await bed.apply(virtualServer(VIP, [realServer(B)]));
    expect(fake.table()).toEqual([W1, "  10.0.1.1:80 0", "  10.0.1.2:80 1", "  10.0.1.77:80 1"]);
    fake.connect(serviceId(VIP), A, 0);
    await bed.pass(2);
    expect(fake.table()).toEqual([W1, "  10.0.1.2:80 1", "  10.0.1.77:80 1"]);
  });

  test("that removes at once: so does the next one, whole services too", async () => {
    const fake = new FakePlane();
    const { bed: former, memory } = remembering({}, fake);
    await former.apply(
      virtualServer(VIP, [realServer(A), realServer(B)]),
      virtualServer("10.0.0.2:80", [realServer(A)]),
    );
    const { holds, virtualServers } = memory.last!;
    const bed = new SupervisorBed(
      { holds, former: virtualServers, removal: { mode: "immediate", limitMs: 0 }, repairMs: 10_000 },
      fake,
    );
    await bed.apply(virtualServer(VIP, [realServer(B)]));
    await bed.pass(11);
    expect(fake.table()).toEqual([W1, "  10.0.1.2:80 1"]);
  });

  test("is remembered before the table is touched, with the words of the operator", async () => {
    const fake = new FakePlane();
    const { bed, memory } = remembering({}, fake);
    fake.gate = () => new Promise(() => {});
    const stuck = new SupervisorBed({ onMemory: (m) => (memory.last = m) }, fake);
    fake.gate = () => Promise.resolve();
    await stuck.apply(virtualServer(VIP, [realServer(A)]));
    await stuck.supervisor.drain(VIP, A);
    expect(memory.last!.holds).toMatchObject([
      { service: V, server: `[${A}]:tcp:80`, hold: { kind: "drain" } },
    ]);
    fake.gate = () => new Promise(() => {});
    void stuck.supervisor.apply(configuration([virtualServer(VIP, [realServer(A), realServer(B)])]));
    await settled();
    expect(memory.last!.virtualServers[1]!.servers).toHaveLength(2);
    expect(fake.table()).toEqual([W1, "  10.0.1.1:80 0"]);
    await bed.supervisor.stop({ keep: true });
  });
});

describe("a virtual server", () => {
  test("that left and comes back with fewer servers drains those", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    bed.fake.connect(serviceId(VIP), A, 2);
    await bed.apply();
    await bed.apply(virtualServer(VIP, [realServer(B)]));
    expect(table(bed)).toEqual(["  10.0.1.1:80 0", "  10.0.1.2:80 1"]);
    bed.fake.connect(serviceId(VIP), A, 0);
    await bed.pass(1);
    expect(table(bed)).toEqual(["  10.0.1.2:80 1"]);
  });

  test("under another name keeps the health of its servers, its checks and the operator's words", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [alpha(A), alpha(B), alpha(C)]));
    bed.fail(C);
    await bed.pass(8);
    await bed.supervisor.drain(VIP, B);
    bed.done();
    bed.words();
    const group = { name: "[G]:0", ids: [serviceId(VIP)] };
    await bed.apply(virtualServer(VIP, [alpha(A), alpha(B), alpha(C)], group));
    expect(bed.done()).toEqual([]);
    expect(bed.words()).toContain(`(service-edited) was ${V}`);
    const { virtualServers } = await bed.supervisor.status();
    expect(virtualServers).toHaveLength(1);
    expect(virtualServers[0]!.servers.map((s) => [s.up, s.weight])).toEqual([
      [true, 1],
      [true, 0],
      [false, 1],
    ]);
    expect(bed.open).toBe(3);
    await bed.apply();
    await bed.pass(1);
    expect(bed.fake.table()).toEqual([]);
  });

  test("that was the sorry server's and gets it as a real server has it at once", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [alpha(A)], { sorry: sorryServer(S) }));
    bed.fake.connect(serviceId(VIP), S, 2);
    await bed.apply(virtualServer(VIP, [alpha(A)]));
    await bed.apply(virtualServer(VIP, [alpha(A), realServer(S)]));
    expect(table(bed)).toContain("  10.0.1.9:80 1");
  });

  test("whose last service is just being removed begins anew, not with the weights of the drain", async () => {
    const bed = new SupervisorBed();
    const servers = [alpha(A, true), realServer(B, { inhibitOnFailure: true })];
    await bed.apply(virtualServer(VIP, servers));
    bed.fake.connect(serviceId(VIP), B, 1);
    await bed.apply();
    bed.fake.connect(serviceId(VIP), B, 0);
    let open = () => {};
    const closed = new Promise<void>((resolve) => {
      open = resolve;
    });
    const calls: string[] = [];
    bed.fake.refuse = (call) => {
      calls.push(call);
      if (call === "remove tcp 10.0.0.1:80") bed.fake.gate = () => closed;
    };
    void bed.clock.pass(1000);
    await settled();
    await settled();
    const applying = bed.apply(virtualServer(VIP, servers));
    await settled();
    open();
    await applying;
    expect(table(bed)).toEqual(["  10.0.1.1:80 0", "  10.0.1.2:80 1"]);
  });
});

describe("an operator's drain", () => {
  test("of the last server lets its connections finish while the sorry server serves", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [unchecked(A), unchecked(B)], { sorry: sorryServer(S), quorum: 2 }));
    bed.fake.connect(serviceId(VIP), A, 5);
    await bed.supervisor.drain(VIP, A);
    expect(table(bed)).toEqual(["  10.0.1.1:80 0", "  10.0.1.9:80 1"]);
    await bed.supervisor.undrain(VIP, A);
    expect(table(bed)).toEqual(["  10.0.1.1:80 1", "  10.0.1.2:80 1"]);
  });

  test("given while the sorry server serves is seen in the table, and so is its end", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [unchecked(A), alpha(B)], { sorry: sorryServer(S), quorum: 2 }));
    bed.fail(B);
    expect(table(bed)).toEqual(["  10.0.1.9:80 1"]);
    await bed.supervisor.drain(VIP, A);
    expect(table(bed)).toEqual(["  10.0.1.1:80 0", "  10.0.1.9:80 1"]);
    await bed.supervisor.undrain(VIP, A);
    expect(table(bed)).toEqual(["  10.0.1.9:80 1"]);
  });
});

describe("a probe that two virtual servers share", () => {
  test("tells the one that rested what happened meanwhile", async () => {
    const bed = new SupervisorBed();
    const shared = () => realServer(A, { checks: [tcpCheck(A)] });
    bed.supervisor.setAddresses(new Set(["10.0.0.2"]));
    await bed.apply(
      virtualServer(VIP, [shared(), unchecked(B)]),
      virtualServer("10.0.0.2:80", [shared(), unchecked(B)], { haSuspend: true }),
    );
    await bed.pass(2);
    bed.supervisor.setAddresses(new Set());
    bed.fail(A);
    await bed.pass(10);
    expect(bed.fake.table()).toEqual([
      W1,
      "  10.0.1.2:80 1",
      "tcp 10.0.0.2:80 wlc",
      "  10.0.1.1:80 1",
      "  10.0.1.2:80 1",
    ]);
    bed.supervisor.setAddresses(new Set(["10.0.0.2"]));
    await settled();
    expect(bed.fake.table()).toEqual([W1, "  10.0.1.2:80 1", "tcp 10.0.0.2:80 wlc", "  10.0.1.2:80 1"]);
  });

  test("goes on when a reload takes it from one and gives it to the other", async () => {
    const bed = new SupervisorBed();
    const timing = { ...TIMING, warmupMs: 0 };
    const server = () => realServer(A, { checks: [tcpCheck(A, { timing })] });
    await bed.apply(virtualServer(VIP, [server(), unchecked(B)]));
    bed.fail(A);
    await bed.pass(2);
    await bed.apply(
      virtualServer(VIP, [unchecked(B)]),
      virtualServer("10.0.0.2:80", [server(), unchecked(B)]),
    );
    expect(bed.fake.table()).toEqual([W1, "  10.0.1.2:80 1", "tcp 10.0.0.2:80 wlc", "  10.0.1.2:80 1"]);
    expect(bed.open).toBe(1);
  });
});

describe("a sync daemon", () => {
  test("that somebody ended is started again; a refusal is told of once", async () => {
    const bed = new SupervisorBed({ repairMs: 10_000 });
    const sync = { interface: "eth0", instance: "VI", syncId: 1, maxLen: 0, port: 0, ttl: 0, group: "" };
    await bed.supervisor.apply(configuration([virtualServer(VIP, [realServer(A)])], { sync }));
    const running = async () => (await bed.fake.plane.daemons()).map((d) => d.state);
    expect(await running()).toEqual(["backup"]);
    await bed.fake.plane.stopDaemon("backup");
    bed.fake.refuse = () => {
      throw new TableError("ENODEV", "no such interface");
    };
    await bed.pass(35);
    expect(bed.events.filter((e) => e.kind === "refused")).toHaveLength(1);
    bed.fake.refuse = () => {};
    await bed.pass(10);
    expect(await running()).toEqual(["backup"]);
    await bed.supervisor.stop();
    expect(await running()).toEqual([]);
    expect(bed.clock.waiting).toBe(0);
  });
});
