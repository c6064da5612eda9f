/**
 * Runs in the virtual machine, started by `sync.test.ts`: a director forwards real connections and announces them, a second one
 * listens; one of them is the kernel's ip_vs, the other the engine. Both tables must come out the same.
 *
 *     client 10.1.0.2 -- 10.1.0.1 master 10.2.0.1 -- 10.2.0.11 server        master 10.5.0.1 -- 10.5.0.2 backup
 *     client fd01::2  -- fd01::1  master fd02::1  -- fd02::11  server
 *
 * Version 0 knows neither IPv6 nor the data of persistence engines: there those services are left out.
 *
 * At the end `lvsd run` with lvs_sync_daemon on the kernel plane: which of the kernel's daemons runs as its instance goes.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What to do: the content of the file that is the program's argument. */
export interface Task {
  /** Folder of the built commands. */
  readonly dist: string;
  readonly cases: readonly Case[];
}

/** One pair of directors. */
export interface Case {
  readonly master: "kernel" | "engine";
  readonly backup: "kernel" | "engine";
  readonly version: 0 | 1;
}

/** What became of a case: the connections in both tables, without their times. */
export interface Synchronised {
  readonly name: string;
  readonly open: { readonly master: string; readonly backup: string };
  readonly closed: { readonly master: string; readonly backup: string };
  /** A kernel's table after a message with a full-NAT connection of port 43000, and one by NAT of port 43001 behind it. */
  readonly mixed?: string;
}

/** The kernel's daemons under `lvsd run`, as ipvsadm lists them, at the instance's changes of state. */
export interface Driven {
  readonly name: "lvsd run";
  readonly daemons: readonly string[];
}

const CLIENT = `
const net = require("node:net"), dgram = require("node:dgram");
const newer = process.argv[1] === "1";
const sockets = [], wanted = newer ? 6 : 4;
let answered = 0;
for (let i = 0; i < wanted; i++) {
  const s = net.connect({ host: i < 4 ? "10.9.0.1" : "fd09::1", port: 80, localPort: 41000 + i });
  s.on("connect", () => s.write("one"));
  s.on("data", () => { if (!s.twice) { s.twice = true; s.write("two"); } else if (++answered === wanted) console.log("open"); });
  s.on("error", (e) => console.log("error " + e.message));
  sockets.push(s);
}
const udp = dgram.createSocket("udp4");
const invite = "INVITE sip:bob@example.org SIP/2.0\\r\\nCall-ID: f81d4fae@example.org\\r\\nContent-Length: 0\\r\\n\\r\\n";
udp.bind(42000, () => {
  for (let i = 0; i < 4; i++) udp.send("x", 53, "10.9.0.1");
  for (let i = 0; newer && i < 4; i++) udp.send(invite, 5060, "10.9.0.1");
});
process.stdin.on("data", () => { for (const s of sockets) s.end(); udp.close(); setTimeout(() => { console.log("closed"); process.exit(); }, 500); });
`;
const SERVER = `
require("node:net").createServer((s) => { s.on("data", (d) => s.write(d)); s.on("error", () => {}); }).listen(8080, "::", () => console.log("ready"));
`;

const ENDS = "0050 1f90 00000000 00000014 0a010002 0a090001 0a02000b";
const MIXED = `0007 0064 02010000
  0006 0036 00000005 0001 a7f8 ${ENDS} 3f10 0401 0001 fffffff0 000001f5 0a020001 0000
  0006 0024 00000000 0001 a7f9 ${ENDS}`;
const SENDER = `
const s = require("node:dgram").createSocket("udp4");
s.bind(0, "10.5.0.1", () => {
  s.setMulticastInterface("10.5.0.1");
  s.send(Buffer.from("${MIXED.replace(/\s/g, "")}", "hex"), 8848, "224.0.0.81", () => { console.log("sent"); s.close(); });
});
`;

const task = JSON.parse(readFileSync(process.argv[2], "utf8")) as Task;

