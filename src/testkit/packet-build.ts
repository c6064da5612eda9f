/**
 * From the notation of a packet to its bytes.
 * @module
 */
import { parseAddress } from "../wire/address.ts";
import { checksum, pseudo4, pseudo6 } from "../wire/checksum.ts";
import { crc32c } from "../wire/crc32c.ts";
import {
  CHUNK_NAMES,
  ICMP_NAMES,
  ICMPV6_NAMES,
  NotationError,
  type Note,
  TCP_FLAGS,
} from "./packet-notation.ts";

const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);

/** A number field; "*" and absent fields give `otherwise`. */
function number(note: Note, name: string, otherwise = 0): number {
  const text = note.fields.get(name);
  if (text === undefined || text === "*") return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value)) throw new NotationError(`${name}=${text} is not a number`);
  return value;
}

/** Bytes of a hexadecimal text. */
export function unhex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/i.test(text)) throw new NotationError(`"${text}" is not a row of bytes in hex`);
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const bytesOf = (note: Note, name: string): Uint8Array => unhex(note.fields.get(name) ?? "");

function payloadOf(note: Note): Uint8Array {
  if (note.fields.has("hex")) return bytesOf(note, "hex");
  const text = note.fields.get("data");
  if (text !== undefined) return new TextEncoder().encode(JSON.parse(text));
  const phase = number(note, "phase");
  return Uint8Array.from({ length: number(note, "len") }, (_, i) => 97 + ((i + phase) % 26));
}

