/**
 * `lvsd status`: virtual servers, real servers and VRRP as they stand, as tables or JSON.
 * @module
 */
import Table from "cli-table3";
import type { ServerStatus, Status, VirtualServerStatus } from "../../../control/supervision.ts";
import type { VrrpStatus } from "../../../control/vrrp/messages.ts";
import { ask, NoDaemonError } from "../../daemon/control-client.ts";
import type { DaemonStatus, SyncReport } from "../../daemon/protocol.ts";
import { age, short } from "./age.ts";
import { print, type SocketOption, socketOf } from "./daemon-socket.ts";
import { describeSync } from "./sync-words.ts";

/** Columns with blanks between them, no lines: it can be cut and searched. */
const PLAIN = {
  chars: {
    top: "",
    "top-mid": "",
    "top-left": "",
    "top-right": "",
    bottom: "",
    "bottom-mid": "",
    "bottom-left": "",
    "bottom-right": "",
    left: "",
    "left-mid": "",
    mid: "",
    "mid-mid": "",
    right: "",
    "right-mid": "",
    middle: "  ",
  },
  style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
};

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const t = new Table({ ...PLAIN, head: [...head] });
  for (const row of rows) t.push(row.map(String));
  return t
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}

/** What a server's row says in the column "state". */
function stateOf(server: ServerStatus): string {
  const health = server.up ? "up" : "DOWN";
  if (!server.hold) return server.checks.length === 0 ? "up (no check)" : health;
  return server.hold.kind === "drain" ? `${health}, drained` : `${health}, held`;
}

/** Why it is up or down: what its checks last found, once they have. */
function whyOf({ up, reason, checks }: ServerStatus): string {
  const found = checks.filter(({ state }) => state === (up ? "ok" : "failed"));
  if (found.length === 0) return reason;
  return found
    .map(({ kind, detail, latencyMs }) => {
      const took =
        latencyMs === undefined
          ? ""
          : ` in ${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms`;
      return `${kind}: ${detail}${took}`;
    })
    .join("; ");
}

const rates = ({ stats }: VirtualServerStatus | ServerStatus): string =>
  `${short(stats.cps)}/s ${short(stats.inPps + stats.outPps)}pps ${short(8 * (stats.inBps + stats.outBps))}b/s`;

function serverRows(service: VirtualServerStatus, now: number): (string | number)[][] {
  const rows = service.servers.map((server) => [
    `  ${server.name}`,
    stateOf(server),
    age(now - server.since),
    server.tableWeight === undefined ? "-" : server.tableWeight,
    server.method,
    server.connections.active,
    server.connections.inactive,
    rates(server),
    whyOf(server),
  ]);
  if (service.sorry) {
    const { sorry } = service;
    const state = sorry.serving ? "SERVING" : "waits";
    const counts = [sorry.active ?? 0, sorry.inactive ?? 0];
    rows.push([`  ${sorry.name}`, `sorry: ${state}`, "", sorry.serving ? 1 : "-", "", ...counts, "", ""]);
  }
  for (const leaving of service.leavingServers) {
    const { active, inactive } = leaving.connections;
    const reason = `removed; until ${age(leaving.until - now)} from now for its connections`;
    rows.push([
      `  ${leaving.name}`,
      "leaving",
      age(now - leaving.since),
      0,
      "",
      active,
      inactive,
      "",
      reason,
    ]);
  }
  return rows;
}

function serviceRow(service: VirtualServerStatus, now: number): (string | number)[] {
  const { needed, weight } = service.quorum;
  const words = [
    `quorum ${weight}/${needed}`,
    ...(service.suspended ? ["checks rest: the VIP is not here"] : []),
    ...(service.leaving ? ["removed: finishes its connections"] : []),
    ...(service.foreign.length > 0 ? [`${service.foreign.length} servers that are not ours`] : []),
  ];
  return [
    service.name,
    service.up ? "up" : "DOWN",
    age(now - service.since),
    "",
    service.service.scheduler,
    service.connections.active,
    service.connections.inactive,
    rates(service),
    words.join("; "),
  ];
}

