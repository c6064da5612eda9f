import { describe, expect, test } from "vitest";
import { TableError } from "../core/errors.ts";
import { serviceSpec } from "../core/table.ts";
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
import type { Verdict } from "./checks/check.ts";
import type { VirtualServerSpec } from "./wanted.ts";

const VIP = "10.0.0.1:80";
const V = "[10.0.0.1]:tcp:80";
const A = "10.0.1.1";
const B = "10.0.1.2";
const S = "10.0.1.9";
const nameOf = (address: string) => `[${address}]:tcp:80`;

const script = (name: string) => ({ command: [name] });

/** Two servers with every script, mail, and a sorry server. */
const talkative = (change: Partial<VirtualServerSpec> = {}): VirtualServerSpec =>
  virtualServer(
    VIP,
    [A, B].map((a) =>
      realServer(a, { notifyUp: script(`up-${a}`), notifyDown: script(`down-${a}`), smtpAlert: true }),
    ),
    {
      quorumUp: script("quorum-up"),
      quorumDown: script("quorum-down"),
      sorry: sorryServer(S),
      smtpAlert: true,
      ...change,
    },
  );

const alpha = (a: string, inhibitOnFailure = false) =>
  realServer(a, { checks: [tcpCheck(a, { alpha: true })], inhibitOnFailure });

describe("start", () => {
  test("puts servers in service before any check has run, and tells of the quorum", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative());
    expect(bed.done()).toEqual([
      "add tcp 10.0.0.1:80 wlc",
      "add 10.0.1.1:80 weight 1",
      "add 10.0.1.2:80 weight 1",
      "quorum_up: quorum-up",
      `fifo: VS ${V} UP`,
      `mail: Virtualserver ${V} - UP => Starting with quorum up 1+0=1 <= 2 <=`,
    ]);
    expect(bed.words()).toEqual([
      "(service-added) in the configuration",
      `Gained quorum 1+0=1 <= 2 for VS ${V}`,
      `Activating healthchecker for service ${nameOf(A)} for VS ${V}`,
      `Activating healthchecker for service ${nameOf(B)} for VS ${V}`,
    ]);
    expect(bed.checks.size).toBe(0);
  });

  test("keeps alpha servers out, or at weight 0, until their checks have succeeded once", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [alpha(A), alpha(B, true)]));
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.2:80 0"]);
    expect(bed.words().join()).not.toMatch(/quorum/);
    await bed.pass(1);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1", "  10.0.1.2:80 1"]);
    expect(bed.words()).toEqual([
      "(check-ok) connected",
      `Adding service ${nameOf(A)} to VS ${V}`,
      `Gained quorum 1+0=1 <= 1 for VS ${V}`,
      "(check-ok) connected",
      `Enabling service ${nameOf(B)} of VS ${V}`,
    ]);
  });

  test("below the quorum begins with the sorry server", async () => {
    const bed = new SupervisorBed();
    const quorumDown = script("quorum-down");
    await bed.apply(virtualServer(VIP, [alpha(A)], { sorry: sorryServer(S), quorumDown }));
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.9:80 1"]);
    expect(bed.words().slice(1, 3)).toEqual([
      `Starting with quorum down 1-0=1 > 0 for VS ${V}`,
      `Adding sorry server ${nameOf(S)} to VS ${V}`,
    ]);
    expect(bed.done().slice(-2)).toEqual(["quorum_down: quorum-down", `fifo: VS ${V} DOWN`]);
  });

  test("tells of an alpha server that fails its first check", async () => {
    const bed = new SupervisorBed();
    bed.fail(A);
    await bed.apply(virtualServer(VIP, [{ ...alpha(A), notifyDown: script("down") }]));
    await bed.pass(1);
    expect(bed.done().slice(1)).toEqual(["notify_down: down", `fifo: RS ${nameOf(A)} ${V} DOWN`]);
    await bed.pass(60);
    expect(bed.done()).toEqual([]);
  });

  test("runs notify_up for what is up when rs_init_notifies is set", async () => {
    const bed = new SupervisorBed();
    await bed.supervisor.apply(configuration([talkative()], { rsInitNotifies: true }));
    expect(bed.done()).toContain(`notify_up: up-${A}`);
  });

  test("empties the table and sets the timeouts first where that is configured, and puts the timeouts back", async () => {
    const bed = new SupervisorBed();
    const before = await bed.fake.plane.timeouts();
    await bed.supervisor.apply(
      configuration([talkative()], { flush: true, timeouts: { tcp: 7200, tcpFin: 0, udp: 0 } }),
    );
    expect(bed.done().slice(0, 3)).toEqual(["flush", "timeouts 7200 0 0", "add tcp 10.0.0.1:80 wlc"]);
    await bed.supervisor.stop();
    expect(await bed.fake.plane.timeouts()).toEqual(before);
  });

  test("runs the sync daemon that the VRRP state asks for, both without an instance", async () => {
    const sync = { interface: "eth0", syncId: 5, maxLen: 0, port: 0, ttl: 0, group: "" };
    const bed = new SupervisorBed();
    await bed.supervisor.apply(configuration([], { sync }));
    expect(bed.done()).toEqual(["start master daemon on eth0", "start backup daemon on eth0"]);
    await bed.supervisor.apply(configuration([], { sync: { ...sync, instance: "VI_1" } }));
    expect(bed.done()).toEqual(["stop master daemon", "stop backup daemon", "start backup daemon on eth0"]);
    await bed.supervisor.setSyncRole("master");
    expect(bed.done()).toEqual(["start master daemon on eth0"]);
    await bed.pass(3);
    expect(bed.done()).toEqual(["stop backup daemon"]);
    await bed.supervisor.stop();
    expect(bed.done()).toEqual(["stop master daemon"]);
  });

  test("an unreadable table is an error, and changes nothing", async () => {
    const bed = new SupervisorBed();
    bed.fake.gate = () => Promise.reject(new TableError("EPERM", "not root"));
    await expect(bed.supervisor.apply(configuration([talkative()]))).rejects.toThrow("not root");
    bed.fake.gate = () => Promise.resolve();
    await bed.apply(talkative());
    expect(bed.fake.table()).toHaveLength(3);
  });
});

