import { describe, expect, test } from "vitest";
import { fullMask } from "../core/service.ts";
import {
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

describe("reload", () => {
  test("touches nothing when nothing changed", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative());
    await bed.pass(3);
    bed.done();
    bed.words();
    const total = bed.fake.total;
    await bed.apply(structuredClone(talkative()));
    expect(bed.fake.total).toBe(total);
    expect(bed.done()).toEqual([]);
    expect(bed.words()).toEqual([]);
    // The checks go on where they were.
    await bed.pass(4);
    expect(bed.checks.get(A)).toBe(2);
    expect(bed.open).toBe(2);
  });

  test("of 1,000 services with 10 servers each touches the differences only, in well under a second", async () => {
    const bed = new SupervisorBed();
    const fleet = (change: (i: number, servers: string[]) => void) =>
      Array.from({ length: 1000 }, (_, i) => {
        const servers = Array.from({ length: 10 }, (_, n) => `10.1.${i & 255}.${n + 1}`);
        change(i, servers);
        return virtualServer(
          `10.0.${i >> 8}.${i & 255}:80`,
          servers.map((a) => realServer(a)),
        );
      });
    await bed.apply(...fleet(() => {}));
    await bed.pass(2);
    bed.done();
    const total = bed.fake.total;
    const before = process.cpuUsage();
    await bed.apply(...fleet((i, servers) => i === 500 && servers.push("10.3.0.1")));
    // A tenth of this when nothing else runs.
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(3000);
    expect(bed.done().filter((d) => !d.startsWith("fifo"))).toEqual(["add 10.3.0.1:80 weight 1"]);
    expect(bed.fake.total).toBe(total + 1);
  }, 60_000);

  test("adds a new server without alpha at once, edits what is edited", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A)]));
    bed.done();
    bed.words();
    const service = { ...virtualServer(VIP, []).service, scheduler: "rr" };
    await bed.apply(
      virtualServer(VIP, [realServer(A, { weight: 4, upper: 100 }), realServer(B)], { service }),
    );
    expect(bed.done()).toEqual([
      "edit tcp 10.0.0.1:80 rr",
      "edit 10.0.1.1:80 weight 4",
      "add 10.0.1.2:80 weight 1",
    ]);
    expect(bed.words()).toEqual([
      "(service-edited) changed: scheduler",
      "(server-edited) changed: upper",
      `Changing weight from 1 to 4 for active service ${nameOf(A)} of VS ${V}`,
      "(server-added) new in the configuration",
      `Activating healthchecker for service ${nameOf(B)} for VS ${V}`,
    ]);
  });

  test("drains a removed server until its connections have ended", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative());
    await bed.pass(2);
    bed.fake.connect(serviceId(VIP), A, 2, 1);
    bed.done();
    bed.words();
    const rest = { ...talkative(), servers: talkative().servers.slice(1) };
    await bed.apply(rest);
    expect(bed.done()).toEqual([
      "edit 10.0.1.1:80 weight 0",
      `notify_down: down-${A}`,
      `fifo: RS ${nameOf(A)} ${V} DOWN`,
      `mail: Realserver ${nameOf(A)} of virtual server ${V} - DOWN => Removing <=`,
    ]);
    expect(bed.words()).toEqual([
      `service ${nameOf(A)} no longer exist`,
      "(drain-begun) finishes its connections, at most 300 s",
    ]);
    const { leavingServers } = (await bed.supervisor.status()).virtualServers[0];
    expect(leavingServers).toMatchObject([{ name: nameOf(A), connections: { active: 2, inactive: 1 } }]);
    await bed.pass(100);
    expect(bed.done()).toEqual([]);
    bed.fake.connect(serviceId(VIP), A, 0, 0);
    await bed.pass(1);
    expect(bed.done()).toEqual(["remove 10.0.1.1:80"]);
    expect(bed.words()).toEqual(["(drain-done) its connections have ended"]);
  });

  test("removes a draining server at the limit", async () => {
    const bed = new SupervisorBed({ removal: { mode: "drain", limitMs: 20_000 } });
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    bed.fake.connect(serviceId(VIP), A, 2);
    await bed.apply(virtualServer(VIP, [realServer(B)]));
    await bed.pass(19);
    expect(bed.fake.table()).toHaveLength(3);
    bed.words();
    await bed.pass(2);
    expect(bed.fake.table()).toHaveLength(2);
    expect(bed.words()).toEqual(["(drain-limit) 2 connections are cut: the limit has passed"]);
  });

  test("removes at once what has no connections, or when it is told to", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    await bed.apply(virtualServer(VIP, [realServer(B)]));
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.2:80 1"]);
    const rude = new SupervisorBed({ removal: { mode: "immediate", limitMs: 0 } });
    await rude.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    rude.fake.connect(serviceId(VIP), A, 5);
    rude.done();
    await rude.apply(virtualServer(VIP, [realServer(B)]));
    expect(rude.done()[0]).toBe("remove 10.0.1.1:80");
    await rude.apply();
    expect(rude.fake.table()).toEqual([]);
  });

  test("takes a draining server back as it was", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [alpha(A), realServer(B)]));
    await bed.pass(2);
    bed.fake.connect(serviceId(VIP), A, 2);
    await bed.apply(virtualServer(VIP, [realServer(B)]));
    bed.done();
    await bed.apply(virtualServer(VIP, [alpha(A), realServer(B)]));
    expect(bed.done().filter((d) => !d.startsWith("fifo"))).toEqual(["edit 10.0.1.1:80 weight 1"]);
    await bed.pass(10);
    expect(bed.fake.table()).toHaveLength(3);
  });

  test("drains a removed virtual server, and takes it back as it was", async () => {
    const bed = new SupervisorBed();
    await bed.apply(talkative());
    bed.fake.connect(serviceId(VIP), A, 2);
    bed.done();
    bed.words();
    await bed.apply();
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 0", "  10.0.1.2:80 0"]);
    expect(bed.words()[0]).toBe(`Removing Virtual Server ${V}`);
    expect(bed.done()).toContain("quorum_down: quorum-down");
    expect(bed.open).toBe(0);
    await bed.apply(talkative());
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1", "  10.0.1.2:80 1"]);
    await bed.apply();
    bed.fake.connect(serviceId(VIP), A, 0);
    await bed.pass(1);
    expect(bed.fake.table()).toEqual([]);
    expect((await bed.supervisor.status()).virtualServers).toEqual([]);
  });

  test("keeps what is known of servers and checks", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A), realServer(B)]));
    bed.fail(A);
    await bed.pass(1);
    bed.done();
    const slower = { ...TIMING, delayLoopMs: 9000 };
    const retimed = realServer(A, { checks: [tcpCheck(A, { timing: slower })] });
    await bed.apply(virtualServer(VIP, [retimed, realServer(B)], { quorum: 2 }));
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.2:80 1"]);
    bed.heal(A);
    await bed.pass(10);
    expect(bed.fake.table()).toHaveLength(3);
  });

  test("lets a server that was up stay up under another check, until that fails", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A)]));
    await bed.pass(2);
    bed.done();
    const other = "10.0.2.1";
    bed.fail(other);
    await bed.apply(virtualServer(VIP, [realServer(A, { checks: [tcpCheck(other, { alpha: true })] })]));
    expect(bed.done()).toEqual([]);
    await bed.pass(1);
    expect(bed.done()[0]).toBe("remove 10.0.1.1:80");
  });

  test("hands a service from one virtual server to another without touching it", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, [realServer(A)]));
    await bed.pass(2);
    bed.fake.connect(serviceId(VIP), A, 3);
    bed.done();
    const group = virtualServer(VIP, [realServer(A)], {
      name: "[G]:0",
      ids: [serviceId(VIP), serviceId("10.0.0.2:80")],
    });
    await bed.apply(group);
    expect(bed.done().filter((d) => !/fifo/.test(d))).toEqual([
      "add tcp 10.0.0.2:80 wlc",
      "add 10.0.1.1:80 weight 1",
    ]);
    await bed.apply({ ...group, ids: [serviceId("10.0.0.2:80")] });
    expect(bed.fake.table()).toEqual([
      "tcp 10.0.0.1:80 wlc",
      "  10.0.1.1:80 0",
      "tcp 10.0.0.2:80 wlc",
      "  10.0.1.1:80 1",
    ]);
    bed.fake.connect(serviceId(VIP), A, 0);
    await bed.pass(1);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.2:80 wlc", "  10.0.1.1:80 1"]);
  });

  test("gives a service that two virtual servers ask for to the first", async () => {
    const bed = new SupervisorBed();
    await bed.apply(
      virtualServer(VIP, [realServer(A)]),
      virtualServer(VIP, [realServer(B)], { name: "[G]:0" }),
    );
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc", "  10.0.1.1:80 1"]);
    expect(bed.words()).toContain("(refused) tcp 10.0.0.1:80 belongs to another virtual server already");
  });
});

