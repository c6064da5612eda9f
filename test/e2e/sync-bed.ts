/**
 * Two directors under `lvsd run`, a client and three real servers on one LAN: one VIP a forwarding method, all of them and the gateway of
 * the NAT server held by VRRP, connections synchronised.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DaemonStatus } from "../../src/interfaces/daemon/protocol.ts";
import { Running, until } from "./daemon-bed.ts";

const bin = join(process.cwd(), "dist/bin");
const HOSTS = ["lan", "client", "d1", "d2", "dr", "nat", "tun"] as const;
export type Host = (typeof HOSTS)[number];
export type Director = "d1" | "d2";
export type Plane = "engine" | "ebpf";
const ADDRESS = { client: 2, d1: 3, d2: 4, dr: 11, nat: 12, tun: 13 } as const;
/** One VIP a forwarding method; .110 is the gateway by which the NAT server answers. */
const VIPS = { dr: "10.3.0.101", nat: "10.3.0.102", tun: "10.3.0.103" } as const;
const GATEWAY = "10.3.0.110";
const HELD = [...Object.values(VIPS), GATEWAY];

const SERVER = `
require("node:net").createServer((s) => { s.on("data", (d) => s.write(d)); s.on("error", () => {}); })
  .listen(80, "0.0.0.0", 4096, () => console.log("ready"));
`;
/** Holds connections. On standard input: a number opens so many to each VIP, "say" sends a byte on each and tells what came back, "end" ends all. */
const CLIENT = `
const net = require("node:net");
const vips = process.argv.slice(1);
const all = [];
let broken = 0, answered = 0, wanted = 0;
const told = () => { if (wanted > 0 && answered + broken >= wanted) { console.log("answered " + answered + " broken " + broken); wanted = 0; } };
const say = () => { answered = 0; wanted = all.length; for (const s of all) if (!s.destroyed) s.write("x"); told(); };
const one = (vip) => new Promise((resolve) => {
  const s = net.connect(80, vip, resolve);
  const here = () => all.includes(s);
  s.on("data", () => { answered++; told(); });
  s.on("close", () => { if (here()) { broken++; told(); } resolve(); });
  s.on("error", () => {});
  all.push(s);
});
const end = () => { for (const s of all.splice(0)) s.destroy(); broken = 0; console.log("ended"); };
const open = async (each) => {
  const to = vips.flatMap((vip) => Array(each).fill(vip));
  while (to.length > 0) await Promise.all(to.splice(0, 100).map(one));
  console.log("open " + all.length);
};
require("node:readline").createInterface({ input: process.stdin })
  .on("line", (line) => line === "say" ? say() : line === "end" ? end() : void open(Number(line)));
`;

const base = {
  ...process.env,
  NODE_EXTRA_CA_CERTS: "",
  NODE_OPTIONS: "",
  PATH: `${bin}:${process.env["PATH"]}`,
};

/** The configuration of a director. `more` goes into the instance; without VRRP there is neither instance nor address. */
export interface Wishes {
  readonly priority?: number;
  /** Words after `lvs_sync_daemon eth0`. */
  readonly sync?: string;
  readonly more?: string;
  readonly vrrp?: boolean;
}

/** See the module's description. */
export class SyncBed {
  readonly folder = mkdtempSync(join(tmpdir(), "lvsd-sync-"));
  readonly #tag: string;
  readonly #planes: Readonly<Record<Director, Plane>>;
  readonly #children: ChildProcess[] = [];
  #client: Running | undefined;
  #said = 0;

  /** @param planes the directors' */
  constructor(tag: string, planes: Readonly<Record<Director, Plane>> = { d1: "engine", d2: "engine" }) {
    this.#planes = planes;
    this.#tag = tag;
  }

  name(host: Host): string {
    return `lv${process.pid}${this.#tag}${host}`;
  }

  ip(host: Host, line: string): void {
    execFileSync("ip", ["-n", this.name(host), ...line.split(" ")], { stdio: "pipe" });
  }

