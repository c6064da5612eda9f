/**
 * A real server of a TUN service: the end of the tunnel with the VIP on it. IPIP over IPv4 is left to the kernel where it has
 * its tunl0; everything else is unwrapped by our decapsulator.
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PROTOCOL } from "../../wire/ipv4.ts";
import { alone } from "./alone.ts";
import type { DecapsulatorNote, DecapsulatorOptions, Listening } from "./decapsulator.ts";
import { attempt, hasAddress, hasDevice, hostPrefix, run, runDirectory, type Tell } from "./machine.ts";
import { silentArp } from "./silent-vip.ts";
import { releaseSwitches, setSwitches } from "./switches.ts";

export const TUNNEL_TYPES = ["ipip", "gre", "gue"] as const;
export type TunnelType = (typeof TUNNEL_TYPES)[number];

/** The kernel's own device for IPIP, which every namespace gets with the module. */
const KERNEL_DEVICE = "tunl0";
/** Our device's name where the kernel's exists too. */
const OTHER_DEVICE = "lvtun0";
/** IANA's port for GUE. */
export const GUE_PORT = 6080;

export interface TunnelEnd {
  readonly vip: string;
  readonly type: TunnelType;
  /** UDP port of GUE; the decapsulator has one, chosen when it starts. */
  readonly guePort: number;
}

/** Where our decapsulator of this namespace notes itself. */
const notePath = (): string => `${runDirectory()}/decapsulator-${statSync("/proc/self/ns/net").ino}.json`;

/** The decapsulator that runs in this namespace; undefined when none does (the kernel uses inodes and pids again). */
function running(): DecapsulatorNote | undefined {
  try {
    const note = readNote(notePath());
    const sameNamespace = statSync(`/proc/${note.pid}/ns/net`).ino === statSync("/proc/self/ns/net").ino;
    return isDecapsulator(note.pid) && sameNamespace ? note : undefined;
  } catch {
    return undefined;
  }
}

const readNote = (path: string): DecapsulatorNote => JSON.parse(readFileSync(path, "utf8"));

function isDecapsulator(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("decapsulate");
  } catch {
    return false;
  }
}

/** Removes the notes of decapsulators that were killed: their namespaces may be gone, and nobody else looks for them. */
function removeDeadNotes(): void {
  const pidns = statSync("/proc/self/ns/pid").ino;
  const folder = runDirectory();
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (!/^decapsulator-\d+\.json$/.test(name)) continue;
    const path = join(folder, name);
    try {
      const note = readNote(path);
      // Of another container's processes nothing is known here.
      if (note.pidns === pidns && !isDecapsulator(note.pid)) rmSync(path, { force: true });
    } catch {
      // It is just being written.
    }
  }
}

/** Every tunnel packet that the kernel would not take itself: a raw socket beside the kernel's device would double them. */
export function listenFor(hasDevice: (name: string) => boolean): Listening[] {
  const kinds: { kind: Listening; taken: string }[] = [
    { kind: { family: 4, protocol: PROTOCOL.ipip }, taken: "tunl0" },
    { kind: { family: 4, protocol: PROTOCOL.ipv6 }, taken: "sit0" },
    { kind: { family: 4, protocol: PROTOCOL.gre }, taken: "gre0" },
    { kind: { family: 6, protocol: PROTOCOL.ipip }, taken: "ip6tnl0" },
    { kind: { family: 6, protocol: PROTOCOL.ipv6 }, taken: "ip6tnl0" },
    { kind: { family: 6, protocol: PROTOCOL.gre }, taken: "ip6gre0" },
  ];
  return kinds.filter(({ taken }) => !hasDevice(taken)).map(({ kind }) => kind);
}

/** Starts our decapsulator and resolves when it listens. */
async function start(guePort: number, tell: Tell): Promise<DecapsulatorNote> {
  removeDeadNotes();
  const device = hasDevice(KERNEL_DEVICE) ? OTHER_DEVICE : KERNEL_DEVICE;
  const options: DecapsulatorOptions = { device, listen: listenFor(hasDevice), guePort, note: notePath() };
  tell(`lvsd decapsulate (in the background, device ${device})`);
  const child = spawn(process.execPath, [process.argv[1]!, "decapsulate", JSON.stringify(options)], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    cwd: "/",
  });
  await new Promise<void>((resolve, reject) => {
    let errors = "";
    child.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    child.stdout.once("data", () => resolve());
    child.once("exit", () => reject(new Error(`the decapsulator did not start: ${errors.trim()}`)));
    child.once("error", reject);
  });
  child.removeAllListeners("exit");
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  return { pid: child.pid!, device };
}

/** Whether the kernel unwraps these packets itself; loads its module when it has one. */
async function kernelTakes({ vip, type }: Pick<TunnelEnd, "vip" | "type">): Promise<boolean> {
  if (type !== "ipip" || vip.includes(":")) return false;
  const ours = running();
  if (ours !== undefined && ours.device === KERNEL_DEVICE) return false;
  return hasDevice(KERNEL_DEVICE) || ((await attempt("modprobe", "-q", "ipip")) && hasDevice(KERNEL_DEVICE));
}

/** Prepares this host. @throws CommandError, Error when something is refused */
export const setUpTunnelEnd = (end: TunnelEnd, tell: Tell): Promise<void> => alone(() => setUp(end, tell));

async function setUp(end: TunnelEnd, tell: Tell): Promise<void> {
  const device = (await kernelTakes(end))
    ? KERNEL_DEVICE
    : (running() ?? (await start(end.guePort, tell))).device;
  await run(tell, "ip", "link", "set", device, "up");
  if (!(await hasAddress(device, end.vip))) {
    const nodad = end.vip.includes(":") ? ["nodad"] : [];
    await run(tell, "ip", "addr", "add", hostPrefix(end.vip), "dev", device, ...nodad);
  }
  // The packet inside comes from a client whom the routes expect elsewhere.
  const owner = `tun ${end.vip}`;
  await setSwitches(
    owner,
    { "net.ipv4.conf.all.rp_filter": 0, [`net.ipv4.conf.${device}.rp_filter`]: 0 },
    tell,
  );
  await setSwitches(owner, silentArp(["all", device]), tell);
}

/** Ends a process of ours and waits until it is gone. */
async function stop(pid: number): Promise<void> {
  const alive = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  if (alive()) process.kill(pid, "SIGTERM");
  for (let waited = 0; alive() && waited < 2000; waited += 20) await sleep(20);
}

/** Takes the VIP away; our decapsulator ends with the last one, and sysctls are what they were. */
export const undoTunnelEnd = (vip: string, tell: Tell): Promise<void> => alone(() => undo(vip, tell));

async function undo(vip: string, tell: Tell): Promise<void> {
  for (const device of [KERNEL_DEVICE, OTHER_DEVICE]) {
    if (await hasAddress(device, vip)) await run(tell, "ip", "addr", "del", hostPrefix(vip), "dev", device);
  }
  const ours = running();
  if (ours !== undefined && !(await hasGlobalAddress(ours.device))) {
    tell(`kill ${ours.pid} (lvsd decapsulate)`);
    await stop(ours.pid);
  }
  await releaseSwitches(`tun ${vip}`, tell);
}

async function hasGlobalAddress(device: string): Promise<boolean> {
  const listing = await run(() => {}, "ip", "-o", "addr", "show", "dev", device, "scope", "global");
  return listing.trim() !== "";
}
