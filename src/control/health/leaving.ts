/**
 * When something that left the configuration may leave the table.
 * @module
 */
import { destinationKey } from "../../core/destination.ts";
import { type ServiceStatus, serviceKey } from "../../core/service.ts";
import type { VirtualServerEvent, VirtualServerHealth } from "./virtual-server.ts";

/**
 * Leaving servers and services that have finished their connections, or had their time.
 * @param found what the table holds of the virtual server's services, by their keys
 * @param now monotonic ms
 */
export function finished(
  v: VirtualServerHealth,
  found: ReadonlyMap<string, ServiceStatus>,
  now: number,
): VirtualServerEvent[] {
  const events: VirtualServerEvent[] = [];
  const entries = [...found.values()].flatMap((s) => s.destinations);
  for (const leaving of v.leaving) {
    const own = destinationKey(leaving.spec);
    const { quiet, connections } = look(entries.filter((d) => destinationKey(d.spec) === own));
    if (quiet) events.push({ kind: "left", leaving, why: "done", connections });
    else if (now >= leaving.until) events.push({ kind: "left", leaving, why: "limit", connections });
  }
  for (const leaving of v.leavingIds) {
    const { quiet, connections } = look(found.get(serviceKey(leaving.id))?.destinations ?? []);
    if (quiet) events.push({ kind: "service-left", leaving, why: "done", connections });
    else if (now >= leaving.until) events.push({ kind: "service-left", leaving, why: "limit", connections });
  }
  return events;
}

/** Quiet: nothing is open, and nothing new can come because the weight 0 has been written. */
function look(entries: ServiceStatus["destinations"]): { quiet: boolean; connections: number } {
  const connections = entries.reduce((n, d) => n + d.active + d.inactive, 0);
  return { quiet: connections === 0 && entries.every((d) => d.spec.weight === 0), connections };
}
