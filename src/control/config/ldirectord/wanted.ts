/**
 * An ldirectord.cf as wanted state: the model that keepalived.conf becomes too.
 * @module
 */
import { IPIP } from "../../../core/destination.ts";
import { fullMask, SCHED_FLAG, type ServiceId } from "../../../core/service.ts";
import { NO_VRRP } from "../../vrrp/spec.ts";
import type {
  GlobalSpec,
  MailSpec,
  RealServerSpec,
  SorryServerSpec,
  VirtualServerSpec,
  Wanted,
} from "../../wanted.ts";
import { checksOf, realId } from "./checks.ts";
import type { Facts } from "./facts.ts";
import {
  DAEMON_STATES,
  type Forward,
  type LdirectordFile,
  type RealSettings,
  type SharedSettings,
  type VirtualAddress,
  type VirtualSettings,
} from "./settings.ts";
import { Fault, type Source, wholeLine } from "./source.ts";

/** Where the log goes when the file does not say. */
export const DEFAULT_LOG = "/var/log/ldirectord.log";

const METHOD = { gate: "dr", masq: "nat", ipip: "tun" } as const satisfies Record<Forward, string>;

/** Names of scheduler flags (ipvsadm -b). */
const FLAGS: Readonly<Record<string, number>> = {
  "flag-1": SCHED_FLAG.fallback,
  "flag-2": SCHED_FLAG.port,
  "flag-3": SCHED_FLAG.third,
};
const OWN_FLAGS: readonly string[] = ["sh", "mh"];

/** As keepalived names services: one word a thing in logs and commands. */
export function serverName(id: VirtualAddress): string {
  if (id.kind === "fwmark") return `FWM ${id.fwmark}${id.family === 6 ? " IPv6" : ""}`;
  return `[${id.address}]:${id.protocol}:${id.port}`;
}

function flags(virtual: VirtualSettings, source: Source): number {
  let bits = 0;
  for (const name of (virtual.schedflags ?? "").split(",").filter(Boolean)) {
    const own = OWN_FLAGS.find(
      (scheduler) => name === `${scheduler}-fallback` || name === `${scheduler}-port`,
    );
    const bit =
      own === undefined ? FLAGS[name] : name.endsWith("-port") ? SCHED_FLAG.port : SCHED_FLAG.fallback;
    if (bit === undefined || (own !== undefined && own !== virtual.scheduler)) {
      const message =
        bit === undefined
          ? `schedflags: there is no flag "${name}"`
          : `schedflags: "${name}" does not belong to scheduler ${virtual.scheduler}`;
      const remedy = "known are flag-1 flag-2 flag-3, sh-fallback sh-port, mh-fallback mh-port";
      source.say(new Fault("bad-flag", message, { remedy }), wholeLine(source.lines[virtual.at.line - 1]!));
    } else bits |= bit;
  }
  return bits;
}

/** Direct routing and tunnels cannot change ports: the table has the service's. Marks keep what is given. */
export const tablePort = (id: VirtualAddress, forward: Forward, port: number): number =>
  id.kind === "address" && forward !== "masq" ? id.port : port;

function real(
  virtual: VirtualSettings,
  settings: RealSettings,
  file: LdirectordFile,
  source: Source,
  facts: Facts,
): RealServerSpec {
  const { id } = virtual;
  return {
    id: {
      family: id.family,
      address: settings.address,
      port: tablePort(id, settings.forward, settings.port),
    },
    method: METHOD[settings.forward],
    tunnel: IPIP,
    weight: settings.weight,
    upper: settings.upper,
    lower: settings.lower,
    inhibitOnFailure: virtual.quiescent,
    checks: checksOf({ file, virtual, real: settings, source, facts }),
    smtpAlert: false, // its mails have words of their own: control/ldirectord/mail.ts
    monitorId: realId(virtual, settings),
    at: settings.at,
  };
}

/** One entry in the table for one address and port: the last line counts. */
function distinct(servers: readonly RealServerSpec[], source: Source): RealServerSpec[] {
  const byKey = new Map<string, RealServerSpec>();
  for (const server of servers) {
    const key = `${server.id.address} ${server.id.port}`;
    const before = byKey.get(key);
    if (before !== undefined) {
      const message = `${server.id.address} port ${server.id.port} stands in this service already, at line ${before.at.line}: the last line counts`;
      source.say(
        new Fault("twice", message, { severity: "warning" }),
        wholeLine(source.lines[server.at.line - 1]!),
      );
    }
    byKey.set(key, server);
  }
  return [...byKey.values()];
}