describe("a failing server", () => {
  test("is removed, told of, and comes back, in keepalived's order", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative());
    await bed.pass(2);
    bed.done();
    bed.words();
    bed.fail(A);
    await bed.pass(8);
    expect(bed.done()).toEqual([
      "remove 10.0.1.1:80",
      `notify_down: down-${A}`,
      `fifo: RS ${nameOf(A)} ${V} DOWN`,
      `mail: Realserver ${nameOf(A)} of virtual server ${V} - DOWN => check failed: connection refused <=`,
    ]);
    expect(bed.words()).toEqual([
      "(check-failed) connection refused",
      `Removing service ${nameOf(A)} from VS ${V}`,
    ]);
    bed.heal(A);
    await bed.pass(6);
    expect(bed.done()).toEqual([
      "add 10.0.1.1:80 weight 1",
      `notify_up: up-${A}`,
      `fifo: RS ${nameOf(A)} ${V} UP`,
      `mail: Realserver ${nameOf(A)} of virtual server ${V} - UP => check ok: connected <=`,
    ]);
  });

  test("the last of all makes way for the sorry server, which makes way for the first that returns", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative());
    bed.fail(A, B);
    await bed.pass(1);
    expect(bed.done().slice(6)).toEqual([
      "remove 10.0.1.1:80",
      `notify_down: down-${A}`,
      `fifo: RS ${nameOf(A)} ${V} DOWN`,
      `mail: Realserver ${nameOf(A)} of virtual server ${V} - DOWN => check failed: connection refused <=`,
      "remove 10.0.1.2:80",
      `notify_down: down-${B}`,
      `fifo: RS ${nameOf(B)} ${V} DOWN`,
      "add 10.0.1.9:80 weight 1",
      "quorum_down: quorum-down",
      `fifo: VS ${V} DOWN`,
      `mail: Virtualserver ${V} - DOWN => Lost quorum 1-0=1 > 0 <=`,
      `mail: Realserver ${nameOf(B)} of virtual server ${V} - DOWN => check failed: connection refused <=`,
    ]);
    expect(bed.words().slice(-2)).toEqual([
      `Lost quorum 1-0=1 > 0 for VS ${V}`,
      `Adding sorry server ${nameOf(S)} to VS ${V}`,
    ]);
    bed.heal(A);
    await bed.pass(6);
    expect(bed.done()).toEqual([
      `notify_up: up-${A}`,
      `fifo: RS ${nameOf(A)} ${V} UP`,
      // No moment without a server: the sorry server goes last.
      "add 10.0.1.1:80 weight 1",
      "remove 10.0.1.9:80",
      "quorum_up: quorum-up",
      `fifo: VS ${V} UP`,
      `mail: Virtualserver ${V} - UP => Gained quorum 1+0=1 <= 1 <=`,
      `mail: Realserver ${nameOf(A)} of virtual server ${V} - UP => check ok: connected <=`,
    ]);
    expect(bed.words()).toEqual([
      "(check-ok) connected",
      `Adding service ${nameOf(A)} to VS ${V}`,
      `Gained quorum 1+0=1 <= 1 for VS ${V}`,
      `Removing sorry server ${nameOf(S)} from VS ${V}`,
      `Adding alive servers to the pool for VS ${V}`,
    ]);
  });

  test("with inhibit_on_failure keeps its entry with weight 0, and so does a sorry server with inhibit", async () => {
    const bed = new SupervisorBed();
    const servers = [realServer(A, { inhibitOnFailure: true, weight: 3 })];
    await bed.apply(virtualServer(VIP, servers, { sorry: sorryServer(S, true) }));
    expect(bed.fake.table().slice(1)).toEqual(["  10.0.1.1:80 3", "  10.0.1.9:80 0"]);
    bed.fail(A);
    await bed.pass(1);
    expect(bed.fake.table().slice(1)).toEqual(["  10.0.1.1:80 0", "  10.0.1.9:80 1"]);
    expect(bed.words().slice(-3)).toEqual([
      `Disabling service ${nameOf(A)} of VS ${V}`,
      `Lost quorum 1-0=1 > 0 for VS ${V}`,
      `Enabling sorry server ${nameOf(S)} to VS ${V}`,
    ]);
    bed.heal(A);
    await bed.pass(6);
    expect(bed.fake.table().slice(1)).toEqual(["  10.0.1.1:80 3", "  10.0.1.9:80 0"]);
    expect(bed.words()).toContain(`Disabling sorry server ${nameOf(S)} from VS ${V}`);
  });

  test("with several checks is up when none of them is failed", async () => {
    const bed = new SupervisorBed();
    const second = "10.0.2.1";
    const both = realServer(A, { checks: [tcpCheck(A), tcpCheck(second)] });
    await bed.apply(virtualServer(VIP, [both, realServer(B)]));
    bed.fail(A, second);
    await bed.pass(1);
    bed.heal(A);
    await bed.pass(30);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.2:80 1"]);
    bed.heal(second);
    await bed.pass(10);
    expect(bed.fake.table()).toHaveLength(3);
  });
});

