/**
 * ldirectord's monitor files: a line for every check result of a service.
 * @module
 */
import { appendFileSync } from "node:fs";
import type { CheckSpec, Verdict } from "../checks/check.ts";
import type { RealServerSpec } from "../wanted.ts";

/** The text of a result on one line: `-` when there is none to tell. */
export const escapeResult = (text: string): string =>
  text.replace(/[%|\r\n]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`) || "-";

/** Colon runs become one blank, backslashes go. */
const identity = (id: string): string => id.replace(/\\/g, "").replace(/:+/g, " ");

/**
 * A line without its end; undefined for results that are not written: of on, off and external-perl, and of failed pings.
 * @param date as ctime(3) writes it
 */
export function monitorLine(
  server: RealServerSpec,
  spec: CheckSpec,
  verdict: Verdict,
  date: string,
  pid: number,
): string | undefined {
  const id = server.monitorId ?? "";
  if (/^(on|off|external-perl):/.test(id)) return undefined;
  if (spec.kind === "maintenance" && verdict.ok) return undefined;
  if (id.startsWith("ping:") && !verdict.ok && spec.kind !== "maintenance") return undefined;
  const quiet = !["http", "dns", "ldap"].includes(spec.kind);
  const detail = spec.kind === "maintenance" ? "Server in maintenance" : quiet ? "-" : verdict.detail;
  return `[${date}] [${pid}] ${identity(id)} [${verdict.ok ? "up" : "down"}] ${escapeResult(detail)}`;
}

/** Appends a line; a file that cannot be written any more is no reason to stop. */
export function appendMonitorLine(path: string, line: string): void {
  try {
    appendFileSync(path, `${line}\n`);
  } catch {
    // It could be opened when the configuration was read; it may have gone with its disk.
  }
}