function join(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const port = (text: string | undefined): number => (text === undefined || text === "*" ? 0 : Number(text));

function tcpFlags(note: Note): number {
  let bits = 0;
  for (const letter of note.words.join("")) {
    const bit = TCP_FLAGS.indexOf(letter);
    if (bit < 0 && letter !== "-") throw new NotationError(`"${letter}" is not a TCP flag`);
    if (bit >= 0) bits |= 1 << bit;
  }
  return bits;
}

/** An upper layer: its protocol number, its bytes, where its 16-bit checksum goes and whether that covers a pseudo header. */
interface Upper {
  readonly protocol: number;
  readonly bytes: Uint8Array;
  readonly checksumAt?: number;
  readonly pseudo?: boolean;
}

function tcp(note: Note): Upper {
  const options = bytesOf(note, "opts");
  const bytes = join(new Uint8Array(20), options, payloadOf(note));
  const v = viewOf(bytes);
  v.setUint16(0, port(note.srcPort));
  v.setUint16(2, port(note.dstPort));
  v.setUint32(4, number(note, "seq"));
  v.setUint32(8, number(note, "ack"));
  v.setUint8(12, ((20 + options.length) >> 2) << 4);
  v.setUint8(13, tcpFlags(note));
  v.setUint16(14, number(note, "win"));
  v.setUint16(18, number(note, "urg"));
  return { protocol: 6, bytes, checksumAt: 16, pseudo: true };
}

function udp(note: Note, payload: Uint8Array): Upper {
  const bytes = join(new Uint8Array(8), payload);
  const v = viewOf(bytes);
  v.setUint16(0, port(note.srcPort));
  v.setUint16(2, port(note.dstPort));
  v.setUint16(4, number(note, "ulen", bytes.length));
  return { protocol: 17, bytes, checksumAt: 6, pseudo: true };
}

/** Reads `DATA/3:0102`. */
function chunk(word: string): Uint8Array {
  const match = /^(?:T(\d+)|([A-Z-]+))(?:\/(\d+))?(?::([0-9a-f]*))?$/.exec(word);
  const type = match?.[1] !== undefined ? Number(match[1]) : CHUNK_NAMES[match?.[2] ?? ""];
  if (!match || type === undefined) throw new NotationError(`"${word}" is not an SCTP chunk`);
  const value = unhex(match[4] ?? "");
  const bytes = new Uint8Array((4 + value.length + 3) & ~3);
  bytes.set([type, Number(match[3] ?? 0), (4 + value.length) >> 8, (4 + value.length) & 0xff]);
  bytes.set(value, 4);
  return bytes;
}

function sctp(note: Note): Upper {
  const bytes = join(new Uint8Array(12), ...note.words.map(chunk), payloadOf(note));
  const v = viewOf(bytes);
  v.setUint16(0, port(note.srcPort));
  v.setUint16(2, port(note.dstPort));
  v.setUint32(4, number(note, "tag"));
  v.setUint32(8, number(note, "csum", crc32c(bytes, 0, bytes.length)), true);
  return { protocol: 132, bytes };
}

function icmp(note: Note, family: 4 | 6): Upper {
  const word = note.words[0] ?? "";
  const numeric = /^(\d+)\/(\d+)$/.exec(word);
  const named = (family === 4 ? ICMP_NAMES : ICMPV6_NAMES)[word];
  if (!numeric && !named) throw new NotationError(`"${word}" is not an ICMP message`);
  const [type, code] = numeric ? [Number(numeric[1]), Number(numeric[2])] : named;
  const bytes = join(new Uint8Array(8), note.inner ? buildPacket(note.inner) : payloadOf(note));
  const v = viewOf(bytes);
  v.setUint8(0, type);
  v.setUint8(1, code);
  v.setUint32(4, number(note, "rest"));
  if (note.fields.has("mtu")) v.setUint32(4, number(note, "mtu"));
  if (note.fields.has("eid") || note.fields.has("eseq")) {
    v.setUint16(4, number(note, "eid"));
    v.setUint16(6, number(note, "eseq"));
  }
  return { protocol: family === 4 ? 1 : 58, bytes, checksumAt: 2, pseudo: family === 6 };
}

const familyOf = (bytes: Uint8Array): 4 | 6 => (bytes[0] >> 4 === 6 ? 6 : 4);

function gre(note: Note, inner: Uint8Array): Upper {
  const sum = note.words.includes("csum");
  const bytes = join(new Uint8Array(sum ? 8 : 4), inner);
  const v = viewOf(bytes);
  v.setUint16(0, sum ? 0x8000 : 0);
  v.setUint16(2, familyOf(inner) === 4 ? 0x0800 : 0x86dd);
  return { protocol: 47, bytes, ...(sum && { checksumAt: 4 }) };
}

function upperOf(note: Note, family: 4 | 6): Upper {
  switch (note.kind) {
    case "tcp":
      return tcp(note);
    case "udp":
      return udp(note, payloadOf(note));
    case "sctp":
      return sctp(note);
    case "icmp":
      return icmp(note, family);
    case "ip":
      return { protocol: number(note, "proto"), bytes: payloadOf(note) };
    case "raw":
      throw new NotationError("raw has no upper layer");
  }
  if (!note.inner) throw new NotationError(`${note.kind} carries nothing`);
  const inner = buildPacket(note.inner);
  const carried = familyOf(inner) === 4 ? 4 : 41;
  if (note.kind === "ipip") return { protocol: carried, bytes: inner };
  if (note.kind === "gre") return gre(note, inner);
  const header = note.fields.has("gue") ? bytesOf(note, "gue") : Uint8Array.of(0, carried, 0, 0);
  return udp(note, join(header, inner));
}

/** Puts the right checksum, or the one that `csum=` gives, into the upper layer. */
function setChecksum(note: Note, upper: Upper, pseudoSum: number): void {
  if (upper.checksumAt === undefined) return;
  const v = viewOf(upper.bytes);
  const right = checksum(v, 0, upper.bytes.length, upper.pseudo ? pseudoSum : 0);
  v.setUint16(upper.checksumAt, number(note, "csum", upper.protocol === 17 ? right || 0xffff : right));
}

/** Applies `cut=A-B`: the payload from A to B and its place as a fragment. */
function cutOf(note: Note, payload: Uint8Array): { payload: Uint8Array; offset: number; more: boolean } {
  const cut = note.fields.get("cut");
  if (cut === undefined) return { payload, offset: number(note, "frag"), more: note.fields.has("mf") };
  const match = /^(\d+)-(\d*)$/.exec(cut);
  if (!match || Number(match[1]) % 8 !== 0)
    throw new NotationError(`cut=${cut} is not FROM-TO, FROM a multiple of 8`);
  const to = match[2] === "" ? payload.length : Math.min(Number(match[2]), payload.length);
  return {
    payload: payload.slice(Number(match[1]), to),
    offset: Number(match[1]),
    more: to < payload.length,
  };
}

function build4(note: Note, src: Uint8Array, dst: Uint8Array): Uint8Array {
  const options = bytesOf(note, "ipopt");
  const header = new Uint8Array(20 + options.length);
  const v = viewOf(header);
  header.set(src, 12);
  header.set(dst, 16);
  header.set(options, 20);
  const upper = upperOf(note, 4);
  setChecksum(note, upper, pseudo4(v, 0, upper.protocol, upper.bytes.length));
  const { payload, offset, more } = cutOf(note, upper.bytes);
  v.setUint8(0, 0x40 | (header.length >> 2));
  v.setUint8(1, number(note, "tos"));
  v.setUint16(2, number(note, "iplen", header.length + payload.length));
  v.setUint16(4, number(note, "id"));
  v.setUint16(6, (note.fields.has("df") ? 0x4000 : 0) | (more ? 0x2000 : 0) | (offset >> 3));
  v.setUint8(8, number(note, "ttl", 64));
  v.setUint8(9, upper.protocol);
  v.setUint16(10, number(note, "ipcsum", checksum(v, 0, header.length)));
  return join(header, payload);
}

/** Extension headers in front of the upper layer, by field name and protocol number, in the order they are written. */
export const EXTENSION_FIELDS = [
  ["hbh", 0],
  ["dstopt", 60],
  ["rh", 43],
] as const;

function build6(note: Note, src: Uint8Array, dst: Uint8Array): Uint8Array {
  const header = new Uint8Array(40);
  const v = viewOf(header);
  header.set(src, 8);
  header.set(dst, 24);
  const upper = upperOf(note, 6);
  setChecksum(note, upper, pseudo6(v, 0, upper.protocol, upper.bytes.length));
  const { payload, offset, more } = cutOf(note, upper.bytes);
  const chain: [protocol: number, bytes: Uint8Array][] = [];
  for (const [name, protocol] of EXTENSION_FIELDS) {
    if (!note.fields.has(name)) continue;
    const value = bytesOf(note, name);
    if (value.length % 8 !== 6) throw new NotationError(`${name}= needs 6, 14, 22 ... bytes`);
    chain.push([protocol, join(Uint8Array.of(0, (value.length + 2) / 8 - 1), value)]);
  }
  if (note.fields.has("fragid") || note.fields.has("cut")) {
    const fragment = new Uint8Array(8);
    viewOf(fragment).setUint16(2, offset | (more ? 1 : 0));
    viewOf(fragment).setUint32(4, number(note, "fragid"));
    chain.push([44, fragment]);
  }
  chain.push([upper.protocol, payload]);
  for (let i = 0; i + 1 < chain.length; i++) chain[i][1][0] = chain[i + 1][0];
  const body = join(...chain.map(([, bytes]) => bytes));
  v.setUint32(0, ((6 << 28) | (number(note, "tos") << 20) | number(note, "flow")) >>> 0);
  v.setUint16(4, number(note, "iplen", 40 + body.length) - 40);
  v.setUint8(6, chain[0][0]);
  v.setUint8(7, number(note, "ttl", 64));
  return join(header, body);
}

/**
 * The bytes of an IP packet.
 * @throws NotationError
 */
export function buildPacket(note: Note): Uint8Array {
  if (note.kind === "raw") return bytesOf(note, "hex");
  const src = parseAddress(note.src);
  const dst = parseAddress(note.dst);
  if (!src || !dst || src.family !== dst.family) {
    throw new NotationError(`"${note.src}" and "${note.dst}" are not two addresses of one family`);
  }
  const bytes = src.family === 4 ? build4(note, src.bytes, dst.bytes) : build6(note, src.bytes, dst.bytes);
  return note.fields.has("trunc") ? bytes.slice(0, number(note, "trunc")) : bytes;
}