  #env(host: Host): NodeJS.ProcessEnv {
    const plane = host === "d1" || host === "d2" ? this.#planes[host] : "engine";
    const own = join(this.folder, `key-${host}`);
    const key = existsSync(own) ? own : join(this.folder, "key");
    const files = { LVSD_RUN_DIR: this.folder, LVSD_SYNC_KEY: key };
    return { ...base, ...files, LVSD_PLANE: plane };
  }

  async run(host: Host, line: string): Promise<string> {
    const { stdout } = await promisify(execFile)(
      "ip",
      ["netns", "exec", this.name(host), ...line.split(" ")],
      {
        env: this.#env(host),
        timeout: 30_000,
        maxBuffer: 64 << 20,
      },
    );
    return stdout;
  }

  /** Starts a program that stays. */
  start(host: Host, ...command: string[]): Running {
    const child = spawn("ip", ["netns", "exec", this.name(host), ...command], {
      env: this.#env(host),
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#children.push(child);
    return new Running(child);
  }

  /** Builds the network; the servers listen. */
  async up(key = true): Promise<this> {
    if (key) writeFileSync(join(this.folder, "key"), "a key that both directors have\n", { mode: 0o600 });
    for (const host of HOSTS) {
      execFileSync("ip", ["netns", "add", this.name(host)]);
      this.ip(host, "link set lo up");
    }
    this.ip("lan", "link add br0 type bridge forward_delay 0");
    this.ip("lan", "link set br0 up");
    for (const [host, last] of Object.entries(ADDRESS) as [keyof typeof ADDRESS, number][]) {
      this.ip(host, `link add eth0 type veth peer name to-${host} netns ${this.name("lan")}`);
      this.ip("lan", `link set to-${host} master br0 up`);
      this.ip(host, `addr add 10.3.0.${last}/24 dev eth0`);
      this.ip(host, "link set eth0 up");
    }
    const none = "net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0";
    for (const d of ["d1", "d2"] as const) await this.run(d, `sysctl -qw net.ipv4.ip_forward=1 ${none}`);
    await this.run("dr", `lvsd realserver dr ${VIPS.dr}`);
    await this.run("tun", `lvsd realserver tun ${VIPS.tun}`);
    this.ip("nat", `route add 10.3.0.${ADDRESS.client}/32 via ${GATEWAY} dev eth0 onlink`);
    for (const host of ["dr", "nat", "tun"] as const)
      await this.start(host, process.execPath, "-e", SERVER).says("ready");
    return this;
  }

  configure(
    director: Director,
    { priority = 100, sync = "VI_1 id 9", more = "", vrrp = true }: Wishes,
  ): string {
    const servers = (["dr", "nat", "tun"] as const).map(
      (method) => `
virtual_server ${VIPS[method]} 80 {
    delay_loop 2
    lb_algo rr
    lb_kind ${method.toUpperCase()}
    protocol TCP
    persistence_timeout 300
    real_server 10.3.0.${ADDRESS[method]} 80 {
        TCP_CHECK {
            connect_timeout 3
            retry 3
        }
    }
}
`,
    );
    const instance = `
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority ${priority}
    advert_int 0.1
    ${more}
    virtual_ipaddress {
        ${HELD.map((address) => `${address}/24`).join("\n        ")}
    }
}
`;
    const text = `global_defs {
    router_id ${director}
    vrrp_version 3
    lvs_sync_daemon eth0 ${sync}
}
${vrrp ? instance : ""}${servers.join("")}`;
    const path = join(this.folder, `${director}.conf`);
    writeFileSync(path, text);
    return path;
  }

  /** Runs a director with the configuration it was given last. */
  lvsd(director: Director, ...more: string[]): Running {
    const file = join(this.folder, `${director}.conf`);
    return this.start(director, "lvsd", "run", "-f", file, "--log", "console", ...more);
  }

  async status(director: Director): Promise<DaemonStatus> {
    return JSON.parse(await this.run(director, "lvsd status --json"));
  }

  async state(director: Director): Promise<string> {
    return (await this.status(director)).vrrp?.instances[0]?.state ?? "none";
  }

  /** Waits until a director has the state. */
  async becomes(director: Director, state: "master" | "backup"): Promise<void> {
    await until(
      `${director} is ${state}`,
      () => this.state(director),
      (now) => now === state,
    );
  }

  async established(director: Director): Promise<number> {
    return (await this.run(director, "ipvsadm -Lnc")).match(/ESTABLISHED/g)?.length ?? 0;
  }

  /** Waits until a director's table has so many established connections. */
  async has(director: Director, count: number): Promise<void> {
    await until(
      `${count} connections at ${director}`,
      () => this.established(director),
      (n) => n === count,
    );
  }

  /** Every process of a host; with words, those in whose command line they are. */
  pids(host: Host, words = ""): number[] {
    const all = execFileSync("ip", ["netns", "pids", this.name(host)], { encoding: "utf8" });
    return all
      .split("\n")
      .filter(Boolean)
      .map(Number)
      .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(words));
  }

  async enginePid(director: Director): Promise<number> {
    return Number(/process (\d+)/.exec(await this.run(director, "lvsd engine status"))![1]);
  }

  /** The end of a machine: its cable is out, and all of its programs are gone at once, with what they had set. */
  async kill(director: Director): Promise<void> {
    this.ip("lan", `link set to-${director} down`);
    for (const pid of this.pids(director)) process.kill(pid, "SIGKILL");
    // What the kernel has of it goes too.
    if (this.#planes[director] === "ebpf") await this.run(director, "lvsd planes reset");
    await until(
      "they are gone",
      async () => (await this.run(director, "ip addr show eth0")).includes("state UP"),
      (upThere) => !upThere,
    );
    for (const address of HELD) {
      try {
        this.ip(director, `addr del ${address}/24 dev eth0`);
      } catch {
        // It was not there.
      }
    }
  }

  /** The machine boots: the cable is in again. */
  revive(director: Director): void {
    this.ip("lan", `link set to-${director} up`);
  }

  async #ask(line: string, answer: RegExp): Promise<string> {
    this.#client ??= this.start("client", process.execPath, "-e", CLIENT, ...Object.values(VIPS));
    const client = this.#client;
    client.child.stdin!.write(`${line}\n`);
    const rest = (): string => client.out.slice(this.#said);
    await until(`the client says ${answer}`, rest, (text) => answer.test(text));
    const [said] = answer.exec(rest())!;
    this.#said = client.out.length;
    return said;
  }

  /** The client opens so many more connections to each VIP: how many it has then. */
  async open(each: number): Promise<number> {
    return Number((await this.#ask(String(each), /open \d+\n/)).slice(5));
  }

  /** The client sends on every connection: `answered N broken M`. */
  async say(): Promise<string> {
    return (await this.#ask("say", /answered .*\n/)).trim();
  }

  /** The client ends all of its connections. */
  async hangUp(): Promise<void> {
    await this.#ask("end", /ended\n/);
  }

  /** Gives the addresses to a director by hand, where there is no VRRP; everybody learns it at once. */
  take(director: Director | undefined): void {
    for (const d of ["d1", "d2"] as const) {
      for (const address of HELD) {
        try {
          this.ip(d, `addr ${d === director ? "add" : "del"} ${address}/24 dev eth0`);
        } catch {
          // It was not there.
        }
      }
    }
    for (const host of ["client", "nat"] as const) this.ip(host, "neigh flush dev eth0");
  }

  async down(): Promise<void> {
    for (const d of ["d1", "d2"] as const) {
      await this.run(d, "lvsd stop").catch(() => "");
      await this.run(d, "lvsd engine stop").catch(() => "");
      if (this.#planes[d] === "ebpf") await this.run(d, "lvsd planes reset").catch(() => "");
    }
    await this.run("tun", `lvsd realserver tun ${VIPS.tun} --undo`).catch(() => "");
    for (const child of this.#children) child.kill("SIGKILL");
    for (const host of HOSTS) {
      try {
        execFileSync("ip", ["netns", "del", this.name(host)], { stdio: "pipe" });
      } catch {
        // It was not made.
      }
    }
    const bpffs = join(this.folder, "bpf");
    if (existsSync(bpffs)) execFileSync("umount", [bpffs]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
