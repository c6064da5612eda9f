/**
 * A lab's machines and cables: network namespaces joined by veth pairs, and bridges where a switch belongs.
 *
 * Every namespace is named `PREFIX-LAB-HOST`, so that `lvsd lab down` finds what a crash left. Interfaces are made inside
 * their namespaces and never appear on the machine itself; what a lab does to the machine ends with its namespaces.
 * @module
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Lab, Nic } from "./lab.ts";

/** Where iproute2 keeps named namespaces. */
const NETNS_DIR = "/var/run/netns";

/** IPv4 switches of interfaces that decide whether a tutorial works, at the kernel's defaults. */
const NEUTRAL = ["all", "default"]
  .flatMap((device) =>
    ["rp_filter", "arp_ignore", "arp_announce", "arp_filter"].map(
      (name) => `net.ipv4.conf.${device}.${name}=0`,
    ),
  )
  .join(" ");

/** Where engines and decapsulators keep files, named by the inode of their namespace. */
const RUN_DIR = process.env["LVSD_RUN_DIR"] || "/run/lvsd";

/** Milliseconds after which a command of a lab is given up; all of them take far less. */
const PATIENCE_MS = 15_000;

/** How a command ended. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end; never rejects. It has a session of its own: Ctrl-C reaches this process only, which then removes
 * the lab and everything in it, undisturbed by a second Ctrl-C.
 * @param again whether one that Ctrl-C reached all the same, before it was the program, is started again
 */
export function execute(
  file: string,
  args: readonly string[],
  options: { input?: string; cwd?: string } = {},
  again: () => boolean = () => true,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      env: labEnvironment(),
      detached: true,
      stdio: "pipe",
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      timeout: PATIENCE_MS,
      killSignal: "SIGKILL",
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.once("error", (error) => resolve({ status: 127, stdout, stderr: error.message }));
    child.once("close", (code, signal) => {
      // A Ctrl-C in the moment between fork and setsid still reaches the child.
      if (signal === "SIGINT" && again()) {
        resolve(execute(file, args, options, again));
        return;
      }
      const killed = signal === null ? "" : `ended by ${signal}, after ${PATIENCE_MS / 1000} s at most`;
      resolve({ status: code ?? 128, stdout, stderr: stderr || killed });
    });
    child.stdin.on("error", () => {}); // the program may end before it read all
    child.stdin.end(options.input ?? "");
  });
}

/** The folder of the built commands: this file is bundled into one of them. */
export const commandsDir = (): string => import.meta.dirname;

/** The environment of everything a lab runs: our commands first on the path. */
export function labEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return { ...env, PATH: `${join(commandsDir(), "bin")}:${env["PATH"] ?? ""}:${system}` };
}

/** Names of the namespaces on this machine that begin with `prefix-`. */
export function namespacesOf(prefix: string): string[] {
  if (!existsSync(NETNS_DIR)) return [];
  return readdirSync(NETNS_DIR).filter((name) => name.startsWith(`${prefix}-`));
}

/** The inodes that name the namespaces' files in /run. */
function inodesOf(names: readonly string[]): number[] {
  return names.flatMap((name) => statSync(join(NETNS_DIR, name), { throwIfNoEntry: false })?.ino ?? []);
}

/** Removes what processes of deleted namespaces left in /run: logs, locks. */
function removeFiles(inodes: readonly number[]): void {
  if (!existsSync(RUN_DIR)) return;
  for (const file of readdirSync(RUN_DIR)) {
    if (inodes.some((inode) => file.includes(`-${inode}.`) || file.includes(`-${inode}-`)))
      rmSync(join(RUN_DIR, file), { force: true });
  }
}

/**
 * Ends every process in the namespaces and deletes them, with their files in /run.
 * @param last done when the processes are gone and the namespaces are not
 * @returns how many namespaces there were.
 */
export async function removeNamespaces(
  names: readonly string[],
  last?: () => Promise<unknown>,
): Promise<number> {
  const living = async (): Promise<number[]> => {
    const lists = await Promise.all(names.map((name) => execute("ip", ["netns", "pids", name])));
    return lists.flatMap((list) => list.stdout.split("\n").filter(Boolean).map(Number));
  };
  const signal = (pids: readonly number[], name: NodeJS.Signals) => {
    for (const pid of pids) {
      try {
        process.kill(pid, name);
      } catch {
        // Gone in the meantime.
      }
    }
  };
  signal(await living(), "SIGTERM");
  const patientUntil = Date.now() + 2000;
  let left = await living();
  while (left.length > 0 && Date.now() < patientUntil) {
    await sleep(30);
    left = await living();
  }
  signal(left, "SIGKILL");
  await last?.();
  const inodes = inodesOf(names);
  if (names.length > 0) {
    await execute("ip", ["-force", "-batch", "-"], {
      input: names.map((name) => `netns del ${name}\n`).join(""),
    });
  }
  removeFiles(inodes);
  return names.length;
}

