import { describe, expect, test } from "vitest";
import type { ServerStatus, Status, VirtualServerStatus } from "../../../control/supervision.ts";
import type { VrrpInstanceStatus } from "../../../control/vrrp/messages.ts";
import { NO_COUNTERS } from "../../../core/service.ts";
import { age, short } from "./age.ts";
import { balancingLines, syncLines, vrrpLines } from "./status.ts";

const NOW = 1_000_000_000;
const NONE = { active: 0, inactive: 0, persistent: 0 };

const server = (change: Partial<ServerStatus> = {}): ServerStatus => ({
  name: "[10.0.1.1]:tcp:80",
  id: { family: 4, address: "10.0.1.1", port: 80 },
  method: "dr",
  up: true,
  since: NOW - 90_000,
  reason: "not checked yet",
  configuredWeight: 1,
  weight: 1,
  tableWeight: 1,
  checks: [
    {
      kind: "tcp",
      target: "10.0.1.1:80",
      state: "ok",
      suspended: false,
      since: NOW,
      detail: "connected",
      latencyMs: 1.26,
      failures: 0,
    },
  ],
  connections: { ...NONE, active: 5 },
  stats: NO_COUNTERS,
  ...change,
});

const service = (change: Partial<VirtualServerStatus> = {}): VirtualServerStatus => ({
  name: "[10.0.0.1]:tcp:80",
  ids: [],
  service: { scheduler: "wlc" } as VirtualServerStatus["service"],
  up: true,
  since: NOW - 3_600_000,
  quorum: { needed: 1, hysteresis: 0, weight: 1 },
  suspended: false,
  leaving: false,
  servers: [server()],
  leavingServers: [],
  foreign: [],
  connections: NONE,
  stats: { ...NO_COUNTERS, cps: 12, inPps: 1500, outBps: 125_000 },
  ...change,
});

const lines = (...virtualServers: VirtualServerStatus[]): string =>
  balancingLines(
    {
      language: "keepalived",
      plane: "engine",
      virtualServers,
      probes: { distinct: 1, entries: 1, running: 0 },
      pendingWrites: 0,
    } satisfies Status,
    NOW,
  ).join("\n");

describe("the table of servers", () => {
  test("shows what the check found, since when, and rates in bits", () => {
    const text = lines(service());
    expect(text).toMatch(
      /^\[10\.0\.0\.1\]:tcp:80 +up +1h +wlc +0 +0 +12\/s 1\.5kpps 1\.0Mb\/s +quorum 1\/1$/m,
    );
    expect(text).toMatch(
      /^ {2}\[10\.0\.1\.1\]:tcp:80 +up +1m30s +1 +dr +5 +0 .* tcp: connected in 1\.3 ms$/m,
    );
  });

  test("says why a server is down, held, or on its way out", () => {
    const down = server({
      up: false,
      checks: [{ ...server().checks[0]!, state: "failed", detail: "connection refused" }],
    });
    const { tableWeight: _, ...absent } = down;
    expect(lines(service({ servers: [absent] }))).toMatch(
      /DOWN +1m30s +- .* tcp: connection refused in 1\.3 ms/,
    );
    const held = server({ hold: { kind: "drain", weight: 0, since: NOW }, tableWeight: 0 });
    expect(lines(service({ servers: [held] }))).toMatch(/up, drained +1m30s +0/);
    expect(lines(service({ servers: [server({ checks: [] })] }))).toContain("up (no check)");
    const leaving = { ...server(), connections: { ...NONE, active: 2 }, since: NOW, until: NOW + 60_000 };
    expect(lines(service({ leavingServers: [leaving] }))).toMatch(/leaving +0s +0 .* until 1m from now/);
  });

  test("shows the sorry server, resting checks, and servers of somebody else", () => {
    const id = { family: 4, address: "10.0.1.9", port: 80 } as const;
    const sorry = { id, name: "[10.0.1.9]:tcp:80", serving: true, active: 3 };
    const text = lines(
      service({ up: false, sorry, suspended: true, foreign: [{} as VirtualServerStatus["foreign"][number]] }),
    );
    expect(text).toMatch(/sorry: SERVING +1 +3 +0/);
    expect(text).toContain("checks rest: the VIP is not here; 1 servers that are not ours");
  });
});

