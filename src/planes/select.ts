/**
 * Which data plane a command works on.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { UnsupportedError } from "../core/errors.ts";
import { engineClient } from "./engine/client.ts";
import { enginePaths } from "./engine/paths.ts";
import type { DataPlane } from "./plane.ts";

/** Options of {@link openPlane}. */
export interface PlaneChoice {
  /** Name of the plane. @default `LVSD_PLANE`, else {@link defaultPlane} */
  readonly plane?: string | undefined;
  /** Whether a change may start what the plane needs (the engine process). @default true */
  readonly start?: boolean | undefined;
}

/** Whether the kernel has ip_vs, loaded or built in: its proc files are then in every namespace. */
export const kernelPresent = (): boolean => existsSync("/proc/net/ip_vs");

/** Whether an engine runs in this namespace, or has left rules with which it will come back. */
function engineHere(): boolean {
  const { socket, rules } = enginePaths();
  return existsSync(socket) || existsSync(rules);
}

type PlaneName = DataPlane["name"];

/**
 * The planes that are taken where none has rules, in this order, the first that works here. The one line to change for another
 * default.
 */
const ORDER: readonly PlaneName[] = ["kernel", "engine"];

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
  const { directory } = enginePaths();
  if (!existsSync(directory) || !readdirSync(directory).some((name) => /^ebpf-\d+\.rules$/.test(name)))
    return false;
  return (await import("./ebpf/ebpf.ts")).hasRules();
}

async function works(name: PlaneName): Promise<boolean> {
  if (name === "kernel") return kernelPresent();
  if (name === "ebpf") return (await import("./ebpf/ebpf.ts")).report().works;
  return true;
}

/** The plane for who names none: the one that has rules in this network namespace, else the first of {@link ORDER} that works. */
export async function defaultPlane(): Promise<PlaneName> {
  if (engineHere()) return "engine";
  if (await ebpfHasRules()) return "ebpf";
  if (kernelHasRules()) return "kernel";
  for (const name of ORDER) if (await works(name)) return name;
  return "engine";
}

/**
 * The plane of this process's network namespace. Nothing is started before the first change.
 * @throws UnsupportedError for a plane that cannot be had, TableError EPERM for who is not root
 */
export async function openPlane(choice: PlaneChoice = {}): Promise<DataPlane> {
  const name = choice.plane || process.env["LVSD_PLANE"] || (await defaultPlane());
  if (name === "engine") return engineClient({ start: choice.start ?? true });
  // A file of its own in dist/: the foreign functions it needs cost start-up time.
  if (name === "kernel") return (await import("./kernel/kernel.ts")).kernelPlane();
  if (name === "ebpf") return (await import("./ebpf/ebpf.ts")).ebpfPlane();
  throw new UnsupportedError(`there is no plane "${name}": the planes are engine, kernel and ebpf`);
}
