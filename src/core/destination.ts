/**
 * Real servers ("destinations"): what names one inside its service, what is wanted, what a plane reports.
 * @module
 */
import type { Counters, Family } from "./service.ts";

/** What names a destination inside its service. */
export interface DestinationId {
  readonly family: Family;
  /** RIP, canonical text. */
  readonly address: string;
  /** 0..65535. */
  readonly port: number;
}

/**
 * Forwarding method. "local" and "bypass" can be stored through the control interface as in the kernel; connections to a RIP
 * that is an address of the director are delivered locally whatever the method.
 */
export type ForwardingMethod = "nat" | "local" | "tun" | "dr" | "bypass" | "fullnat";

/** Method numbers of `include/uapi/linux/ip_vs.h` (`IP_VS_CONN_F_MASQ` ...), 5 for full-NAT as DPVS has it. */
export const METHOD_NUMBER = {
  nat: 0,
  local: 1,
  tun: 2,
  dr: 3,
  bypass: 4,
  fullnat: 5,
} as const satisfies Record<ForwardingMethod, number>;

/** Encapsulation of a "tun" destination. Meaningless, and "ipip", for other methods. */
export interface Tunnel {
  readonly type: "ipip" | "gue" | "gre";
  /** UDP port of GUE, 1..65535; 0 for the others. */
  readonly port: number;
  readonly checksum: "none" | "csum" | "remcsum";
}

/** The default: IPIP. */
export const IPIP: Tunnel = { type: "ipip", port: 0, checksum: "none" };

/** What is wanted of a destination. */
export interface DestinationSpec extends DestinationId {
  readonly method: ForwardingMethod;
  /** 0..2147483647; 0 quiesces: no new connections, live ones go on. */
  readonly weight: number;
  /** Connections at which the destination is overloaded, 0 = never. */
  readonly upper: number;
  /** Connections below which it is no longer overloaded, 0 = three quarters of `upper`. */
  readonly lower: number;
  readonly tunnel: Tunnel;
}

/** What a plane reports about a destination. */
export interface DestinationStatus {
  readonly spec: DestinationSpec;
  readonly stats: Counters;
  readonly active: number;
  readonly inactive: number;
  /** Live persistence templates. */
  readonly persistent: number;
}

/** A text that is equal exactly for equal ids: `10.0.0.11:80`, `[2001:db8::11]:80`. */
export function destinationKey(id: DestinationId): string {
  return id.family === 6 ? `[${id.address}]:${id.port}` : `${id.address}:${id.port}`;
}
