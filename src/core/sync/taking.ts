/**
 * What a backup makes of an announced connection, whatever its table is: whether it may be taken, with which flags, on which server.
 * @module
 */
import type { SyncEntry } from "../../wire/sync.ts";
import { FLAG } from "../connections.ts";
import { METHOD_NUMBER } from "../destination.ts";
import { PROTO } from "../flow.ts";
import type { RealServer } from "../server.ts";
import { SCTP_STATE_NAMES } from "../states/sctp.ts";
import { TCP_STATE_NAMES } from "../states/tcp.ts";
import type { Table } from "../table.ts";
import { hasLocalEnd } from "./entry.ts";

/** Flags that a message may set. */
export const KEPT_FLAGS =
  FLAG.methodMask |
  FLAG.noOutput |
  FLAG.inactive |
  FLAG.outSeq |
  FLAG.inSeq |
  FLAG.noClientPort |
  FLAG.template;

/** Timeout of templates whose message tells none (version 0), ms. */
export const TEMPLATE_MS = 180_000;

/** The persistence engine that there is. */
const ENGINE = "sip";

/** Whether it can be one at all: protocol, state and flags, and what it needs beside. */
export function acceptable(entry: SyncEntry): boolean {
  const { flags, state, engine } = entry;
  if (flags & FLAG.onePacket) return false;
  if (engine && engine.name !== ENGINE) return false;
  if (hasLocalEnd(flags) ? !entry.local?.port : entry.local) return false;
  if (flags & FLAG.template) return !(flags & FLAG.noClientPort) && state <= 1;
  switch (entry.protocol) {
    case PROTO.tcp:
      return state < TCP_STATE_NAMES.length;
    case PROTO.sctp:
      return state < SCTP_STATE_NAMES.length;
    case PROTO.udp:
      return state === 0;
    default:
      return false;
  }
}

/** What of an entry, or of a connection that came of one, says where it belongs. */
export type Belonging = Pick<
  SyncEntry,
  "family" | "protocol" | "flags" | "fwmark" | "virtualPort" | "destinationPort"
>;

/** Whether an entry tells the end of a connection. */
export const isEnding = ({ flags, protocol }: SyncEntry): boolean =>
  (flags & FLAG.inactive) !== 0 && protocol !== PROTO.udp;

/**
 * The destination here that the master's stands for. `virtual` and `destination` are its addresses. A connection counts on its local end:
 * one that has none does not become one by full-NAT, nor the other way round.
 */
export function serverOf(
  table: Table,
  of: Belonging,
  virtual: Int32Array,
  destination: Int32Array,
): RealServer | undefined {
  const service = table.lookup(of.family, of.protocol, virtual, of.virtualPort, of.fwmark);
  if (!service) return undefined;
  const nat = (of.flags & FLAG.methodMask) === METHOD_NUMBER.nat;
  const first = of.fwmark !== 0 && !nat ? 0 : of.destinationPort;
  const at = (port: number): RealServer | undefined =>
    table.serverAt(of.family, destination, (d) => d.service === service && d.port === port);
  const found = at(first) ?? at(first ^ of.destinationPort);
  if (!found || of.flags & FLAG.template) return found;
  return (found.method === METHOD_NUMBER.fullnat) === hasLocalEnd(of.flags) ? found : undefined;
}
