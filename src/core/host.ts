/**
 * What the director asks of the machine it runs on. The engine plane answers with the kernel's routing tables and raw
 * sockets, tests with a small simulated host.
 * @module
 */
import type { Packet } from "./packet.ts";
import type { Family } from "./service.ts";

/** An address as four 32-bit words in network order read big-endian; IPv4 uses the first word, the others are 0. */
export type Words = Int32Array;

/** The outcome of a route lookup. Treated as read-only and valid until the host changes its `routeEpoch`. */
export interface Route {
  /** The address is one of this host's own (or a local route covers it). */
  readonly local: boolean;
  /** Bytes of the largest IP packet on that path. */
  readonly mtu: number;
  /** The source address routing prefers towards it. */
  readonly source: Words;
}

/** How the machine regards an address. */
export type AddressKind = "local" | "unicast" | "broadcast" | "multicast" | "linklocal" | "unspecified";

/** The machine. Nothing here throws. */
export interface Host {
  /** Counts up whenever routes, addresses or links changed: cached routes are then looked up again. */
  readonly routeEpoch: number;
  /** The route to an address, or undefined when there is none. */
  route(family: Family, address: Words, mark: number): Route | undefined;
  /** What an address is to this host, for the checks on real server addresses. */
  addressKind(family: Family, address: Words): AddressKind;
  /**
   * Sends an IP packet as locally generated (through LOCAL_OUT), not looked at by the director again. `nextHop` chooses the
   * route and may differ from the packet's destination address (DR). The packet fits the route's MTU or is fragmented by the
   * host when it may be.
   */
  send(packet: Packet, nextHopFamily: Family, nextHop: Words): void;
  /** Lowest port ordinary users may bind (net.ipv4.ip_unprivileged_port_start), 1024 unless changed. */
  readonly unprivilegedPortStart: number;
  /** MTU of an interface by name, undefined when it does not exist. */
  interfaceMtu(name: string): number | undefined;
  /** Pages of memory available (free and buffers), for the automatic defence modes. */
  availablePages(): number;
}
