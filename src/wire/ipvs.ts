/**
 * The attributes of the IPVS generic netlink family, version 1 (`include/uapi/linux/ip_vs.h`). Numbers are in host order but for
 * ports, IPv4 netmasks and IPv4 groups. Addresses are text here and binary on the wire.
 * @module
 */
import { ADDRESS_LEN, type Family, formatAddress, parseAddress } from "./address.ts";
import { type Attributes, LITTLE_ENDIAN, type NetlinkWriter } from "./netlink.ts";

/** Name and version of the family. */
export const FAMILY = "IPVS";
export const VERSION = 1;

/** Commands (`IPVS_CMD_*`). */
export const CMD = {
  NEW_SERVICE: 1,
  SET_SERVICE: 2,
  DEL_SERVICE: 3,
  GET_SERVICE: 4,
  NEW_DEST: 5,
  SET_DEST: 6,
  DEL_DEST: 7,
  GET_DEST: 8,
  NEW_DAEMON: 9,
  DEL_DAEMON: 10,
  GET_DAEMON: 11,
  SET_CONFIG: 12,
  GET_CONFIG: 13,
  SET_INFO: 14,
  GET_INFO: 15,
  ZERO: 16,
  FLUSH: 17,
} as const;

/** Service flags (`IP_VS_SVC_F_*`). Scheduler flags are three bits from `SCHED_SHIFT` on. */
export const SVC_F = { PERSISTENT: 1, HASHED: 2, ONEPACKET: 4, SCHED_MASK: 0x38, SCHED_SHIFT: 3 } as const;

/** Which daemon (`IP_VS_STATE_*`). */
export const DAEMON_STATE = { master: 1, backup: 2 } as const;

const TOP = { SERVICE: 1, DEST: 2, DAEMON: 3, TIMEOUT_TCP: 4, TIMEOUT_TCP_FIN: 5, TIMEOUT_UDP: 6 } as const;
const INFO = { VERSION: 1, CONN_TAB_SIZE: 2 } as const;
const SVC = {
  AF: 1,
  PROTOCOL: 2,
  ADDR: 3,
  PORT: 4,
  FWMARK: 5,
  SCHED_NAME: 6,
  FLAGS: 7,
  TIMEOUT: 8,
  NETMASK: 9,
  STATS: 10,
  PE_NAME: 11,
  STATS64: 12,
} as const;
const DEST = {
  ADDR: 1,
  PORT: 2,
  FWD_METHOD: 3,
  WEIGHT: 4,
  U_THRESH: 5,
  L_THRESH: 6,
  ACTIVE_CONNS: 7,
  INACT_CONNS: 8,
  PERSIST_CONNS: 9,
  STATS: 10,
  ADDR_FAMILY: 11,
  STATS64: 12,
  TUN_TYPE: 13,
  TUN_PORT: 14,
  TUN_FLAGS: 15,
} as const;
const DAEMON = {
  STATE: 1,
  MCAST_IFN: 2,
  SYNC_ID: 3,
  SYNC_MAXLEN: 4,
  MCAST_GROUP: 5,
  MCAST_GROUP6: 6,
  MCAST_PORT: 7,
  MCAST_TTL: 8,
} as const;

/** Address family numbers of Linux. */
const AF_OF = { 4: 2, 6: 10 } as const;
const familyOf = (af: number | undefined): Family | undefined =>
  af === AF_OF[4] ? 4 : af === AF_OF[6] ? 6 : undefined;

/** What names a service: a mark that is not 0, else protocol number, address and port. */
export interface ServiceId {
  readonly family: Family;
  readonly fwmark: number;
  readonly protocol: number;
  /** Canonical text; "" with a mark. */
  readonly address: string;
  readonly port: number;
}

/** What the kernel keeps of a service. */
export interface Service extends ServiceId {
  readonly scheduler: string;
  /** Bits of {@link SVC_F}. */
  readonly flags: number;
  /** Persistence timeout, in seconds. */
  readonly timeoutS: number;
  /** IPv4: netmask as a number (0xffffff00 is /24). IPv6: prefix length. */
  readonly netmask: number;
  /** Persistence engine, "" for none. */
  readonly engine: string;
}

/** Counters; exact up to 2^53. Rates are per second. */
export interface Stats {
  readonly conns: number;
  readonly inPackets: number;
  readonly outPackets: number;
  readonly inBytes: number;
  readonly outBytes: number;
  readonly cps: number;
  readonly inPps: number;
  readonly outPps: number;
  readonly inBps: number;
  readonly outBps: number;
}

/** A service as dumped. */
export interface ServiceReport extends Service {
  readonly stats: Stats;
}

/** What names a destination within its service. */
export interface DestinationId {
  readonly family: Family;
  readonly address: string;
  readonly port: number;
}

/** What the kernel keeps of a destination. */
export interface Destination extends DestinationId {
  /** 0 NAT, 1 local, 2 tunnel, 3 direct routing, 4 bypass. */
  readonly method: number;
  readonly weight: number;
  readonly upper: number;
  readonly lower: number;
  /** 0 IPIP, 1 GUE, 2 GRE. */
  readonly tunnelType: number;
  readonly tunnelPort: number;
  /** 0 none, 1 checksum, 2 remote checksum offload. */
  readonly tunnelFlags: number;
}

