/**
 * Connection synchronisation between directors, as the kernel's ip_vs speaks it (`net/netfilter/ipvs/ip_vs_sync.c`): UDP payloads
 * of protocol version 1 and the older version 0. All fields are big-endian, but for the sequence data of version 0, which is in the
 * sender's own byte order (little-endian here).
 *
 *     version 1:  | 0 | syncid | size (u16) | count | 1 | 0 (u16) |  then entries, each at a multiple of 4
 *     version 0:  | count | syncid | size (u16) |                    then entries of 24 bytes, 48 with sequence data
 *
 * One option is our own: the local end of a full-NAT connection, which the kernel has none of. It is not marked as one to be skipped:
 * without it a connection is of no use, and a kernel leaves the whole entry out.
 *
 *     | 0x3f | length | local port (u16) | 1: the server's ISN is known (u16) | shift (u32) | server's ISN (u32) | local address |
 *
 * A message that lies about a length is dropped whole, as the kernel does: `parse` then returns undefined.
 * @module
 */
import type { Family } from "./address.ts";

/** Bytes of the message header of version 1; version 0 has half of it. */
export const HEADER_LEN = 8;
export const HEADER_LEN_V0 = 4;
/** Most entries that one message can count. */
export const MAX_ENTRIES = 255;
/** UDP port and groups of a daemon that was told nothing else. */
export const DEFAULT_PORT = 8848;
export const DEFAULT_GROUP = "224.0.0.81";

/** Bits that say that sequence data follows (`IP_VS_CONN_F_SEQ_MASK`). */
export const SEQUENCE_FLAGS = 0x0600;
const HASHED = 0x0040;

/** Option types (`IPVS_OPT_*`); `optional` marks one that a receiver may skip. */
const OPTION = { sequence: 1, engineData: 2, engineName: 3, local: 0x3f, optional: 0x40 } as const;
const SEQUENCE_LEN = 24;
/** Of the local end, without its address. */
const LOCAL_LEN = 12;
const ISN_KNOWN = 1;
const MAX_ENGINE_DATA = 255;
const MAX_ENGINE_NAME = 16;

const V0_LEN = 24;
const V1_FIXED = 24;
const IPV6 = 0x01;

/** Sequence adjustment of one direction: u32 each (`struct ip_vs_seq`). */
export interface SyncSequence {
  readonly initial: number;
  readonly delta: number;
  readonly previousDelta: number;
}

/** What a full-NAT connection has beside its ends. */
export interface SyncLocal {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** TCP: added to the client's sequence numbers, u32. */
  readonly shift: number;
  /** TCP: the server's initial sequence number + 1, u32, once it is known. */
  readonly serverIsn: number | undefined;
}

/** One connection or template. */
export interface SyncEntry {
  readonly family: Family;
  /** IP protocol number, 0 for templates of fwmark services. */
  readonly protocol: number;
  /** `IP_VS_CONN_F_*`; the hashed bit is never sent. Version 0 carries the low 16 bits. */
  readonly flags: number;
  readonly state: number;
  readonly clientPort: number;
  readonly virtualPort: number;
  readonly destinationPort: number;
  /** 0 in version 0. */
  readonly fwmark: number;
  /** Seconds; undefined in version 0. */
  readonly timeoutS: number | undefined;
  /** 4 or 16 bytes each. */
  readonly client: Uint8Array;
  readonly virtual: Uint8Array;
  readonly destination: Uint8Array;
  /** Client to server first. Present exactly when the flags say so. */
  readonly sequence?: readonly [SyncSequence, SyncSequence] | undefined;
  /** Persistence engine: its name (at most 16 bytes) and data (at most 255). Version 1 only. */
  readonly engine?: { readonly name: string; readonly data: Uint8Array } | undefined;
  /** Full-NAT: where replies of the server come to. Version 1 only. */
  readonly local?: SyncLocal | undefined;
}

