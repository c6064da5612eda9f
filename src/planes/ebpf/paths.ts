/**
 * Where the eBPF plane keeps what it holds for one network namespace. Everything is named by the namespace's cookie, which the
 * kernel never uses again while the machine is up.
 * @module
 */
import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { machineRoot } from "../../sys/bpf/machine-root.ts";
import { netnsCookie } from "../../sys/netns.ts";

/** Files and pins of one namespace. */
export interface EbpfPaths {
  readonly cookie: string;
  /** Folder of everything, as this process reaches it. */
  readonly run: string;
  /** Mount point of the pins, as the machine's first process has it. */
  readonly mount: string;
  /** The same, as this process reaches it. */
  readonly bpffs: string;
  /** Folder of this namespace's pins. */
  readonly pins: string;
  /** Taken while pins, mount or folders come and go, by commands of any namespace. */
  readonly globalLock: string;
  /** Taken by whoever reads or changes this namespace's rules. */
  readonly lock: string;
  /** The rules. */
  readonly rules: string;
}

/** Paths for the namespace that this thread is in. `LVSD_RUN_DIR` replaces /run/lvsd. */
export function ebpfPaths(directory = process.env["LVSD_RUN_DIR"] || "/run/lvsd"): EbpfPaths {
  return pathsOf(String(netnsCookie()), directory);
}

/** Paths for the namespace with that cookie. */
export function pathsOf(cookie: string, directory = process.env["LVSD_RUN_DIR"] || "/run/lvsd"): EbpfPaths {
  // An absolute link would lead from the machine's mounts back to ours.
  const whole = withoutLinks(directory);
  const run = machineRoot() + whole;
  return {
    cookie,
    run,
    mount: `${whole}/bpf`,
    bpffs: `${run}/bpf`,
    pins: `${run}/bpf/${cookie}`,
    globalLock: `${run}/ebpf.lock`,
    lock: `${run}/ebpf-${cookie}.lock`,
    rules: `${run}/ebpf-${cookie}.rules`,
  };
}

/** A path of which the end may not exist yet. */
function withoutLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(withoutLinks(dirname(path)), basename(path));
  }
}
