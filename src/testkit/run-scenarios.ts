/**
 * Plays scenarios on real network stacks: the kernel's ip_vs in the virtual machine of `scripts/vm`, the engine and eBPF planes here.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { removeBpffs } from "../sys/bpf/bpffs.ts";
import type { Programme } from "./scenario-player.ts";

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
  /** Folder of the built commands. @default dist/ of the project */
  readonly dist?: string;
  /** Whose ipvsadm sets up the kernel's ip_vs. @default "debian" */
  readonly commands?: Programme["commands"];
}

/** Reads the player's lines until it ends. @throws when it ended before it was done */
async function follow(child: ChildProcess, told: (outcome: Outcome) => void): Promise<void> {
  let rest = "";
  let printed = "";
  let done = false;
  child.stderr!.on("data", (chunk) => {
    printed += chunk;
  });
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "@@ done") done = true;
      else if (line.startsWith("@@ ")) told(JSON.parse(line.slice(3)));
      else printed += `${line}\n`;
    }
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  if (!done) throw new Error(`the player ended with status ${status} before it was done:\n${printed}`);
}

async function perform(
  plane: Programme["plane"],
  choice: Choice,
  told: (outcome: Outcome) => void,
  cleanUp: (programme: Programme) => void,
  start: (program: string, list: string, work: string) => ChildProcess,
): Promise<void> {
  const work = join(ROOT, "node_modules/.cache/lvsd-scenarios", `${plane}-${process.pid}`);
  mkdirSync(work, { recursive: true });
  let programme: Programme | undefined;
  try {
    const program = join(work, "player.mjs");
    await build({
      entryPoints: [join(import.meta.dirname, "scenario-player.ts")],
      outfile: program,
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["koffi"],
      logLevel: "error",
    });
    const list = join(work, "programme.json");
    programme = {
      plane,
      dist: choice.dist ?? join(ROOT, "dist"),
      runDirectory: join(work, "run"),
      files: choice.files ?? scenarioFiles(),
      tag: choice.tag,
      only: choice.only ?? "",
      commands: choice.commands ?? "debian",
    };
    writeFileSync(list, JSON.stringify(programme));
    await follow(start(program, list, work), told);
  } finally {
    if (programme) cleanUp(programme);
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Boots the guest, plays the chosen scenarios and calls back as they end.
 * @throws when the guest could not be started or ended before it was done, with what it printed
 */
export function runOnKernel(choice: Choice, told: (outcome: Outcome) => void): Promise<void> {
  return perform(
    "kernel",
    choice,
    told,
    () => {},
    (program, list, work) => {
      const script = join(work, "guest.sh");
      const command = `exec env -u NODE_EXTRA_CA_CERTS ${process.execPath} ${program} ${list} 2>&1`;
      writeFileSync(script, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
      return spawn(join(ROOT, "scripts/vm/run"), [script], {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...process.env,
          TIMEOUT_S: process.env["TIMEOUT_S"] ?? (choice.commands === "ours" ? "2400" : "1200"),
        },
      });
    },
  );
}

/** Plays the chosen scenarios on the engine plane, with the built commands. Needs root and `npm run build`. */
export function runOnEngine(choice: Choice, told: (outcome: Outcome) => void): Promise<void> {
  return runHere("engine", choice, told);
}

/** Plays the chosen scenarios on the eBPF plane, with the built commands. Needs root and `npm run build`. */
export async function runOnEbpf(choice: Choice, told: (outcome: Outcome) => void): Promise<void> {
  await runHere("ebpf", choice, told, ({ runDirectory }) => removeBpffs(`${runDirectory}/bpf`));
}

function runHere(
  plane: Programme["plane"],
  choice: Choice,
  told: (outcome: Outcome) => void,
  cleanUp: (programme: Programme) => void = () => {},
): Promise<void> {
  return perform(plane, choice, told, cleanUp, (program, list) => {
    const env: NodeJS.ProcessEnv = { ...process.env, NODE_EXTRA_CA_CERTS: "" };
    delete env["NODE_OPTIONS"];
    return spawn(process.execPath, [program, list], { stdio: ["ignore", "pipe", "pipe"], env });
  });
}
