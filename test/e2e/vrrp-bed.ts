/**
 * Two hosts on a wire, each a network namespace: lvsd's VRRP process on one, Debian's keepalived (or lvsd again) on the other.
 * @module
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { VrrpEvent, VrrpStatus } from "../../src/control/vrrp/messages.ts";
import type { VrrpInstanceSpec, VrrpSpec } from "../../src/control/vrrp/spec.ts";
import { vrrpSpec } from "../../src/testkit/vrrp-spec.ts";

const run = promisify(execFile);
/** Debian's, by its path: a command of that name is among ours. */
export const KEEPALIVED = "/usr/sbin/keepalived";
/** The program under test; elsewhere than beside this file in the virtual machine. */
export const PROGRAM = process.env["LVSD_VRRP"] ?? join(import.meta.dirname, "../../dist/lvsd-vrrp.cjs");
/** Loaded machines take their time. */
const PATIENCE_MS = 30_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for something to become true. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = PATIENCE_MS,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await pause(50);
  }
}

const environment = (extra: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_EXTRA_CA_CERTS: "",
  ...extra,
});

/** Ends a process and waits for its end. */
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  await gone;
}

/** lvsd's VRRP process, running by itself. */
export class Lvsd {
  readonly events: VrrpEvent[] = [];
  readonly #statuses: VrrpStatus[] = [];
  readonly child: ChildProcess;
  /** Its specification; read again at SIGHUP. */
  readonly file: string;
  output = "";

  constructor(ns: string, file: string, args: readonly string[]) {
    this.file = file;
    this.child = spawn("ip", ["netns", "exec", ns, process.execPath, PROGRAM, "--spec", file, ...args], {
      env: environment({}),
    });
    let rest = "";
    this.child.stdout!.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const message = JSON.parse(line) as { kind: string; event: VrrpEvent; status: VrrpStatus };
        if (message.kind === "event") this.events.push(message.event);
        if (message.kind === "status") this.#statuses.push(message.status);
      }
    });
    this.child.stderr!.on("data", (chunk: Buffer) => {
      this.output += chunk.toString();
    });
  }

  /** The state an instance told last. */
  state(instance = "VI"): string {
    const told = this.events.filter((e) => e.kind === "state" && e.instance === instance).at(-1);
    return told?.kind === "state" ? told.to : "init";
  }

  said(text: string | RegExp): boolean {
    return this.events.some((e) => (typeof text === "string" ? e.text.includes(text) : text.test(e.text)));
  }

  async status(): Promise<VrrpStatus> {
    const before = this.#statuses.length;
    this.child.kill("SIGUSR1");
    await until("status", () => this.#statuses.length > before);
    return this.#statuses.at(-1)!;
  }

  /** Ends it: SIGTERM politely, SIGKILL not. */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    return end(this.child, signal);
  }
}

/** A real keepalived. */
export class Keepalived {
  readonly child: ChildProcess;
  readonly #directory: string;
  log = "";

  constructor(ns: string, conf: string, directory: string) {
    this.#directory = directory;
    const args = [
      "-n",
      "-l",
      "-G",
      "-D",
      "-P",
      "-f",
      conf,
      "-p",
      join(directory, "k.pid"),
      "-r",
      join(directory, "kv.pid"),
    ];
    this.child = spawn("ip", ["netns", "exec", ns, KEEPALIVED, ...args], {
      env: environment({ TMPDIR: directory }),
    });
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.on("data", (chunk: Buffer) => {
        this.log += chunk.toString();
      });
  }

  /** The state an instance logged last. */
  state(instance = "VI"): string {
    const all = [...this.log.matchAll(/\((\w+)\) Entering (\w+) STATE/g)].filter((m) => m[1] === instance);
    return all.at(-1)?.[2].toLowerCase() ?? "init";
  }

  async stop(): Promise<void> {
    await end(this.child, "SIGTERM");
  }