/** The lines about virtual servers. */
export function balancingLines(lvs: Status, now: number): string[] {
  const head = ["server", "state", "since", "weight", "method", "active", "inact", "rates", "why"];
  const rows = lvs.virtualServers.flatMap((service) => [
    serviceRow(service, now),
    ...serverRows(service, now),
  ]);
  const { distinct, entries, running } = lvs.probes;
  return [
    ...table(head, rows),
    "",
    `plane ${lvs.plane}; ${distinct} probes for ${entries} checks, ${running} running now`,
    ...(lvs.pendingWrites > 0 ? [`${lvs.pendingWrites} changes wait for the plane`] : []),
    ...(lvs.trouble ? [`the plane refuses: ${lvs.trouble}`] : []),
  ];
}

/** The lines about VRRP. */
export function vrrpLines(vrrp: VrrpStatus, now: number): string[] {
  const head = ["instance", "state", "since", "priority", "master", "addresses", "why"];
  const rows = vrrp.instances.map((i) => [
    `${i.name}${i.group ? ` (${i.group})` : ""}`,
    i.state === "master" ? "MASTER" : i.state,
    age(now - i.sinceMs),
    i.priority === i.basePriority ? i.priority : `${i.priority} (of ${i.basePriority})`,
    i.master ? `${i.master}${i.masterPriority === undefined ? "" : ` ${i.masterPriority}`}` : "-",
    i.addresses.join(" "),
    [...new Set([i.reason, ...i.faults, ...i.waitingFor.map((name) => `waits for ${name}`)])].join("; "),
  ]);
  return [
    ...table(head, rows),
    "",
    `real-time priority ${vrrp.realtimePriority}; the latest advert was ${Math.round(vrrp.worstLateMs)} ms late`,
  ];
}

/** The lines about connection sync. */
export function syncLines(sync: SyncReport): string[] {
  const { role, instance } = sync;
  const follows = instance === undefined ? "" : `, follows ${instance}`;
  return [
    `connection sync: ${role} on ${sync.interface}, id ${sync.syncId}${follows}`,
    ...describeSync(sync, role !== "master").map((line) => `  ${line}`),
    ...(sync.trouble ? [`  ${sync.trouble}`] : []),
  ];
}

/** All lines. */
export function show(status: DaemonStatus, now: number): string[] {
  const { load } = status;
  const files = status.files.length > 0 ? ` with ${status.files.join(", ")}` : "";
  const lines = [
    `lvsd ${status.version} ${status.state}, process ${status.pid}, for ${age(now - status.startedAt)}${files}`,
    `configuration ${age(now - load.at)} ago: ${load.text}${load.errors + load.warnings > 0 ? ` (${load.errors} errors, ${load.warnings} warnings; "lvsd check" shows them)` : ""}`,
  ];
  if (status.scripts > 0) lines.push(`${status.scripts} scripts run or wait`);
  if (status.lvs) lines.push("", ...balancingLines(status.lvs, now));
  if (status.vrrp) lines.push("", ...vrrpLines(status.vrrp, now));
  if (status.vrrpTrouble) lines.push("", `VRRP: ${status.vrrpTrouble}`);
  if (status.sync) lines.push("", ...syncLines(status.sync));
  return lines;
}

/** Prints it. Without a daemon, what sync daemons do that were started by hand. */
export async function status(options: SocketOption & { readonly json?: true }): Promise<number> {
  const now = await ask<DaemonStatus>(socketOf(options), "status").catch(async (error: Error) => {
    if (error instanceof NoDaemonError && !options.json) {
      const { statusLines } = await import("./sync.ts");
      for (const line of await statusLines().catch(() => [])) print(line);
    }
    throw error;
  });
  print(options.json ? JSON.stringify(now, null, 2) : show(now, Date.now()).join("\n"));
  return 0;
}
