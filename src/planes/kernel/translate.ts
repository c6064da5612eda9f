/**
 * Specs ⇄ what the kernel's ip_vs takes and reports. What ip_vs cannot do is refused here.
 * @module
 */
import type { DaemonSpec, DaemonStatus } from "../../core/daemon.ts";
import {
  type DestinationSpec,
  type DestinationStatus,
  type ForwardingMethod,
  IPIP,
  METHOD_NUMBER,
  type Tunnel,
} from "../../core/destination.ts";
import { UnsupportedError } from "../../core/errors.ts";
import {
  PROTOCOL_NUMBER,
  type Protocol,
  type ServiceId,
  type ServiceSpec,
  type ServiceStatus,
} from "../../core/service.ts";
import {
  DAEMON_STATE,
  type Daemon,
  type Destination,
  type DestinationReport,
  type Service,
  type ServiceReport,
  SVC_F,
  type ServiceId as WireServiceId,
} from "../../wire/ipvs.ts";

const PROTOCOL_OF = new Map<number, Protocol>([
  [PROTOCOL_NUMBER.tcp, "tcp"],
  [PROTOCOL_NUMBER.udp, "udp"],
  [PROTOCOL_NUMBER.sctp, "sctp"],
]);
const METHODS: readonly ForwardingMethod[] = ["nat", "local", "tun", "dr", "bypass"];
const TUNNELS = ["ipip", "gue", "gre"] as const satisfies readonly Tunnel["type"][];
const CHECKSUMS = ["none", "csum", "remcsum"] as const satisfies readonly Tunnel["checksum"][];

const cannot = (what: string): never => {
  throw new UnsupportedError(
    `the kernel's ip_vs has no ${what}; the engine plane does: set LVSD_PLANE=engine`,
  );
};

/** Refuses the settings of full-NAT, which lvsd has and ip_vs has not. @throws UnsupportedError */
export const noFullNat = (): never => cannot("full-NAT");

/** @returns the name as the kernel knows it */
export const toServiceId = (id: ServiceId): WireServiceId =>
  id.kind === "fwmark"
    ? { family: id.family, fwmark: id.fwmark, protocol: 0, address: "", port: 0 }
    : {
        family: id.family,
        fwmark: 0,
        protocol: PROTOCOL_NUMBER[id.protocol],
        address: id.address,
        port: id.port,
      };

/** @throws UnsupportedError for full-NAT local addresses */
export function toService(spec: ServiceSpec): Service {
  if (spec.localAddresses?.length) cannot("local addresses (full-NAT)");
  return {
    ...toServiceId(spec.id),
    scheduler: spec.scheduler,
    flags:
      (spec.persistent ? SVC_F.PERSISTENT : 0) |
      (spec.onePacket ? SVC_F.ONEPACKET : 0) |
      (spec.schedFlags << SVC_F.SCHED_SHIFT),
    timeoutS: spec.timeoutS,
    netmask: spec.netmask,
    engine: spec.engine,
  };
}

/** @throws UnsupportedError for full-NAT */
export function toDestination(spec: DestinationSpec): Destination {
  if (spec.method === "fullnat") noFullNat();
  const { type, port, checksum } = spec.method === "tun" ? spec.tunnel : IPIP;
  return {
    family: spec.family,
    address: spec.address,
    port: spec.port,
    method: METHOD_NUMBER[spec.method],
    weight: spec.weight,
    upper: spec.upper,
    lower: spec.lower,
    tunnelType: TUNNELS.indexOf(type),
    tunnelPort: port,
    tunnelFlags: CHECKSUMS.indexOf(checksum),
  };
}

/** The name of a reported service; undefined for a protocol that ip_vs stores but never serves. */
function idOf(s: ServiceReport): ServiceId | undefined {
  const { family, fwmark, address, port } = s;
  if (fwmark) return { kind: "fwmark", family, fwmark };
  const protocol = PROTOCOL_OF.get(s.protocol);
  return protocol && { kind: "address", family, protocol, address, port };
}

/**
 * A reported service; undefined for one of another protocol than TCP, UDP and SCTP, which other programs can make and to which
 * ip_vs never sends a packet.
 */
export function fromService(
  s: ServiceReport,
  destinations: readonly DestinationStatus[],
): ServiceStatus | undefined {
  const id = idOf(s);
  if (!id) return undefined;
  const spec: ServiceSpec = {
    id,
    scheduler: s.scheduler,
    schedFlags: (s.flags & SVC_F.SCHED_MASK) >> SVC_F.SCHED_SHIFT,
    persistent: (s.flags & SVC_F.PERSISTENT) !== 0,
    timeoutS: s.timeoutS,
    netmask: s.netmask,
    engine: s.engine,
    onePacket: (s.flags & SVC_F.ONEPACKET) !== 0,
  };
  return { spec, stats: s.stats, destinations };
}

/** A reported destination. */
export function fromDestination(d: DestinationReport): DestinationStatus {
  const method = METHODS[d.method] ?? "bypass";
  const tunnel: Tunnel =
    method === "tun"
      ? {
          type: TUNNELS[d.tunnelType] ?? "ipip",
          port: d.tunnelPort,
          checksum: CHECKSUMS[d.tunnelFlags] ?? "none",
        }
      : IPIP;
  const { family, address, port, weight, upper, lower } = d;
  return {
    spec: { family, address, port, method, weight, upper, lower, tunnel },
    stats: d.stats,
    active: d.active,
    inactive: d.inactive,
    persistent: d.persistent,
  };
}

/** @returns the daemon as the kernel takes it */
export const toDaemon = (spec: DaemonSpec): Daemon => ({ ...spec, state: DAEMON_STATE[spec.state] });

/** A reported daemon. */
export const fromDaemon = (d: Daemon): DaemonStatus => ({
  ...d,
  state: d.state === DAEMON_STATE.master ? "master" : "backup",
});
