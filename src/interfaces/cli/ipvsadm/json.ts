/**
 * Listings as JSON: full numbers, unsigned marks, thresholds, tunnels and flags in one document.
 * @module
 */
import type { DestinationStatus } from "../../../core/destination.ts";
import type { ServiceStatus } from "../../../core/service.ts";
import type { PlaneInfo } from "../../../planes/plane.ts";
import { flagNames } from "./flags.ts";
import { maskText } from "./labels.ts";

/** One document, indented, with a line feed. */
export const jsonText = (document: unknown): string => `${JSON.stringify(document, null, 2)}\n`;

function destination({ spec, stats, active, inactive, persistent }: DestinationStatus): object {
  const { family, address, port, method, weight, upper, lower, tunnel } = spec;
  return {
    family,
    address,
    port,
    method,
    weight,
    upperThreshold: upper,
    lowerThreshold: lower,
    tunnel: method === "tun" ? tunnel : null,
    activeConnections: active,
    inactiveConnections: inactive,
    persistentConnections: persistent,
    stats,
  };
}

function service({ spec, stats, destinations }: ServiceStatus): object {
  const { id, scheduler, schedFlags, persistent, timeoutS, engine, onePacket, localAddresses } = spec;
  return {
    ...id,
    scheduler,
    schedFlags: schedFlags ? flagNames(schedFlags, scheduler).split(",").filter(Boolean) : [],
    persistence: persistent ? { timeoutS, netmask: maskText(spec) } : null,
    engine: engine || null,
    onePacket,
    localAddresses: localAddresses ?? [],
    stats,
    destinations: destinations.map(destination),
  };
}

/** The service table, or one service (then without `info`). */
export function tableJson(info: PlaneInfo | undefined, services: readonly ServiceStatus[]): string {
  const head = info && {
    version: `${info.version >> 16}.${(info.version >> 8) & 0xff}.${info.version & 0xff}`,
    tableSize: info.tableSize,
  };
  return jsonText({ ...head, services: services.map(service) });
}