/** A destination as dumped. */
export interface DestinationReport extends Destination {
  readonly active: number;
  readonly inactive: number;
  readonly persistent: number;
  readonly stats: Stats;
}

/** A synchronisation daemon. 0 and "" are left out of requests: the kernel's default. */
export interface Daemon {
  /** A value of {@link DAEMON_STATE}. */
  readonly state: number;
  readonly interface: string;
  readonly syncId: number;
  readonly maxLen: number;
  readonly group: string;
  readonly port: number;
  readonly ttl: number;
}

/** Seconds; 0 keeps. */
export interface Timeouts {
  readonly tcp: number;
  readonly tcpFin: number;
  readonly udp: number;
}

/** Version and connection table size. */
export interface Info {
  readonly version: number;
  readonly tableSize: number;
}

/** Address bytes; the text must be an address (a RangeError otherwise). */
function addressBytes(text: string): Uint8Array {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(`"${text}" is not an IP address`);
  return parsed.bytes;
}

const addressText = (family: Family, bytes: Uint8Array | undefined): string | undefined =>
  bytes && bytes.length >= ADDRESS_LEN[family] ? formatAddress(family, bytes) : undefined;

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function emitIdentity(w: NetlinkWriter, id: ServiceId): void {
  w.u16(SVC.AF, AF_OF[id.family]);
  if (id.fwmark !== 0) w.u32(SVC.FWMARK, id.fwmark);
  else {
    w.u16(SVC.PROTOCOL, id.protocol).bytesAttr(SVC.ADDR, addressBytes(id.address)).be16(SVC.PORT, id.port);
  }
}

/** Writes the attribute that names a service. */
export function emitServiceId(w: NetlinkWriter, id: ServiceId): void {
  w.nest(TOP.SERVICE, () => emitIdentity(w, id));
}

/** Writes the attribute that describes a service, all its flags included. */
export function emitService(w: NetlinkWriter, s: Service): void {
  w.nest(TOP.SERVICE, () => {
    emitIdentity(w, s);
    w.string(SVC.SCHED_NAME, s.scheduler);
    if (s.engine) w.string(SVC.PE_NAME, s.engine);
    const flags = new Uint8Array(8);
    const v = view(flags);
    v.setUint32(0, s.flags, LITTLE_ENDIAN);
    v.setUint32(4, 0xffffffff, LITTLE_ENDIAN);
    w.bytesAttr(SVC.FLAGS, flags).u32(SVC.TIMEOUT, s.timeoutS);
    if (s.family === 4) w.be32(SVC.NETMASK, s.netmask);
    else w.u32(SVC.NETMASK, s.netmask);
  });
}

/** Reads a service from an answer; undefined for what is none, or of an unknown family. */
export function parseService(answer: Attributes): ServiceReport | undefined {
  const a = answer.nested(TOP.SERVICE);
  const family = familyOf(a?.u16(SVC.AF));
  if (!a || !family) return undefined;
  const fwmark = a.u32(SVC.FWMARK) ?? 0;
  const address = fwmark ? "" : addressText(family, a.bytes(SVC.ADDR));
  const flags = a.bytes(SVC.FLAGS);
  const netmask = family === 4 ? a.be32(SVC.NETMASK) : a.u32(SVC.NETMASK);
  if (address === undefined || !flags || flags.length < 8 || netmask === undefined) return undefined;
  return {
    family,
    fwmark,
    protocol: a.u16(SVC.PROTOCOL) ?? 0,
    address,
    port: a.be16(SVC.PORT) ?? 0,
    scheduler: a.string(SVC.SCHED_NAME) ?? "",
    flags: view(flags).getUint32(0, LITTLE_ENDIAN),
    timeoutS: a.u32(SVC.TIMEOUT) ?? 0,
    netmask,
    engine: a.string(SVC.PE_NAME) ?? "",
    stats: parseStats(a.nested(SVC.STATS64) ?? a.nested(SVC.STATS)),
  };
}

/** Writes the attribute that names a destination. */
export function emitDestinationId(w: NetlinkWriter, id: DestinationId): void {
  w.nest(TOP.DEST, () => {
    w.u16(DEST.ADDR_FAMILY, AF_OF[id.family]);
    w.bytesAttr(DEST.ADDR, addressBytes(id.address)).be16(DEST.PORT, id.port);
  });
}

/** Writes the attribute that describes a destination. */
export function emitDestination(w: NetlinkWriter, d: Destination): void {
  w.nest(TOP.DEST, () => {
    w.u16(DEST.ADDR_FAMILY, AF_OF[d.family]);
    w.bytesAttr(DEST.ADDR, addressBytes(d.address)).be16(DEST.PORT, d.port);
    w.u32(DEST.FWD_METHOD, d.method).u32(DEST.WEIGHT, d.weight);
    w.u8(DEST.TUN_TYPE, d.tunnelType).be16(DEST.TUN_PORT, d.tunnelPort).u16(DEST.TUN_FLAGS, d.tunnelFlags);
    w.u32(DEST.U_THRESH, d.upper).u32(DEST.L_THRESH, d.lower);
  });
}

