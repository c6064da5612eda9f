/**
 * The mounts of the machine, as opposed to those of this process. Without foreign functions: every command asks.
 * @module
 */
import { readFileSync, readlinkSync } from "node:fs";

/** How this process reaches what the machine's first process has mounted. */
export interface Machine {
  /** A process that sees the machine's mounts. */
  readonly process: string;
  /** What stands before an absolute path of that process: "" for who shares its mounts, else /proc/<pid>/root. */
  readonly root: string;
}

let cached: Machine | undefined;

/**
 * The farthest ancestor that we may look at, the first process as a rule: `ip netns exec` and its like give mounts of their own
 * to those that they start, not to those that started them.
 */
export function machine(): Machine {
  if (cached) return cached;
  const mountsOf = (pid: string): string | undefined => {
    try {
      return readlinkSync(`/proc/${pid}/ns/mnt`);
    } catch {
      return undefined; // hidden, or gone
    }
  };
  let farthest = "self";
  for (let pid = String(process.pid); pid !== "0"; pid = parentOf(pid)) {
    if (mountsOf(pid) !== undefined) farthest = pid;
  }
  const same = mountsOf(farthest) === mountsOf("self");
  cached = { process: farthest, root: same ? "" : `/proc/${farthest}/root` };
  return cached;
}

function parentOf(pid: string): string {
  try {
    return /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  } catch {
    return "0";
  }
}

/** What stands before an absolute path as the machine's first process sees it. */
export const machineRoot = (): string => machine().root;
