/**
 * Virtual services: what names one, what is wanted of it, what a plane reports about it.
 *
 * Addresses are text in canonical form (dotted quad; RFC 5952) so that specs are plain data: comparable, and JSON as they
 * stand. Planes turn them into bytes.
 * @module
 */
import type { DestinationStatus } from "./destination.ts";

/** Address family: 4 for IPv4, 6 for IPv6. */
export type Family = 4 | 6;

/** Transport protocols a virtual service can have. */
export type Protocol = "tcp" | "udp" | "sctp";

/** IP protocol numbers of the transports (IANA). */
export const PROTOCOL_NUMBER = { tcp: 6, udp: 17, sctp: 132 } as const satisfies Record<Protocol, number>;

/** What names a virtual service: protocol, VIP and port, or a firewall mark. */
export type ServiceId =
  | {
      readonly kind: "address";
      readonly family: Family;
      readonly protocol: Protocol;
      /** VIP, canonical text. */
      readonly address: string;
      /** 0..65535; 0 means every port (sensible only with persistence). */
      readonly port: number;
    }
  | {
      readonly kind: "fwmark";
      readonly family: Family;
      /** 1..4294967295. */
      readonly fwmark: number;
    };

/** Scheduler flag bits as ipvsadm numbers them: flag-1, flag-2, flag-3 (`IP_VS_SVC_F_SCHED1..3` shifted down by 3). */
export const SCHED_FLAG = { fallback: 1, port: 2, third: 4 } as const;

/** What is wanted of a virtual service. */
export interface ServiceSpec {
  readonly id: ServiceId;
  /** Scheduler name, at most 15 bytes; "none" schedules nothing. */
  readonly scheduler: string;
  /** Bits of {@link SCHED_FLAG}, 0..7. */
  readonly schedFlags: number;
  readonly persistent: boolean;
  /** Persistence timeout in seconds, 1..2678400; 0 when not persistent. */
  readonly timeoutS: number;
  /** Persistence granularity. IPv4: netmask as a u32 (0xffffff00 is /24). IPv6: prefix length 1..128. */
  readonly netmask: number;
  /** Persistence engine ("sip"), or "" for none. Kept even when not persistent. */
  readonly engine: string;
  /** One-packet scheduling: each UDP datagram is scheduled alone. */
  readonly onePacket: boolean;
  /**
   * Full-NAT local addresses (LIPs), canonical text; used by destinations whose method is "fullnat". Empty: the address that
   * routing chooses towards the real server.
   */
  readonly localAddresses?: readonly string[];
}

/** Counters as readers see them: a snapshot of every 2 s, less the baseline that "zero" stored. */
export interface Counters {
  /** Connections scheduled. */
  readonly conns: number;
  readonly inPackets: number;
  readonly outPackets: number;
  /** Bytes of IP packets, IP header included. */
  readonly inBytes: number;
  readonly outBytes: number;
  /** Estimated per second over the last slots. */
  readonly cps: number;
  readonly inPps: number;
  readonly outPps: number;
  /** Bytes (not bits) per second. */
  readonly inBps: number;
  readonly outBps: number;
}

/** All zero. */
export const NO_COUNTERS: Counters = {
  conns: 0,
  inPackets: 0,
  outPackets: 0,
  inBytes: 0,
  outBytes: 0,
  cps: 0,
  inPps: 0,
  outPps: 0,
  inBps: 0,
  outBps: 0,
};

/** What a plane reports about a virtual service. */
export interface ServiceStatus {
  readonly spec: ServiceSpec;
  readonly stats: Counters;
  /** Newest first, as the kernel keeps them. */
  readonly destinations: readonly DestinationStatus[];
}

/** Default netmask (one client a template): all bits. */
export const fullMask = (family: Family): number => (family === 4 ? 0xffffffff : 128);

/** A text that is equal exactly for equal ids: `tcp 10.0.0.1:80`, `fwmark 7 ipv6`. */
export function serviceKey(id: ServiceId): string {
  if (id.kind === "fwmark") return id.family === 6 ? `fwmark ${id.fwmark} ipv6` : `fwmark ${id.fwmark}`;
  const host = id.family === 6 ? `[${id.address}]` : id.address;
  return `${id.protocol} ${host}:${id.port}`;
}