describe("one firewall mark in two families", () => {
  test("is two virtual servers, each reloaded by itself", async () => {
    const bed = new SupervisorBed();
    const mark = (family: 4 | 6, weight: number) =>
      virtualServer("0.0.0.0:0", [], {
        name: "FWM 9",
        ids: [{ kind: "fwmark", family, fwmark: 9 }],
        service: { ...virtualServer(VIP, []).service, netmask: fullMask(family) },
        servers:
          family === 4
            ? [realServer(A, { weight, checks: [] })]
            : [
                realServer("2001:db8::1", {
                  id: { family: 6, address: "2001:db8::1", port: 0 },
                  weight,
                  checks: [],
                }),
              ],
      });
    await bed.apply(mark(4, 1), mark(6, 1));
    bed.done();
    await bed.apply(mark(4, 1), mark(6, 2));
    expect(bed.done()).toEqual(["edit [2001:db8::1]:0 weight 2"]);
    await expect(bed.supervisor.drain("FWM 9", A)).rejects.toMatchObject({ code: "ambiguous" });
    await bed.supervisor.drain("fwmark 9", A);
    await bed.supervisor.drain("FWM 9 inet6", "[2001:db8::1]:0");
    expect(bed.done().filter((d) => d.startsWith("edit"))).toEqual([
      "edit 10.0.1.1:80 weight 0",
      "edit [2001:db8::1]:0 weight 0",
    ]);
    expect(bed.words()).toContain(
      "Changing weight from 2 to 0 for active service [2001:db8::1]:none:0 of VS FWM 9",
    );
  });
});
