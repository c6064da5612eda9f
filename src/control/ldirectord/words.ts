/**
 * What ldirectord logs and mails about servers: its sentences, made of the supervisor's events.
 * @module
 */
import type { ServiceId } from "../../core/service.ts";
import type { HealthEvent } from "../supervision.ts";
import type { VirtualServerSpec } from "../wanted.ts";

/** A sentence, and whether it is worth a mail. */
export interface Sentence {
  readonly text: string;
  readonly mail: boolean;
}

const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** `10.0.0.1:80` of a service; a mark as its number. */
export const serviceText = (id: ServiceId): string =>
  id.kind === "fwmark" ? String(id.fwmark) : `${bracketed(id.address)}:${id.port}`;

/** `tcp:10.0.0.1:80`, `fwm:7`, `fwm6:7`. */
export const serviceId = (id: ServiceId): string =>
  id.kind === "fwmark"
    ? `fwm${id.family === 6 ? "6" : ""}:${id.fwmark}`
    : `${id.protocol}:${serviceText(id)}`;

/** `10.0.0.11:80` out of a server's name `[10.0.0.11]:tcp:80`. */
export function serverText(name: string): string {
  const match = /^\[(.+)\]:(?:\w+:)?(\d+)$/.exec(name);
  return match === null ? name : `${bracketed(match[1]!)}:${match[2]}`;
}

const said = (text: string, mail = true): Sentence => ({ text, mail });

/**
 * What ldirectord says of an event; undefined where it has no words.
 * @param service the virtual server that the event names
 */
export function sentenceOf(event: HealthEvent, service: VirtualServerSpec | undefined): Sentence | undefined {
  const id = service?.ids[0];
  if (id === undefined) return undefined;
  const v = serviceText(id);
  const server = event.server === undefined ? "" : serverText(event.server);
  const set = `(${v}) (Weight set to ${event.weight ?? 0})`;
  switch (event.kind) {
    case "service-added":
      return said(`Added virtual server: ${v}`, false);
    case "service-edited":
      return said(`Changed virtual server: ${v}`, false);
    case "service-removed":
      return said(`Purged virtual server (start): ${v}`, false);
    case "service-stopped":
      return said(`Purged virtual server (stop): ${v}`, false);
    case "server-stopped":
      return said(`Purged real server (stop): ${server} (${v})`);
    case "server-removed":
      return said(`Purged real server (start): ${server} (${v})`);
    case "server-up":
      if (event.table === "enabled") return said(`Restored real server: ${server} ${set}`);
      return event.table === "added" ? said(`Added real server: ${server} ${set}`) : undefined;
    case "server-down":
      if (event.table === "disabled")
        return said(`Quiescent real server: ${server} (${v}) (Weight set to 0)`);
      return event.table === "removed" ? said(`Deleted real server: ${server} (${v})`) : undefined;
    case "weight-changed":
      return said(`Restored real server: ${server} ${set}`);
    case "sorry-in":
      return said(`Added fallback server: ${server} (${v}) (Weight set to 1)`);
    case "sorry-out":
      return said(`Deleted fallback server: ${server} (${v})`);
    case "check-failure": {
      const { count, limit } = event.failures ?? { count: 1, limit: 1 };
      return said(`Soft failure real server: ${server} (${serviceId(id)}) failure ${count}/${limit}`, false);
    }
    case "refused":
      return said(event.words || event.reason, false);
    default:
      return undefined;
  }
}

/** Kinds of events for which ldirectord has words of its own, or of which it says nothing. */
export const WORDED: ReadonlySet<string> = new Set<HealthEvent["kind"]>([
  "service-added",
  "service-edited",
  "service-removed",
  "service-stopped",
  "server-added",
  "server-edited",
  "server-removed",
  "server-stopped",
  "server-up",
  "server-down",
  "weight-changed",
  "sorry-in",
  "sorry-out",
  "check-failure",
  "check-failed",
  "check-ok",
  "check-activated",
  "check-suspended",
  "quorum-gained",
  "quorum-lost",
  "pool-in",
  "pool-out",
  "refused",
]);