function must(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

const ip = (line: string): string => must("ip", line.split(" "));

function director(where: string, plane: string, line: string): string {
  const [program, ...words] = line.split(" ");
  return must("ip", ["netns", "exec", where, process.execPath, join(task.dist, `${program}.cjs`), ...words], {
    ...process.env,
    LVSD_PLANE: plane,
    NODE_EXTRA_CA_CERTS: "",
  });
}

function link(a: string, aAddresses: readonly string[], b: string, bAddresses: readonly string[]): void {
  ip(`link add to-${b} netns ${a} type veth peer name to-${a} netns ${b}`);
  for (const [where, other, addresses] of [
    [a, b, aAddresses],
    [b, a, bAddresses],
  ] as const) {
    for (const address of addresses)
      ip(`-n ${where} addr add ${address}${address.includes(":") ? "/64 nodad" : "/24"} dev to-${other}`);
    ip(`-n ${where} link set to-${other} up`);
  }
}

/** Starts a node program in a namespace and waits for its first line. */
function start(
  where: string,
  script: string,
  ...args: string[]
): Promise<{ child: ChildProcess; line: () => Promise<string> }> {
  const child = spawn("ip", ["netns", "exec", where, process.execPath, "-e", script, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: string[] = [];
  let wake: () => void = () => {};
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    lines.push(...text.trim().split("\n"));
    wake();
  });
  const line = async (): Promise<string> => {
    while (lines.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return lines.shift()!;
  };
  return Promise.resolve({ child, line });
}

/** The connection table as sorted lines without times. */
function table(where: string, plane: string): string {
  return director(where, plane, "ipvsadm -Lnc --persistent-conn")
    .split("\n")
    .slice(2)
    .map((row) => row.replace(/\d\d:\d\d/, "mm:ss").trim())
    .filter(Boolean)
    .sort()
    .join("\n");
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks at both tables until they are alike, or for half a minute. */
async function compare(c: Case): Promise<{ master: string; backup: string }> {
  for (let i = 0; ; i++) {
    const found = { master: table("dm", c.master), backup: table("db", c.backup) };
    if (found.master === found.backup || i === 30) return found;
    await sleep(1000);
  }
}

/** Sends what a kernel can use only a part of. */
async function mix(): Promise<string> {
  must("ip", ["netns", "exec", "dm", process.execPath, "-e", SENDER]);
  for (let i = 0; ; i++) {
    const found = table("db", "kernel");
    if (found.includes(":43001") || i === 10) return found;
    await sleep(500);
  }
}

async function play(c: Case): Promise<Synchronised> {
  const hosts = ["cl", "dm", "db", "se"];
  const children: ChildProcess[] = [];
  for (const host of hosts) {
    ip(`netns add ${host}`);
    ip(`-n ${host} link set lo up`);
  }
  try {
    link("cl", ["10.1.0.2", "fd01::2"], "dm", ["10.1.0.1", "fd01::1"]);
    link("dm", ["10.2.0.1", "fd02::1"], "se", ["10.2.0.11", "fd02::11"]);
    link("dm", ["10.5.0.1"], "db", ["10.5.0.2"]);
    for (const [where, network] of [
      ["cl", 1],
      ["se", 2],
    ] as const) {
      ip(`-n ${where} route add default via 10.${network}.0.1`);
      ip(`-n ${where} -6 route add default via fd0${network}::1`);
    }
    const forwarding = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
    must("ip", ["netns", "exec", "dm", "sysctl", "-qw", ...forwarding]);
    for (const [where, plane] of [
      ["dm", c.master],
      ["db", c.backup],
    ]) {
      ip(`-n ${where} addr add 10.9.0.1/32 dev lo`);
      director(where, plane, "ipvsadm -A -t 10.9.0.1:80 -s rr -p 300");
      director(where, plane, "ipvsadm -a -t 10.9.0.1:80 -r 10.2.0.11:8080 -m");
      director(where, plane, "ipvsadm -A -u 10.9.0.1:53 -s rr");
      director(where, plane, "ipvsadm -a -u 10.9.0.1:53 -r 10.2.0.11:53 -m");
      if (c.version === 1) {
        ip(`-n ${where} addr add fd09::1/128 dev lo`);
        director(where, plane, "ipvsadm -A -t [fd09::1]:80 -s rr");
        director(where, plane, "ipvsadm -a -t [fd09::1]:80 -r [fd02::11]:8080 -m");
        director(where, plane, "ipvsadm -A -u 10.9.0.1:5060 -s rr -p 300 --pe sip");
        director(where, plane, "ipvsadm -a -u 10.9.0.1:5060 -r 10.2.0.11:5060 -m");
      }
      director(where, plane, `lvsd settings sync_version=${c.version}`);
    }
    director("dm", c.master, "ipvsadm --start-daemon master --mcast-interface to-db --syncid 7");
    director("db", c.backup, "ipvsadm --start-daemon backup --mcast-interface to-dm --syncid 7");
    const server = await start("se", SERVER);
    children.push(server.child);
    await server.line();
    const client = await start("cl", CLIENT, String(c.version));
    children.push(client.child);
    const said = await client.line();
    if (said !== "open") throw new Error(said);
    const open = await compare(c);
    const mixed = c.backup === "kernel" && c.version === 1 ? await mix() : undefined;
    client.child.stdin!.write("close\n");
    await client.line();
    const closed = await compare(c);
    return { name: "", open, closed, ...(mixed !== undefined && { mixed }) };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    for (const [where, plane] of [
      ["dm", c.master],
      ["db", c.backup],
    ]) {
      try {
        director(where, plane, "ipvsadm -C");
        if (plane === "engine") director(where, plane, "lvsd engine stop");
      } catch {
        // It was not made.
      }
    }
    for (const host of hosts) ip(`netns del ${host}`);
  }
}

const CONFIGURATION = `
global_defs {
    lvs_sync_daemon eth0 VI_1 id 7 maxlen 1000 port 9999 ttl 3 group 224.0.0.99
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        10.5.0.100/24
    }
}
virtual_server 10.5.0.100 80 {
    protocol TCP
    real_server 10.5.0.11 80 {
    }
}
`;

/** Master after a while without others, backup while the link is down, master again; none after the end. */
async function drive(): Promise<string[]> {
  const seen: string[] = [];
  const sees = async (what: RegExp): Promise<void> => {
    for (let i = 0; i < 60; i++) {
      const text = director("kd", "kernel", "ipvsadm -L --daemon").trim();
      if (text !== seen.at(-1)) seen.push(text);
      if (what.test(text)) return;
      await sleep(500);
    }
    throw new Error(`never ${what}: ${seen.join(" | ")}`);
  };
  ip("netns add kd");
  ip("-n kd link set lo up");
  ip("-n kd link add eth0 type dummy");
  ip("-n kd addr add 10.5.0.9/24 dev eth0");
  ip("-n kd link set eth0 up");
  writeFileSync("/run/driven.conf", CONFIGURATION);
  const command = [process.execPath, join(task.dist, "lvsd.cjs"), "run", "-f", "/run/driven.conf"];
  const child = spawn("ip", ["netns", "exec", "kd", ...command], {
    stdio: "ignore",
    env: { ...process.env, LVSD_PLANE: "kernel", LVSD_RUN_DIR: "/run/driven", NODE_EXTRA_CA_CERTS: "" },
  });
  try {
    await sees(/^master.*\)$/);
    ip("-n kd link set eth0 down");
    await sees(/^backup.*\)$/);
    ip("-n kd link set eth0 up");
    await sees(/^master.*\)$/);
    child.kill("SIGTERM");
    await sees(/^$/);
    return seen;
  } finally {
    child.kill("SIGKILL");
    ip("netns del kd");
  }
}

for (const c of task.cases) {
  const name = `${c.master} ${c.backup} ${c.version}`;
  const nothing = { master: "", backup: "" };
  const told = await play(c).catch(
    (error: Error): Synchronised => ({
      name,
      open: { ...nothing, backup: String(error.stack) },
      closed: nothing,
    }),
  );
  console.log(`@@ ${JSON.stringify({ ...told, name })}`);
}
const daemons = await drive().catch((error: Error) => [String(error.stack)]);
console.log(`@@ ${JSON.stringify({ name: "lvsd run", daemons } satisfies Driven)}`);
console.log("@@ done");
