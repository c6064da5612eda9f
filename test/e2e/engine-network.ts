/**
 * A small network of namespaces for tests of the data planes: a client, a director, two real servers. The client's side is
 * 10.1.0.0/24, the servers' LAN 10.2.0.0/24 is a bridge on which the client has a leg too (for direct routing).
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { type PlaneName, slowness } from "./planes.ts";

/** Where the built commands are; tests and benchmarks run in the project's folder. */
const bin = join(process.cwd(), "dist/bin");
const HOSTS = ["client", "director", "server1", "server2", "switch"] as const;
export type HostName = (typeof HOSTS)[number];

/** Answers HTTP on every port of `ports` and UDP on 5353 with its name and the address it sees. */
const SERVER = `
const name = process.argv[1], ports = process.argv[2].split(",");
const big = Buffer.alloc(8 << 20, 97);
for (const port of ports) require("node:http").createServer((request, response) => {
  response.end(request.url === "/big" ? big : name + " " + request.socket.remoteAddress.replace("::ffff:", ""));
}).listen(Number(port), "::");
const udp = require("node:dgram").createSocket("udp4");
udp.on("message", (m, from) => udp.send(name + " " + m.length, from.port, from.address));
udp.bind(5353);
setTimeout(() => console.log("ready"), 50);
`;

const ASK_UDP = `
const s = require("node:dgram").createSocket("udp4");
s.on("message", (m) => { console.log(String(m)); process.exit(); });
s.send(Buffer.alloc(Number(process.argv[2])), 5353, process.argv[1]);
setTimeout(() => process.exit(1), 3000);
`;

const env = { ...process.env, NODE_EXTRA_CA_CERTS: "", NODE_OPTIONS: "" };

/** The network, up when {@link EngineNetwork.up} has returned. */
export class EngineNetwork {
  readonly runDirectory = mkdtempSync(join(tmpdir(), "lvsd-test-"));
  readonly plane: PlaneName;
  readonly #prefix: string;
  readonly #children: ChildProcess[] = [];

  constructor(tag: string, plane: PlaneName = "engine") {
    this.#prefix = `lv${process.pid}${tag}`;
    this.plane = plane;
  }

  name(host: HostName): string {
    return `${this.#prefix}${host}`;
  }

  /** Runs `ip` inside a host. */
  ip(host: HostName, args: string): void {
    execFileSync("ip", ["-n", this.name(host), ...args.split(" ")], { stdio: "pipe" });
  }

  /** Runs a command inside a host: its standard output. Rejects when it fails. */
  async run(host: HostName, ...command: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)("ip", ["netns", "exec", this.name(host), ...command], {
      env: {
        ...env,
        LVSD_RUN_DIR: this.runDirectory,
        LVSD_PLANE: this.plane,
        PATH: `${bin}:${process.env["PATH"]}`,
      },
      timeout: 30_000 * slowness,
      maxBuffer: 64 << 20,
    });
    return stdout;
  }

  /** Runs ipvsadm on the director. */
  ipvsadm(line: string): Promise<string> {
    return this.run("director", "ipvsadm", ...line.split(" "));
  }

  /** What the web servers behind `url` answer to `count` requests, one after the other. */
  async get(url: string, count = 1, from: HostName = "client"): Promise<string[]> {
    const answers: string[] = [];
    for (let i = 0; i < count; i++)
      answers.push(await this.run(from, "curl", "-sS", "-m", String(5 * slowness), url));
    return answers;
  }

  /** The answer to a datagram of `size` bytes. */
  async askUdp(address: string, size: number): Promise<string> {
    return (await this.run("client", process.execPath, "-e", ASK_UDP, address, String(size))).trim();
  }

  /** Builds the hosts and starts the servers. */
  async up(): Promise<this> {
    for (const host of HOSTS) {
      execFileSync("ip", ["netns", "add", this.name(host)]);
      this.ip(host, "link set lo up");
      // Link-local addresses are usable at once: nobody else has them.
      await this.run(host, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0");
    }
    this.ip("switch", "link add br0 type bridge");
    this.ip("switch", "link set br0 up");
    this.ip("client", `link add eth0 type veth peer name eth0 netns ${this.name("director")}`);
    for (const [host, device] of [
      ["client", "lan"],
      ["director", "eth1"],
      ["server1", "eth0"],
      ["server2", "eth0"],
    ] as const) {
      this.ip(host, `link add ${device} type veth peer name to-${host} netns ${this.name("switch")}`);
      this.ip("switch", `link set to-${host} master br0 up`);
    }
    const address = (host: HostName, device: string, ...list: string[]): void => {
      for (const a of list) this.ip(host, `addr add ${a} dev ${device}${a.includes(":") ? " nodad" : ""}`);
      this.ip(host, `link set ${device} up`);
    };
    address("client", "eth0", "10.1.0.2/24", "2001:db8:1::2/64");
    address("client", "lan", "10.2.0.2/24");
    address("director", "eth0", "10.1.0.1/24", "2001:db8:1::1/64");
    address("director", "eth1", "10.2.0.1/24", "2001:db8:2::1/64");
    for (const n of [1, 2]) {
      const host: HostName = n === 1 ? "server1" : "server2";
      address(host, "eth0", `10.2.0.1${n}/24`, `2001:db8:2::1${n}/64`);
      this.ip(host, "route add default via 10.2.0.1");
      this.ip(host, "-6 route add default via 2001:db8:2::1");
    }
    await this.run("director", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
    await Promise.all([this.#serve("server1"), this.#serve("server2")]);
    return this;
  }

  #serve(host: HostName): Promise<void> {
    const command = ["netns", "exec", this.name(host), process.execPath, "-e", SERVER, host, "80,8080"];
    const child = spawn("ip", command, { env, stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    return new Promise((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      child.once("exit", () => reject(new Error(`${host} ended`)));
    });
  }

  /** The engine's answer to one request over its socket. */
  async request(method: string, ...args: unknown[]): Promise<Record<string, unknown>> {
    const script = `
      const fs = require("node:fs"), net = require("node:net");
      const s = net.connect(process.argv[1] + "/engine-" + fs.statSync("/proc/self/ns/net").ino + ".sock");
      s.setEncoding("utf8").on("data", (d) => { if (d.includes("\\n")) { console.log(d); process.exit(); } });
      s.write(process.argv[2] + "\\n");`;
    const line = JSON.stringify({ id: 1, method, args });
    return JSON.parse(await this.run("director", process.execPath, "-e", script, this.runDirectory, line));
  }

  /** Ends the engine, if one runs, and removes everything. */
  async down(): Promise<void> {
    if (this.plane === "engine") await this.request("stop").catch(() => undefined);
    for (const child of this.#children) child.kill("SIGKILL");
    for (const host of HOSTS) {
      try {
        execFileSync("ip", ["netns", "del", this.name(host)], { stdio: "pipe" });
      } catch {
        // It was not made.
      }
    }
    removeBpffs(`${this.runDirectory}/bpf`);
    rmSync(this.runDirectory, { recursive: true, force: true });
  }
}
