/**
 * TCP through directors: one client and one server (two namespaces), and between them a director for each way of forwarding.
 *
 *     client ─ c<i> 10.<i>.1.2 ══ 10.<i>.1.1 in ┬ director i ┬ out 10.<i>.2.1 ══ 10.<i>.2.2, .3 s<i> ─ server
 *                                               └ VIP 10.<i>.9.1
 *
 * Client, server and proxy run on one processor, so that what is compared is the processor time of a request or a byte, whatever
 * else the machine does.
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { processTime } from "./cpu.ts";
import type { Case } from "./rounds.ts";

/** How a director forwards. */
export type Way = "plain forwarding" | "eBPF NAT" | "eBPF DR" | "nftables DNAT" | "HAProxy";
const PORTS = { http: 80, iperf: 5201 } as const;
const PAGE = 612;

/** One kind of load. */
type Load = "keep-alive HTTP" | "new connections, HTTP" | "bulk TCP";

const dist = import.meta.dirname;

/** The network with its servers; make cases of it, and close it. */
export class Streams {
  readonly #folder = mkdtempSync(join(tmpdir(), "lvsd-bench-"));
  readonly #prefix = `lv${process.pid}t`;
  readonly #spaces: string[] = [];
  readonly #children: ChildProcess[] = [];
  /** Process numbers whose time counts. */
  readonly #counted: number[] = [];
  readonly #ways: Way[];
  readonly #seconds: number;

  /** @param seconds of one measurement */
  constructor(ways: readonly Way[], seconds: number) {
    this.#ways = [...ways];
    this.#seconds = seconds;
  }

