/**
 * Where the daemon keeps its files, one set a network namespace, and where the bundles of its helpers lie.
 * @module
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** Files of the daemon of one namespace. */
export interface DaemonPaths {
  readonly directory: string;
  /** Control socket. */
  readonly socket: string;
  /** What a daemon leaves for the next: words of the operator. */
  readonly state: string;
}

/** Paths for this process's namespace. `LVSD_RUN_DIR` replaces /run/lvsd. */
export function daemonPaths(directory = process.env["LVSD_RUN_DIR"] || "/run/lvsd"): DaemonPaths {
  const stem = `${directory}/daemon-${statSync("/proc/self/ns/net").ino}`;
  return { directory, socket: `${stem}.sock`, state: `${stem}.state.json` };
}

/** Path of a bundle beside the running one. `LVSD_DIST` names the folder when running from source. */
export function bundle(name: string): string {
  const folder = process.env["LVSD_DIST"] || dirname(realpathSync(process.argv[1] ?? "."));
  const path = join(folder, name);
  if (!existsSync(path)) throw new Error(`${path} is not there: npm run build makes it`);
  return path;
}
