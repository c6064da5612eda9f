/**
 * The table as command lines that `-R` reads back.
 * @module
 */
import type { DaemonStatus } from "../../../core/daemon.ts";
import type { DestinationSpec } from "../../../core/destination.ts";
import type { ServiceId, ServiceSpec, ServiceStatus } from "../../../core/service.ts";
import type { Timeouts } from "../../../core/timeouts.ts";
import { orderDaemons } from "./connections.ts";
import { flagNames, restorableFlags } from "./flags.ts";
import { hasMask, type Labels, maskText, protocolOf, signedMark } from "./labels.ts";

/** Options for the methods. "local" and "bypass" have none. */
const METHOD_OPTION = {
  nat: "-m",
  tun: "-i",
  dr: "-g",
  fullnat: "--fullnat",
  local: "-g",
  bypass: "-g",
} as const;
const SERVICE_OPTION = { tcp: "-t", udp: "-u", sctp: "--sctp-service" } as const;

/** @param full write marks and flags so that they can always be read back. */
function serviceOption(id: ServiceId, labels: Labels, full: boolean): string {
  if (id.kind === "address") {
    return `${SERVICE_OPTION[id.protocol]} ${labels.endpoint(id.address, id.port, id.protocol)}`;
  }
  return `-f ${full ? id.fwmark : signedMark(id.fwmark)}${id.family === 6 ? " -6" : ""}`;
}

function serviceLine(spec: ServiceSpec, labels: Labels, full: boolean): string {
  let line = `-A ${serviceOption(spec.id, labels, full)} -s ${spec.scheduler}`;
  if (spec.persistent) {
    line += ` -p ${spec.timeoutS}`;
    if (hasMask(spec)) line += ` -M ${maskText(spec)}`;
  }
  if (spec.engine) line += ` --pe ${spec.engine}`;
  if (spec.onePacket) line += " -o";
  if (spec.schedFlags) {
    line += ` -b ${full ? restorableFlags(spec.schedFlags) : flagNames(spec.schedFlags, spec.scheduler)}`;
  }
  if (spec.localAddresses?.length) line += ` --local-address ${spec.localAddresses.join(",")}`;
  return line;
}

function serverLine(id: ServiceId, spec: DestinationSpec, labels: Labels, full: boolean): string {
  const server = labels.endpoint(spec.address, spec.port, protocolOf(id));
  let line = `-a ${serviceOption(id, labels, full)} -r ${server} ${METHOD_OPTION[spec.method]} -w ${spec.weight}`;
  if (spec.method === "tun") {
    const { type, port, checksum } = spec.tunnel;
    line += ` --tun-type ${type}`;
    if (type === "gue") line += ` --tun-port ${port}`;
    if (type !== "ipip") line += ` --tun-${checksum === "none" ? "nocsum" : checksum}`;
  }
  if (full && (spec.upper || spec.lower)) line += ` -x ${spec.upper} -y ${spec.lower}`;
  return line;
}

/** Services and servers as they come. */
export function saveText(services: readonly ServiceStatus[], labels: Labels, full: boolean): string {
  let text = "";
  for (const { spec, destinations } of services) {
    text += `${serviceLine(spec, labels, full)}\n`;
    for (const d of destinations) text += `${serverLine(spec.id, d.spec, labels, full)}\n`;
  }
  return text;
}

/** Timeouts as a command line. */
export const saveTimeouts = (t: Timeouts): string => `--set ${t.tcp} ${t.tcpFin} ${t.udp}\n`;

/** Running daemons as command lines. */
export const saveDaemons = (daemons: readonly DaemonStatus[]): string =>
  orderDaemons(daemons)
    .map(
      (d) =>
        `--start-daemon ${d.state} --mcast-interface ${d.interface} --syncid ${d.syncId} --sync-maxlen ${d.maxLen} ` +
        `--mcast-group ${d.group} --mcast-port ${d.port} --mcast-ttl ${d.ttl}\n`,
    )
    .join("");
