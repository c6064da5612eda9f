/**
 * What the benchmarks of health checks share: servers on many addresses that count who comes, a keepalived.conf that checks them all,
 * and what a daemon takes to do so.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

export const PORT = 8000;
/** The route that makes {@link address}es answer: `ip route add local ...`. */
export const NETWORK = "10.200.0.0/16";
/** 10.200.0.1 and on: one address a server. */
export const address = (n: number): string => `10.200.${(n + 1) >> 8}.${(n + 1) & 255}`;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** In a process of its own: accepts and forgets; for each line on standard input prints how many came. */
export function serve(): void {
  let accepted = 0;
  createServer((socket) => {
    accepted++;
    socket.on("error", () => {});
    socket.resume(); // sees the end, and ends too
  }).listen({ port: PORT, host: "0.0.0.0", backlog: 4096 }, () => console.log("ready"));
  createInterface({ input: process.stdin }).on("line", () => console.log(accepted));
}

/** The process that {@link serve}s. */
export class Servers {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** `command` runs this program with {@link serve} in it. */
  constructor([file = "", ...args]: readonly string[]) {
    this.child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  async ready(): Promise<void> {
    await this.#lines.next();
  }

  /** Connections accepted so far. */
  async accepted(): Promise<number> {
    this.child.stdin!.write("\n");
    return Number((await this.#lines.next()).value);
  }
}

/** Real servers of one virtual server. */
const GROUP = 100;

/** A configuration that both keepalived and lvsd run: `servers` real ones behind virtual ones of {@link GROUP}, each with a TCP check. */
export function configuration(servers: number, intervalS: number): string {
  let text = "";
  for (let n = 0; n < servers; n++) {
    if (n % GROUP === 0)
      text += `virtual_server fwmark ${n / GROUP + 1} {\n  delay_loop ${intervalS}\n  lb_algo rr\n  lb_kind DR\n  protocol TCP\n`;
    text += `  real_server ${address(n)} ${PORT} {\n    TCP_CHECK {\n      connect_port ${PORT}\n      connect_timeout 3\n    }\n  }\n`;
    if (n % GROUP === GROUP - 1) text += "}\n";
  }
  return text;
}

/** What a process and its children have taken. */
interface Taken {
  /** Seconds of processor time. */
  readonly cpuS: number;
  /** Megabytes of resident memory. */
  readonly memoryMb: number;
}

const TICKS_PER_S = 100;

/** Reads a process and those it started from /proc; gone ones count nothing. */
export function taken(pid: number): Taken {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    let cpuS = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
    let memoryMb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1000;
    for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .split(" ")
      .filter(Boolean)) {
      const more = taken(Number(child));
      cpuS += more.cpuS;
      memoryMb += more.memoryMb;
    }
    return { cpuS, memoryMb };
  } catch {
    return { cpuS: 0, memoryMb: 0 };
  }
}

/** What a daemon does and takes in steady state. */
export interface DaemonLoad {
  readonly checksPerS: number;
  readonly busyPercent: number;
  readonly memoryMb: number;
}

/**
 * Runs a daemon until `warmupS` have passed, then looks at it for `measuredS`, then ends it. Its output is thrown away.
 * @throws Error when it ends by itself
 */
export async function measureDaemon(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  servers: Servers,
  warmupS: number,
  measuredS: number,
): Promise<DaemonLoad> {
  const [file = "", ...args] = command;
  let told = "";
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env });
  const listen = (data: Buffer): void => {
    told = `${told}${data}`.slice(-1000);
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    await Promise.race([sleep(warmupS * 1000), ended]);
    const [before, countBefore, from] = [taken(child.pid!), await servers.accepted(), performance.now()];
    await Promise.race([sleep(measuredS * 1000), ended]);
    if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}: ${told}`);
    const [after, countAfter] = [taken(child.pid!), await servers.accepted()];
    const seconds = (performance.now() - from) / 1000;
    return {
      checksPerS: (countAfter - countBefore) / seconds,
      busyPercent: ((after.cpuS - before.cpuS) / seconds) * 100,
      memoryMb: after.memoryMb,
    };
  } finally {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(timer);
  }
}
