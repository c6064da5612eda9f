/**
 * Failover as a client sees it: requests to a virtual address at 100/s while the master is killed, stopped or cut off. lvsd's routers and two
 * real keepaliveds, in the same run. Medians of the rounds.
 *
 *     npm run bench:failover          (ROUNDS=5: more rounds than three)
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vrrpInstance, vrrpSpec } from "../src/testkit/vrrp-spec.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 3);
/** By its path: a command of that name is among ours. */
const KEEPALIVED = "/usr/sbin/keepalived";
const VIP = "192.0.2.100";
const PRIORITY = { a: 150, b: 100 } as const;
type Side = keyof typeof PRIORITY;

/** Ways to lose a master. */
const DEEDS = {
  "killed (SIGKILL)": "kill",
  "stopped (SIGTERM)": "stop",
  "cut off (no link)": "cut",
} as const;
type Deed = (typeof DEEDS)[keyof typeof DEEDS];
const ADVERTS = [
  { name: "1 s, version 2", version: 2, ms: 1000 },
  { name: "100 ms, version 3", version: 3, ms: 100 },
] as const;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const median = (list: readonly number[]): number => [...list].sort((x, y) => x - y)[list.length >> 1];
const ip = (...args: readonly string[]): string => execFileSync("ip", [...args], { encoding: "utf8" });
const env = { ...process.env, NODE_EXTRA_CA_CERTS: "" };

/** Answers every connection with one byte. */
const SERVER = `require("node:net").createServer((s) => { s.on("error", () => {}); s.end("x"); }).listen(8080, "0.0.0.0");`;
/** Connects every 10 ms; a line for each: when it began, and whether it was answered within 250 ms. */
const CLIENT = `
const net = require("node:net");
let at = performance.now();
function ask() {
  const began = Date.now();
  let ok = false;
  const s = net.connect(8080, "${VIP}");
  const end = () => { clearTimeout(limit); s.destroy(); };
  const limit = setTimeout(end, 250);
  s.on("data", () => { ok = true; end(); });
  s.on("error", end);
  s.on("close", () => console.log(began + " " + (ok ? 1 : 0)));
  at += 10;
  setTimeout(ask, Math.max(0, at - performance.now()));
}
ask();
`;

let networks = 0;

/** A switch, two routers and a client. */
class Segment {
  readonly name = `lv${process.pid}f${networks++}`;
  readonly directory = mkdtempSync(join(tmpdir(), "lvsd-failover-"));
  readonly #children: ChildProcess[] = [];
  readonly router = new Map<Side, ChildProcess>();

  constructor() {
    for (const host of ["s", "a", "b", "c"]) ip("netns", "add", this.name + host);
    ip(
      "-n",
      `${this.name}s`,
      "link",
      "add",
      "br0",
      "type",
      "bridge",
      "forward_delay",
      "0",
      "mcast_snooping",
      "0",
    );
    ip("-n", `${this.name}s`, "link", "set", "br0", "up");
    for (const [host, n] of [
      ["a", 1],
      ["b", 2],
      ["c", 9],
    ] as const) {
      ip(
        "link",
        "add",
        "v0",
        "netns",
        this.name + host,
        "type",
        "veth",
        "peer",
        "name",
        `p${host}`,
        "netns",
        `${this.name}s`,
      );
      ip("-n", `${this.name}s`, "link", "set", `p${host}`, "master", "br0", "up");
      ip("-n", this.name + host, "link", "set", "lo", "up");
      ip("-n", this.name + host, "link", "set", "v0", "up");
      ip("-n", this.name + host, "addr", "add", `192.0.2.${n}/24`, "dev", "v0");
    }
    for (const host of ["a", "b"]) this.start(host, process.execPath, "-e", SERVER);
  }

