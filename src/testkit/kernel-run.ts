/**
 * Plays scenarios on the kernel's ip_vs in the virtual machine of `scripts/vm`.
 * @module
 */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "../..");
/** Where the scenario files are. */
export const SCENARIOS = join(ROOT, "test/conformance/scenarios");

/** Paths of the scenario files, by name. */
export const scenarioFiles = (): string[] =>
  readdirSync(SCENARIOS)
    .filter((name) => name.endsWith(".txt"))
    .sort()
    .map((name) => join(SCENARIOS, name));

/** What became of one scenario. */
export interface Outcome {
  readonly topic: string;
  readonly title: string;
  readonly line: number;
  /** Empty when all was well. */
  readonly failures: readonly string[];
  readonly ms: number;
}

/** Which scenarios to play. */
export interface Choice {
  /** The tag they must have; "" for all. */
  readonly tag: string;
  /** A part of "topic: title"; "" for all. */
  readonly only?: string;
  readonly files?: readonly string[];
}

/**
 * Boots the guest, plays the chosen scenarios and calls back as they end.
 * @throws when the guest could not be started or ended before it was done, with what it printed
 */
export async function runOnKernel(choice: Choice, told: (outcome: Outcome) => void): Promise<void> {
  const work = join(ROOT, "node_modules/.cache/lvsd-vm", String(process.pid));
  mkdirSync(work, { recursive: true });
  try {
    const program = join(work, "guest.mjs");
    await build({
      entryPoints: [join(import.meta.dirname, "kernel-guest.ts")],
      outfile: program,
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["koffi"],
      logLevel: "error",
    });
    const list = join(work, "choice.json");
    const files = choice.files ?? scenarioFiles();
    writeFileSync(list, JSON.stringify({ files, tag: choice.tag, only: choice.only ?? "" }));
    const script = join(work, "guest.sh");
    writeFileSync(script, `#!/bin/sh\nexec env -u NODE_EXTRA_CA_CERTS ${process.execPath} ${program} ${list} 2>&1\n`, {
      mode: 0o755,
    });
    const guest = spawn(join(ROOT, "scripts/vm/run"), [script], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TIMEOUT_S: process.env["TIMEOUT_S"] ?? "900" },
    });
    let rest = "";
    let printed = "";
    let done = false;
    guest.stderr.on("data", (chunk) => {
      printed += chunk;
    });
    guest.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "@@ done") done = true;
        else if (line.startsWith("@@ ")) told(JSON.parse(line.slice(3)));
        else printed += `${line}\n`;
      }
    });
    const status = await new Promise((resolve) => guest.on("close", resolve));
    if (!done) throw new Error(`the guest ended with status ${status} before it was done:\n${printed}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
