/**
 * A stage for scenarios of ldirectord: a network namespace with little servers, our ldirectord on a data plane, and the table as
 * the scenarios write it.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseAddress } from "../../src/wire/address.ts";
import { type PlaneName, slowness } from "./planes.ts";

const bin = join(process.cwd(), "dist/bin");
const ENDPOINTS = join(process.cwd(), "test/e2e/scenario-endpoints.mjs");

/** What a command came to. */
export interface Outcome {
  readonly rc: number;
  readonly out: string;
  readonly err: string;
}

/** The listing of `ipvsadm --json`, as far as it is looked at. */
interface Listing {
  readonly services: readonly {
    readonly kind: "address" | "fwmark";
    readonly family: 4 | 6;
    readonly protocol?: string;
    readonly address?: string;
    readonly port?: number;
    readonly fwmark?: number;
    readonly scheduler: string;
    readonly persistence: { readonly timeoutS: number; readonly netmask: string } | null;
    readonly onePacket: boolean;
    readonly destinations: readonly {
      readonly family: 4 | 6;
      readonly address: string;
      readonly port: number;
      readonly method: string;
      readonly weight: number;
      readonly upperThreshold: number;
      readonly lowerThreshold: number;
    }[];
  }[];
}

let serial = 0;

export class LdirectordStage {
  readonly folder = mkdtempSync(join(tmpdir(), "lvsd-ldirectord-"));
  readonly netns = `lv${process.pid}ld${++serial}`;
  /** Whether servers go in and out before they stay. */
  readonly flickers: boolean = false;
  readonly #env: NodeJS.ProcessEnv;
  #endpoints: ChildProcess | undefined;
  #answers: AsyncIterator<string> | undefined;

