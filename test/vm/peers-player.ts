/**
 * Runs in the virtual machine, started by `peers.test.ts`: a client, a director and two web servers, each in a network
 * namespace; in the director's, Debian's ldirectord (with Debian's ipvsadm, then with ours in its place) and Debian's keepalived.
 * Tells what was seen after every step; what should have been seen is the test's business.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What to do: the content of the file that is the program's argument. */
export interface Task {
  /** Path of our built ipvsadm. */
  readonly ipvsadm: string;
  readonly ldirectord: string;
  readonly keepalived: string;
}

/** What was seen after one step. */
export interface Told {
  /** "WHO: STEP". */
  readonly step: string;
  /** From the step's beginning until its effect was seen, in seconds of the guest. */
  readonly seconds: number;
  /** `ipvsadm -S -n`, by the ipvsadm that is in place. */
  readonly rules: string;
  /** Who answered the client, each once, sorted. */
  readonly answers: readonly string[];
  /** The same listings by Debian's ipvsadm and by ours, expiry times apart. */
  readonly listings: { readonly debians: string; readonly ours: string };
  /** What the program said last, where it was asked something. */
  readonly said: string;
}

const task = JSON.parse(readFileSync(process.argv[2], "utf8")) as Task;

const SBIN = "/usr/sbin/ipvsadm";
/** Where Debian's ipvsadm is kept while ours is in its place. */
const DEBIANS = "/run/debian/ipvsadm";
const [CLIENT, DIRECTOR] = ["client", "director"].map((role) => `lv${process.pid}${role[0]}`);
const SERVERS = ["1", "2"].map((n) => `lv${process.pid}s${n}`);

// Of this program's children who look for node by its name.
process.env["PATH"] = `${dirname(process.execPath)}:${process.env["PATH"]}`;
// Both ipvsadm are to see one table.
process.env["LVSD_PLANE"] = "kernel";

/** Runs a command in a namespace and gives what it printed. @throws when its status is not 0 */
function run(netns: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync("ip", ["netns", "exec", netns, command, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? `${status} ${stderr}`}`);
  return stdout + stderr;
}

const ipvsadm = (...words: string[]): string => run(DIRECTOR, SBIN, ...words);
const debians = (...words: string[]): string => run(DIRECTOR, DEBIANS, ...words);
const ours = (...words: string[]): string => run(DIRECTOR, task.ipvsadm, ...words);

/** Asks until the answer satisfies. @throws after 180 s, with the last answer */
async function until<T>(what: string, ask: () => T, satisfies: (answer: T) => boolean): Promise<T> {
  const end = Date.now() + 180_000;
  for (;;) {
    const answer = ask();
    if (satisfies(answer)) return answer;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}; the last answer:\n${answer}`);
    await sleep(200);
  }
}

