/**
 * Health checks of many servers: 10,000 TCP checks every 5 s from one process on one core, in a network namespace where 10,000
 * addresses answer. First the checkers alone, then the whole daemon with its table (`lvsd run`, engine plane). What counts is the
 * processor time and the memory of that process; the servers run beside it.
 *
 * keepalived does not start without ip_vs, so that its numbers come from `npm run bench:kernel` (bench/kernel/checks.ts), where both
 * check the same list in the virtual machine.
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Checker, Verdict } from "../src/control/checks/check.ts";
import { createChecker } from "../src/control/checks/create.ts";
import {
  address,
  configuration,
  measureDaemon,
  NETWORK,
  PORT,
  Servers,
  serve,
  sleep,
} from "./parts/check-load.ts";

const SERVERS = 10_000;
const INTERVAL_S = 5;
const INTERVAL_MS = INTERVAL_S * 1000;
/** Intervals before and during the measurement. */
const [WARMUP, MEASURED] = [2, 4];

const print = (name: string, value: number, unit: string, note = ""): void =>
  console.log(JSON.stringify({ name, value, unit, note }));

/** Checks every server every interval, and prints what that took. */
async function check(): Promise<void> {
  let [done, failed, firstFailure] = [0, 0, ""];
  const latencies: number[] = [];
  const signal = new AbortController().signal;
  const loop = async (checker: Checker, due: number): Promise<void> => {
    const verdict: Verdict = await checker.check(signal);
    done++;
    latencies.push(verdict.latencyMs);
    if (!verdict.ok) {
      failed++;
      firstFailure ||= verdict.detail;
    }
    const next = due + INTERVAL_MS;
    setTimeout(loop, Math.max(0, next - performance.now()), checker, next);
  };
  for (let n = 0; n < SERVERS; n++) {
    const target = { family: 4, address: address(n), port: PORT } as const;
    const checker = createChecker({ kind: "tcp", target, timeoutMs: 3000 });
    const delay = (n / SERVERS) * INTERVAL_MS;
    setTimeout(loop, delay, checker, performance.now() + delay);
  }
  await sleep(WARMUP * INTERVAL_MS);
  [done, failed] = [0, 0];
  latencies.length = 0;
  const [cpu, from] = [process.cpuUsage(), performance.now()];
  await sleep(MEASURED * INTERVAL_MS);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - from) / 1000;
  const perInterval = (done / seconds) * INTERVAL_S;
  latencies.sort((a, b) => a - b);
  const sick = `${failed} failed${failed > 0 ? `: ${firstFailure}` : ""}`;
  print("checkers alone: TCP checks every 5 s", perInterval, "checks", `${sick}; aim 10,000`);
  const outside = `${((user / (user + system)) * 100).toFixed(0)} % of it outside the kernel`;
  print("checkers alone: one core busy", ((user + system) / 1e6 / seconds) * 100, "%", outside);
  print("checkers alone: processor time a check", (user + system) / done, "µs");
  print(
    "checkers alone: latency, 99 of 100 below",
    latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    "ms",
  );
  print("checkers alone: resident memory", process.memoryUsage().rss / 1e6, "MB");
  process.exit(perInterval < SERVERS * 0.99 || failed > 0 ? 1 : 0);
}

/** The whole daemon in the namespace. */
async function daemon(netns: string, servers: Servers): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-bench-"));
  try {
    const file = join(folder, "keepalived.conf");
    writeFileSync(file, configuration(SERVERS, INTERVAL_S));
    const lvsd = join(dirname(import.meta.filename), "lvsd.cjs");
    const command = [
      "ip",
      "netns",
      "exec",
      netns,
      "taskset",
      "-c",
      "0",
      process.execPath,
      lvsd,
      "run",
      "-f",
      file,
    ];
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: "", LVSD_PLANE: "engine", LVSD_RUN_DIR: folder };
    const warmupS = 6 * INTERVAL_S; // the table is filled first
    const load = await measureDaemon(command, env, servers, warmupS, MEASURED * INTERVAL_S);
    print("lvsd run: TCP checks every 5 s", load.checksPerS * INTERVAL_S, "checks", "aim 10,000");
    print("lvsd run: one core busy", load.busyPercent, "%", "daemon and engine");
    print("lvsd run: resident memory", load.memoryMb, "MB", "daemon and engine");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) {
    console.log("checks: needs root for a network namespace");
    return;
  }
  const netns = `lv${process.pid}xchecks`;
  const children: ChildProcess[] = [];
  const ip = (...words: string[]): void => void execFileSync("ip", words, { stdio: "inherit" });
  const part = (role: string, cores: string): string[] => {
    const inside = ["ip", "netns", "exec", netns, "taskset", "-c", cores];
    return [...inside, process.execPath, import.meta.filename, role];
  };
  ip("netns", "add", netns);
  try {
    ip("-n", netns, "link", "set", "lo", "up");
    ip("-n", netns, "route", "add", "local", NETWORK, "dev", "lo");
    const servers = new Servers(part("serve", "0-63"));
    children.push(servers.child);
    await servers.ready();
    const [file = "", ...args] = part("check", "0");
    const checker = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
    children.push(checker);
    createInterface({ input: checker.stdout }).on("line", (line) => console.log(line));
    process.exitCode = await new Promise<number>((resolve) =>
      checker.once("exit", (code) => resolve(code ?? 1)),
    );
    await daemon(netns, servers);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    // The engine outlives the daemon that started it.
    const left = execFileSync("ip", ["netns", "pids", netns], { encoding: "utf8" })
      .split("\n")
      .filter(Boolean);
    for (const pid of left) killQuietly(Number(pid));
    ip("netns", "del", netns);
  }
}

const role = process.argv[2];
if (role === "serve") serve();
else void (role === "check" ? check() : main());
