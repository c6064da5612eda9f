/**
 * SCTP common header and chunks, RFC 9260 §3. Fields are big-endian, except the checksum: CRC32c of the whole packet with that
 * field 0, stored least significant byte first.
 *
 *     0     2     4                  8          12
 *     | src | dst | verification tag | checksum | chunks
 *
 *     chunk:  | type | flags | length, without padding | value | padding to 4
 * @module
 */
import { finish, START, update } from "./crc32c.ts";

export const AT = { srcPort: 0, dstPort: 2, verificationTag: 4, checksum: 8 } as const;
/** Length of the common header, in bytes. */
export const HEADER_LEN = 12;
/** Length of a chunk's own header, in bytes. */
export const CHUNK_LEN = 4;

/** Chunk types (IANA). */
export const CHUNK = {
  data: 0,
  init: 1,
  initAck: 2,
  sack: 3,
  heartbeat: 4,
  heartbeatAck: 5,
  abort: 6,
  shutdown: 7,
  shutdownAck: 8,
  error: 9,
  cookieEcho: 10,
  cookieAck: 11,
  ecnEcho: 12,
  cwr: 13,
  shutdownComplete: 14,
  auth: 15,
} as const;

export const srcPort = (v: DataView, at: number): number => v.getUint16(at + AT.srcPort);
export const dstPort = (v: DataView, at: number): number => v.getUint16(at + AT.dstPort);
/** u32. */
export const verificationTag = (v: DataView, at: number): number => v.getUint32(at + AT.verificationTag);
/** The CRC as a number, u32. */
export const checksum = (v: DataView, at: number): number => v.getUint32(at + AT.checksum, true);

/** Type of the chunk at `chunkAt`. */
export const chunkType = (v: DataView, chunkAt: number): number => v.getUint8(chunkAt);
export const chunkFlags = (v: DataView, chunkAt: number): number => v.getUint8(chunkAt + 1);
/** Bytes of a chunk with its header, without padding. */
export const chunkLength = (v: DataView, chunkAt: number): number => v.getUint16(chunkAt + 2);

/** Where the first chunk starts, or -1 when there is none or it does not fit. */
export function firstChunk(v: DataView, at: number, end: number): number {
  return chunkFits(v, at + HEADER_LEN, end);
}

/** Where the chunk after that at `chunkAt` starts, or -1 when there is none or it does not fit. */
export function nextChunk(v: DataView, chunkAt: number, end: number): number {
  return chunkFits(v, chunkAt + ((chunkLength(v, chunkAt) + 3) & ~3), end);
}

function chunkFits(v: DataView, chunkAt: number, end: number): number {
  if (chunkAt + CHUNK_LEN > end) return -1;
  const length = chunkLength(v, chunkAt);
  return length < CHUNK_LEN || chunkAt + length > end ? -1 : chunkAt;
}

const ZERO = new Uint8Array(4);

/** CRC32c of the packet `bytes[at, end)` as if its checksum field were 0. */
export function computeChecksum(bytes: Uint8Array, at: number, end: number): number {
  const header = update(update(START, bytes, at, at + AT.checksum), ZERO, 0, 4);
  return finish(update(header, bytes, at + HEADER_LEN, end));
}

/** Computes the checksum of the packet between `at` and `end` and stores it; `bytes` and `v` are the same memory. */
export function setChecksum(v: DataView, bytes: Uint8Array, at: number, end: number): void {
  v.setUint32(at + AT.checksum, computeChecksum(bytes, at, end), true);
}

/** True when the checksum is right. */
export function checksumOk(v: DataView, bytes: Uint8Array, at: number, end: number): boolean {
  return checksum(v, at) === computeChecksum(bytes, at, end);
}

/** A chunk; `value` lies behind its header. */
export interface Chunk {
  readonly type: number;
  readonly flags: number;
  readonly value: Uint8Array;
}

/** What a valid SCTP packet says. */
export interface Sctp {
  readonly srcPort: number;
  readonly dstPort: number;
  /** u32. */
  readonly verificationTag: number;
  readonly chunks: readonly Chunk[];
}

/** The chunks of the packet between `at` and `end`, as far as their lengths make sense. */
export function* chunks(v: DataView, at: number, end: number): Generator<Chunk> {
  for (let c = firstChunk(v, at, end); c >= 0; c = nextChunk(v, c, end)) {
    const value = new Uint8Array(v.buffer, v.byteOffset + c + CHUNK_LEN, chunkLength(v, c) - CHUNK_LEN);
    yield { type: chunkType(v, c), flags: chunkFlags(v, c), value: value.slice() };
  }
}

/** Reads the packet between `at` and `end`; undefined when it is short or a chunk lies about its length. */
export function parse(v: DataView, at: number, end: number): Sctp | undefined {
  if (end - at < HEADER_LEN) return undefined;
  const list = [...chunks(v, at, end)];
  if (at + byteLength({ chunks: list }) < end) return undefined;
  return {
    srcPort: srcPort(v, at),
    dstPort: dstPort(v, at),
    verificationTag: verificationTag(v, at),
    chunks: list,
  };
}

/** Bytes of the whole packet, chunks padded. */
export function byteLength(sctp: Pick<Sctp, "chunks">): number {
  let length = HEADER_LEN;
  for (const chunk of sctp.chunks) length += (CHUNK_LEN + chunk.value.length + 3) & ~3;
  return length;
}

/** Writes the whole packet with its checksum. Returns its length in bytes. */
export function emit(sctp: Sctp, v: DataView, at: number): number {
  v.setUint16(at + AT.srcPort, sctp.srcPort);
  v.setUint16(at + AT.dstPort, sctp.dstPort);
  v.setUint32(at + AT.verificationTag, sctp.verificationTag);
  const bytes = new Uint8Array(v.buffer, v.byteOffset);
  let i = at + HEADER_LEN;
  for (const { type, flags, value } of sctp.chunks) {
    v.setUint8(i, type);
    v.setUint8(i + 1, flags);
    v.setUint16(i + 2, CHUNK_LEN + value.length);
    bytes.set(value, i + CHUNK_LEN);
    const next = i + ((CHUNK_LEN + value.length + 3) & ~3);
    bytes.fill(0, i + CHUNK_LEN + value.length, next);
    i = next;
  }
  setChecksum(v, bytes, at, i);
  return i - at;
}