describe("quorum 3 with hysteresis 1 and two servers of weight 2", () => {
  test("is gained with 4, kept with 2, lost with 0, still lost with 2, gained with 4", async () => {
    const bed = new SupervisorBed();
    const servers = [realServer(A, { weight: 2 }), realServer(B, { weight: 2 })];
    const quorum = { quorum: 3, hysteresis: 1, sorry: sorryServer(S) };
    const said = () => bed.words().filter((w) => /quorum|sorry|pool/.test(w));
    await bed.apply(virtualServer(VIP, servers, quorum));
    expect(said()).toEqual([`Gained quorum 3+1=4 <= 4 for VS ${V}`]);
    bed.fail(A);
    await bed.pass(1);
    expect(said()).toEqual([]);
    bed.fail(B);
    await bed.pass(9);
    expect(said()).toEqual([
      `Lost quorum 3-1=2 > 0 for VS ${V}`,
      `Adding sorry server ${nameOf(S)} to VS ${V}`,
    ]);
    bed.heal(A);
    await bed.pass(9);
    expect(said()).toEqual([]);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.9:80 1"]);
    bed.heal(B);
    await bed.pass(9);
    expect(said()).toEqual([
      `Gained quorum 3+1=4 <= 4 for VS ${V}`,
      `Removing sorry server ${nameOf(S)} from VS ${V}`,
      `Adding alive servers to the pool for VS ${V}`,
    ]);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 2", "  10.0.1.2:80 2"]);
  });

  test("sends away a server that is still alive when it is lost", async () => {
    const bed = new SupervisorBed();
    const servers = [realServer(A, { weight: 1 }), realServer(B, { weight: 2 })];
    await bed.apply(virtualServer(VIP, servers, { quorum: 3, sorry: sorryServer(S) }));
    bed.words();
    bed.fail(B);
    await bed.pass(1);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.9:80 1"]);
    expect(bed.words()).toContain(`Removing alive servers from the pool for VS ${V}`);
    // Its own turns are not written while the sorry server serves.
    bed.fail(A);
    await bed.pass(9);
    bed.heal(A);
    bed.done();
    await bed.pass(9);
    expect(bed.done()).toEqual([`fifo: RS ${nameOf(A)} ${V} UP`]);
  });
});