function mail(settings: SharedSettings, from: string | undefined, facts: Facts): MailSpec | undefined {
  const to = (settings.emailalert ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean);
  if (to.length === 0) return undefined;
  return {
    to,
    from: from ?? `${facts.userName}@${facts.hostName}`,
    helo: facts.hostName,
    connectTimeoutS: 30,
    repeatS: settings.emailalertfreq ?? 0,
    states: settings.emailalertstatus ?? DAEMON_STATES,
    ...(settings.smtp !== undefined && { server: { host: settings.smtp, port: 25 } }),
  };
}

function virtualServer(
  virtual: VirtualSettings,
  file: LdirectordFile,
  source: Source,
  facts: Facts,
): VirtualServerSpec {
  const { id, fallback } = virtual;
  const service: ServiceId = id;
  const persistent = (virtual.persistent ?? 0) > 0;
  const sorry: SorryServerSpec | undefined = fallback && {
    id: {
      family: id.family,
      address: fallback.address,
      port: tablePort(id, fallback.forward, fallback.port),
    },
    method: METHOD[fallback.forward],
    tunnel: IPIP,
    inhibit: false,
  };
  const alert = mail(virtual, file.globals.emailalertfrom, facts);
  const servers = virtual.reals.map((settings) => real(virtual, settings, file, source, facts));
  return {
    name: serverName(id),
    ids: [service],
    service: {
      scheduler: virtual.scheduler,
      schedFlags: flags(virtual, source),
      persistent,
      timeoutS: persistent ? virtual.persistent! : 0,
      netmask: persistent && virtual.netmask !== undefined ? virtual.netmask : fullMask(id.family),
      engine: "",
      onePacket: virtual.ops && id.kind === "address" && id.protocol === "udp",
    },
    servers: distinct(servers, source),
    quorum: 1,
    hysteresis: 0,
    omega: false,
    haSuspend: false,
    keepOnStop: !virtual.cleanstop,
    smtpAlert: false,
    at: virtual.at,
    ...(sorry !== undefined && { sorry }),
    ...(virtual.fallbackcommand !== undefined && { fallbackCommand: virtual.fallbackcommand }),
    ...(alert !== undefined && { mail: alert }),
    ...(virtual.monitorfile !== undefined && { monitorFile: virtual.monitorfile }),
    ...(virtual.servicename && { label: virtual.servicename }),
    ...(virtual.comment && { comment: virtual.comment }),
  };
}

function globalSpec({ globals }: LdirectordFile, facts: Facts): GlobalSpec {
  const alert = mail(globals, globals.emailalertfrom, facts);
  return {
    routerId: facts.hostName,
    noCheckerEmails: false,
    noFaultEmails: false,
    flush: false,
    flushOnStop: "no",
    scriptSecurity: false,
    rsInitNotifies: false,
    logFile: globals.logfile ?? DEFAULT_LOG,
    autoReload: globals.autoreload ?? false,
    supervised: globals.supervised ?? false,
    execute: globals.execute,
    ...(alert !== undefined && { mail: alert }),
    ...(globals.maintenancedir !== undefined && { maintenanceDir: globals.maintenancedir }),
    ...(globals.callback !== undefined && { callback: globals.callback }),
  };
}

/** Remarks on settings that do nothing here, or something else than it seems. */
function remarks(file: LdirectordFile, source: Source): void {
  for (const virtual of file.virtuals) {
    const { id } = virtual;
    for (const server of [...virtual.reals, ...(virtual.fallback ? [virtual.fallback] : [])]) {
      const port = tablePort(id, server.forward, server.port);
      if (server.port === 0 || port === server.port) continue;
      const message = `${server.forward} cannot change ports: the server gets packets for port ${port}`;
      const remedy = `masq can, or let the server listen on port ${port}`;
      const fault = new Fault("port-mapped", message, { severity: "notice", remedy });
      const line = wholeLine(source.lines[server.at.line - 1]!);
      if (!source.diagnostics.some((d) => d.code === fault.code && d.at.line === line.line.number))
        source.say(fault, line);
    }
  }
}

/** Makes wanted state of a file; says what is wrong with it on the way. */
export function toWanted(file: LdirectordFile, source: Source, facts: Facts): Wanted {
  const virtualServers = file.virtuals.map((virtual) => virtualServer(virtual, file, source, facts));
  remarks(file, source);
  return {
    language: "ldirectord",
    files: [file.path],
    global: globalSpec(file, facts),
    virtualServers,
    vrrp: NO_VRRP,
  };
}