  /** On a data plane. */
  constructor(plane: PlaneName = "engine") {
    chmodSync(this.folder, 0o755);
    this.#env = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: "",
      HOSTNAME: "director.test",
      LVSD_PLANE: plane,
      LVSD_RUN_DIR: this.folder,
      LVSD_PID_DIR: this.folder,
      LVSD_DEV_LOG: join(this.folder, "dev-log"),
      PATH: `${bin}:${process.env["PATH"]}`,
    };
    execFileSync("ip", ["netns", "add", this.netns]);
    execFileSync("ip", ["-n", this.netns, "link", "set", "lo", "up"]);
  }

  /** Runs a program in the namespace. */
  run(...command: string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const words = ["netns", "exec", this.netns, ...command];
      const options = { env: this.#env, cwd: this.folder, timeout: 60_000 * slowness };
      execFile("ip", words, options, (error, out, err) =>
        resolve({ rc: error === null ? 0 : Number(error.code ?? 128), out, err }),
      );
    });
  }

  /** Starts a program that stays. */
  spawn(...command: string[]): ChildProcess {
    return spawn("ip", ["netns", "exec", this.netns, ...command], { env: this.#env, cwd: this.folder });
  }

  /** Makes the servers; they listen once they are told to be up. */
  async serve(endpoints: Readonly<Record<string, { readonly addr: string }>>): Promise<void> {
    const child = this.spawn(process.execPath, ENDPOINTS);
    this.#endpoints = child;
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    for (const [name, spec] of Object.entries(endpoints)) {
      const { addr } = spec;
      const words = addr.includes(":") ? [`${addr}/128`, "nodad"] : [`${addr}/32`];
      if (!addr.startsWith("127."))
        execFileSync("ip", ["-n", this.netns, "addr", "add", words[0]!, "dev", "lo", ...words.slice(1)]);
      await this.order({ do: "define", name, spec });
    }
  }

  /** Tells the servers something. */
  async order(order: { readonly do: string } & Record<string, unknown>): Promise<unknown> {
    this.#endpoints!.stdin!.write(`${JSON.stringify(order)}\n`);
    const { value } = await this.#answers!.next();
    const answer = JSON.parse(value as string) as { result?: unknown; error?: string };
    if (answer.error !== undefined) throw new Error(`${order.do}: ${answer.error}`);
    return answer.result;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** `@DIR@` stands for the stage's folder. */
  place(text: string): string {
    return text.replaceAll("@DIR@", this.folder);
  }

  unplace(text: string): string {
    return text.replaceAll(this.folder, "@DIR@");
  }

  write(name: string, text: string, executable = false): string {
    const path = this.path(name);
    writeFileSync(`${path}.new`, this.place(text), { mode: executable ? 0o755 : 0o644 });
    renameSync(`${path}.new`, path);
    return path;
  }

  /** Puts a configuration in place; its log goes to a file here. */
  configure(name: string, text: string): string {
    return this.write(name, text.includes("logfile") ? text : `logfile="@DIR@/log"\n${text}`);
  }

  makeFolder(name: string): void {
    mkdirSync(this.path(name), { recursive: true });
  }

  read(name: string): string {
    try {
      return readFileSync(this.path(name), "utf8");
    } catch {
      return "";
    }
  }

  ldirectord(...words: string[]): Promise<Outcome> {
    return this.run("ldirectord", ...words);
  }

  ipvsadm(line: string): Promise<Outcome> {
    return this.run("ipvsadm", ...line.split(" "));
  }

  /** The table as scenarios write it: no counters, services IPv4, then IPv6, then marks, servers in numeric order. */
  async table(): Promise<string[]> {
    const { out, rc, err } = await this.ipvsadm("-L -n --json");
    if (rc !== 0) throw new Error(`ipvsadm: ${err}`);
    return tableLines(JSON.parse(out) as Listing);
  }

  async close(): Promise<void> {
    const pids = execFileSync("ip", ["netns", "pids", this.netns], { encoding: "utf8" });
    for (const pid of pids.split("\n").filter(Boolean)) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    execFileSync("ip", ["netns", "del", this.netns]);
    // Where the eBPF plane keeps its objects.
    if (existsSync(this.path("bpf"))) spawnSync("umount", [this.path("bpf")]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const FORWARD: Readonly<Record<string, string>> = { dr: "Route", nat: "Masq", tun: "Tunnel" };

const endpoint = (family: 4 | 6, address: string, port: number): string =>
  `${family === 6 ? `[${address}]` : address}:${port}`;

/** A key that sorts endpoints by family, address and port. */
function order(family: 4 | 6, address: string, port: number): string {
  const hex = [...parseAddress(address)!.bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${family} ${hex} ${String(port).padStart(5, "0")}`;
}

const bySortKey = (a: { key: string }, b: { key: string }): number =>
  a.key < b.key ? -1 : a.key > b.key ? 1 : 0;

/** Lines of a listing. */
function tableLines({ services }: Listing): string[] {
  const blocks = services.map((service) => {
    const { kind, family, protocol = "", address = "", port = 0, fwmark = 0, persistence } = service;
    const mark = kind === "fwmark";
    const mask = persistence?.netmask ?? "";
    const persistent = persistence
      ? ` persistent ${persistence.timeoutS}${/^(255\.255\.255\.255|128)?$/.test(mask) ? "" : ` mask ${mask}`}`
      : "";
    const who = mark
      ? `FWM ${fwmark}${family === 6 ? " IPv6" : ""}`
      : `${protocol.toUpperCase()} ${endpoint(family, address, port)}`;
    const servers = service.destinations.map((d) => {
      const { upperThreshold: u, lowerThreshold: l } = d;
      const thresholds = u === 0 && l === 0 ? "" : ` u=${u} l=${l}`;
      const text = `  -> ${endpoint(d.family, d.address, d.port)} ${FORWARD[d.method]} ${d.weight}${thresholds}`;
      return { key: order(d.family, d.address, d.port), text };
    });
    const key = mark
      ? `1 ${family} ${String(fwmark).padStart(10, "0")}`
      : `0 ${family} ${protocol} ${order(family, address, port)}`;
    const head = `${who} ${service.scheduler}${persistent}${service.onePacket ? " ops" : ""}`;
    return { key, lines: [head, ...servers.sort(bySortKey).map(({ text }) => text)] };
  });
  return blocks.sort(bySortKey).flatMap(({ lines }) => lines);
}
