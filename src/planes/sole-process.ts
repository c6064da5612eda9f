/**
 * A process of which a network namespace has one: how it keeps a second one out, and how it notices that its namespace is being removed.
 * @module
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { connect } from "node:net";
import { raw } from "../sys/libc.ts";
import { lockIfFree } from "../sys/lock.ts";

const LOCK_EXCLUSIVE_NOW = 2 | 4; // LOCK_EX | LOCK_NB
const LOCK_WAIT_MS = 10_000;
const LOCK_RETRY_MS = 20;

/** Files of such a process. */
export interface SoleProcessFiles {
  readonly lock: string;
  readonly socket: string;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * Takes the lock: false when a running process holds it. The descriptor stays open until the end; the file names this process.
 * @throws Error when it is held by a process that does not answer
 */
export async function becomeSole(files: SoleProcessFiles): Promise<boolean> {
  const giveUpAt = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    const fd = openSync(files.lock, "a", 0o600);
    // A process that ends removes the file: a lock on a file that is gone keeps nobody out.
    if (raw.flock(fd, LOCK_EXCLUSIVE_NOW) === 0 && isFile(files.lock, fstatSync(fd).ino)) {
      ftruncateSync(fd);
      writeSync(fd, `${process.pid}\n`);
      return true;
    }
    closeSync(fd);
    // It is either running, or ending and will let go of the lock.
    if (await answers(files.socket)) return false;
    if (performance.now() > giveUpAt)
      throw new Error(`${files.lock} is held by a process that does not answer`);
    await sleep(LOCK_RETRY_MS);
  }
}

/** The process that has, or had last, the lock. */
export function soleProcess(files: SoleProcessFiles): number | undefined {
  try {
    return Number.parseInt(readFileSync(files.lock, "utf8"), 10) || undefined;
  } catch {
    return undefined;
  }
}

/** Removes what a process that was killed left, and the `others` beside it; nothing while one runs. */
export function removeRemains(files: SoleProcessFiles, others: readonly string[]): void {
  const unlock = lockIfFree(files.lock);
  if (!unlock) return;
  // The lock goes last: until then nobody else becomes the one.
  for (const path of [files.socket, ...others, files.lock]) rmSync(path, { force: true });
  unlock();
}

/**
 * Tells whether the network namespace of this process was removed by `ip netns del`, which waits for its last process: true when it lost
 * its name and nobody else is in it.
 */
export function abandonment(): () => boolean {
  const inode = statSync("/proc/self/ns/net").ino;
  const name = namespacePath(inode);
  return () => name !== undefined && !isFile(name, inode) && !inhabited(inode);
}

/** Path under which `ip netns` knows a namespace, if any. */
function namespacePath(inode: number): string | undefined {
  try {
    return readdirSync("/run/netns")
      .map((name) => `/run/netns/${name}`)
      .find((path) => isFile(path, inode));
  } catch {
    return undefined;
  }
}

function isFile(path: string, inode: number): boolean {
  try {
    return statSync(path).ino === inode;
  } catch {
    return false;
  }
}

/** Whether any other process is in the namespace. */
function inhabited(inode: number): boolean {
  return readdirSync("/proc").some(
    (pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && isFile(`/proc/${pid}/ns/net`, inode),
  );
}
