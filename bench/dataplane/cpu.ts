/**
 * Processor time: what a benchmark that shares its machine with others can rely on. Everything that is measured runs on one
 * processor; its time is that of the processes in question and of the kernel's thread for postponed packet work there.
 * @module
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Number of the processor that everything measured runs on: the last one. */
export const CPU = availableParallelism() - 1;

/** Ties this thread, and what it starts from now on, to {@link CPU}. */
export function pin(): void {
  execFileSync("taskset", ["-cp", String(CPU), String(process.pid)], { stdio: "ignore" });
}

/** Nanoseconds that a thread has run (`/proc/<pid>/task/<tid>/schedstat`). */
function ran(task: string): number {
  try {
    return Number(readFileSync(`/proc/${task}/schedstat`, "utf8").split(" ")[0]);
  } catch {
    return 0; // ended
  }
}

let softirq: string | undefined;
/** Process number of ksoftirqd of {@link CPU}. */
function softirqThread(): string {
  softirq ??= readdirSync("/proc").find((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === `ksoftirqd/${CPU}`;
    } catch {
      return false;
    }
  });
  if (!softirq) throw new Error(`there is no ksoftirqd/${CPU}`);
  return softirq;
}

/** Nanoseconds of this thread and of ksoftirqd, since they began. */
export const packetTime = (): number => ran(`self/task/${process.pid}`) + ran(softirqThread());

/** Clock ticks a second in /proc (USER_HZ). */
const USER_HZ = 100;

/** Nanoseconds of ksoftirqd, of running processes with all their threads, and of children of this process that have ended. */
export function processTime(pids: readonly number[]): number {
  let sum = ran(softirqThread());
  for (const pid of pids) {
    for (const thread of threads(pid)) sum += ran(`${pid}/task/${thread}`);
  }
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // cutime and cstime: fields 16 and 17, counted from 1; those here begin with the third.
  return sum + ((Number(fields[13]) + Number(fields[14])) * 1e9) / USER_HZ;
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
