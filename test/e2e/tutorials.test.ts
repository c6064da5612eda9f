/**
 * The keepalived examples of the tutorials run as they stand: on a director with the interfaces, and before servers with the
 * addresses, that they name. Their checks find the servers, the table is what the tutorials show, and a client is served.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DaemonStatus } from "../../src/interfaces/daemon/protocol.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { certificate } from "../../src/testkit/checked-server.ts";
import { Running, until } from "./daemon-bed.ts";

const root = process.getuid?.() === 0;
const FOLDER = new URL("../golden/keepalived/", import.meta.url).pathname;
const bin = join(process.cwd(), "dist/bin");

/** Greets on some ports with the address it was called by, and answers /healthz by TLS on others. */
const SERVERS = `
const [plain, secure, folder] = process.argv.slice(1);
const fs = require("node:fs");
const ports = (text) => text.split(",").filter(Boolean).map(Number);
const servers = ports(plain).map((port) => [port, require("node:net").createServer((socket) => {
  socket.on("error", () => {});
  socket.end("hello from " + socket.localAddress.replace("::ffff:", "") + "\\n");
})]);
const answer = (request, response) => {
  response.statusCode = request.url === "/healthz" ? 200 : 404;
  response.end("ok");
};
for (const port of ports(secure)) {
  const tls = { cert: fs.readFileSync(folder + "/cert"), key: fs.readFileSync(folder + "/key") };
  servers.push([port, require("node:https").createServer(tls, answer)]);
}
let left = servers.length;
for (const [port, server] of servers) server.listen(port, "::", () => --left || console.log("ready"));
`;

/** Connects and prints what it is told. */
const CALL = `
const [address, port] = process.argv.slice(1);
require("node:net").connect(Number(port), address).setTimeout(5000, () => process.exit(2)).pipe(process.stdout);
`;

/** What a tutorial's network looks like: addresses of each host, by interface. */
interface Stage {
  readonly director: Readonly<Record<string, readonly string[]>>;
  /** All real servers; on the LAN of the director's interface of that name. */
  readonly servers: Readonly<Record<string, readonly string[]>>;
  /** On the LAN of the director's eth0. */
  readonly client?: string;
  /** Virtual addresses that the servers have on lo, without answering ARP for them. */
  readonly hidden?: readonly string[];
  readonly gateway?: string;
  readonly plain: readonly number[];
  readonly secure?: readonly number[];
}

/** A director, a LAN for each of its interfaces, one host that is all servers, a client; and keepalived on the director. */
class Tutorial {
  readonly #prefix: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "lvsd-tutorial-"));
  readonly #env: NodeJS.ProcessEnv;
  readonly #running: Running[] = [];
  readonly #made: string[] = [];

