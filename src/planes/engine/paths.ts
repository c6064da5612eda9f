/**
 * Where an engine keeps its socket, lock, log and rules: one set of files a network namespace, named by its inode number.
 * @module
 */
import { statSync } from "node:fs";

/** Files of the engine of one namespace. */
export interface EnginePaths {
  readonly directory: string;
  readonly socket: string;
  readonly lock: string;
  readonly log: string;
  readonly rules: string;
}

/** Paths for this process's namespace. `LVSD_RUN_DIR` replaces /run/lvsd. */
export function enginePaths(directory = process.env["LVSD_RUN_DIR"] || "/run/lvsd"): EnginePaths {
  const stem = `${directory}/engine-${statSync("/proc/self/ns/net").ino}`;
  return {
    directory,
    socket: `${stem}.sock`,
    lock: `${stem}.lock`,
    log: `${stem}.log`,
    rules: `${stem}.rules.json`,
  };
}
