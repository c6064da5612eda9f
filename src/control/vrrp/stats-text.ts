/**
 * The text of keepalived's statistics file (`kill -USR2`).
 * @module
 */
import type { VrrpStats } from "./messages.ts";

/** One block an instance, as keepalived 2.2.7 writes them. */
export function formatStats(stats: readonly VrrpStats[]): string {
  return stats
    .map((s) =>
      [
        `VRRP Instance: ${s.name}`,
        "  Advertisements:",
        `    Received: ${s.advertsReceived}`,
        `    Sent: ${s.advertsSent}`,
        `  Became master: ${s.becameMaster}`,
        `  Released master: ${s.releasedMaster}`,
        "  Packet Errors:",
        `    Length: ${s.lengthErrors}`,
        `    TTL: ${s.ttlErrors}`,
        `    Invalid Type: ${s.invalidTypes}`,
        `    Advertisement Interval: ${s.intervalErrors}`,
        `    Address List: ${s.addressListErrors}`,
        "  Authentication Errors:",
        `    Invalid Type: ${s.invalidAuthTypes}`,
        `    Type Mismatch: ${s.authTypeMismatches}`,
        `    Failure: ${s.authFailures}`,
        "  Priority Zero:",
        `    Received: ${s.priorityZeroReceived}`,
        `    Sent: ${s.priorityZeroSent}`,
        "",
      ].join("\n"),
    )
    .join("");
}
