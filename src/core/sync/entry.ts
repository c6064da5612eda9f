/**
 * Connections of a table as entries of synchronisation messages.
 * @module
 */
import { ADDRESS_LEN } from "../../wire/address.ts";
import type { SyncEntry, SyncLocal, SyncSequence } from "../../wire/sync.ts";
import { type ConnectionTable, FLAG, type SequenceRecord } from "../connections.ts";
import { METHOD_NUMBER } from "../destination.ts";

/** A connection table as a master reads it. */
export type AnnouncedConnections = Pick<
  ConnectionTable,
  | "family"
  | "protocol"
  | "flags"
  | "state"
  | "clientPort"
  | "virtualPort"
  | "destinationPort"
  | "clientWord"
  | "virtualWord"
  | "destinationWord"
  | "localPort"
  | "localWord"
  | "sequenceDelta"
  | "serverIsn"
  | "fwmark"
  | "timeoutMs"
  | "rareData"
  | "parent"
  | "inPackets"
  | "countIn"
  | "scan"
>;

/** What a connection looks like to a backup. `flags` are the connection's, with bits for sequence data where there is some. */
export function entryOf(connections: AnnouncedConnections, c: number): SyncEntry {
  const family = connections.family(c);
  const rare = connections.rareData(c);
  const [inward, outward] = rare?.sequence ?? [undefined, undefined];
  let flags = connections.flags(c);
  if (inward) flags |= FLAG.inSeq;
  if (outward) flags |= FLAG.outSeq;
  const { engine } = rare ?? {};
  const words = (read: (c: number, i: number) => number): Uint8Array => {
    const bytes = new Uint8Array(ADDRESS_LEN[family]);
    const v = new DataView(bytes.buffer);
    for (let i = 0; i < bytes.length; i += 4) v.setInt32(i, read.call(connections, c, i >> 2));
    return bytes;
  };
  return {
    family,
    protocol: connections.protocol(c),
    flags,
    state: connections.state(c),
    clientPort: connections.clientPort(c),
    virtualPort: connections.virtualPort(c),
    destinationPort: connections.destinationPort(c),
    fwmark: connections.fwmark(c),
    timeoutS: Math.floor(connections.timeoutMs(c) / 1000),
    client: words(connections.clientWord),
    virtual: words(connections.virtualWord),
    destination: words(connections.destinationWord),
    sequence: inward || outward ? [numbers(inward), numbers(outward)] : undefined,
    engine: engine && { name: engine.name, data: latin1(engine.data) },
    local: hasLocalEnd(flags) ? localOf(connections, c, words(connections.localWord)) : undefined,
  };
}

/** Whether it is a full-NAT connection: a template of those has no local end. */
export const hasLocalEnd = (flags: number): boolean =>
  (flags & (FLAG.methodMask | FLAG.template)) === METHOD_NUMBER.fullnat;

const localOf = (connections: AnnouncedConnections, c: number, address: Uint8Array): SyncLocal => ({
  address,
  port: connections.localPort(c),
  shift: connections.sequenceDelta(c) >>> 0,
  serverIsn: connections.serverIsn(c),
});

const NOTHING: SyncSequence = { initial: 0, delta: 0, previousDelta: 0 };

const numbers = (r: SequenceRecord | undefined): SyncSequence =>
  r ? { initial: r.initial >>> 0, delta: r.delta >>> 0, previousDelta: r.previousDelta >>> 0 } : NOTHING;

/** Text of bytes 0..255, one a character. */
export const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (ch) => ch.charCodeAt(0));
