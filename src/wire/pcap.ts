/**
 * Classic pcap files (draft-ietf-opsawg-pcap): in both byte orders, with microseconds or nanoseconds.
 *
 *     0       4             8           12         16        20
 *     | magic | version 2.4 | reserved  | reserved | snaplen | linktype | records        (24 bytes)
 *     record:  | seconds | fraction | captured length | original length | bytes          (16 bytes and the bytes)
 * @module
 */
import * as ethernet from "./ethernet.ts";
import { inside } from "./ipip.ts";

/** Bytes of the file's header. */
export const HEADER_LEN = 24;
/** Bytes of a record's header. */
export const RECORD_LEN = 16;

/** What a file's packets start with (tcpdump.org/linktypes.html). */
export const LINKTYPE = {
  ethernet: 1,
  /** An IPv4 or IPv6 packet. */
  raw: 101,
  /** "Cooked" capture, as on Linux's `any` device: 16 bytes that end with the EtherType. */
  linuxSll: 113,
} as const;

const MAGIC_MICRO = 0xa1b2c3d4;
const MAGIC_NANO = 0xa1b23c4d;
const SLL_LEN = 16;

/** What a file's header says. */
export interface PcapHeader {
  readonly littleEndian: boolean;
  /** The fractions in the file count nanoseconds, else microseconds. */
  readonly nanoseconds: boolean;
  /** Most bytes kept of a packet. */
  readonly snaplen: number;
  /** See {@link LINKTYPE}. */
  readonly linktype: number;
}

/** One captured packet. */
export interface PcapRecord {
  /** Seconds since 1970, u32. */
  readonly seconds: number;
  /** 0..999999999, whatever the file's resolution. */
  readonly nanoseconds: number;
  /** Bytes the packet had before it was cut to the snaplen. */
  readonly originalLength: number;
  readonly data: Uint8Array;
}

/** Reads a file's header; undefined when it is no classic pcap file. */
export function parseHeader(file: Uint8Array): PcapHeader | undefined {
  if (file.length < HEADER_LEN) return undefined;
  const v = new DataView(file.buffer, file.byteOffset, file.length);
  for (const littleEndian of [false, true]) {
    const magic = v.getUint32(0, littleEndian);
    if (magic !== MAGIC_MICRO && magic !== MAGIC_NANO) continue;
    return {
      littleEndian,
      nanoseconds: magic === MAGIC_NANO,
      snaplen: v.getUint32(16, littleEndian),
      // The upper bits may state the length of a frame check sequence.
      linktype: v.getUint32(20, littleEndian) & 0xffff,
    };
  }
  return undefined;
}

/**
 * The records of a file that `parseHeader` accepted. Ends before a record that is cut off, as captures still being written
 * are. `data` points into `file`.
 */
export function* records(file: Uint8Array, header: PcapHeader): Generator<PcapRecord> {
  const v = new DataView(file.buffer, file.byteOffset, file.length);
  const little = header.littleEndian;
  for (let at = HEADER_LEN; at + RECORD_LEN <= file.length; ) {
    const length = v.getUint32(at + 8, little);
    const end = at + RECORD_LEN + length;
    if (end > file.length) return;
    yield {
      seconds: v.getUint32(at, little),
      nanoseconds: v.getUint32(at + 4, little) * (header.nanoseconds ? 1 : 1000),
      originalLength: v.getUint32(at + 12, little),
      data: file.subarray(at + RECORD_LEN, end),
    };
    at = end;
  }
}

/** Bytes of a file's header, in the byte order it asks for. */
export function emitHeader(header: PcapHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_LEN);
  const v = new DataView(bytes.buffer);
  const little = header.littleEndian;
  v.setUint32(0, header.nanoseconds ? MAGIC_NANO : MAGIC_MICRO, little);
  v.setUint16(4, 2, little);
  v.setUint16(6, 4, little);
  v.setUint32(16, header.snaplen, little);
  v.setUint32(20, header.linktype, little);
  return bytes;
}

/** Bytes of a record; nanoseconds are cut off in a file of microseconds. */
export function emitRecord(header: PcapHeader, record: PcapRecord): Uint8Array {
  const bytes = new Uint8Array(RECORD_LEN + record.data.length);
  const v = new DataView(bytes.buffer);
  const little = header.littleEndian;
  const fraction = header.nanoseconds ? record.nanoseconds : Math.floor(record.nanoseconds / 1000);
  v.setUint32(0, record.seconds, little);
  v.setUint32(4, fraction, little);
  v.setUint32(8, record.data.length, little);
  v.setUint32(12, record.originalLength, little);
  bytes.set(record.data, RECORD_LEN);
  return bytes;
}

/** Where the IP packet starts in a captured packet of that link type, or -1 when it holds none or the type is unknown. */
export function ipAt(linktype: number, v: DataView, at: number, end: number): number {
  let ip = at;
  if (linktype === LINKTYPE.ethernet) ip = ethernet.payloadAt(v, at, end);
  else if (linktype === LINKTYPE.linuxSll) ip = at + SLL_LEN;
  else if (linktype !== LINKTYPE.raw) return -1;
  if (ip < 0) return -1;
  return inside(v, ip, end) === undefined ? -1 : ip;
}
