/**
 * A lock between processes, by flock(2): who ends, however, lets go of it.
 * @module
 */
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { lastErrno, raw, SysError } from "./libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;
const EINTR = 4;

/** Takes the lock of a file, which is made when it is not there; who has it may remove the file. @returns what lets go of it */
export async function lock(path: string): Promise<() => void> {
  // Waiting in the system call would stop everything else in this process.
  for (let ms = 1; ; ms = Math.min(ms * 2, 50)) {
    const fd = openSync(path, "a", 0o600);
    if (raw.flock(fd, LOCK_EX | LOCK_NB) === 0) {
      if (isFileOf(path, fd)) return () => closeSync(fd);
      closeSync(fd);
      continue;
    }
    const errno = lastErrno();
    closeSync(fd);
    if (errno !== EWOULDBLOCK && errno !== EINTR) throw new SysError("flock", errno, path);
    await pause(ms);
  }
}

/** Takes the lock of a file that is there, if nobody has it; undefined otherwise. @returns what lets go of it */
export function lockIfFree(path: string): (() => void) | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r+");
  } catch {
    return undefined;
  }
  if (raw.flock(fd, LOCK_EX | LOCK_NB) === 0 && isFileOf(path, fd)) return () => closeSync(fd);
  closeSync(fd);
  return undefined;
}

/** Who had the lock before may have removed the file: then it is a lock of nothing. */
const isFileOf = (path: string, fd: number): boolean =>
  statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