/** Reads a destination from an answer; `serviceFamily` counts where the kernel names none. */
export function parseDestination(answer: Attributes, serviceFamily: Family): DestinationReport | undefined {
  const a = answer.nested(TOP.DEST);
  if (!a) return undefined;
  const family = familyOf(a.u16(DEST.ADDR_FAMILY)) ?? serviceFamily;
  const address = addressText(family, a.bytes(DEST.ADDR));
  if (address === undefined) return undefined;
  return {
    family,
    address,
    port: a.be16(DEST.PORT) ?? 0,
    method: a.u32(DEST.FWD_METHOD) ?? 0,
    weight: a.u32(DEST.WEIGHT) ?? 0,
    upper: a.u32(DEST.U_THRESH) ?? 0,
    lower: a.u32(DEST.L_THRESH) ?? 0,
    tunnelType: a.u8(DEST.TUN_TYPE) ?? 0,
    tunnelPort: a.be16(DEST.TUN_PORT) ?? 0,
    tunnelFlags: a.u16(DEST.TUN_FLAGS) ?? 0,
    active: a.u32(DEST.ACTIVE_CONNS) ?? 0,
    inactive: a.u32(DEST.INACT_CONNS) ?? 0,
    persistent: a.u32(DEST.PERSIST_CONNS) ?? 0,
    stats: parseStats(a.nested(DEST.STATS64) ?? a.nested(DEST.STATS)),
  };
}

/** Reads counters by their attribute numbers, 1 to 10: those of 64 bits, else the narrower ones of kernels before 4.1. */
function parseStats(a: Attributes | undefined): Stats {
  const n = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  a?.counters(n);
  const [conns, inPackets, outPackets, inBytes, outBytes, cps, inPps, outPps, inBps, outBps] = n;
  return { conns, inPackets, outPackets, inBytes, outBytes, cps, inPps, outPps, inBps, outBps };
}

/** Writes the attribute of a daemon to start. */
export function emitDaemon(w: NetlinkWriter, d: Daemon): void {
  w.nest(TOP.DAEMON, () => {
    w.u32(DAEMON.STATE, d.state).string(DAEMON.MCAST_IFN, d.interface).u32(DAEMON.SYNC_ID, d.syncId);
    if (d.maxLen) w.u16(DAEMON.SYNC_MAXLEN, d.maxLen);
    if (d.group) {
      const bytes = addressBytes(d.group);
      w.bytesAttr(bytes.length === 4 ? DAEMON.MCAST_GROUP : DAEMON.MCAST_GROUP6, bytes);
    }
    if (d.port) w.u16(DAEMON.MCAST_PORT, d.port);
    if (d.ttl) w.u8(DAEMON.MCAST_TTL, d.ttl);
  });
}

/** Writes the attribute of a daemon to stop. */
export function emitDaemonState(w: NetlinkWriter, state: number): void {
  w.nest(TOP.DAEMON, () => {
    w.u32(DAEMON.STATE, state);
  });
}

/** Reads a daemon from an answer. */
export function parseDaemon(answer: Attributes): Daemon | undefined {
  const a = answer.nested(TOP.DAEMON);
  if (!a) return undefined;
  return {
    state: a.u32(DAEMON.STATE) ?? 0,
    interface: a.string(DAEMON.MCAST_IFN) ?? "",
    syncId: a.u32(DAEMON.SYNC_ID) ?? 0,
    maxLen: a.u16(DAEMON.SYNC_MAXLEN) ?? 0,
    group: addressText(6, a.bytes(DAEMON.MCAST_GROUP6)) ?? addressText(4, a.bytes(DAEMON.MCAST_GROUP)) ?? "",
    port: a.u16(DAEMON.MCAST_PORT) ?? 0,
    ttl: a.u8(DAEMON.MCAST_TTL) ?? 0,
  };
}

/** Writes the three timeouts; 0 keeps the one there is. */
export function emitTimeouts(w: NetlinkWriter, t: Timeouts): void {
  w.u32(TOP.TIMEOUT_TCP, t.tcp).u32(TOP.TIMEOUT_TCP_FIN, t.tcpFin).u32(TOP.TIMEOUT_UDP, t.udp);
}

/** Reads the timeouts; one that the kernel was built without is 0. */
export const parseTimeouts = (a: Attributes): Timeouts => ({
  tcp: a.u32(TOP.TIMEOUT_TCP) ?? 0,
  tcpFin: a.u32(TOP.TIMEOUT_TCP_FIN) ?? 0,
  udp: a.u32(TOP.TIMEOUT_UDP) ?? 0,
});

/** Reads the answer to GET_INFO, which has a numbering of its own. */
export const parseInfo = (a: Attributes): Info => ({
  version: a.u32(INFO.VERSION) ?? 0,
  tableSize: a.u32(INFO.CONN_TAB_SIZE) ?? 0,
});
