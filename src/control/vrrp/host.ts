/**
 * What the driver of VRRP needs of a machine. `linux-host.ts` is the real one; tests have a small one.
 * @module
 */
import type { Packet } from "./receive.ts";
import type { RouteSpec } from "./spec.ts";

/** An interface as the driver sees it. */
export interface HostInterface {
  readonly index: number;
  readonly up: boolean;
  readonly mtu: number;
  /** Like "02:00:00:00:00:01", or "". */
  readonly mac: string;
  readonly addresses: readonly HostAddress[];
}

export interface HostAddress {
  readonly family: 4 | 6;
  /** Canonical text. */
  readonly address: string;
  readonly prefix: number;
  readonly scope: number;
  /** IPv4: not the first of its network. IPv6: temporary. */
  readonly secondary: boolean;
  /** Set by this program, now or before it was started again. */
  readonly ours: boolean;
}

/** An address to set, with every word of ip-address(8) resolved. */
export interface AddressToSet {
  readonly device: string;
  readonly address: string;
  readonly prefix: number;
  readonly scope: number;
  readonly broadcast?: string;
  readonly peer?: string;
  readonly label?: string;
  readonly flags: readonly string[];
  readonly preferredLifetimeS?: number;
}

/** Where to receive: one socket each. */
export interface Listening {
  readonly interface: string;
  readonly family: 4 | 6;
  /** IP protocol: 112, or 51. */
  readonly protocol: number;
  /** Multicast groups to join. */
  readonly groups: readonly string[];
}

/** The machine. Failures of what may fail are thrown with a sentence, unless another way is told. */
export interface VrrpHost {
  /** Milliseconds that go on while the machine sleeps. */
  now(): number;
  /** Milliseconds since 1970. */
  wallClock(): number;
  /** Calls back once after `delayMs`; the former timer is forgotten. */
  wakeIn(delayMs: number): void;
  /** Interfaces by name, read afresh. */
  interfaces(): ReadonlyMap<string, HostInterface>;
  /** Source address the kernel would choose towards a peer. */
  sourceTowards(peer: string): string | undefined;
  addAddress(address: AddressToSet): void;
  removeAddress(address: AddressToSet): void;
  /** Adds routes and rules, or removes those that were added, one after another; failures are logged. */
  addRoutes(owner: string, routes: readonly RouteSpec[], rules: readonly RouteSpec[]): void;
  removeRoutes(owner: string): void;
  /** Makes sockets be as wanted; keeps those that are. */
  listen(wanted: readonly Listening[]): void;
  /** Takes a packet that has been received, from one socket after the other; undefined when all are empty. */
  receive(): { readonly interface: string; readonly packet: Packet } | undefined;
  /** Sends an IP packet; what is wrong, or undefined. `device` "": by routing. */
  send(family: 4 | 6, device: string, packet: Uint8Array, destination: string): string | undefined;
  /** Announces an address on a device by ARP or neighbour advertisement. */
  announce(device: string, address: string): void;
  /** The interface with a virtual MAC, made if there is none. Its name. */
  virtualInterface(name: string, over: string, mac: string): void;
  removeVirtualInterface(name: string): void;
  /** When a primary address goes, one of its secondary ones takes its place instead of going too (sysctl); undone at the end. */
  promoteSecondaries(device: string): void;
  /** Drops packets to these addresses, and no others of ours. */
  refusePackets(addresses: readonly string[]): void;
}