  /** Both of its processes at once, without a word. */
  async kill(): Promise<void> {
    const vrrp = Number(readFileSync(join(this.#directory, "kv.pid"), "utf8"));
    // VRRP first: when its parent dies, it is told to stop, and takes its addresses back.
    process.kill(vrrp, "SIGKILL");
    await end(this.child, "SIGKILL");
  }
}

let beds = 0;

/** Two namespaces with v0 (and v1) between them: 192.0.2.1 and .2, fe80::1 and ::2, 198.51.100.1 and .2 on v1. */
export class Bed {
  readonly a: string;
  readonly b: string;
  readonly directory: string;
  readonly #running: { stop(): Promise<void> }[] = [];
  #files = 0;

  private constructor() {
    const name = `lv${process.pid}v${beds++}`;
    this.a = `${name}a`;
    this.b = `${name}b`;
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`));
  }

  static async make(): Promise<Bed> {
    const bed = new Bed();
    try {
      for (const ns of [bed.a, bed.b]) await run("ip", ["netns", "add", ns]);
      for (const [device, net] of [
        ["v0", "192.0.2"],
        ["v1", "198.51.100"],
      ]) {
        await run("ip", [
          "link",
          "add",
          device,
          "netns",
          bed.a,
          "type",
          "veth",
          "peer",
          "name",
          device,
          "netns",
          bed.b,
        ]);
        for (const [ns, n] of [
          [bed.a, 1],
          [bed.b, 2],
        ] as const) {
          await bed.in(
            ns,
            "sysctl",
            "-qw",
            `net.ipv6.conf.${device}.accept_dad=0`,
            `net.ipv6.conf.${device}.addr_gen_mode=1`,
          );
          await run("ip", ["-n", ns, "link", "set", device, "up"]);
          await run("ip", ["-n", ns, "addr", "add", `${net}.${n}/24`, "dev", device]);
          await run("ip", ["-n", ns, "addr", "add", `fe80::${n}/64`, "dev", device, "nodad"]);
          if (device === "v0")
            await run("ip", ["-n", ns, "addr", "add", `2001:db8::${n}/64`, "dev", device, "nodad"]);
        }
      }
      for (const ns of [bed.a, bed.b]) await run("ip", ["-n", ns, "link", "set", "lo", "up"]);
      return bed;
    } catch (error) {
      await bed.remove();
      throw error;
    }
  }

  /** Runs a command in a namespace: its output. */
  async in(ns: string, ...command: string[]): Promise<string> {
    const { stdout } = await run("ip", ["netns", "exec", ns, ...command]);
    return stdout;
  }

  async has(ns: string, address: string, device = "v0"): Promise<boolean> {
    const { stdout } = await run("ip", ["-n", ns, "-o", "addr", "show", "dev", device]);
    return stdout.includes(` ${address}/`);
  }

  /** Starts lvsd in a namespace. */
  lvsd(ns: string, spec: VrrpSpec | readonly VrrpInstanceSpec[], ...args: string[]): Lvsd {
    const whole = "instances" in spec ? spec : vrrpSpec(spec);
    const started = new Lvsd(ns, this.write(whole), args);
    this.#running.push(started);
    return started;
  }

  write(spec: VrrpSpec): string {
    const file = join(this.directory, `${this.#files++}.json`);
    writeFileSync(file, JSON.stringify(spec));
    return file;
  }

  /** Starts keepalived in a namespace with these instances. */
  keepalived(ns: string, instances: readonly VrrpInstanceSpec[], extra = ""): Keepalived {
    const directory = mkdtempSync(join(this.directory, "k"));
    const conf = join(directory, "keepalived.conf");
    writeFileSync(conf, `${instances.map(keepalivedConf).join("\n")}\n${extra}\n`);
    const started = new Keepalived(ns, conf, directory);
    this.#running.push(started);
    return started;
  }

  /** Lets no VRRP packet arrive on either side, or lets them again. */
  async split(cut: boolean): Promise<void> {
    for (const ns of [this.a, this.b]) {
      if (!cut) await this.in(ns, "nft", "delete table inet cut");
      else
        await this.in(
          ns,
          "nft",
          "table inet cut { chain i { type filter hook input priority 0; meta l4proto { 51, 112 } drop; }; }",
        );
    }
  }

  async remove(): Promise<void> {
    for (const p of this.#running) await p.stop().catch(() => {});
    for (const ns of [this.a, this.b]) await run("ip", ["netns", "del", ns]).catch(() => {});
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The same instance in keepalived's words. */
function keepalivedConf(i: VrrpInstanceSpec): string {
  const address = (a: VrrpInstanceSpec["addresses"][number]) =>
    `        ${a.address}/${a.prefix} dev ${a.device}${a.family === 6 ? " " : ""}`;
  return `vrrp_instance ${i.name} {
    version ${i.version}
    state BACKUP
    interface ${i.interface}
    virtual_router_id ${i.routerId}
    priority ${i.priority}
    advert_int ${i.advertIntMs / 1000}
    ${i.vmac ? `use_vmac${i.vmac.xmitBase ? "\n    vmac_xmit_base" : ""}` : ""}
    ${i.higherPrioSendAdvert ? "higher_prio_send_advert yes" : ""}
    garp_master_delay ${i.announce.delayMs / 1000}
    ${i.preempt ? "" : "nopreempt"}
    ${i.auth ? `authentication {\n auth_type ${i.auth.type.toUpperCase()}\n auth_pass ${i.auth.password}\n }` : ""}
    ${i.sourceAddress ? `unicast_src_ip ${i.sourceAddress}` : ""}
    ${i.peers.length > 0 ? `unicast_peer {\n${i.peers.map((p) => p.address).join("\n")}\n }` : ""}
    virtual_ipaddress {
${i.addresses.map(address).join("\n")}
    }
    ${i.excluded.length > 0 ? `virtual_ipaddress_excluded {\n${i.excluded.map(address).join("\n")}\n }` : ""}
}`;
}
