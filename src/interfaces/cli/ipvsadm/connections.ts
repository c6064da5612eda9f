/**
 * The connection table, the timeouts and the daemons as text.
 * @module
 */
import type { ConnectionStatus } from "../../../core/connection.ts";
import type { DaemonStatus } from "../../../core/daemon.ts";
import type { Timeouts } from "../../../core/timeouts.ts";
import type { Labels } from "./labels.ts";

const columns = (protocol: string, expire: string, state: string, client: string, virtual: string): string =>
  `${protocol.padEnd(3)} ${expire.padEnd(6)} ${state.padEnd(11)} ${client.padEnd(18)} ${virtual.padEnd(18)} `;

/** The two lines above the connections. compat: the title's server column is two wider than the lines'. */
export function connectionTitle(engineData: boolean): string {
  const title = columns("pro", "expire", "state", "source", "virtual");
  const rest = engineData ? `${"destination".padEnd(18)} ${"pe name".padEnd(16)} pe_data` : "destination";
  return `IPVS connection entries\n${title}${rest}\n`;
}

/** Minutes and seconds; minutes are not limited. */
function expiry(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

/** One connection. */
export function connectionLine(c: ConnectionStatus, labels: Labels, engineData: boolean): string {
  const protocol = c.protocol === "ip" ? undefined : c.protocol;
  const client = labels.endpoint(c.client, c.clientPort, protocol);
  const virtual = labels.endpoint(c.virtual, c.virtualPort, protocol);
  const server = labels.endpoint(c.destination, c.destinationPort, protocol);
  const start = columns(c.protocol.toUpperCase(), expiry(c.expiresMs), c.state, client, virtual);
  if (!engineData || !c.engine) return `${start}${server}\n`;
  return `${start}${server.padEnd(16)} ${c.engine.name.padEnd(18)} ${c.engine.data}\n`;
}

/** The line of `-L --timeout`. */
export const timeoutsText = (t: Timeouts): string =>
  `Timeout (tcp tcpfin udp): ${t.tcp} ${t.tcpFin} ${t.udp}\n`;

/** Master before backup. */
export const orderDaemons = (daemons: readonly DaemonStatus[]): DaemonStatus[] =>
  [...daemons].sort((a, b) => Number(a.state === "backup") - Number(b.state === "backup"));

/** The lines of `-L --daemon`. */
export const daemonsText = (daemons: readonly DaemonStatus[]): string =>
  orderDaemons(daemons)
    .map(
      (d) =>
        `${d.state} sync daemon (mcast=${d.interface}, syncid=${d.syncId}, maxlen=${d.maxLen}, ` +
        `group=${d.group}, port=${d.port}, ttl=${d.ttl})\n`,
    )
    .join("");
