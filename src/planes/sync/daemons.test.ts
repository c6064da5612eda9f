import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DaemonState, DaemonStatus } from "../../core/daemon.ts";
import type { MulticastGroup } from "../../sys/multicast.ts";
import { BackupDaemon } from "./backup-daemon.ts";
import { MasterDaemon } from "./master-daemon.ts";
import type { SyncSite } from "./site.ts";

const descriptors = (): number => readdirSync("/proc/self/fd").length;

const group = (port: number): MulticastGroup => ({
  family: 4,
  group: Uint8Array.of(224, 0, 0, 81),
  port,
  interface: 1,
  name: "lo",
});

const status = (state: DaemonState): DaemonStatus => ({
  state,
  interface: "lo",
  syncId: 1,
  maxLen: 1472,
  group: "224.0.0.81",
  port: 8848,
  ttl: 1,
});

/** A director whose programs are not there. */
const site = {
  backup: () => ({ counts: {}, receive() {} }),
  startMaster() {
    throw new Error("not there");
  },
} as unknown as SyncSite;

describe.runIf(process.getuid?.() === 0)("a daemon that cannot be started", () => {
  test("as a backup whose second port is taken, leaves no socket open", async () => {
    const other = createSocket("udp4");
    other.bind(0);
    await once(other, "listening");
    const taken = other.address().port;
    const before = descriptors();
    const start = (): unknown =>
      new BackupDaemon(site, status("backup"), [group(taken ^ 1), group(taken)], undefined, () => 0);
    expect(start).toThrow(/EADDRINUSE/);
    expect(start).toThrow(/EADDRINUSE/);
    expect(descriptors()).toBe(before);
    other.close();
  });

  test("as a master of a director that is not there, leaves no socket open", () => {
    const before = descriptors();
    const start = (): unknown =>
      new MasterDaemon(site, status("master"), [group(8848), group(8849)], undefined, () => 0);
    expect(start).toThrow("not there");
    expect(descriptors()).toBe(before);
  });
});