describe("weights", () => {
  const weighing = (value: number, kind: "absolute" | "add" = "absolute"): Verdict => ({
    ok: true,
    detail: `weight ${value}`,
    latencyMs: 1,
    weight: { kind, value },
  });

  test("follow what checks ask for, and go back when they ask no more", async () => {
    const bed = new SupervisorBed();
    const checks = [tcpCheck(A), tcpCheck("10.0.2.1")];
    await bed.apply(virtualServer(VIP, [realServer(A, { weight: 10, checks }), realServer(B)]));
    await bed.pass(2);
    bed.words();
    bed.answer(A, weighing(24));
    bed.answer("10.0.2.1", weighing(-4, "add"));
    await bed.pass(6);
    expect(bed.fake.table()).toContain("  10.0.1.1:80 20");
    expect(bed.words()).toEqual([
      `Changing weight from 10 to 24 for active service ${nameOf(A)} of VS ${V}`,
      `Changing weight from 24 to 20 for active service ${nameOf(A)} of VS ${V}`,
    ]);
    bed.heal(A);
    await bed.pass(6);
    expect(bed.fake.table()).toContain("  10.0.1.1:80 6");
    bed.answer("10.0.2.1", weighing(-99, "add"));
    await bed.pass(6);
    expect(bed.fake.table()).toContain("  10.0.1.1:80 0");
  });

  test("of 0 leave a server up, but count 0 for the quorum", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A)], { sorry: sorryServer(S) }));
    bed.answer(A, weighing(0));
    await bed.pass(1);
    expect(bed.words()).toContain(`Lost quorum 1-0=1 > 0 for VS ${V}`);
    expect((await bed.supervisor.status()).virtualServers[0].servers[0]).toMatchObject({
      up: true,
      weight: 0,
    });
  });

  test("are the operator's while he says so, also over a reload and a failure", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    await bed.supervisor.weight(VIP, A, 7);
    await bed.supervisor.drain(V, nameOf(B));
    const held = ["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 7", "  10.0.1.2:80 0"];
    expect(bed.fake.table()).toEqual(held);
    await bed.apply(virtualServer(VIP, [realServer(A, { weight: 5 }), realServer(B, { weight: 5 })]));
    expect(bed.fake.table()).toEqual(held);
    bed.fail(A);
    await bed.pass(10);
    bed.heal(A);
    await bed.pass(10);
    expect(bed.fake.table()).toEqual(held);
    await bed.supervisor.undrain("tcp 10.0.0.1:80", "10.0.1.1:80");
    await bed.supervisor.undrain("tcp 10.0.0.1:80", "10.0.1.2:80");
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 5", "  10.0.1.2:80 5"]);
  });

  test("of what is not there are refused with the names of what is", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A)]));
    await expect(bed.supervisor.drain("10.0.0.9:80", A)).rejects.toThrow(`there is ${V}`);
    await expect(bed.supervisor.drain(VIP, B)).rejects.toThrow(`it has ${nameOf(A)}`);
    await expect(bed.supervisor.weight(VIP, A, -1)).rejects.toMatchObject({ code: "bad-weight" });
  });
});

