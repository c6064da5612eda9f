/**
 * Which data plane a command works on.
 * @module
 */
import { existsSync } from "node:fs";
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

/**
 * The plane for who names none: the engine where one runs in this network namespace, else the kernel's ip_vs where it is loaded,
 * else the engine. Looks for files only.
 */
export function defaultPlane(): "kernel" | "engine" {
  return kernelPresent() && !engineHere() ? "kernel" : "engine";
}

/**
 * The plane of this process's network namespace. Nothing is started before the first change.
 * @throws UnsupportedError for a plane that cannot be had, TableError EPERM for who is not root
 */
export async function openPlane(choice: PlaneChoice = {}): Promise<DataPlane> {
  const name = choice.plane || process.env["LVSD_PLANE"] || defaultPlane();
  if (name === "engine") return engineClient({ start: choice.start ?? true });
  // A file of its own in dist/: the foreign functions it needs cost start-up time.
  if (name === "kernel") return (await import("./kernel/kernel.ts")).kernelPlane();
  if (name === "ebpf") throw new UnsupportedError("the ebpf plane is not there yet; LVSD_PLANE=engine works");
  throw new UnsupportedError(`there is no plane "${name}": the planes are engine, kernel and ebpf`);
}
