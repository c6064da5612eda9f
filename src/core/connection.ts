/**
 * One connection as readers of the connection table see it.
 * @module
 */
import type { ForwardingMethod } from "./destination.ts";
import type { Family } from "./service.ts";

/** A row of the connection table. */
export interface ConnectionStatus {
  readonly family: Family;
  /** "ip" for the templates of fwmark services. */
  readonly protocol: "tcp" | "udp" | "sctp" | "ip";
  /** State name as ipvsadm prints it: ESTABLISHED, SYN_RECV, UDP, NONE, ASSURED ... */
  readonly state: string;
  /** Time to live in milliseconds, 0 or more. */
  readonly expiresMs: number;
  readonly client: string;
  readonly clientPort: number;
  readonly virtual: string;
  readonly virtualPort: number;
  /** Family of the destination, which differs from `family` for tunnels only. */
  readonly destinationFamily: Family;
  readonly destination: string;
  readonly destinationPort: number;
  /** Undefined where the plane cannot tell (the kernel's list of connections does not). */
  readonly method?: ForwardingMethod;
  /** Full-NAT: the address and port that the real server sees. */
  readonly local?: { readonly address: string; readonly port: number };
  /** Persistence engine and its data (SIP Call-ID). */
  readonly engine?: { readonly name: string; readonly data: string };
  readonly template: boolean;
  readonly fwmark: number;
  /** Packets seen from the client; undefined where the plane cannot tell. */
  readonly inPackets?: number;
}
