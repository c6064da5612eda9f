/**
 * Pid files.
 * @module
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Process number in a pid file; undefined without a file or a number in it. */
export function readPid(path: string): number | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return /^[1-9]\d*$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process has ended and only waits for its parent to notice. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z"); // proc(5): pid (name) state
  } catch {
    return false;
  }
}

/** The process that a pid file names, when it lives and is another than this one. */
export function alive(path: string): number | undefined {
  const pid = readPid(path);
  if (pid === undefined || pid === process.pid || isZombie(pid)) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? pid : undefined;
  }
}

/** Writes a pid file so that a reader sees all of it or none. @throws Error naming the path */
export function writePid(path: string, pid: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${pid}\n`, { mode: 0o644 });
  renameSync(temporary, path);
}

/** Removes a pid file that names `pid`; leaves one that names another. */
export function removePid(path: string, pid: number): void {
  if (readPid(path) === pid) rmSync(path, { force: true });
}
