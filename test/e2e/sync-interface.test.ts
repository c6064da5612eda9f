/**
 * The sync daemons and what becomes of their interface: which address they are asked at, its removal and return, a cable that is out. And a
 * director that is both master and backup.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "./daemon-bed.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");
const bin = join(process.cwd(), "dist/bin");
const PLANE = { d1: "ebpf", d2: "engine" } as const;
type Host = keyof typeof PLANE;

/** Announces an established connection 10.1.0.2:31005 of 10.9.0.1:80 with syncid 5, as a kernel does. */
const ANNOUNCE = `
const message = ["0005002c 01010000", "00060024 00000000 0001 791d 0050 1f90 00000000 00000384", "0a010002 0a090001 0a02000b"].join("").replaceAll(" ", "");
const socket = require("node:dgram").createSocket("udp6");
socket.bind(0, () => {
  socket.setMulticastInterface("::%eth0");
  socket.send(Buffer.from(message, "hex"), 8848, "ff02::81%eth0", () => socket.close());
});
`;

describe.skipIf(!root)("the interface of sync daemons", () => {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-sync-interface-"));
  const name = (host: Host): string => `lv${process.pid}if${host}`;
  const ip = (host: Host, line: string): void => {
    execFileSync("ip", ["-n", name(host), ...line.split(" ")], { stdio: "pipe" });
  };
  const run = async (host: Host, line: string, ...more: string[]): Promise<string> => {
    const env = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: "",
      NODE_OPTIONS: "",
      LVSD_RUN_DIR: folder,
      LVSD_SYNC_KEY: join(folder, "key"),
      LVSD_PLANE: PLANE[host],
      PATH: `${bin}:${process.env["PATH"]}`,
    };
    const command = ["netns", "exec", name(host), ...line.split(" "), ...more];
    return (await promisify(execFile)("ip", command, { env, timeout: 30_000 })).stdout;
  };
  const shows = (host: Host, what: RegExp): Promise<unknown> =>
    until(
      `${host} shows ${what}`,
      () => run(host, "lvsd sync status"),
      (text) => what.test(text),
    );
  const wire = (): void => {
    ip("d1", `link add eth0 type veth peer name eth0 netns ${name("d2")}`);
    for (const [host, last] of [
      ["d1", 3],
      ["d2", 4],
    ] as const) {
      ip(host, `addr add fd00:3::${last}/64 dev eth0 nodad`);
      ip(host, "link set eth0 up");
    }
    // Of the addresses of this scope the newest one is the first.
    ip("d1", "addr add fd00:3::101/64 dev eth0 nodad");
  };
  const here = /peer fe80:[^,]*: heard [01]\.\d s ago, whole table [0-3]s ago, .* 0 messages lost$/m;

  beforeAll(async () => {
    writeFileSync(join(folder, "key"), "a key that both directors have\n", { mode: 0o600 });
    for (const host of ["d1", "d2"] as const) {
      execFileSync("ip", ["netns", "add", name(host)]);
      ip(host, "link set lo up");
    }
    wire();
    const more = "--mcast-interface eth0 --syncid 5 --mcast-group ff02::81";
    await run("d1", `ipvsadm --start-daemon master ${more}`);
    await run("d2", `ipvsadm --start-daemon backup ${more}`);
  }, 60_000);

  afterAll(async () => {
    for (const host of ["d1", "d2"] as const) {
      await run(host, "lvsd planes reset").catch(() => "");
      execFileSync("ip", ["netns", "del", name(host)]);
    }
    if (existsSync(join(folder, "bpf"))) execFileSync("umount", [join(folder, "bpf")]);
    rmSync(folder, { recursive: true, force: true });
  });

  test("a master is asked for its table at the address that it is heard from: to a group of the link the link's own", async () => {
    await shows("d2", here);
    await shows("d1", /backups with the key: 1$/m);
  }, 30_000);

  test("lvsd status shows the daemons, also without lvsd run", async () => {
    const { stdout, stderr } = await run("d1", "lvsd status").then(
      () => ({ stdout: "", stderr: "it succeeded" }),
      (failure: { stdout: string; stderr: string }) => failure,
    );
    expect(stdout).toMatch(/^master on eth0, id 5, on the ebpf plane\n {2}sent 0 connections/);
    expect(stderr).toContain("no daemon runs in this network namespace");
  });

  test("a backup that is gone without a word is not counted any more", async () => {
    ip("d2", "link set eth0 down");
    await shows("d2", /^ {2}eth0 is down: nothing is sent or heard there$/m);
    await shows("d1", /^ {2}eth0 has no carrier: nothing is sent or heard there$/m);
    await shows("d1", /backups with the key: 0$/m);
  }, 30_000);

  test("one that was removed and made again is used again, on both ends", async () => {
    ip("d1", "link del eth0");
    for (const host of ["d1", "d2"] as const)
      await shows(host, /^ {2}eth0 is not there: nothing is sent or heard there$/m);
    wire();
    await shows("d2", here);
    await shows("d1", /backups with the key: 1$/m);
  }, 60_000);

  test("a key that is removed, made or changed is taken up while they run", async () => {
    const key = join(folder, "key");
    rmSync(key);
    await shows("d1", /^ {2}no shared key: no table is asked for or given$/m);
    writeFileSync(key, "short", { mode: 0o600 });
    await shows("d2", /^ {2}the key is not used: .*key: 5 bytes, expects at least 16$/m);
    writeFileSync(key, "another key that both have\n");
    await shows("d2", here);
    await shows("d1", /backups with the key: 1$/m);
  }, 30_000);

  test("what one master announced is not announced back: two of them would keep a connection for ever", async () => {
    await run("d1", "lvsd settings sync_refresh_period=1", "sync_threshold=1 0");
    await run("d1", "ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 5 --mcast-group ff02::81");
    const announce = (): Promise<string> => run("d2", `${process.execPath} -e`, ANNOUNCE);
    const sent = async (): Promise<number> =>
      Number(/sent (\d+) connections/.exec(await run("d1", "lvsd sync status"))![1]);
    await announce();
    await shows("d1", /1 connections made/);
    // That it has come may be told once, as the tables of the programs are new.
    await sleep(500);
    const before = await sent();
    for (let i = 0; i < 2; i++) {
      // Its expiry moves by more than the refresh period.
      await sleep(1500);
      await announce();
    }
    await shows("d1", /1 connections made, 2 updated/);
    await sleep(500);
    expect(await sent()).toBe(before);
  }, 30_000);
});
