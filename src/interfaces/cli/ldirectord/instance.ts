/**
 * Which configuration is meant, under which name its daemon runs, and whether it does.
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { readPid } from "../../daemon/pidfile.ts";

const DEFAULT_CONFIG = "ldirectord.cf";

/** A configuration and its daemon's files. */
export interface Instance {
  /** As it was found; messages show it. */
  readonly path: string;
  /** Last part of the path that was given, or `ldirectord`. */
  readonly name: string;
  readonly pidFile: string;
}

/** `LVSD_PID_DIR` replaces /var/run. */
const pidFolder = (): string => process.env["LVSD_PID_DIR"] || "/var/run";

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

/** Looks for a configuration in the usual places. Undefined when there is none. */
export function findInstance(
  config: string | undefined,
  exists: (path: string) => boolean = isFile,
): Instance | undefined {
  const word = config ?? DEFAULT_CONFIG;
  const last = config ?? `./${DEFAULT_CONFIG}`;
  const path = [`/etc/ha.d/${word}`, `/etc/ha.d/conf/${word}`, last].find(exists);
  if (path === undefined) return undefined;
  const name = config === undefined ? "ldirectord" : basename(config);
  return { path, name, pidFile: `${pidFolder()}/ldirectord.${name}.pid` };
}

/** How the daemon of a pid file is. Stale: the file names a process that is none of ours. */
export type Standing =
  | { readonly kind: "running"; readonly pid: number }
  | { readonly kind: "stopped" }
  | { readonly kind: "stale" };

/** Looks at a pid file and at the process that it names. */
export function standing(pidFile: string): Standing {
  const pid = readPid(pidFile);
  if (pid === undefined) return isFile(pidFile) ? { kind: "stale" } : { kind: "stopped" };
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    if (words.includes("ldirectord")) return { kind: "running", pid };
  } catch {
    // No such process.
  }
  return { kind: "stale" };
}
