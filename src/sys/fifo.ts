/**
 * Named pipes. Node opens and writes them, but cannot make one.
 * @module
 */
import { constants, openSync } from "node:fs";
import { check, raw } from "./libc.ts";

/** Makes a named pipe; `mode` loses the bits of the umask. @throws SysError EEXIST when something is there */
export function makeFifo(path: string, mode: number): void {
  check("mkfifo", raw.mkfifo(path, mode), `make the pipe ${path}`);
}

/**
 * Opens a pipe so that writing never waits: read-write, as that end is then never without a reader, and non-blocking, so that a
 * full pipe refuses with EAGAIN.
 */
export const openFifo = (path: string): number =>
  openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
