/**
 * When something that left the configuration may leave the table.
 * @module
 */
import { type DestinationStatus, destinationKey } from "../../core/destination.ts";
import { type ServiceStatus, serviceKey } from "../../core/service.ts";
import type { Left, VirtualServerEvent, VirtualServerHealth } from "./virtual-server.ts";

/**
 * Leaving servers and services that have finished their connections, or had their time.
 * @param found what the table holds of the virtual server's services, by their keys
 * @param asked when that was asked for, monotonic ms: what began to leave later is not judged by it
 * @param now monotonic ms
 */
export function finished(
  v: VirtualServerHealth,
  found: ReadonlyMap<string, ServiceStatus>,
  asked: number,
  now: number,
): VirtualServerEvent[] {
  const events: VirtualServerEvent[] = [];
  const those = v.removed || v.leaving.size === 0 ? [] : leftServers(v, found, asked, now);
  if (those.length > 0) events.push({ kind: "left", those });
  for (const leaving of v.leavingIds) {
    if (leaving.since.now > asked) continue;
    const { quiet, connections } = look(found.get(serviceKey(leaving.id))?.destinations ?? []);
    if (quiet) events.push({ kind: "service-left", leaving, why: "done", connections });
    else if (now >= leaving.until) events.push({ kind: "service-left", leaving, why: "limit", connections });
  }
  return events;
}

function leftServers(
  v: VirtualServerHealth,
  found: ReadonlyMap<string, ServiceStatus>,
  asked: number,
  now: number,
): Left[] {
  const entries = new Map<string, DestinationStatus[]>();
  for (const { destinations } of found.values()) {
    for (const d of destinations) {
      const key = destinationKey(d.spec);
      if (!v.leaving.has(key)) continue;
      const same = entries.get(key);
      if (same) same.push(d);
      else entries.set(key, [d]);
    }
  }
  const those: Left[] = [];
  for (const [key, leaving] of v.leaving) {
    if (leaving.since.now > asked) continue;
    const { quiet, connections } = look(entries.get(key) ?? []);
    if (quiet) those.push({ leaving, why: "done", connections });
    else if (now >= leaving.until) those.push({ leaving, why: "limit", connections });
  }
  return those;
}

/** Quiet: nothing is open, and nothing new can come because the weight 0 has been written. */
function look(entries: ServiceStatus["destinations"]): { quiet: boolean; connections: number } {
  const connections = entries.reduce((n, d) => n + d.active + d.inactive, 0);
  return { quiet: connections === 0 && entries.every((d) => d.spec.weight === 0), connections };
}