describe("the table", () => {
  test("that a killed daemon left behind is taken over as it is", async () => {
    const fake = new FakePlane();
    const former = new SupervisorBed({}, fake);
    const servers = [alpha(A), alpha(B), realServer(S)];
    former.fail(B);
    await former.apply(virtualServer(VIP, servers));
    await former.pass(2);
    const left = ["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1", "  10.0.1.9:80 1"];
    expect(fake.table()).toEqual(left);
    const bed = new SupervisorBed({}, fake);
    bed.fail(B);
    await bed.apply(virtualServer(VIP, servers));
    expect(bed.done().filter((d) => !d.startsWith("fifo"))).toEqual([]);
    expect(bed.words()).toContain("(adopted) tcp 10.0.0.1:80 was in the table with 2 servers");
    await bed.pass(2);
    expect(fake.table()).toEqual(left);
    bed.heal(B);
    await bed.pass(10);
    expect(fake.table()).toHaveLength(4);
  });

  test("keeps the words of the operator that a killed daemon was told", async () => {
    const fake = new FakePlane();
    const former = new SupervisorBed({}, fake);
    await former.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    await former.supervisor.drain(VIP, A);
    fake.connect(serviceId(VIP), A, 4);
    const hold = (await former.supervisor.status()).virtualServers[0].servers[0].hold!;
    const bed = new SupervisorBed({ holds: [{ service: V, server: nameOf(A), hold }] }, fake);
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    await bed.pass(2);
    expect(bed.done().filter((d) => !d.startsWith("fifo"))).toEqual([]);
    await bed.supervisor.undrain(VIP, A);
    expect(bed.done()).toEqual(["edit 10.0.1.1:80 weight 1"]);
  });

  test("is mended when somebody changes what is ours, and only that", async () => {
    const bed = new SupervisorBed({ repairMs: 10_000 });
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    const { plane } = bed.fake;
    const other = serviceId("10.0.0.7:80");
    await plane.addService(serviceSpec(other, { scheduler: "rr" }));
    await plane.removeDestination(serviceId(VIP), { family: 4, address: A, port: 80 });
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
    await plane.addDestination(serviceId(VIP), stranger);
    bed.words();
    await bed.pass(10);
    const mended = [
      "tcp 10.0.0.1:80 wlc",
      "  10.0.1.1:80 1",
      "  10.0.1.2:80 1",
      "  10.0.1.77:80 1",
      "tcp 10.0.0.7:80 rr",
    ];
    expect(bed.fake.table()).toEqual(mended);
    expect(bed.words()).toContain(
      "(repaired) the table was not as wanted: add server 10.0.1.1:80 to tcp 10.0.0.1:80",
    );
    expect((await bed.supervisor.status()).virtualServers[0].foreign).toMatchObject([
      { address: "10.0.1.77" },
    ]);
    await plane.removeService(serviceId(VIP));
    await bed.pass(10);
    expect(bed.fake.table()).toEqual(mended.filter((l) => !l.includes(".77")));
    await bed.supervisor.stop();
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.7:80 rr"]);
  });

  test("that refuses a service says so once, and gets it when it no longer refuses", async () => {
    const bed = new SupervisorBed({ repairMs: 10_000 });
    let full = true;
    bed.fake.refuse = () => {
      if (full) throw new TableError("ENOMEM", "no memory");
    };
    const result = await bed.supervisor.apply(configuration([virtualServer(VIP, [realServer(A)])]));
    expect(result.refused).toEqual(["add service tcp 10.0.0.1:80: no memory"]);
    expect((await bed.supervisor.status()).trouble).toMatch(/no memory/);
    await bed.pass(30);
    expect(bed.events.filter((e) => e.kind === "refused")).toHaveLength(1);
    full = false;
    await bed.pass(10);
    expect(bed.fake.table()).toHaveLength(2);
    expect((await bed.supervisor.status()).trouble).toBeUndefined();
  });

  test("that is slow delays no check, and gets everything in the end", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)], { sorry: sorryServer(S) }));
    let open = () => {};
    const closed = new Promise<void>((resolve) => {
      open = resolve;
    });
    bed.fake.gate = () => closed;
    bed.done();
    bed.fail(A, B);
    await bed.pass(60);
    expect(bed.checks.get(A)).toBeGreaterThan(10);
    expect(bed.done()).toEqual([]);
    open();
    await settled();
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.9:80 1"]);
  });
});

