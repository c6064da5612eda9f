/**
 * Runs a benchmark of `bench/kernel` in the virtual machine: the same bundle starts there again, with the word `guest`.
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** How to run it there. */
export interface GuestRun {
  /** The bundle, in dist/. */
  readonly program: string;
  /** Seconds from the guest's start after which it is ended. */
  readonly timeoutS: number;
  /** Writes what the guest needs into a folder that it sees; returns further arguments for the program. */
  readonly prepare?: (folder: string) => readonly string[];
}

/** Boots the guest, shows what the program printed, and takes over its exit status. */
export function bootGuest({ program, timeoutS, prepare }: GuestRun): void {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-bench-"));
  try {
    const command = [process.execPath, program, "guest", ...(prepare?.(folder) ?? [])].join(" ");
    const script = join(folder, "guest.sh");
    // Into a file first: on the guest's console the lines of several processes would mix.
    const output = "/run/bench.out";
    writeFileSync(script, `#!/bin/sh\n${command} >${output} 2>&1\nstatus=$?\ncat ${output}\nexit $status\n`);
    chmodSync(script, 0o755);
    const { stdout, stderr, status } = spawnSync(join(dirname(program), "../scripts/vm/run"), [script], {
      encoding: "utf8",
      env: { ...process.env, TIMEOUT_S: String(timeoutS) },
    });
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = status ?? 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