  start(host: string, ...command: readonly string[]): ChildProcess {
    const child = spawn("ip", ["netns", "exec", this.name + host, ...command], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...env, TMPDIR: this.directory },
    });
    this.#children.push(child);
    return child;
  }

  has(side: Side): boolean {
    return ip("-n", this.name + side, "-o", "addr", "show", "dev", "v0").includes(` ${VIP}/`);
  }

  async waitForMaster(): Promise<void> {
    for (let i = 0; i < 400 && !this.has("a"); i++) await pause(50);
    if (!this.has("a")) throw new Error("nobody became master");
  }

  /** A hand on the master's cable, so that pulling it takes no time. */
  grip(): ChildProcess {
    const script = "read go; exec ip link set pa down";
    const child = spawn("ip", ["netns", "exec", `${this.name}s`, "sh", "-c", script], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#children.push(child);
    return child;
  }

  async remove(): Promise<void> {
    const alive = this.#children.filter((c) => c.exitCode === null && c.signalCode === null);
    const gone = alive.map((c) => new Promise((resolve) => c.once("exit", resolve)));
    for (const c of alive) c.kill("SIGTERM");
    await Promise.race([Promise.all(gone), pause(4000)]);
    for (const c of alive) c.kill("SIGKILL");
    for (const host of ["s", "a", "b", "c"]) spawnSync("ip", ["netns", "del", this.name + host]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Who routes: starts a router, and tells how to kill it. */
type Contestant = (segment: Segment, side: Side, adverts: (typeof ADVERTS)[number]) => () => void;

const lvsd: Contestant = (segment, side, { version, ms }) => {
  const file = join(segment.directory, `${side}.json`);
  writeFileSync(
    file,
    JSON.stringify(vrrpSpec([vrrpInstance({ priority: PRIORITY[side], version, advertIntMs: ms })])),
  );
  const program = join(
    import.meta.dirname,
    import.meta.dirname.endsWith("dist") ? "lvsd-vrrp.cjs" : "../dist/lvsd-vrrp.cjs",
  );
  const child = segment.start(side, process.execPath, program, "--spec", file);
  child.stdout!.resume();
  segment.router.set(side, child);
  return () => child.kill("SIGKILL");
};

const keepalived: Contestant = (segment, side, { version, ms }) => {
  const file = (name: string) => join(segment.directory, `${side}.${name}`);
  writeFileSync(
    file("conf"),
    `vrrp_instance VI {\nversion ${version}\nstate BACKUP\ninterface v0\nvirtual_router_id 51\npriority ${PRIORITY[side]}\nadvert_int ${ms / 1000}\nvirtual_ipaddress {\n${VIP}/24\n}\n}\n`,
  );
  const options = ["-n", "-l", "-P", "-f", file("conf"), "-p", file("pid"), "-r", file("vrrp")];
  const child = segment.start(side, KEEPALIVED, ...options);
  child.stdout!.resume();
  segment.router.set(side, child);
  return () => {
    for (const pid of ["vrrp", "pid"]) process.kill(Number(readFileSync(file(pid), "utf8")), "SIGKILL");
  };
};

/** Measurements are made again when the machine was too busy to lose the master at the wanted moment: so often at most. */
const ATTEMPTS = 4;

interface Outcome {
  readonly gapMs: number;
  readonly lost: number;
}

/** Resolves with the master's next advert, as the client's interface sees it. */
function nextAdvert(segment: Segment): Promise<void> {
  const dump = segment.start("c", "tcpdump", "-n", "-l", "--immediate-mode", "-i", "v0", "proto", "112");
  return new Promise((resolve) => {
    let first = true;
    dump.stdout!.on("data", () => {
      // The first may have come before tcpdump was ready to tell.
      if (first) first = false;
      else {
        dump.stdout!.removeAllListeners("data").resume();
        resolve();
      }
    });
  });
}

/** `phase` is the part of an interval since the last advert at which the master is lost: the same for every contestant. */
async function measure(
  contestant: Contestant,
  adverts: (typeof ADVERTS)[number],
  deed: Deed,
  phase: number,
  attempts = ATTEMPTS,
): Promise<Outcome> {
  const segment = new Segment();
  try {
    const kill = contestant(segment, "a", adverts);
    contestant(segment, "b", adverts);
    await segment.waitForMaster();
    await pause(1000);
    const client = segment.start("c", process.execPath, "-e", CLIENT);
    let text = "";
    client.stdout!.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    const cable = segment.grip();
    await pause(1000);
    await nextAdvert(segment);
    const heardAt = performance.now();
    await pause(phase * adverts.ms);
    if (deed === "cut") cable.stdin!.write("go\n");
    else if (deed === "stop") segment.router.get("a")!.kill("SIGTERM");
    else kill();
    const lostAt = Date.now();
    const late = performance.now() - heardAt - phase * adverts.ms;
    if (late > 0.1 * adverts.ms && attempts > 1)
      return await measure(contestant, adverts, deed, phase, attempts - 1);
    await pause(3 * adverts.ms + 1000 + 2500);
    const requests = text
      .split("\n")
      .slice(0, -1)
      .map((line) => ({ at: Number(line.split(" ")[0]), ok: line.endsWith(" 1") }))
      .sort((x, y) => x.at - y.at);
    const lost = requests.filter((r) => !r.ok);
    if (!requests.some((r) => r.ok && r.at < lostAt)) throw new Error("no answer before the failover");
    if (lost.length === 0) return { gapMs: 0, lost: 0 };
    const before = requests.filter((r) => r.ok && r.at < lost[0].at).at(-1)!.at;
    const after = requests.find((r) => r.ok && r.at > lost.at(-1)!.at);
    if (!after) throw new Error("no answer after the failover");
    return { gapMs: after.at - before, lost: lost.length };
  } finally {
    await segment.remove();
  }
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) {
    console.log("failover: needs root");
    return;
  }
  const contestants: [string, Contestant][] = [["lvsd", lvsd]];
  if (existsSync(KEEPALIVED)) contestants.push(["keepalived", keepalived]);
  else console.log("failover: keepalived is not installed, so lvsd is alone");
  const results = new Map<string, Outcome[]>();
  for (let round = 0; round < ROUNDS; round++)
    for (const adverts of ADVERTS)
      for (const [who, contestant] of contestants) {
        // The three ways at once, each in a network of its own: most of it is waiting.
        const jobs = Object.entries(DEEDS).map(async ([name, deed]) => {
          const key = `${adverts.name}: ${name}, ${who}`;
          results.set(key, [
            ...(results.get(key) ?? []),
            await measure(contestant, adverts, deed, (round + 0.5) / ROUNDS),
          ]);
        });
        await Promise.all(jobs);
      }
  for (const adverts of ADVERTS)
    for (const name of Object.keys(DEEDS))
      for (const [who] of contestants) {
        const key = `${adverts.name}: ${name}, ${who}`;
        const outcomes = results.get(key)!;
        const gaps = outcomes.map((o) => o.gapMs);
        const note = `${median(outcomes.map((o) => o.lost))} requests lost; ${Math.min(...gaps)}..${Math.max(...gaps)} ms in ${ROUNDS} rounds`;
        console.log(JSON.stringify({ name: key, value: median(gaps), unit: "ms gap", note }));
      }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
