/**
 * A program of its own, bundled and started by `run-scenarios.ts`: plays scenarios on real network stacks, each in a network
 * namespace of its own, and prints a line of JSON for each, behind `@@ `. For the kernel's ip_vs it runs in the virtual machine.
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { play } from "./play.ts";
import { parseScenarios, type Scenario, usesLocal } from "./scenario.ts";
import { TunStage, type TunStageOptions, writeSysctl } from "./tun-stage.ts";

/** What to play; the content of the file that is the program's argument. */
export interface Programme {
  readonly plane: "kernel" | "engine" | "ebpf";
  /** Folder of the built commands. */
  readonly dist: string;
  /** For the engine's files. */
  readonly runDirectory: string;
  readonly files: readonly string[];
  /** The tag that scenarios must have, "" for all. */
  readonly tag: string;
  /** A part of "topic: title", "" for all. */
  readonly only: string;
  /** Whose ipvsadm sets up the kernel's ip_vs. */
  readonly commands: "debian" | "ours";
}

const { plane, dist, runDirectory, files, tag, only, commands } = JSON.parse(
  readFileSync(process.argv[2], "utf8"),
) as Programme;

const engineEnv = { LVSD_PLANE: plane, LVSD_RUN_DIR: runDirectory };

/** Runs `lvsd` for the plane of the present namespace. */
function lvsd(...words: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [`${dist}/lvsd.cjs`, ...words], {
    encoding: "utf8",
    env: { ...process.env, ...engineEnv },
  });
  if (status !== 0) throw new Error(`lvsd ${words.join(" ")}: ${stderr.trim()}`);
}

const PLANES: Record<Programme["plane"], Omit<TunStageOptions, "local">> = {
  kernel: {
    ipvsadm: commands === "ours" ? [process.execPath, `${dist}/ipvsadm.cjs`] : ["/usr/sbin/ipvsadm"],
    env: { LVSD_PLANE: "kernel" },
    setting: (name, value) => writeSysctl(`net.ipv4.vs.${name}`, value),
    synchronous: true,
  },
  engine: {
    ipvsadm: [process.execPath, `${dist}/ipvsadm.cjs`],
    env: engineEnv,
    setting: (name, value) => lvsd("settings", `${name}=${value}`),
    synchronous: false,
    anyZeroId: true,
  },
  ebpf: {
    ipvsadm: [process.execPath, `${dist}/ipvsadm.cjs`],
    env: engineEnv,
    setting: (name, value) => lvsd("settings", `${name}=${value}`),
    synchronous: true,
    anyZeroId: true,
  },
};

/** Ends what the plane holds for the present namespace. */
function forget(): void {
  if (plane === "engine") lvsd("engine", "stop");
  if (plane === "ebpf") lvsd("planes", "reset");
}

async function playOne(scenario: Scenario): Promise<string[]> {
  let stage: TunStage | undefined;
  try {
    stage = new TunStage({ ...PLANES[plane], local: usesLocal(scenario) });
    return await play(scenario, stage);
  } catch (error) {
    return [String((error as Error).stack)];
  } finally {
    forget();
    stage?.close();
  }
}

// Told to end early: no engine stays behind.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    forget();
    process.exit(1);
  });
}

const otherPlane = plane === "kernel" ? "model-only" : "kernel-only";
const scenarios = files
  .flatMap((file) => parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")))
  .filter((s) => (tag === "" || s.tags.has(tag)) && !s.tags.has(otherPlane))
  .filter((s) => only === "" || `${s.topic}: ${s.title}`.includes(only));

if (plane === "kernel") {
  for (const name of ["icmp_msgs_per_sec", "icmp_msgs_burst"]) writeSysctl(`net.ipv4.${name}`, "1000000");
}
for (const scenario of scenarios) {
  const { topic, title, line } = scenario;
  const started = Date.now();
  const failures = await playOne(scenario);
  console.log(`@@ ${JSON.stringify({ topic, title, line, failures, ms: Date.now() - started })}`);
}
console.log("@@ done");