  constructor(tag: string) {
    this.#prefix = `lv${process.pid}${tag}`;
    this.#env = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: "",
      LVSD_RUN_DIR: this.#folder,
      PATH: `${bin}:${process.env["PATH"]}`,
    };
  }

  #ip(host: string, line: string): void {
    execFileSync("ip", ["-n", this.#prefix + host, ...line.split(" ")], { stdio: "pipe" });
  }

  run(host: string, ...words: string[]): string {
    const command = ["netns", "exec", this.#prefix + host, ...words];
    return execFileSync("ip", command, { env: this.#env, encoding: "utf8", stdio: "pipe", timeout: 30_000 });
  }

  #spawn(host: string, ...words: string[]): Running {
    const command = ["netns", "exec", this.#prefix + host, ...words];
    const child = spawn("ip", command, { env: this.#env, stdio: ["ignore", "pipe", "pipe"] });
    const running = new Running(child);
    this.#running.push(running);
    return running;
  }

  #connect(host: string, device: string, lan: string, addresses: readonly string[]): void {
    this.#ip(host, `link add ${device} type veth peer name ${host}-${lan} netns ${this.#prefix}lans`);
    this.#ip("lans", `link set ${host}-${lan} master ${lan} up`);
    for (const address of addresses) this.#ip(host, `addr add ${address} dev ${device}`);
    this.#ip(host, `link set ${device} up`);
  }

  async up(file: string, stage: Stage): Promise<this> {
    for (const host of ["lans", "director", "servers", "client"]) {
      execFileSync("ip", ["netns", "add", this.#prefix + host]);
      this.#made.push(host);
      this.#ip(host, "link set lo up");
    }
    for (const [device, addresses] of Object.entries(stage.director)) {
      this.#ip("lans", `link add ${device} type bridge`);
      this.#ip("lans", `link set ${device} up`);
      this.#connect("director", device, device, addresses);
    }
    for (const [lan, addresses] of Object.entries(stage.servers))
      this.#connect("servers", lan, lan, addresses);
    if (stage.client !== undefined) this.#connect("client", "eth0", "eth0", [stage.client]);
    // As the tutorials say: forwarding on the director, VIPs on lo of the servers that keep quiet about them.
    this.run("director", "sysctl", "-qw", "net.ipv4.ip_forward=1");
    const quiet = ["net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"];
    if (stage.hidden) this.run("servers", "sysctl", "-qw", ...quiet);
    for (const vip of stage.hidden ?? []) this.#ip("servers", `addr add ${vip}/32 dev lo`);
    if (stage.gateway !== undefined) this.#ip("servers", `route add default via ${stage.gateway}`);
    if (stage.secure) {
      const { cert, key } = certificate("tutorial");
      writeFileSync(join(this.#folder, "cert"), cert);
      writeFileSync(join(this.#folder, "key"), key);
    }
    const ports = [stage.plain.join(","), (stage.secure ?? []).join(","), this.#folder];
    await this.#spawn("servers", process.execPath, "-e", SERVERS, ...ports).says("ready");
    const pids = ["p", "c", "r"].flatMap((name) => [`-${name}`, join(this.#folder, name)]);
    await this.#spawn("director", "keepalived", "-nlG", "-f", join(FOLDER, file), ...pids).says(
      "Startup complete",
    );
    return this;
  }

  /** Waits until every check has found its server well, and every instance is master. */
  async settled(): Promise<DaemonStatus> {
    return until(
      "the checks succeed",
      () => JSON.parse(this.run("director", "lvsd", "status", "--json")) as DaemonStatus,
      ({ lvs, vrrp }) =>
        lvs?.virtualServers
          .flatMap(({ servers }) => servers)
          .every(({ checks }) => checks.every(({ state }) => state === "ok")) === true &&
        (vrrp?.instances ?? []).every(({ state }) => state === "master"),
    );
  }

  /** The table as `ipvsadm -Ln` lists it, without its heading and counters. */
  table(): string[] {
    const lines = this.run("director", "ipvsadm", "-Ln").trimEnd().split("\n").slice(3);
    return lines.map((line) =>
      line
        .trim()
        .replace(/\s+/g, " ")
        .replace(/^(->.*) \d+ \d+$/, "$1"),
    );
  }

  /** What a client hears at an address and port. */
  call(address: string, port: number): string {
    return this.run("client", process.execPath, "-e", CALL, address, String(port)).trim();
  }

  async down(): Promise<void> {
    const [, daemon] = this.#running;
    await daemon?.kill("SIGTERM");
    await Promise.all(this.#running.map((running) => running.kill()));
    if (this.#made.includes("director")) {
      try {
        this.run("director", "lvsd", "engine", "stop");
      } catch {
        // None runs.
      }
    }
    for (const host of this.#made)
      execFileSync("ip", ["netns", "del", this.#prefix + host], { stdio: "pipe" });
    removeBpffs(`${this.#folder}/bpf`);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const STAGES: Readonly<Record<string, readonly [string, Stage]>> = {
  kube: [
    "tutorials/kubernetes-dr.conf",
    {
      director: { eth0: ["10.0.0.11/16"] },
      servers: { eth0: ["10.0.5.1/16", "10.0.2.1/16", "10.0.3.1/16"] },
      client: "10.0.0.2/16",
      hidden: ["10.0.10.1", "10.0.10.2", "10.0.10.3"],
      plain: [2379, 6789],
      secure: [6443],
    },
  ],
  nat: [
    "tutorials/mysql-nat.conf",
    {
      director: { eth0: ["172.17.42.111/16"], eth1: ["172.18.42.111/16"] },
      servers: { eth1: ["172.18.42.121/16"] },
      client: "172.17.42.110/16",
      gateway: "172.18.42.200",
      plain: [3306, 22],
    },
  ],
  tun: [
    "tutorials/mysql-tun.conf",
    {
      director: { eth0: ["172.17.42.111/16"] },
      servers: { eth0: ["172.17.42.120/16", "172.17.42.121/16", "172.17.42.122/16"] },
      plain: [22],
    },
  ],
  docker: [
    "tutorials/docker-tun.conf",
    {
      director: { eth0: ["172.17.42.111/16"] },
      servers: { eth0: ["172.17.42.40/16"] },
      plain: [22],
    },
  ],
};

describe.skipIf(!root)("the example of a tutorial runs as it stands", () => {
  const beds = new Map<string, Tutorial>();
  const bed = (name: string): Tutorial => beds.get(name)!;

  beforeAll(async () => {
    for (const name of Object.keys(STAGES)) beds.set(name, new Tutorial(name));
    await Promise.all(Object.entries(STAGES).map(([name, [file, stage]]) => bed(name).up(file, stage)));
  });
  afterAll(async () => {
    for (const each of beds.values()) await each.down();
  });

  test("Kubernetes by direct routing: three services, their addresses, timeouts and the sync daemon", async () => {
    const { vrrp } = await bed("kube").settled();
    const reals = (port: number): string[] =>
      ["10.0.2.1", "10.0.3.1", "10.0.5.1"].map((ip) => `-> ${ip}:${port} Route 10`); // sorted by ipvsadm
    expect(bed("kube").table()).toEqual([
      "TCP 10.0.10.1:6443 wlc",
      ...reals(6443),
      "TCP 10.0.10.2:2379 wlc",
      ...reals(2379),
      "TCP 10.0.10.3:6789 wlc persistent 300",
      ...reals(6789),
    ]);
    expect(vrrp?.instances.map(({ name, state }) => `${name} ${state}`)).toEqual(["VI_1 master"]);
    const addresses = bed("kube").run("director", "ip", "-o", "addr", "show", "dev", "eth0");
    for (const [ip, label] of [
      ["10.0.10.1", "k8s"],
      ["10.0.10.2", "etcd"],
      ["10.0.10.3", "ceph"],
    ])
      expect(addresses).toMatch(new RegExp(`inet ${ip}/32 brd ${ip} scope global eth0:${label}`));
    expect(bed("kube").run("director", "ipvsadm", "-L", "--timeout")).toContain("7200 120 300");
    expect(bed("kube").run("director", "ipvsadm", "-L", "--daemon")).toMatch(/master.*eth0.*syncid\s*=\s*51/);
    expect(bed("kube").call("10.0.10.2", 2379)).toBe("hello from 10.0.10.2");
  });

  test("MySQL by NAT: one group with the service's address and the servers' gateway", async () => {
    const { vrrp } = await bed("nat").settled();
    expect(bed("nat").table()).toEqual([
      "TCP 172.17.42.200:3306 rr persistent 50",
      "-> 172.18.42.121:3306 Masq 1",
    ]);
    expect(vrrp?.instances.map(({ name, state }) => `${name} ${state}`).sort()).toEqual([
      "VI_1 master",
      "VI_GATEWAY master",
    ]);
    const addresses = bed("nat").run("director", "ip", "-o", "-4", "addr");
    expect(addresses).toMatch(/eth0 +inet 172\.17\.42\.200\/32/);
    expect(addresses).toMatch(/eth1 +inet 172\.18\.42\.200\/32/);
    expect(bed("nat").call("172.17.42.200", 3306)).toBe("hello from 172.18.42.121");
  });

  test("MySQL by tunnel: three servers, found well by their port 22", async () => {
    await bed("tun").settled();
    expect(bed("tun").table()).toEqual([
      "TCP 172.17.42.200:3306 rr persistent 50",
      "-> 172.17.42.120:3306 Tunnel 1",
      "-> 172.17.42.121:3306 Tunnel 1",
      "-> 172.17.42.122:3306 Tunnel 1",
    ]);
  });

  test("Docker by tunnel: the host, on the service's port", async () => {
    await bed("docker").settled();
    expect(bed("docker").table()).toEqual(["TCP 172.17.42.200:36000 rr", "-> 172.17.42.40:36000 Tunnel 1"]);
  });
});
