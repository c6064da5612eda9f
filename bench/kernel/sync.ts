/**
 * The same synchronisation messages for the kernel's backup and for the engine's, one after the other in one run of the virtual machine:
 * the time until every connection is in the table. Emulation makes all of it slow, compiled JavaScript most of all.
 *
 *     npm run bench:kernel
 */

import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { dirname, join } from "node:path";
import { type SyncEntry, SyncWriter } from "../../src/wire/sync.ts";
import { bootGuest } from "../parts/guest.ts";

const CONNECTIONS = 20_000;
const SYNC_ID = 7;
const PORTS = 50_000;
/** Flags of an established connection by direct routing: no output, method 3. */
const ESTABLISHED_DR = 0x83;
/** So many messages go out in one go: what a socket's buffer of default size holds. */
const [BURST, PAUSE_MS] = [20, 10];
const PATIENCE_MS = 120_000;
/** This program, a bundle in dist/ beside the commands. */
const program = import.meta.filename;
const dist = dirname(program);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Established connections of one client after the other, direct routing. */
function messages(): Uint8Array[] {
  const all: Uint8Array[] = [];
  let writer = new SyncWriter(1, SYNC_ID, 1472);
  for (let n = 0; n < CONNECTIONS; n++) {
    const entry: SyncEntry = {
      family: 4,
      protocol: 6,
      flags: ESTABLISHED_DR,
      state: 1,
      timeoutS: 900,
      fwmark: 0,
      clientPort: 1024 + (n % PORTS),
      virtualPort: 80,
      destinationPort: 80,
      client: Uint8Array.of(10, 1, 1 + Math.floor(n / PORTS), 2),
      virtual: Uint8Array.of(10, 9, 0, 1),
      destination: Uint8Array.of(10, 2, 0, 11),
      sequence: undefined,
      engine: undefined,
    };
    if (writer.add(entry)) continue;
    all.push(writer.take());
    writer = new SyncWriter(1, SYNC_ID, 1472);
    writer.add(entry);
  }
  all.push(writer.take());
  return all;
}

/** In the master's namespace: sends them, as a master would. */
async function send(): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "10.5.0.1", () => resolve()));
  socket.setMulticastInterface("10.5.0.1");
  const all = messages();
  for (const [i, message] of all.entries()) {
    await new Promise((resolve) => socket.send(message, 8848, "224.0.0.81", resolve));
    if (i % BURST === BURST - 1) await sleep(PAUSE_MS);
  }
  socket.close();
}

const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", NODE_EXTRA_CA_CERTS: "" };

/** Runs a command in the backup's namespace. */
function backup(plane: string, name: string, words: string): string {
  const command = ["netns", "exec", "db", process.execPath, join(dist, `${name}.cjs`), ...words.split(" ")];
  return execFileSync("ip", command, {
    encoding: "utf8",
    env: { ...env, LVSD_PLANE: plane },
    maxBuffer: 1 << 28,
  });
}

/** Connections in the backup's table. */
const count = (plane: string): number =>
  plane === "kernel"
    ? Number(
        execFileSync("ip", ["netns", "exec", "db", "grep", "-c", "TCP", "/proc/net/ip_vs_conn"], {
          encoding: "utf8",
        }),
      )
    : Number(/(\d+) connections/.exec(backup("engine", "lvsd", "engine status"))![1]);

async function measure(plane: "kernel" | "engine"): Promise<void> {
  const ip = (line: string): string => execFileSync("ip", line.split(" "), { encoding: "utf8" });
  for (const host of ["dm", "db"]) ip(`netns add ${host}`);
  ip("link add to-db netns dm type veth peer name to-dm netns db");
  ip("-n dm addr add 10.5.0.1/24 dev to-db");
  ip("-n db addr add 10.5.0.2/24 dev to-dm");
  for (const [host, device] of [
    ["dm", "to-db"],
    ["db", "to-dm"],
  ])
    ip(`-n ${host} link set ${device} up`);
  backup(plane, "ipvsadm", "-A -t 10.9.0.1:80 -s rr");
  backup(plane, "ipvsadm", "-a -t 10.9.0.1:80 -r 10.2.0.11 -g");
  backup(plane, "ipvsadm", `--start-daemon backup --mcast-interface to-dm --syncid ${SYNC_ID}`);
  await sleep(2000); // the group is joined by then
  const from = performance.now();
  execFileSync("ip", ["netns", "exec", "dm", process.execPath, program, "send"], { env });
  const sent = performance.now() - from;
  let [there, last] = [0, performance.now()];
  while (there < CONNECTIONS && performance.now() - last < PATIENCE_MS / 10) {
    const now = safely(() => count(plane));
    if (now > there) last = performance.now();
    there = now;
  }
  const name = plane === "kernel" ? "the kernel's backup" : "the engine's backup";
  const note = `sent within ${Math.round(sent)} ms, with the start of the sender`;
  const print = (what: string, value: number, unit: string): void =>
    console.log(JSON.stringify({ name: `${name}: ${what}`, value, unit, note }));
  print(`of ${CONNECTIONS} connections in the table`, there, "connections");
  print("time until then", last - from, "ms");
  backup(plane, "ipvsadm", "--stop-daemon backup");
  backup(plane, "ipvsadm", "-C");
  if (plane === "engine") backup(plane, "lvsd", "engine stop");
  for (const host of ["dm", "db"]) ip(`netns del ${host}`);
}

/** grep ends with 1 when nothing is there yet. */
function safely(look: () => number): number {
  try {
    return look();
  } catch {
    return 0;
  }
}

async function guest(): Promise<void> {
  await measure("kernel");
  await measure("engine");
}

if (process.argv[2] === "guest") void guest();
else if (process.argv[2] === "send") void send();
else bootGuest({ program, timeoutS: 600 });
