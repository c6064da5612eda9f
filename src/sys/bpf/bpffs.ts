/**
 * Our own file system for pins. The usual one, /sys/fs/bpf, cannot be relied upon: `ip netns exec` lays another /sys over it.
 *
 * Such commands run in a mount namespace of their own, which ends with them, and with it every mount made there. So the pins
 * are mounted where the machine's first process sees them, and reached through its /proc/<pid>/root from elsewhere.
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { check, raw } from "../libc.ts";
import { machine, machineRoot } from "./machine-root.ts";

/** `BPF_FS_MAGIC` (`include/uapi/linux/magic.h`). */
const BPF_FS_MAGIC = 0xcafe4a11;
const MODE = "mode=0700";

/** Whether a bpffs is mounted exactly there. The path may be one below {@link machineRoot}, and have symbolic links in it. */
export function isBpffs(path: string): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC && statSync(path).dev !== statSync(join(path, "..")).dev;
  } catch {
    return false;
  }
}

/** Mounts a bpffs at `path` (as the first process has it) unless one is there. @returns the path to reach it by */
export function ensureBpffs(path: string): string {
  const root = machineRoot();
  const here = root + path;
  if (isBpffs(here)) return here;
  mkdirSync(here, { recursive: true, mode: 0o700 });
  if (root === "") {
    check("mount", raw.mount("lvsd", path, "bpf", 0, MODE), `mount a bpffs at ${path}`);
    return here;
  }
  // The system call acts in the caller's mount namespace only, and a process with threads cannot change its own.
  const words = ["--target", machine().process, "--mount", "mount", "-t", "bpf", "-o", MODE, "lvsd", path];
  const { status, stderr, error } = spawnSync("nsenter", words, { encoding: "utf8" });
  if (status !== 0 && !isBpffs(here))
    throw new Error(`mount a bpffs at ${path}: nsenter: ${error?.message ?? stderr.trim()}`);
  return here;
}

/** Unmounts it, with all pins. Nothing happens where none is. */
export function removeBpffs(path: string): void {
  const here = machineRoot() + path;
  if (!isBpffs(here)) return;
  if (machineRoot() === "") check("umount2", raw.umount2(path, 2), `unmount ${path}`);
  else
    spawnSync("nsenter", ["--target", machine().process, "--mount", "umount", "-l", path], {
      stdio: "ignore",
    });
}
