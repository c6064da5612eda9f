/**
 * The service table as text, in its six layouts. Trailing blanks belong to it.
 * @module
 */
import type { DestinationStatus, ForwardingMethod, Tunnel } from "../../../core/destination.ts";
import type { Counters, ServiceStatus } from "../../../core/service.ts";
import type { PlaneInfo } from "../../../planes/plane.ts";
import type { Layout } from "./command.ts";
import { type Labels, protocolOf, schedulerText, signedMark } from "./labels.ts";

/** Words for the methods in the Forward column. */
const METHOD_WORD: Readonly<Record<ForwardingMethod, string>> = {
  nat: "Masq",
  local: "Local",
  tun: "Tunnel",
  dr: "Route",
  bypass: "Bypass",
  fullnat: "FullNat",
};

const SERVICE_TITLE = "Prot LocalAddress:Port";
const SERVER_TITLE = "  -> RemoteAddress:Port";

const left = (value: string | number, width: number): string => `${value}`.padEnd(width);
const right = (value: string | number, width: number): string => `${value}`.padStart(width);
const titles = (...words: string[]): string => words.map((w) => ` ${right(w, 8)}`).join("");

/** The two lines above the table. */
const TITLES: Readonly<Record<Layout, string>> = {
  plain: `${SERVICE_TITLE} Scheduler Flags\n${SERVER_TITLE}           Forward Weight ActiveConn InActConn`,
  "tun-info": `${SERVICE_TITLE} Scheduler Flags\n${SERVER_TITLE}           Forward TunnelInfo    Weight ActiveConn InActConn`,
  stats: `${left(SERVICE_TITLE, 33)}${titles("Conns", "InPkts", "OutPkts", "InBytes", "OutBytes")}\n${SERVER_TITLE}`,
  rate: `${left(SERVICE_TITLE, 33)}${titles("CPS", "InPPS", "OutPPS", "InBPS", "OutBPS")}\n${SERVER_TITLE}`,
  thresholds: `${left(SERVICE_TITLE, 33)} Uthreshold Lthreshold ActiveConn InActConn \n${SERVER_TITLE}`,
  "persistent-conn": `${left(SERVICE_TITLE, 33)} Weight    PersistConn ActiveConn InActConn \n${SERVER_TITLE}`,
};

/** A counter in nine columns: cut to K, M, G or T unless `exact`. */
export function counterText(n: number, exact: boolean): string {
  if (exact || n < 1e8) return ` ${right(n, 8)}`;
  const [unit, letter] = n < 1e9 ? [1e3, "K"] : n < 1e11 ? [1e6, "M"] : n < 1e14 ? [1e9, "G"] : [1e12, "T"];
  return `${right(Math.floor(n / (unit as number)), 8)}${letter}`;
}

const totals = (c: Counters, exact: boolean): string =>
  [c.conns, c.inPackets, c.outPackets, c.inBytes, c.outBytes].map((n) => counterText(n, exact)).join("");
const rates = (c: Counters, exact: boolean): string =>
  [c.cps, c.inPps, c.outPps, c.inBps, c.outBps].map((n) => counterText(n, exact)).join("");

/** Counters of a server. compat: all but the bytes are read as 32 bits and wrap. */
const serverTotals = (c: Counters, exact: boolean): string =>
  totals(
    {
      ...c,
      conns: c.conns % 2 ** 32,
      inPackets: c.inPackets % 2 ** 32,
      outPackets: c.outPackets % 2 ** 32,
    },
    exact,
  );
/** Rates of a server. compat: the first three are never scaled. */
const serverRates = (c: Counters, exact: boolean): string =>
  [c.cps, c.inPps, c.outPps].map((n) => ` ${right(n, 8)}`).join("") +
  [c.inBps, c.outBps].map((n) => counterText(n, exact)).join("");

/** compat: IPv4 texts are cut to their column, IPv6 ones push the rest to the right. */
const cut = (text: string, width: number, ipv6: boolean): string => (ipv6 ? text : text.slice(0, width));

function tunnelText(method: ForwardingMethod, tunnel: Tunnel): string {
  if (method !== "tun") return "n/a";
  if (tunnel.type === "ipip") return "ipip";
  const checksum = { none: "-c", csum: "+c", remcsum: "r+c" }[tunnel.checksum];
  return (tunnel.type === "gue" ? `gue:${tunnel.port}:${checksum}` : `gre:${checksum}`).slice(0, 15);
}

/** How the text of a table depends on the command line. */
export interface TableStyle {
  readonly layout: Layout;
  readonly exact: boolean;
  readonly labels: Labels;
}

/** First line of a whole table. */
export function versionLine(info: PlaneInfo): string {
  const { version, tableSize } = info;
  return `IP Virtual Server version ${version >> 16}.${(version >> 8) & 0xff}.${version & 0xff} (size=${tableSize})\n`;
}

function serviceLine(service: ServiceStatus, style: TableStyle): string {
  const { id } = service.spec;
  let name: string;
  if (id.kind === "fwmark") name = `FWM  ${signedMark(id.fwmark)}${id.family === 6 ? " IPv6" : ""}`;
  else {
    const where = style.labels.endpoint(id.address, id.port, id.protocol).slice(0, 59);
    name = cut(`${left(id.protocol.toUpperCase(), 4)} ${where}`, 33, id.family === 6);
  }
  if (style.layout === "stats") return left(name, 33) + totals(service.stats, style.exact);
  if (style.layout === "rate") return left(name, 33) + rates(service.stats, style.exact);
  return `${name} ${schedulerText(service.spec)}`;
}

function serverLine(service: ServiceStatus, server: DestinationStatus, style: TableStyle): string {
  const { spec, active, inactive, stats } = server;
  const where = style.labels.endpoint(spec.address, spec.port, protocolOf(service.spec.id)).slice(0, 59);
  const name = `  -> ${left(cut(where, 28, spec.family === 6), 28)}`;
  const conns = `${left(active, 10)} ${left(inactive, 10)}`;
  switch (style.layout) {
    case "plain":
      return `${name} ${left(METHOD_WORD[spec.method], 7)} ${left(spec.weight, 6)} ${conns}`;
    case "tun-info": {
      const tunnel = tunnelText(spec.method, spec.tunnel);
      return `${name} ${left(METHOD_WORD[spec.method], 7)} ${left(tunnel, 13)} ${left(spec.weight, 6)} ${conns}`;
    }
    case "stats":
      return name + serverTotals(stats, style.exact);
    case "rate":
      return name + serverRates(stats, style.exact);
    case "thresholds":
      return `${name} ${left(spec.upper, 10)} ${left(spec.lower, 10)} ${conns}`;
    case "persistent-conn":
      return `${name} ${left(spec.weight, 9)} ${left(server.persistent, 11)} ${conns}`;
  }
}

/** Titles, and the services as they come, each followed by its servers. */
export function tableText(services: readonly ServiceStatus[], style: TableStyle): string {
  const lines = [TITLES[style.layout]];
  for (const service of services) {
    lines.push(serviceLine(service, style));
    for (const server of service.destinations) lines.push(serverLine(service, server, style));
  }
  return `${lines.join("\n")}\n`;
}
