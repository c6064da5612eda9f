/**
 * Two directors under `lvsd run`, as they are meant to be: VRRP decides who has the addresses, connections are synchronised. A client
 * holds 2,000 connections while the master dies, returns, and is stopped.
 */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Running, until } from "./daemon-bed.ts";
import { SyncBed } from "./sync-bed.ts";

const root = process.getuid?.() === 0;
/** Connections to each of the three VIPs. */
const EACH = 667;

const PLANES = [
  { d1: "ebpf", d2: "ebpf" },
  ...(process.env["LVSD_E2E"] === "all" ? [{ d1: "engine", d2: "engine" } as const] : []),
] as const;

describe.skipIf(!root).each(PLANES)("2,000 connections outlive their director ($d1, $d2)", (planes) => {
  const bed = new SyncBed(`f${planes.d1[1]}`, planes);
  let first: Running;
  let second: Running;
  let count = 0;
  const fine = (): string => `answered ${count} broken 0`;

  beforeAll(async () => {
    await bed.up();
    bed.configure("d1", { priority: 150 });
    bed.configure("d2", { priority: 100 });
    first = bed.lvsd("d1");
    await bed.becomes("d1", "master");
    second = bed.lvsd("d2");
    await bed.becomes("d2", "backup");
  });
  afterAll(() => bed.down());

  test("who finds no peer says so and goes on; who finds one has its table before it takes part", () => {
    expect(first.output).toContain("no peer announces connections");
    expect(second.output).toMatch(/the whole connection table of 10\.3\.0\.3 is here: 0 connections/);
  });

  test("the backup has every connection, by DR, NAT and TUN, and the templates", async () => {
    count = await bed.open(EACH);
    expect(count).toBe(3 * EACH);
    expect(await bed.say()).toBe(fine());
    expect(await bed.say()).toBe(fine());
    await bed.has("d2", count);
    expect((await bed.run("d2", "ipvsadm -Lnc")).match(/10\.3\.0\.2:0/g)).toHaveLength(3);
  });

  test("lvsd status tells of it: role, peer, when it was heard, rates, what was lost, how the tables differ", async () => {
    expect(await bed.run("d1", "lvsd status")).toMatch(
      /^connection sync: master on eth0, id 9, follows VI_1\n {2}sent \d+ connections in \d+ messages, [\d.]+ messages\/s, [\d.]+ kB\/s; 0 not sent; backups with the key: 1$/m,
    );
    expect(await bed.run("d2", "lvsd status")).toMatch(
      /^connection sync: backup on eth0, .*\n {2}received \d+ messages, .*\n {2}peer 10\.3\.0\.3: heard [\d.]+ s ago, whole table \S+ ago, \d+ connections there, \d+ here \([-+]?\d+\), 0 messages lost$/m,
    );
    const { sync } = await bed.status("d2");
    expect(sync).toMatchObject({
      role: "backup",
      key: true,
      backup: { peer: { address: "10.3.0.3", lost: 0 } },
    });
  });

  test("announcements are lost: the backup notices, and asks for the whole table again", async () => {
    await bed.run("d2", "nft add table ip cut");
    await bed.run("d2", "nft add chain ip cut in { type filter hook input priority 0 ; }");
    await bed.run("d2", "nft add rule ip cut in udp dport 8848 drop");
    count = await bed.open(10);
    for (let i = 0; i < 2; i++) expect(await bed.say()).toBe(fine());
    await until(
      "the master has sent them",
      () => bed.status("d2"),
      ({ sync }) => sync!.backup!.peer!.lost! > 0,
    );
    await bed.run("d2", "nft delete table ip cut");
    await bed.has("d2", count);
  });

  test("everything of the master is killed: every connection goes on through the other", async () => {
    await bed.kill("d1");
    await bed.becomes("d2", "master");
    expect(await bed.say()).toBe(fine());
  });

  test("it returns, has the whole table before it takes the addresses back: still every connection goes on", async () => {
    count = await bed.open(50); // which it has never seen
    expect(await bed.say()).toBe(fine());
    expect(await bed.say()).toBe(fine());
    bed.revive("d1");
    first = bed.lvsd("d1");
    await bed.becomes("d1", "master");
    await bed.becomes("d2", "backup");
    const told = first.output;
    expect(told).toMatch(/the whole connection table of 10\.3\.0\.4 is here: \d{4} connections/);
    expect(told.indexOf("the whole connection table")).toBeLessThan(told.indexOf("Entering MASTER STATE"));
    expect(await bed.say()).toBe(fine());
    expect(await bed.established("d2")).toBe(count);
  });

  test.runIf(planes.d1 === "ebpf")(
    "its sync process alone is killed: another one comes, and announces what was new meanwhile",
    async () => {
      const [before] = bed.pids("d1", "lvsd-sync");
      process.kill(before!, "SIGKILL");
      count = await bed.open(10);
      for (let i = 0; i < 2; i++) expect(await bed.say()).toBe(fine());
      await until(
        "another one is there",
        async () => bed.pids("d1", "lvsd-sync"),
        ([pid]) => pid !== undefined && pid !== before,
      );
      await first.says("the sync process was not there; it is started again");
      await bed.has("d2", count);
    },
  );

  test.runIf(planes.d1 === "engine")(
    "its engine alone is killed: another one comes, and has the connections of the backup",
    async () => {
      await until(
        "the backup follows it",
        () => bed.status("d2"),
        ({ sync }) => sync?.backup?.peer?.tableMs !== undefined,
      );
      const before = await bed.enginePid("d1");
      process.kill(before, "SIGKILL");
      await until(
        "it is gone",
        async () => existsSync(`/proc/${before}`),
        (there) => !there,
      );
      // Nobody asks: the daemon sees it by itself.
      await first.says("the engine process is gone; another one is started");
      await until(
        "another one is there",
        () => bed.run("d1", "nft list tables"),
        (tables) => tables.includes("inet lvsd"),
      );
      await bed.has("d1", count);
      expect(await bed.enginePid("d1")).not.toBe(before);
      expect(await bed.say()).toBe(fine());
      expect(await bed.state("d1")).toBe("master");
      expect((await bed.run("d1", "ipvsadm -Lnc")).match(/10\.3\.0\.2:0/g)).toHaveLength(3);
    },
  );

  test("its cable is cut, and is in again: it has the connections of that time before it takes the addresses back", async () => {
    await until(
      "the backup follows it",
      () => bed.status("d2"),
      ({ sync }) => sync?.backup?.peer?.tableMs !== undefined,
    );
    const from = first.output.length;
    bed.ip("lan", "link set to-d1 down");
    await bed.becomes("d2", "master");
    count = await bed.open(50);
    expect(await bed.say()).toBe(fine());
    bed.ip("lan", "link set to-d1 up");
    await bed.becomes("d1", "master");
    await bed.becomes("d2", "backup");
    const told = first.output.slice(from);
    expect(told).toMatch(
      /Entering FAULT STATE[\s\S]*Entering BACKUP STATE[\s\S]*the whole connection table of 10\.3\.0\.4 is here: \d{4} connections[\s\S]*Entering MASTER STATE/,
    );
    expect(await bed.say()).toBe(fine());
    expect(await bed.established("d1")).toBe(count);
  });

  test("the two do not hear each other for a while, both are master: the better one has the other's connections then", async () => {
    const isolated = async (how: "on" | "off"): Promise<void> => {
      for (const d of ["d1", "d2"]) await bed.run("lan", `bridge link set dev to-${d} isolated ${how}`);
    };
    await until(
      "the backup follows it",
      () => bed.status("d2"),
      ({ sync }) => sync?.backup?.peer?.tableMs !== undefined,
    );
    await isolated("on");
    await bed.becomes("d2", "master");
    count = await bed.open(50);
    expect(await bed.say()).toBe(fine());
    expect(await bed.established("d1")).toBe(count - 150);
    await isolated("off");
    await bed.becomes("d2", "backup");
    // Also what arrives before the table does is answered: nobody ends a connection that may be in it.
    expect(await bed.say()).toBe(fine());
    expect(await bed.established("d1")).toBe(count);
    expect(await bed.state("d1")).toBe("master");
  });

  test("it is stopped: also connections that have hardly begun go on", async () => {
    await until(
      "the backup has asked for the table: nothing comes that way any more",
      () => bed.status("d2"),
      ({ sync }) => sync?.backup?.peer?.tableMs !== undefined,
    );
    count = await bed.open(20);
    await first.kill("SIGTERM");
    await bed.becomes("d2", "master");
    expect(await bed.say()).toBe(fine());
  });
});