/** What a message says. */
export interface SyncMessage {
  readonly version: 0 | 1;
  /** 0..255. */
  readonly syncId: number;
  readonly entries: readonly SyncEntry[];
  /** Entries left out because of an option that nobody here knows. */
  readonly skipped: number;
}

const align4 = (n: number): number => (n + 3) & ~3;
const addressLen = (family: Family): number => (family === 4 ? 4 : 16);

/** Reads a UDP payload; undefined when it is short, or any of its lengths is a lie. */
export function parse(v: DataView, at: number, end: number): SyncMessage | undefined {
  if (end - at < HEADER_LEN_V0) return undefined;
  const size = v.getUint16(at + 2);
  if (size !== end - at) return undefined;
  const newer =
    size >= HEADER_LEN && v.getUint8(at) === 0 && v.getUint8(at + 5) === 1 && v.getUint16(at + 6) === 0;
  return newer ? parseNewer(v, at, end) : parseOlder(v, at, end);
}

function parseNewer(v: DataView, at: number, end: number): SyncMessage | undefined {
  const entries: SyncEntry[] = [];
  let skipped = 0;
  let p = at + HEADER_LEN;
  for (let left = v.getUint8(at + 4); left > 0; left--) {
    if (p + V1_FIXED > end) return undefined;
    const size = v.getUint16(p + 2) & 0x0fff;
    if (v.getUint16(p + 2) >>> 12 !== 0 || p + size > end) return undefined;
    const entry = parseEntry(v, p, p + size);
    if (entry === undefined) return undefined;
    if (entry === "unknown option") skipped++;
    else entries.push(entry);
    p = at + align4(p + size - at);
  }
  return { version: 1, syncId: v.getUint8(at + 1), entries, skipped };
}

function parseEntry(v: DataView, at: number, end: number): SyncEntry | "unknown option" | undefined {
  const type = v.getUint8(at);
  if (type & ~IPV6) return undefined;
  const family: Family = type & IPV6 ? 6 : 4;
  const length = addressLen(family);
  if (at + V1_FIXED + 3 * length > end) return undefined;
  const address = (i: number): Uint8Array => bytesOf(v, at + V1_FIXED + i * length, length);
  let sequence: [SyncSequence, SyncSequence] | undefined;
  let data: Uint8Array | undefined;
  let name: string | undefined;
  let local: SyncLocal | undefined;
  let unknown = false;
  for (let p = at + V1_FIXED + 3 * length; p < end; ) {
    if (p + 2 > end) return undefined;
    const kind = v.getUint8(p);
    const size = v.getUint8(p + 1);
    const body = p + 2;
    p = body + size;
    if (size === 0 || p > end) return undefined;
    switch (kind & ~OPTION.optional) {
      case OPTION.sequence:
        if (sequence || size !== SEQUENCE_LEN) return undefined;
        sequence = [sequenceAt(v, body, false), sequenceAt(v, body + 12, false)];
        break;
      case OPTION.engineData:
        if (data) return undefined;
        data = bytesOf(v, body, size);
        break;
      case OPTION.engineName:
        if (name !== undefined || size > MAX_ENGINE_NAME) return undefined;
        name = textOf(v, body, size);
        break;
      case OPTION.local:
        if (local) return undefined;
        if (size === LOCAL_LEN + length) local = localAt(v, body, length);
        else if (!(kind & OPTION.optional)) unknown = true;
        break;
      default:
        if (!(kind & OPTION.optional)) unknown = true;
    }
  }
  if (unknown) return "unknown option";
  return {
    family,
    protocol: v.getUint8(at + 1),
    flags: v.getUint32(at + 4),
    state: v.getUint16(at + 8),
    clientPort: v.getUint16(at + 10),
    virtualPort: v.getUint16(at + 12),
    destinationPort: v.getUint16(at + 14),
    fwmark: v.getUint32(at + 16),
    timeoutS: v.getUint32(at + 20),
    client: address(0),
    virtual: address(1),
    destination: address(2),
    sequence,
    engine: data && name !== undefined ? { name, data } : undefined,
    local,
  };
}

