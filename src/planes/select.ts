/**
 * Which data plane a command works on.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { UnsupportedError } from "../core/errors.ts";
import { machineRoot } from "../sys/bpf/machine-root.ts";
import { knownMissing } from "./ebpf/verdict.ts";
import { engineClient } from "./engine/client.ts";
import { enginePaths } from "./engine/paths.ts";
import type { DataPlane } from "./plane.ts";
import { UntouchedPlane } from "./untouched.ts";

/** Options of {@link openPlane}. */
export interface PlaneChoice {
  /** Name of the plane. @default `LVSD_PLANE`, else {@link defaultPlane} */
  readonly plane?: string | undefined;
  /** Whether a change may start what the plane needs (the engine process). @default true */
  readonly start?: boolean | undefined;
  /** Loads a plane that nobody named only when it is needed: for commands, which should start quickly. @default false */
  readonly lazy?: boolean | undefined;
}

type PlaneName = DataPlane["name"];

/**
 * The planes that are taken where none has rules, in this order, the first that works here. The one line to change for another
 * default.
 */
const ORDER: readonly PlaneName[] = ["ebpf", "kernel", "engine"];

/** Whether the kernel has ip_vs, loaded or built in: its proc files are then in every namespace. */
export const kernelPresent = (): boolean => existsSync("/proc/net/ip_vs");

/** Whether the kernel's ip_vs has services in this namespace. */
function kernelHasRules(): boolean {
  try {
    // Three lines of heading.
    return readFileSync("/proc/net/ip_vs", "utf8").split("\n").length > 4;
  } catch {
    return false;
  }
}

/** Whether the eBPF plane has rules in this namespace. Its files are loaded only where some namespace has such rules. */
async function ebpfHasRules(): Promise<boolean> {
  const directory = machineRoot() + enginePaths().directory;
  if (!existsSync(directory) || !readdirSync(directory).some((name) => /^ebpf-\d+\.rules$/.test(name)))
    return false;
  return (await import("./ebpf/ebpf.ts")).hasRules();
}

/** The planes that have rules in this network namespace, the one that commands use first. */
export async function holders(): Promise<PlaneName[]> {
  const found: PlaneName[] = [];
  // Those of an engine that was killed count: it comes back with them.
  if (existsSync(enginePaths().rules)) found.push("engine");
  if (await ebpfHasRules()) found.push("ebpf");
  if (kernelHasRules()) found.push("kernel");
  return found;
}

/** The plane that has rules in this network namespace, or an engine, whose rules may be too new to be on disk. */
async function holder(): Promise<PlaneName | undefined> {
  const [first] = await holders();
  return first ?? (existsSync(enginePaths().socket) ? "engine" : undefined);
}

async function works(name: PlaneName): Promise<boolean> {
  if (name === "kernel") return kernelPresent();
  if (name === "engine") return true;
  if (process.geteuid?.() !== 0) return false;
  const find = async (): Promise<string | undefined> => (await import("./ebpf/ebpf.ts")).ebpfMissing();
  return (await knownMissing(enginePaths().directory, find)) === undefined;
}

async function firstThatWorks(): Promise<PlaneName> {
  for (const name of ORDER) if (await works(name)) return name;
  return "engine";
}

/** The plane for who names none: the one that has rules in this network namespace, else the first of {@link ORDER} that works. */
export async function defaultPlane(): Promise<PlaneName> {
  return (await holder()) ?? (await firstThatWorks());
}

/**
 * The plane of this process's network namespace. Nothing is started before the first change.
 * @throws UnsupportedError for a plane that cannot be had, TableError EPERM for who is not root
 */
export async function openPlane(choice: PlaneChoice = {}): Promise<DataPlane> {
  const named = choice.plane || process.env["LVSD_PLANE"];
  if (named) return openNamed(named, choice);
  const held = await holder();
  if (held) return openNamed(held, choice);
  const name = await firstThatWorks();
  // The engine's client loads next to nothing, and the kernel may have more than rules.
  if (name !== "ebpf" || !choice.lazy) return openNamed(name, choice);
  return new UntouchedPlane(name, () => openNamed(name, choice));
}

async function openNamed(name: string, choice: PlaneChoice): Promise<DataPlane> {
  if (name === "engine") return engineClient({ start: choice.start ?? true });
  // A file of its own in dist/: the foreign functions it needs cost start-up time.
  if (name === "kernel") return (await import("./kernel/kernel.ts")).kernelPlane();
  if (name === "ebpf") return (await import("./ebpf/ebpf.ts")).ebpfPlane();
  throw new UnsupportedError(`there is no plane "${name}": the planes are ebpf, kernel and engine`);
}
