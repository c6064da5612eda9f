/**
 * The connection table: the slots of the slab that are in use, read as memory.
 * @module
 */
import type { ConnectionStatus } from "../../core/connection.ts";
import { type ForwardingMethod, METHOD_NUMBER } from "../../core/destination.ts";
import { type Family, PROTOCOL_NUMBER } from "../../core/service.ts";
import { SCTP_STATE_NAMES } from "../../core/states/sctp.ts";
import { TCP_STATE_NAMES } from "../../core/states/tcp.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { getAddress } from "./encode.ts";
import { getEnd } from "./ends.ts";
import { CALL, CONFIG, CONN, CONN_FLAG, CONN_MARK, CTL, LIMIT, PHASE, STATE, TEST } from "./layout.ts";
import { Maps } from "./maps.ts";

/** Slots that are copied and looked at in one go. */
const BATCH = 4096;
/** State of a template one of whose connections was seen complete, and of a connection that is one. */
const ASSURED = 1;
const NS_PER_MS = 1_000_000;

const METHODS = Object.fromEntries(
  Object.entries(METHOD_NUMBER).map(([name, number]) => [number, name]),
) as Record<number, ForwardingMethod>;
const PROTOCOLS: Record<number, ConnectionStatus["protocol"]> = {
  0: "ip",
  [PROTOCOL_NUMBER.tcp]: "tcp",
  [PROTOCOL_NUMBER.udp]: "udp",
  [PROTOCOL_NUMBER.sctp]: "sctp",
};

/** Now as the BPF programs reckon it, ns. */
export function bpfNow(maps: Maps): number {
  const { view } = maps.array("config");
  if (view.getUint32(CONFIG.at.test, LITTLE_ENDIAN) & TEST.clock)
    return Number(view.getBigUint64(CONFIG.at.test_now_ns, LITTLE_ENDIAN));
  return Number(process.hrtime.bigint());
}

/** The maps that {@link readConnections} reads; they hold what they hold, whatever becomes of their pins. @param pins folder of them */
export function openConnections(pins: string): Maps {
  const maps = new Maps(`${pins}/maps`);
  try {
    for (const name of ["slab", "state", "config", "call_ids"] as const) maps.map(name);
    return maps;
  } catch (error) {
    maps.close();
    throw error;
  }
}

/** Every connection, oldest slot first, in pieces; memory does not grow with their number. */
export function* readConnections(maps: Maps): Generator<ConnectionStatus[]> {
  const slab = maps.array("slab");
  const used = maps.array("state").view.getUint32(STATE.at.fresh, LITTLE_ENDIAN);
  const end = Math.min(used, maps.map("slab").info.maxEntries);
  for (let from = 1; from < end; from += BATCH) {
    const to = Math.min(from + BATCH, end);
    // One copy, so that a row is of one moment.
    const copy = slab.bytes.slice(from * CONN.size, to * CONN.size);
    const view = new DataView(copy.buffer);
    const now = bpfNow(maps);
    const rows: ConnectionStatus[] = [];
    for (let at = 0; at < copy.length; at += CONN.size) {
      const row = connectionAt(view, copy, at, now);
      if (!row) continue;
      const engine = copy[at + CONN.at.marks]! & CONN_MARK.call && callOf(maps, from + at / CONN.size);
      rows.push(engine ? { ...row, engine } : row);
    }
    yield rows;
  }
}

/** The connection of one slot; undefined for a free one. @param now ns */
export function connectionAt(
  v: DataView,
  bytes: Uint8Array,
  at: number,
  now: number,
): ConnectionStatus | undefined {
  const low = v.getUint32(at + CONN.at.ctl, LITTLE_ENDIAN);
  if (((low >>> CTL.phaseShift) & 0xff) !== PHASE.live) return undefined;
  const flags = (low >>> CTL.flagsShift) & 0xffff;
  const state = (low >>> CTL.stateShift) & 0xff;
  const left = Number(v.getBigUint64(at + CONN.at.expires, LITTLE_ENDIAN)) - now;
  // It ended; the sweeper will come by.
  if (left < 0 && v.getUint32(at + CONN.at.children, LITTLE_ENDIAN) === 0) return undefined;
  const family = (bytes[at + CONN.at.family] === 6 ? 6 : 4) as Family;
  const destinationFamily = (bytes[at + CONN.at.dest_family] === 6 ? 6 : 4) as Family;
  const protocol = bytes[at + CONN.at.protocol]!;
  const template = (flags & CONN_FLAG.template) !== 0;
  const localPort = v.getUint16(at + CONN.at.local_port);
  const mark = protocol === 0;
  const marked = (bytes[at + CONN.at.marks]! & CONN_MARK.fwmark) !== 0;
  return {
    family,
    protocol: PROTOCOLS[protocol] ?? "ip",
    state: stateName(protocol, state, template),
    expiresMs: Math.max(0, Math.floor(left / NS_PER_MS)),
    client: getEnd(family, bytes, at, "client"),
    clientPort: v.getUint16(at + CONN.at.client_port),
    // The mark stands where the VIP would, in network order as the kernel shows it.
    virtual: mark
      ? markAddress(family, v.getUint32(at + CONN.at.virtual, LITTLE_ENDIAN))
      : getEnd(family, bytes, at, "virtual"),
    virtualPort: v.getUint16(at + CONN.at.virtual_port),
    destinationFamily,
    destination: getEnd(destinationFamily, bytes, at, "dest_address"),
    destinationPort: v.getUint16(at + CONN.at.dest_port),
    method: METHODS[flags & CONN_FLAG.methodMask]!,
    ...(localPort !== 0 && {
      local: { address: getEnd(family, bytes, at, "local"), port: localPort },
    }),
    template,
    fwmark: marked ? v.getUint32(at + CONN.at.fwmark, LITTLE_ENDIAN) : 0,
    inPackets: v.getUint32(at + CONN.at.in_packets, LITTLE_ENDIAN),
  };
}

/** The call that the template in a slot is of. */
export function callOf(maps: Maps, slot: number): ConnectionStatus["engine"] {
  const call = maps.map("call_ids").lookupIndex(slot);
  if (!call) return undefined;
  const length = new DataView(call.buffer, call.byteOffset).getUint32(CALL.at.length, LITTLE_ENDIAN);
  const id = call.subarray(CALL.at.id, CALL.at.id + Math.min(length, LIMIT.call));
  return { name: "sip", data: Buffer.from(id).toString("latin1") };
}

function markAddress(family: Family, mark: number): string {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, mark);
  return getAddress(family, bytes, 0);
}

function stateName(protocol: number, state: number, template: boolean): string {
  if (template) return state & ASSURED ? "ASSURED" : "NONE";
  if (protocol === PROTOCOL_NUMBER.tcp) return TCP_STATE_NAMES[state] ?? "NONE";
  if (protocol === PROTOCOL_NUMBER.sctp) return SCTP_STATE_NAMES[state] ?? "NONE";
  return protocol === PROTOCOL_NUMBER.udp ? "UDP" : "NONE";
}