/** A MAC that shows whose it is: 02:00 and the four bytes of the interface's first IPv4 address, or a number. */
export function macOf(nic: Nic, index: number): string {
  const dotted = nic.addresses.map((address) => /^(\d+)\.(\d+)\.(\d+)\.(\d+)\//.exec(address)).find(Boolean);
  const bytes = dotted ? dotted.slice(1).map(Number) : [0, 0, index >> 8, index & 255];
  return ["02", "00", ...bytes.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** The machines of one lab while they exist. */
export class Network {
  readonly lab: Lab;
  readonly prefix: string;
  #stopped = false;
  /** Namespaces and cables that are being made. */
  readonly #wiring: Promise<unknown>[] = [];

  constructor(lab: Lab, prefix: string) {
    this.lab = lab;
    this.prefix = `${prefix}-${lab.name}`;
  }

  /** From now on nothing is made or started in the lab, whoever asks; resolves when what was being made is there. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#wiring);
  }

  #mustGoOn(): void {
    if (this.#stopped) throw new Error(`lab ${this.lab.name} is being removed`);
  }

  namespace(host: string): string {
    return `${this.prefix}-${host}`;
  }

  /** Whether something of this lab exists already. */
  exists(): boolean {
    return namespacesOf(this.prefix).length > 0;
  }

  /** Makes namespaces, cables and switches, and gives every interface its addresses. */
  async build(): Promise<void> {
    const { hosts, networks } = this.lab;
    const machine: string[] = hosts.map((host) => `netns add ${this.namespace(host.name)}`);
    const inside = new Map<string, string[]>(hosts.map((host) => [host.name, ["link set lo up"]]));
    let serial = 0;
    const end = (host: string, nic: Nic) =>
      `${nic.device} address ${macOf(nic, ++serial)} netns ${this.namespace(host)}`;

    for (const network of networks) {
      const ends = hosts.flatMap((host) =>
        host.nics.filter((nic) => nic.network === network.name).map((nic) => ({ host: host.name, nic })),
      );
      if (ends.length === 2) {
        const [a, b] = ends as [(typeof ends)[0], (typeof ends)[0]];
        machine.push(`link add ${end(a.host, a.nic)} type veth peer name ${end(b.host, b.nic)}`);
      } else {
        const name = `switch-${network.name}`;
        machine.push(`netns add ${this.namespace(name)}`);
        const switchboard = ["link add br0 type bridge forward_delay 0", "link set br0 up"];
        ends.forEach(({ host, nic }, port) => {
          machine.push(
            `link add ${end(host, nic)} type veth peer name port${port} netns ${this.namespace(name)}`,
          );
          switchboard.push(`link set port${port} master br0 up`);
        });
        inside.set(name, switchboard);
      }
      for (const { host, nic } of ends) {
        for (const address of nic.addresses) {
          const flags = address.includes(":") ? " nodad" : "";
          inside.get(host)!.push(`addr add ${address} dev ${nic.device}${flags}`);
        }
        inside.get(host)!.push(`link set ${nic.device} up`);
      }
    }
    const isNetns = (line: string) => line.startsWith("netns ");
    await this.#batch([], machine.filter(isNetns));
    await Promise.all([...inside.keys()].map((host) => this.#neutral(host)));
    await this.#batch(
      [],
      machine.filter((line) => !isNetns(line)),
    );
    await Promise.all([...inside].map(([host, lines]) => this.#batch(["-n", this.namespace(host)], lines)));
  }

  /** New namespaces inherit this machine's IPv4 switches; a tutorial starts from the kernel's defaults. */
  async #neutral(host: string): Promise<void> {
    const done = await this.shell(host, `sysctl -qw net.ipv4.ip_forward=0 ${NEUTRAL}`);
    if (done.status !== 0) throw new Error(`the network could not be built: ${done.stderr.trim()}`);
  }

  async #batch(options: readonly string[], lines: readonly string[]): Promise<void> {
    this.#mustGoOn();
    const making = execute("ip", [...options, "-batch", "-"], { input: `${lines.join("\n")}\n` });
    this.#wiring.push(making);
    const done = await making;
    if (done.status !== 0) throw new Error(`the network could not be built: ${done.stderr.trim()}`);
  }

  /** Where commands of this lab run, once a file was made there. */
  get folder(): string {
    return join(RUN_DIR, `lab-${this.prefix}`);
  }

  /** Makes a file in the lab's folder. */
  write(name: string, text: string): void {
    this.#mustGoOn();
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  /** Runs a shell command on a host, as a part of the story. */
  async shell(host: string, command: string): Promise<Outcome> {
    this.#mustGoOn();
    return this.tidy(host, command, () => !this.#stopped);
  }

  /** Runs a shell command on a host, also when the lab is being removed. */
  tidy(host: string, command: string, again?: () => boolean): Promise<Outcome> {
    const where = existsSync(this.folder) ? { cwd: this.folder } : {};
    return execute("ip", ["netns", "exec", this.namespace(host), "sh", "-c", command], where, again);
  }

  /** Starts a program on a host; it ends with the lab at the latest. */
  spawn(host: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    this.#mustGoOn();
    const all = { env: labEnvironment(), detached: true, ...options };
    return spawn("ip", ["netns", "exec", this.namespace(host), ...argv], all);
  }

  /** Ends everything that runs in the lab and removes its machines and files. */
  async remove(last?: () => Promise<unknown>): Promise<number> {
    const removed = await removeNamespaces(namespacesOf(this.prefix), last);
    this.removeFolder();
    return removed;
  }

  /** Removes the files that the lab's steps made. */
  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