test("the table of VRRP instances shows priority, master and what is wrong", () => {
  const instance: VrrpInstanceStatus = {
    name: "VI_1",
    group: "G",
    state: "fault",
    sinceMs: NOW - 5000,
    reason: "script chk failed",
    interface: "eth0",
    family: 4,
    version: 3,
    routerId: 51,
    basePriority: 100,
    priority: 80,
    master: "10.0.0.3",
    masterPriority: 120,
    advertIntMs: 1000,
    addresses: ["10.0.0.100/32"],
    excluded: [],
    faults: ["script chk failed", "interface eth1 is down"],
    waitingFor: [],
  };
  const text = vrrpLines({ instances: [instance], groups: [], realtimePriority: 1, worstLateMs: 0.4 }, NOW);
  expect(text[1]).toMatch(
    /^VI_1 \(G\) +fault +5s +80 \(of 100\) +10\.0\.0\.3 120 +10\.0\.0\.100\/32 +script chk failed; interface eth1 is down$/,
  );
});

test("age() shows the two largest units, short() at most three digits", () => {
  expect([0, 999, 61_000, 3_600_000, 90_061_000, -5].map(age)).toEqual([
    "0s",
    "0s",
    "1m1s",
    "1h",
    "1d1h",
    "0s",
  ]);
  expect([0, 999, 1000, 12_345, 1_500_000].map(short)).toEqual(["0", "999", "1.0k", "12k", "1.5M"]);
});

describe("the lines about connection sync", () => {
  const rates = { messagesPerS: 12.34, bytesPerS: 17_000 };
  const where = { interface: "eth0", syncId: 9, instance: "VI_1" } as const;
  const counts = { messages: 40, refused: 1, created: 30, updated: 10, ignored: 0, connections: 100, rates };

  test("a backup shows its peer, how long ago it was heard, what was lost, and how the tables differ", () => {
    const peer = { address: "10.0.0.2", heardMs: 340, tableMs: 61_000, connections: 102, lost: 0 };
    expect(syncLines({ ...where, role: "backup", key: true, backup: { ...counts, peer } })).toEqual([
      "connection sync: backup on eth0, id 9, follows VI_1",
      "  received 40 messages, 12.3 messages/s, 17.0 kB/s; 30 connections made, 10 updated, 1 messages refused",
      "  peer 10.0.0.2: heard 0.3 s ago, whole table 1m1s ago, 102 connections there, 100 here (-2), 0 messages lost",
    ]);
  });

  test("what is missing is told: a peer, a key", () => {
    const backup = { ...counts, ignored: 3 };
    expect(syncLines({ ...where, role: "backup", key: false, backup }).slice(1)).toEqual([
      "  received 40 messages, 12.3 messages/s, 17.0 kB/s; 30 connections made, 10 updated, 1 messages refused, 3 connections ignored",
      "  no peer heard",
      "  no shared key: no table is asked for or given",
    ]);
  });

  test("what keeps them from their work is told: the interface, the port that tables are asked for at, the key's file", () => {
    const master = { messages: 1, entries: 2, bytes: 80, failed: 3, peers: 0, rates };
    const sync = {
      key: true,
      master: { ...master, failure: "listen EADDRINUSE: address already in use 10.3.0.3:8848" },
      interfaceFailure: "eth0 is down",
      keyFailure: "/key: 5 bytes, expects at least 16",
    };
    expect(syncLines({ ...where, role: "master", ...sync }).slice(1)).toEqual([
      "  sent 2 connections in 1 messages, 12.3 messages/s, 17.0 kB/s; 3 not sent; backups with the key: 0",
      "  no backup can ask for the table: listen EADDRINUSE: address already in use 10.3.0.3:8848",
      "  eth0 is down: nothing is sent or heard there",
      "  the key is not used: /key: 5 bytes, expects at least 16",
    ]);
  });

  test("a plane that tells nothing leaves what is configured", () => {
    expect(syncLines({ interface: "eth0", syncId: 0, role: "both" })).toEqual([
      "connection sync: both on eth0, id 0",
    ]);
  });
});