function parseOlder(v: DataView, at: number, end: number): SyncMessage | undefined {
  const entries: SyncEntry[] = [];
  let p = at + HEADER_LEN_V0;
  for (let left = v.getUint8(at); left > 0; left--) {
    if (p + V0_LEN > end) return undefined;
    const flags = v.getUint16(p + 20);
    const sequenced = (flags & SEQUENCE_FLAGS) !== 0;
    if (sequenced && p + V0_LEN + SEQUENCE_LEN > end) return undefined;
    entries.push({
      family: 4,
      protocol: v.getUint8(p + 1),
      flags,
      state: v.getUint16(p + 22),
      clientPort: v.getUint16(p + 2),
      virtualPort: v.getUint16(p + 4),
      destinationPort: v.getUint16(p + 6),
      fwmark: 0,
      timeoutS: undefined,
      client: bytesOf(v, p + 8, 4),
      virtual: bytesOf(v, p + 12, 4),
      destination: bytesOf(v, p + 16, 4),
      sequence: sequenced
        ? [sequenceAt(v, p + V0_LEN, true), sequenceAt(v, p + V0_LEN + 12, true)]
        : undefined,
    });
    p += V0_LEN + (sequenced ? SEQUENCE_LEN : 0);
  }
  return { version: 0, syncId: v.getUint8(at + 1), entries, skipped: 0 };
}

function sequenceAt(v: DataView, at: number, little: boolean): SyncSequence {
  return {
    initial: v.getUint32(at, little),
    delta: v.getUint32(at + 4, little),
    previousDelta: v.getUint32(at + 8, little),
  };
}

const localAt = (v: DataView, at: number, length: number): SyncLocal => ({
  port: v.getUint16(at),
  shift: v.getUint32(at + 4),
  serverIsn: v.getUint16(at + 2) & ISN_KNOWN ? v.getUint32(at + 8) : undefined,
  address: bytesOf(v, at + LOCAL_LEN, length),
});

const bytesOf = (v: DataView, at: number, length: number): Uint8Array =>
  new Uint8Array(v.buffer, v.byteOffset + at, length).slice();