describe("checks", () => {
  test("of one target in many services are one probe", async () => {
    const bed = new SupervisorBed();
    const many = Array.from({ length: 50 }, (_, i) =>
      virtualServer(`10.0.0.${i + 1}:80`, [realServer(A), realServer(B)]),
    );
    await bed.apply(...many);
    expect((await bed.supervisor.status()).probes).toEqual({ distinct: 2, entries: 100, running: 0 });
    bed.fail(A);
    await bed.pass(1);
    expect(bed.checks.get(A)).toBe(1);
    expect(bed.fake.table()).toHaveLength(100);
    // One that joins later knows at once what the others know.
    await bed.apply(...many, virtualServer("10.0.9.1:80", [realServer(A), realServer(B)]));
    expect(bed.fake.table()).toHaveLength(102);
    await bed.supervisor.stop();
    expect(bed.open).toBe(0);
    expect(bed.clock.waiting).toBe(0);
  });

  test("of ha_suspend virtual servers run only while the address is here", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A)], { haSuspend: true }));
    bed.fail(A);
    await bed.pass(20);
    expect(bed.checks.get(A)).toBeUndefined();
    bed.words();
    bed.supervisor.setAddresses(new Set(["10.0.0.1"]));
    expect(bed.words()).toEqual([`Activating healthchecker for service ${nameOf(A)} for VS ${V}`]);
    await bed.pass(2);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc"]);
    bed.supervisor.setAddresses(new Set());
    expect(bed.words()).toContain(`Deactivating healthchecker for service ${nameOf(A)} for VS ${V}`);
    const made = bed.checks.get(A);
    bed.heal(A);
    await bed.pass(60);
    expect(bed.checks.get(A)).toBe(made);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc"]);
  });

  test("tell what they found odd once", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A)]));
    bed.answer(A, {
      ok: true,
      detail: "fine",
      latencyMs: 1,
      remark: "Content-Length is 10, the body has 12 bytes",
    });
    await bed.pass(30);
    expect(bed.events.filter((e) => e.kind === "check-remark")).toHaveLength(1);
  });

  test("that break count as failed, and the checking goes on", async () => {
    const bed = new SupervisorBed({
      createChecker: () => ({ check: () => Promise.reject(new Error("a bug")), close() {} }),
    });
    await bed.apply(virtualServer(VIP, [realServer(A)]));
    await bed.pass(10);
    const [server] = (await bed.supervisor.status()).virtualServers[0].servers;
    expect(server).toMatchObject({ up: false, reason: "the check itself failed: a bug" });
  });

  test("of 10,000 servers are spread over their warm-up", async () => {
    const bed = new SupervisorBed();
    const timing = { ...TIMING, warmupMs: 10_000, delayLoopMs: 100_000 };
    const servers = Array.from({ length: 10_000 }, (_, i) => {
      const address = `10.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
      return realServer(address, { checks: [tcpCheck(address, { timing })] });
    });
    const groups = Array.from({ length: 100 }, (_, i) =>
      virtualServer(`10.200.0.${i + 1}:80`, servers.slice(i * 100, i * 100 + 100)),
    );
    await bed.apply(...groups);
    const due = (await bed.supervisor.status()).virtualServers.flatMap((v) =>
      v.servers.map((s) => s.checks[0].nextAt! - bed.clock.date()),
    );
    for (let second = 1; second <= 10; second++) {
      const n = due.filter((ms) => ms >= second * 1000 && ms < (second + 1) * 1000).length;
      expect(n).toBeGreaterThan(800);
      expect(n).toBeLessThan(1200);
    }
  });
});

describe("stop", () => {
  test("removes what is ours, and tells of every server", async () => {
    const bed = new SupervisorBed();
    bed.fail(B);
    const inhibited = realServer(B, { inhibitOnFailure: true });
    await bed.apply(virtualServer(VIP, [realServer(A, { notifyDown: script("down") }), inhibited]));
    await bed.pass(2);
    bed.words();
    bed.done();
    await bed.supervisor.stop();
    expect(bed.done()).toEqual(["remove tcp 10.0.0.1:80"]);
    expect(bed.words()).toEqual([
      `Shutting down service ${nameOf(A)} from VS ${V}`,
      `Shutting down (inhibited) service ${nameOf(B)} from VS ${V}`,
      "(service-stopped) the daemon stops",
    ]);
    expect(bed.clock.waiting).toBe(0);
    await expect(bed.supervisor.apply(configuration([]))).rejects.toMatchObject({ code: "stopped" });
  });

  test("runs the down scripts of what was up with omega", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative({ omega: true }));
    bed.done();
    await bed.supervisor.stop();
    const scripts = bed.done().filter((d) => /^(notify|quorum|remove)/.test(d));
    expect(scripts).toEqual([
      "remove tcp 10.0.0.1:80",
      `notify_down: down-${A}`,
      `notify_down: down-${B}`,
      "quorum_down: quorum-down",
    ]);
  });

  test("names no servers when services are flushed", async () => {
    const bed = new SupervisorBed();
    await bed.supervisor.apply(configuration([talkative()], { flushOnStop: "services" }));
    bed.words();
    await bed.supervisor.stop();
    expect(bed.words()).toEqual(["(service-stopped) the daemon stops"]);
    expect(bed.fake.table()).toEqual([]);
  });

  test("does not wait for a plane that is out of order when the table is to be kept", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative());
    bed.fake.gate = () => new Promise(() => {});
    void bed.supervisor.apply(configuration([virtualServer(VIP, [realServer(A)])]));
    await settled();
    await bed.supervisor.stop({ keep: true });
    expect(bed.open).toBe(0);
    expect(bed.clock.waiting).toBe(0);
  });

  test("leaves the table alone when it is to be kept", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative(), virtualServer("10.0.0.2:80", [realServer(A)], { keepOnStop: true }));
    await bed.supervisor.stop({ keep: true });
    expect(bed.fake.table()).toHaveLength(5);
    const other = new SupervisorBed();
    await other.apply(talkative(), virtualServer("10.0.0.2:80", [realServer(A)], { keepOnStop: true }));
    await other.supervisor.stop();
    expect(other.fake.table()).toEqual(["tcp 10.0.0.2:80 wlc", "  10.0.1.1:80 1"]);
  });
});
