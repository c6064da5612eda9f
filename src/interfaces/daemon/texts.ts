/**
 * Words that several parts of the daemon use.
 * @module
 */
import type { Diagnostic } from "../../control/config/diagnostic.ts";
import type { HealthEvent } from "../../control/supervision.ts";

/** Who a daemon says it is in the log lines of start and stop, where scripts look for it. */
export interface Identity {
  readonly name: string;
  readonly version: string;
}

/** Ourselves. */
export const LVSD: Identity = { name: "lvsd", version: "0.1.0" };

/** The version of keepalived whose behaviour `keepalived` has. */
export const KEEPALIVED: Identity = { name: "Keepalived", version: "2.2.7" };

/** A diagnostic as one line of a log, whose own level says how bad it is. */
export function diagnosticLine(d: Diagnostic): string {
  const { file, line, column } = d.at;
  const remedy = d.remedy ? ` (${d.remedy})` : "";
  return `${file}:${line}:${column}: ${d.message}${remedy}`;
}

/** What happened where keepalived has no words for it: `service added: FWM 9, in the configuration`. */
export function plainWords({ kind, service, server, reason }: HealthEvent): string {
  const about = [...(server ? [server] : []), ...(service ? [service] : [])].join(" of ");
  return `${kind.replace(/-/g, " ")}${about && `: ${about}`}${reason && `${about ? ", " : ": "}${reason}`}`;
}
