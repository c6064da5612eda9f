/**
 * Which network interfaces this machine has, for checks of configurations.
 * @module
 */
import { readFileSync } from "node:fs";

/** The interfaces of this network namespace, as they are now. */
export function machineInterfaces(): ReadonlySet<string> {
  // /proc/net follows the namespace; /sys/class/net is the namespace's in which it was mounted.
  const lines = readFileSync("/proc/net/dev", "utf8").split("\n").slice(2);
  return new Set(lines.flatMap((line) => line.match(/^\s*([^:\s]+):/)?.[1] ?? []));
}
