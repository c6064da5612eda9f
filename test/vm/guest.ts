/**
 * Runs a program of ours in the virtual machine of `scripts/vm`: bundled, given its task as a file of JSON, and followed line by
 * line.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";

/** The project's folder; the guest sees it under the same path. */
export const ROOT = join(import.meta.dirname, "../..");

/** Why there can be no virtual machine here, or "". */
export function obstacle(): string {
  if (process.getuid?.() !== 0) return "needs root";
  if (process.arch !== "x64") return `the guest is x86_64, this machine is ${process.arch}`;
  const qemu = spawnSync("qemu-system-x86_64", ["--version"]);
  return qemu.error ? "needs qemu-system-x86_64 (Debian package qemu-system-x86)" : "";
}

/**
 * Boots the guest and runs the program at `entry` (TypeScript) there once for each task, side by side, with a file of the task's
 * JSON as its argument.
 * @param told gets what the programs print behind `@@ `, parsed; at once for a single task, else when all have ended
 * @param timeoutS seconds from the guest's start
 * @throws when one of them ended before it printed `@@ done`, with what they printed
 */
export async function runInGuest<Told>(
  entry: string,
  tasks: readonly unknown[],
  told: (line: Told) => void,
  timeoutS: number,
): Promise<void> {
  const work = join(ROOT, "node_modules/.cache", `lvsd-${basename(entry, ".ts")}-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const program = join(work, "program.mjs");
    await build({
      entryPoints: [entry],
      outfile: program,
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["koffi"],
      logLevel: "error",
    });
    // The object of this tree, also where node_modules is a link into another one.
    copyFileSync(join(ROOT, "bpf/lvsd.bpf.o"), join(work, "lvsd.bpf.o"));
    // Several write to files: on the guest's console their lines would mix.
    const alone = tasks.length === 1;
    const commands = tasks.map((task, i) => {
      const file = join(work, `task-${i}.json`);
      writeFileSync(file, JSON.stringify(task));
      return `env -u NODE_EXTRA_CA_CERTS ${process.execPath} ${program} ${file} ${alone ? "" : `>/run/told-${i}`} 2>&1 &\n`;
    });
    const script = join(work, "guest.sh");
    writeFileSync(script, `#!/bin/sh\n${commands.join("")}wait\n${alone ? "" : "cat /run/told-*\n"}`, {
      mode: 0o755,
    });
    const guest = spawn(join(ROOT, "scripts/vm/run"), [script], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TIMEOUT_S: process.env["TIMEOUT_S"] ?? String(timeoutS) },
    });
    let rest = "";
    let printed = "";
    let done = 0;
    guest.stderr.on("data", (chunk) => {
      printed += chunk;
    });
    guest.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "@@ done") done++;
        else if (line.startsWith("@@ ")) told(JSON.parse(line.slice(3)));
        else printed += `${line}\n`;
      }
    });
    const status = await new Promise((resolve) => guest.on("close", resolve));
    if (done < tasks.length)
      throw new Error(`the guest ended with status ${status} before it was done:\n${printed}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