/** Client, director and servers, in their networks. */
function network(): void {
  for (const netns of [CLIENT, DIRECTOR, ...SERVERS]) {
    spawnSync("ip", ["netns", "add", netns]);
    run(netns, "ip", "link", "set", "lo", "up");
  }
  const cable = (netns: string, port: string, v4: string, v6: string): void => {
    run(DIRECTOR, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns);
    for (const [where, link, host] of [
      [DIRECTOR, port, "1"],
      [netns, "eth0", "2"],
    ]) {
      run(where, "ip", "link", "set", link, "up");
      run(where, "ip", "addr", "add", `${v4}.${host}/24`, "dev", link);
      run(where, "ip", "addr", "add", `${v6}::${host}/64`, "dev", link, "nodad");
    }
    run(netns, "ip", "route", "add", "default", "via", `${v4}.1`);
    run(netns, "ip", "route", "add", "default", "via", `${v6}::1`);
  };
  cable(CLIENT, "clients", "10.91.0", "fd91");
  cable(SERVERS[0], "server1", "10.92.1", "fd92:1");
  cable(SERVERS[1], "server2", "10.92.2", "fd92:2");
  for (const vip of ["10.91.0.100/32", "10.91.0.101/32"]) {
    run(DIRECTOR, "ip", "addr", "add", vip, "dev", "clients");
  }
  run(DIRECTOR, "ip", "addr", "add", "fd91::100/128", "dev", "clients", "nodad");
  run(DIRECTOR, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
}

/** A web server that answers everything with its name. */
const WEB = `require("http").createServer((request, answer) => answer.end("alive " + process.argv[1] + "\\n")).listen(80)`;
const web = new Map<string, ChildProcess>();

async function serve(netns: string, name: string): Promise<void> {
  web.set(
    netns,
    spawn("ip", ["netns", "exec", netns, process.execPath, "-e", WEB, name], { stdio: "ignore" }),
  );
  const listening = () => run(netns, "ss", "-Hltn", "sport", "=", ":80");
  await until(`${name} listens`, listening, (sockets) => sockets !== "");
}

async function fell(netns: string): Promise<void> {
  const child = web.get(netns)!;
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await gone;
}

/** Who answers the client, in some requests to each address. */
function answers(...addresses: string[]): string[] {
  const seen = new Set<string>();
  for (const address of addresses) {
    for (let i = 0; i < 4; i++) {
      const body = run(CLIENT, "curl", "-sg", "--max-time", "20", `http://${address}/`);
      seen.add(`${address} ${body.trim()}`);
    }
  }
  return [...seen].sort();
}

const LISTINGS = [
  "-S -n",
  "-L -n",
  "-L -n --thresholds",
  "-L -n --tun-info",
  "-L -n --stats --exact",
  "-L -n -c",
];

/** Minutes and seconds until a connection's end; of two listings one is a moment older. */
const EXPIRY = / \d\d:\d\d(?= )/g;

/** One listing by both, taken when nothing changed meanwhile: Debian's before and after are equal. */
function both(words: string): { debians: string; ours: string } {
  const list = words.split(" ");
  for (let tries = 0; ; tries++) {
    const before = debians(...list).replace(EXPIRY, " mm:ss");
    const mine = ours(...list).replace(EXPIRY, " mm:ss");
    const after = debians(...list).replace(EXPIRY, " mm:ss");
    if (before === after || tries === 5) return { debians: `${words}\n${after}`, ours: `${words}\n${mine}` };
  }
}

function tell(step: string, from: number, seen: Partial<Told>, compare = false): void {
  const seconds = Math.round((Date.now() - from) / 100) / 10;
  const rules = ipvsadm("-S", "-n");
  const pairs = compare ? LISTINGS.map(both) : [];
  const listings = {
    debians: pairs.map((pair) => pair.debians).join(""),
    ours: pairs.map((pair) => pair.ours).join(""),
  };
  const told: Told = { step, seconds, rules, answers: [], listings, said: "", ...seen };
  console.log(`@@ ${JSON.stringify(told)}`);
}

/** Puts our ipvsadm in the place of Debian's. The overlay of the guest forgets this. */
function install(): void {
  symlinkSync(task.ipvsadm, `${SBIN}.new`);
  renameSync(`${SBIN}.new`, SBIN);
}

const rules = (): string => debians("-S", "-n");
const count = (text: string, part: string): number => text.split(part).length - 1;

/** Start, servers that fall and return, stop. */
async function playLdirectord(who: string): Promise<void> {
  const config = "/run/peers.cf";
  writeFileSync(config, task.ldirectord);
  const ldirectord = (command: string): string => run(DIRECTOR, "ldirectord", config, command);
  const WEB_SERVICE = "10.91.0.100";

  let from = Date.now();
  ldirectord("start");
  try {
    const complete = (now: string): boolean =>
      count(now, " -r 10.92.") === 2 && count(now, " -r [fd92:") === 2 && !/-w 0|127\.0/.test(now);
    // Seen three times running: ldirectord puts servers in and out again before its first checks.
    const settled = async (satisfies: (now: string) => boolean): Promise<void> => {
      for (let good = 0; good < 3; ) {
        good = satisfies(rules()) ? good + 1 : 0;
        if (Date.now() - from > 240_000) throw new Error(`${who}: in vain; the table:\n${rules()}`);
        await sleep(1500);
      }
    };
    await settled(complete);
    tell(`${who}: started`, from, { answers: answers(WEB_SERVICE, "[fd91::100]") }, true);

    from = Date.now();
    await fell(SERVERS[0]);
    await settled((now) => count(now, " -r 10.92.") === 1 && now.includes("-w 0"));
    tell(`${who}: one down`, from, { answers: answers(WEB_SERVICE, "[fd91::100]") });

    from = Date.now();
    await fell(SERVERS[1]);
    await settled(
      (now) => now.includes("127.0.0.1") && count(now, " -r 10.92.") === 0 && count(now, "-w 0") === 2,
    );
    tell(`${who}: both down`, from, { answers: answers(WEB_SERVICE) });

    from = Date.now();
    await serve(SERVERS[1], "two");
    await serve(SERVERS[0], "one");
    await settled(complete);
    tell(`${who}: both back`, from, { answers: answers(WEB_SERVICE, "[fd91::100]") });
  } finally {
    from = Date.now();
    const said = ldirectord("status").replace(/\d+\n/, "PID\n");
    ldirectord("stop");
    await until("the rules are gone", rules, (now) => now === "");
    tell(`${who}: stopped`, from, { said });
  }
}

/** Start, a weight changed by ours, a server that falls, stop. */
async function playKeepalived(): Promise<void> {
  const config = "/run/keepalived-peers.conf";
  writeFileSync(config, task.keepalived);
  let from = Date.now();
  const words = ["netns", "exec", DIRECTOR, "keepalived", "-n", "-C", "-f", config];
  // Not -l: its log would go to the console, into the middle of our lines.
  const child = spawn("ip", words, { stdio: "ignore" });
  const gone = new Promise((resolve) => child.once("close", resolve));
  try {
    const complete = (now: string): boolean => count(now, " -r ") === 7;
    await until("keepalived has made its rules", rules, complete);
    const said = answers("10.91.0.100");
    tell("keepalived: started", from, { answers: said }, true);

    from = Date.now();
    ipvsadm("-e", "-t", "10.91.0.100:80", "-r", "10.92.1.2:80", "-m", "-w", "7");
    tell("keepalived: weight by ours", from, { said: debians("-S", "-n") }, true);

    from = Date.now();
    await fell(SERVERS[1]);
    await until("the server is out", rules, (now) => count(now, " -r ") === 6 && now.includes("-w 0"));
    tell("keepalived: one down", from, { answers: answers("10.91.0.100") }, true);
    await serve(SERVERS[1], "two");
    await until("the server is back", rules, complete);
    tell("keepalived: back", from, {}, true);
  } finally {
    from = Date.now();
    child.kill("SIGTERM");
    await gone;
    tell("keepalived: stopped", from, {});
  }
}

mkdirSync(dirname(DEBIANS), { recursive: true });
copyFileSync(SBIN, DEBIANS);
network();
await serve(SERVERS[0], "one");
await serve(SERVERS[1], "two");
await serve(DIRECTOR, "sorry");
try {
  await playLdirectord("ldirectord with Debian's");
  install();
  await playLdirectord("ldirectord with ours");
  await playKeepalived();
  console.log("@@ done");
} finally {
  for (const child of web.values()) child.kill("SIGKILL");
  for (const netns of [CLIENT, DIRECTOR, ...SERVERS]) spawnSync("ip", ["netns", "delete", netns]);
}