/** Names are compared as bytes; a NUL ends them. */
function textOf(v: DataView, at: number, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) {
    const byte = v.getUint8(at + i);
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Bytes that an entry takes in a message of this version, without padding. */
export function entryLength(entry: SyncEntry, version: 0 | 1): number {
  const sequence = entry.flags & SEQUENCE_FLAGS ? SEQUENCE_LEN : 0;
  if (version === 0) return V0_LEN + sequence;
  const { engine, local } = entry;
  const options =
    (sequence ? 2 + sequence : 0) +
    (engine ? 4 + engine.data.length + engine.name.length : 0) +
    (local ? 2 + LOCAL_LEN + local.address.length : 0);
  return V1_FIXED + 3 * addressLen(entry.family) + options;
}

/**
 * A message as it grows: entries are added until one does not fit, then the bytes are taken.
 * A message of version 0 holds IPv4 entries only.
 */
export class SyncWriter {
  readonly version: 0 | 1;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #end: number;
  #count = 0;

  /** `maxLen` is the largest payload, in bytes; one entry fits into any message, as into the kernel's. */
  constructor(version: 0 | 1, syncId: number, maxLen: number) {
    this.version = version;
    const header = version === 0 ? HEADER_LEN_V0 : HEADER_LEN;
    this.#bytes = new Uint8Array(Math.max(maxLen, header));
    this.#view = new DataView(this.#bytes.buffer);
    this.#end = header;
    this.#bytes[1] = syncId;
    if (version === 1) this.#bytes[5] = 1;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes left, padding before the next entry taken off; 0 when it counts as many entries as it can. */
  get room(): number {
    if (this.#count === MAX_ENTRIES) return 0;
    return this.#bytes.length - (this.version === 1 ? align4(this.#end) : this.#end);
  }

  /** Adds an entry; false when there is no room for it. */
  add(entry: SyncEntry): boolean {
    const at = this.version === 1 ? align4(this.#end) : this.#end;
    const length = entryLength(entry, this.version);
    if (length > this.room) {
      if (this.#count > 0) return false;
      this.#grow(at + length);
    }
    if (this.version === 1) emitEntry(entry, this.#view, at, length);
    else emitOlder(entry, this.#view, at);
    this.#end = at + length;
    this.#count++;
    return true;
  }

  #grow(length: number): void {
    const bytes = new Uint8Array(length);
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  /** The finished message. The writer is of no further use. */
  take(): Uint8Array<ArrayBuffer> {
    this.#bytes[this.version === 1 ? 4 : 0] = this.#count;
    this.#view.setUint16(2, this.#end);
    return this.#bytes.subarray(0, this.#end);
  }
}

function emitEntry(entry: SyncEntry, v: DataView, at: number, length: number): void {
  const { engine, sequence, local } = entry;
  v.setUint8(at, entry.family === 6 ? IPV6 : 0);
  v.setUint8(at + 1, entry.protocol);
  v.setUint16(at + 2, length);
  v.setUint32(at + 4, entry.flags & ~HASHED);
  v.setUint16(at + 8, entry.state);
  v.setUint16(at + 10, entry.clientPort);
  v.setUint16(at + 12, entry.virtualPort);
  v.setUint16(at + 14, entry.destinationPort);
  v.setUint32(at + 16, entry.fwmark);
  v.setUint32(at + 20, entry.timeoutS ?? 0);
  let p = at + V1_FIXED;
  for (const address of [entry.client, entry.virtual, entry.destination]) p = put(v, p, address);
  if (entry.flags & SEQUENCE_FLAGS) {
    v.setUint8(p, OPTION.sequence);
    v.setUint8(p + 1, SEQUENCE_LEN);
    p = putSequences(v, p + 2, sequence, false);
  }
  if (engine) {
    v.setUint8(p, OPTION.engineData);
    v.setUint8(p + 1, Math.min(engine.data.length, MAX_ENGINE_DATA));
    p = put(v, p + 2, engine.data);
    v.setUint8(p, OPTION.engineName);
    v.setUint8(p + 1, engine.name.length);
    for (let i = 0; i < engine.name.length; i++) v.setUint8(p + 2 + i, engine.name.charCodeAt(i));
    p += 2 + engine.name.length;
  }
  if (!local) return;
  v.setUint8(p, OPTION.local);
  v.setUint8(p + 1, LOCAL_LEN + local.address.length);
  v.setUint16(p + 2, local.port);
  v.setUint16(p + 4, local.serverIsn === undefined ? 0 : ISN_KNOWN);
  v.setUint32(p + 6, local.shift);
  v.setUint32(p + 10, local.serverIsn ?? 0);
  put(v, p + 2 + LOCAL_LEN, local.address);
}

function emitOlder(entry: SyncEntry, v: DataView, at: number): void {
  v.setUint8(at + 1, entry.protocol);
  v.setUint16(at + 2, entry.clientPort);
  v.setUint16(at + 4, entry.virtualPort);
  v.setUint16(at + 6, entry.destinationPort);
  let p = at + 8;
  for (const address of [entry.client, entry.virtual, entry.destination]) p = put(v, p, address);
  v.setUint16(p, entry.flags & 0xffff & ~HASHED);
  v.setUint16(p + 2, entry.state);
  if (entry.flags & SEQUENCE_FLAGS) putSequences(v, p + 4, entry.sequence, true);
}

function put(v: DataView, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) v.setUint8(at + i, bytes[i]);
  return at + bytes.length;
}

function putSequences(v: DataView, at: number, sequence: SyncEntry["sequence"], little: boolean): number {
  for (let i = 0; i < 2; i++) {
    const one = sequence?.[i];
    v.setUint32(at + 12 * i, one?.initial ?? 0, little);
    v.setUint32(at + 12 * i + 4, one?.delta ?? 0, little);
    v.setUint32(at + 12 * i + 8, one?.previousDelta ?? 0, little);
  }
  return at + SEQUENCE_LEN;
}