  #space(name: string): string {
    return `${this.#prefix}${name}`;
  }
  #run(space: string, command: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): string {
    return execFileSync("ip", ["netns", "exec", this.#space(space), ...command], {
      input,
      encoding: "utf8",
      env: { ...process.env, NODE_EXTRA_CA_CERTS: "", LVSD_RUN_DIR: join(this.#folder, "run"), ...env },
    });
  }
  #ip(space: string, lines: readonly string[]): void {
    execFileSync("ip", ["-n", this.#space(space), "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }
  #make(space: string): void {
    const name = this.#space(space);
    execFileSync("ip", ["netns", "add", name]);
    this.#spaces.push(name);
    this.#ip(space, ["link set lo up"]);
  }

  /** Starts a program that stays. */
  #start(space: string, command: readonly string[]): number {
    const child = spawn("ip", ["netns", "exec", this.#space(space), ...command], { stdio: "ignore" });
    this.#children.push(child);
    return child.pid!;
  }

  /** Builds everything; resolves when the servers answer. */
  async up(): Promise<void> {
    this.#make("client");
    this.#make("server");
    const tuned = [
      "net.ipv4.tcp_tw_reuse=1",
      "net.ipv4.ip_local_port_range=1024 65535",
      "net.core.somaxconn=4096",
    ];
    for (const space of ["client", "server"]) this.#run(space, ["sysctl", "-qw", ...tuned]);
    const cycles = this.#ways.map((way, i) => this.#director(way, i));
    this.#counted.push(this.#start("server", ["nginx", "-c", this.#nginx()]));
    this.#counted.push(this.#start("server", ["iperf3", "-s"]));
    for (let tries = 0; ; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (cycles.every((i) => this.#answers(i))) break;
      if (tries > 50) throw new Error("a web server behind a director does not answer");
    }
    // The master's children do the work.
    for (const pid of [...this.#counted]) this.#counted.push(...childrenOf(pid));
  }

  #answers(i: number): boolean {
    try {
      this.#run("client", ["curl", "-fsSo", "/dev/null", "-m", "2", `http://${this.#target(i)}/`]);
      return true;
    } catch {
      return false;
    }
  }

  /** Where clients of director `i` connect to. */
  #target(i: number): string {
    return this.#ways[i] === "plain forwarding" ? `10.${i}.2.2` : `10.${i}.9.1`;
  }

  #director(way: Way, i: number): number {
    const space = `d${i}`;
    this.#make(space);
    this.#ip("client", [
      `link add c${i} type veth peer name in netns ${this.#space(space)}`,
      `addr add 10.${i}.1.2/24 dev c${i}`,
      `link set c${i} up`,
    ]);
    this.#ip("server", [
      `link add s${i} type veth peer name out netns ${this.#space(space)}`,
      `addr add 10.${i}.2.2/24 dev s${i}`,
      `addr add 10.${i}.2.3/24 dev s${i}`,
      `link set s${i} up`,
    ]);
    const off = ["all", "default", "in", "out"].map((name) => `net.ipv4.conf.${name}.rp_filter=0`);
    this.#run(space, ["sysctl", "-qw", "net.ipv4.ip_forward=1", ...tunedDirector, ...off]);
    this.#ip(space, [
      `addr add 10.${i}.1.1/24 dev in`,
      `addr add 10.${i}.2.1/24 dev out`,
      "link set in up",
      "link set out up",
    ]);
    this.#ip("client", [`route add 10.${i}.0.0/16 via 10.${i}.1.1`]);
    this.#ip("server", [`route add 10.${i}.1.0/24 via 10.${i}.2.1`]);
    const servers = [`10.${i}.2.2`, `10.${i}.2.3`];
    const vip = `10.${i}.9.1`;
    if (way === "eBPF DR") {
      // The director routes the replies, so the VIP is not its own.
      this.#ip("server", [`addr add ${vip}/32 dev lo`]);
      this.#ebpf(space, vip, servers, "-g");
    } else if (way !== "plain forwarding") {
      this.#ip(space, [`addr add ${vip}/32 dev lo`]);
    }
    if (way === "eBPF NAT") this.#ebpf(space, vip, servers, "-m");
    if (way === "nftables DNAT") {
      const map = servers.map((server, n) => `${n} : ${server}`).join(", ");
      const rule = `ip daddr ${vip} dnat to numgen inc mod ${servers.length} map { ${map} }`;
      const table = [
        "table ip lb {",
        "chain pre {",
        "type nat hook prerouting priority dstnat",
        rule,
        "}",
        "}",
        "",
      ];
      this.#run(space, ["nft", "-f", "-"], table.join("\n"));
    }
    if (way === "HAProxy")
      this.#counted.push(this.#start(space, ["haproxy", "-f", this.#haproxy(vip, servers)]));
    return i;
  }

  #ebpf(space: string, vip: string, servers: readonly string[], method: string): void {
    let rules = "";
    for (const port of Object.values(PORTS)) {
      rules += `-A -t ${vip}:${port} -s rr\n`;
      for (const server of servers) rules += `-a -t ${vip}:${port} -r ${server} ${method}\n`;
    }
    this.#run(space, [process.execPath, join(dist, "ipvsadm.cjs"), "-R"], rules, { LVSD_PLANE: "ebpf" });
  }

  #nginx(): string {
    const file = join(this.#folder, "nginx.conf");
    const at = (name: string): string => join(this.#folder, name);
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${at("nginx.pid")}; error_log ${at("nginx.log")}; user root;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000;
  client_body_temp_path ${at("b")}; proxy_temp_path ${at("p")}; fastcgi_temp_path ${at("f")};
  uwsgi_temp_path ${at("u")}; scgi_temp_path ${at("s")};
  server { listen 80 backlog=4096; location / { return 200 "${"a".repeat(PAGE)}"; } }
}
`,
    );
    return file;
  }

  #haproxy(vip: string, servers: readonly string[]): string {
    const file = join(this.#folder, "haproxy.cfg");
    const part = ([name, port]: [string, number]): string =>
      `listen ${name}\n  bind ${vip}:${port}\n${servers.map((s, n) => `  server s${n} ${s}:${port}\n`).join("")}`;
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn 4096
defaults
  mode tcp
  balance roundrobin
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${Object.entries(PORTS).map(part).join("")}`,
    );
    return file;
  }

  // --- measuring ------------------------------------------------------------------------------------------------------------

  /** Nanoseconds of processor time for one of what `load` counts. */
  #cost(load: Load, i: number): number {
    const from = processTime(this.#counted);
    const done = load === "bulk TCP" ? this.#iperf(i) : this.#wrk(i, load !== "keep-alive HTTP");
    return (processTime(this.#counted) - from) / done;
  }

  /** Requests that were answered. */
  #wrk(i: number, close: boolean): number {
    const header = close ? ["-H", "Connection: close"] : [];
    const words = ["wrk", "-t1", "-c50", `-d${this.#seconds}s`, ...header, `http://${this.#target(i)}/`];
    const said = this.#run("client", words);
    const answered = Number(/(\d+) requests in/.exec(said)?.[1]);
    const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(said);
    const failed = errors ? Number(errors[1]) + Number(errors[4]) : 0;
    if (!(answered > 0) || failed > answered / 100) throw new Error(`wrk said: ${said.trim()}`);
    return answered;
  }

  /** Kilobytes that arrived. */
  #iperf(i: number): number {
    const said = this.#run("client", ["iperf3", "-c", this.#target(i), "-t", String(this.#seconds), "-J"]);
    const bytes = (JSON.parse(said) as { end?: { sum_received?: { bytes?: number } } }).end?.sum_received
      ?.bytes;
    if (!bytes) throw new Error(`iperf3 said: ${said.slice(0, 300)}`);
    return bytes / 1000;
  }

  /** Cases of a load, all ways in turn. @param aims by way: at least so many times as fast as `against` */
  cases(load: Load, aims: Partial<Record<Way, number>>): Case[] {
    return this.#ways.map((way, i) => {
      const name = `${load}, ${way}`;
      const aim = aims[way];
      const against =
        way === "plain forwarding"
          ? {}
          : { against: `${load}, plain forwarding`, unit: "x plain forwarding" };
      return { name, ...against, ...(aim !== undefined && { aim }), cost: () => this.#cost(load, i) };
    });
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGTERM");
    for (const pid of this.#counted) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Ended.
      }
    }
    for (const space of this.#spaces) execFileSync("ip", ["netns", "del", space]);
    removeBpffs(join(this.#folder, "run", "bpf"));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** HAProxy connects from here too. */
const tunedDirector = [
  "net.ipv4.tcp_tw_reuse=1",
  "net.ipv4.ip_local_port_range=1024 65535",
  "net.core.somaxconn=4096",
];

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map(Number),
  );
}
