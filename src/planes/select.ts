/**
 * Which data plane a command works on.
 * @module
 */
import { UnsupportedError } from "../core/errors.ts";
import { engineClient } from "./engine/client.ts";
import type { DataPlane } from "./plane.ts";

/** Options of {@link openPlane}. */
export interface PlaneChoice {
  /** Name of the plane. @default `LVSD_PLANE`, else the best one that works */
  readonly plane?: string | undefined;
  /** Whether a change may start what the plane needs (the engine process). @default true */
  readonly start?: boolean | undefined;
}

/**
 * The plane of this process's network namespace. Nothing is started before the first change.
 * @throws UnsupportedError for a plane that cannot be had, TableError EPERM for who is not root
 */
export async function openPlane(choice: PlaneChoice = {}): Promise<DataPlane> {
  const name = choice.plane || process.env["LVSD_PLANE"] || "engine";
  if (name === "engine") return engineClient({ start: choice.start ?? true });
  if (name === "kernel" || name === "ebpf")
    throw new UnsupportedError(`the ${name} plane is not there yet; LVSD_PLANE=engine works`);
  throw new UnsupportedError(`there is no plane "${name}": the planes are engine, kernel and ebpf`);
}
