/**
 * From the bytes of a packet to its notation, without loss: what the notation cannot say becomes `raw hex=...`.
 * @module
 */
import { formatAddress } from "../wire/address.ts";
import { checksum, pseudo4, pseudo6 } from "../wire/checksum.ts";
import { crc32c } from "../wire/crc32c.ts";
import { buildPacket, EXTENSION_FIELDS } from "./packet-build.ts";
import {
  CHUNK_NAMES,
  GUE_PORT,
  ICMP_NAMES,
  ICMPV6_NAMES,
  type Kind,
  type Note,
  TCP_FLAGS,
} from "./packet-notation.ts";

const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");
const hex16 = (n: number): string => `0x${n.toString(16).padStart(4, "0")}`;

/** What is being put together; `known` is false when the upper layer is too short to be read. */
interface Draft {
  kind: Kind;
  srcPort?: string;
  dstPort?: string;
  words: string[];
  fields: Map<string, string>;
  inner?: Note;
}

function setNumber(draft: Draft, name: string, value: number): void {
  if (value !== 0) draft.fields.set(name, String(value));
}

/** The a-z pattern first, then text, then hex. */
function setPayload(draft: Draft, payload: Uint8Array): void {
  if (payload.length === 0) return;
  const phase = payload[0] - 97;
  if (phase >= 0 && phase < 26 && payload.every((b, i) => b === 97 + ((i + phase) % 26))) {
    draft.fields.set("len", String(payload.length));
    setNumber(draft, "phase", phase);
  } else if (payload.every((b) => (b >= 32 && b < 127) || b === 13 || b === 10)) {
    draft.fields.set("data", JSON.stringify(new TextDecoder().decode(payload)));
  } else draft.fields.set("hex", hex(payload));
}

function readPorts(draft: Draft, v: DataView): void {
  draft.srcPort = String(v.getUint16(0));
  draft.dstPort = String(v.getUint16(2));
}

/** Notes a checksum that is not the right one. */
function readChecksum(draft: Draft, bytes: Uint8Array, at: number, pseudoSum: number): void {
  const v = viewOf(bytes);
  if (checksum(v, 0, bytes.length, pseudoSum) !== 0) draft.fields.set("csum", hex16(v.getUint16(at)));
}

function tcp(draft: Draft, bytes: Uint8Array, pseudoSum: number): boolean {
  const v = viewOf(bytes);
  if (bytes.length < 20) return false;
  const header = (bytes[12] >> 4) << 2;
  if (header < 20 || header > bytes.length) return false;
  draft.kind = "tcp";
  readPorts(draft, v);
  let flags = "";
  for (let i = 0; i < 8; i++) if (bytes[13] & (1 << i)) flags += TCP_FLAGS[i];
  draft.words.push(flags || "-");
  setNumber(draft, "seq", v.getUint32(4));
  setNumber(draft, "ack", v.getUint32(8));
  setNumber(draft, "win", v.getUint16(14));
  setNumber(draft, "urg", v.getUint16(18));
  if (header > 20) draft.fields.set("opts", hex(bytes.subarray(20, header)));
  setPayload(draft, bytes.subarray(header));
  readChecksum(draft, bytes, 16, pseudoSum);
  return true;
}

function udp(draft: Draft, bytes: Uint8Array, pseudoSum: number): boolean {
  if (bytes.length < 8) return false;
  const v = viewOf(bytes);
  draft.kind = "udp";
  readPorts(draft, v);
  if (v.getUint16(4) !== bytes.length) draft.fields.set("ulen", String(v.getUint16(4)));
  if (v.getUint16(6) === 0) draft.fields.set("csum", "0");
  else readChecksum(draft, bytes, 6, pseudoSum);
  const gueHeader = v.getUint16(2) === GUE_PORT && bytes.length > 12 ? 4 + ((bytes[8] & 0x1f) << 2) : 0;
  if (gueHeader > 0 && (bytes[9] === 4 || bytes[9] === 41) && bytes.length > 8 + gueHeader + 20) {
    draft.kind = "gue";
    if (gueHeader > 4 || bytes[8] !== 0 || v.getUint16(10) !== 0) {
      draft.fields.set("gue", hex(bytes.subarray(8, 8 + gueHeader)));
    }
    draft.inner = readPacket(bytes.subarray(8 + gueHeader));
  } else setPayload(draft, bytes.subarray(8));
  return true;
}

function sctp(draft: Draft, bytes: Uint8Array): boolean {
  if (bytes.length < 12) return false;
  const v = viewOf(bytes);
  draft.kind = "sctp";
  readPorts(draft, v);
  setNumber(draft, "tag", v.getUint32(4));
  let at = 12;
  while (at + 4 <= bytes.length) {
    const length = v.getUint16(at + 2);
    if (length < 4 || at + ((length + 3) & ~3) > bytes.length) break;
    const name = Object.keys(CHUNK_NAMES).find((n) => CHUNK_NAMES[n] === bytes[at]) ?? `T${bytes[at]}`;
    const flags = bytes[at + 1] ? `/${bytes[at + 1]}` : "";
    const value = length > 4 ? `:${hex(bytes.subarray(at + 4, at + length))}` : "";
    draft.words.push(name + flags + value);
    at += (length + 3) & ~3;
  }
  setPayload(draft, bytes.subarray(at));
  const clean = bytes.slice();
  clean.fill(0, 8, 12);
  const said = v.getUint32(8, true);
  if (said !== crc32c(clean, 0, clean.length)) draft.fields.set("csum", `0x${said.toString(16)}`);
  return true;
}

function icmp(draft: Draft, bytes: Uint8Array, family: 4 | 6, pseudoSum: number): boolean {
  if (bytes.length < 8) return false;
  const v = viewOf(bytes);
  const [type, code] = bytes;
  draft.kind = "icmp";
  const names = family === 4 ? ICMP_NAMES : ICMPV6_NAMES;
  const name = Object.keys(names).find((n) => names[n][0] === type && names[n][1] === code);
  draft.words.push(name ?? `${type}/${code}`);
  if (name === "echo" || name === "reply") {
    setNumber(draft, "eid", v.getUint16(4));
    setNumber(draft, "eseq", v.getUint16(6));
  } else if (name === "frag-needed" || name === "too-big") draft.fields.set("mtu", String(v.getUint32(4)));
  else if (v.getUint32(4) !== 0) draft.fields.set("rest", `0x${v.getUint32(4).toString(16)}`);
  readChecksum(draft, bytes, 2, family === 6 ? pseudoSum : 0);
  const body = bytes.subarray(8);
  const error = family === 6 ? type < 128 : [3, 4, 5, 11, 12].includes(type);
  if (error && body.length >= 20) draft.inner = readPacket(body);
  else setPayload(draft, body);
  return true;
}

function gre(draft: Draft, bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  const v = viewOf(bytes);
  const flags = v.getUint16(0);
  const header = flags === 0x8000 ? 8 : 4;
  const carried = v.getUint16(2);
  if ((flags & 0x7fff) !== 0 || (carried !== 0x0800 && carried !== 0x86dd)) return false;
  if (bytes.length < header + 20) return false;
  draft.kind = "gre";
  if (header === 8) {
    draft.words.push("csum");
    readChecksum(draft, bytes, 4, 0);
  }
  draft.inner = readPacket(bytes.subarray(header));
  return true;
}

function upper(draft: Draft, protocol: number, bytes: Uint8Array, family: 4 | 6, pseudoSum: number): void {
  const read = (): boolean => {
    if (protocol === 6) return tcp(draft, bytes, pseudoSum);
    if (protocol === 17) return udp(draft, bytes, pseudoSum);
    if (protocol === 132) return sctp(draft, bytes);
    if (protocol === (family === 4 ? 1 : 58)) return icmp(draft, bytes, family, pseudoSum);
    if (protocol === 47) return gre(draft, bytes);
    if ((protocol === 4 || protocol === 41) && bytes.length >= 20) {
      draft.kind = "ipip";
      draft.inner = readPacket(bytes);
      return true;
    }
    return false;
  };
  if (draft.fields.has("frag") || !read()) {
    draft.kind = "ip";
    draft.fields.set("proto", String(protocol));
    setPayload(draft, bytes);
  }
}

const raw = (bytes: Uint8Array): Note => ({
  kind: "raw",
  src: "",
  dst: "",
  words: [],
  fields: new Map([["hex", hex(bytes)]]),
});

function read4(bytes: Uint8Array): Draft | undefined {
  const v = viewOf(bytes);
  const header = (bytes[0] & 0xf) << 2;
  if (bytes.length < 20 || header < 20 || header > bytes.length) return undefined;
  const draft: Draft = { kind: "ip", words: [], fields: new Map() };
  const { fields } = draft;
  const fragment = v.getUint16(6);
  fields.set("ttl", String(bytes[8]));
  if (bytes[1]) fields.set("tos", `0x${bytes[1].toString(16)}`);
  setNumber(draft, "id", v.getUint16(4));
  if (fragment & 0x4000) fields.set("df", "");
  if (fragment & 0x2000) fields.set("mf", "");
  setNumber(draft, "frag", (fragment & 0x1fff) << 3);
  if (header > 20) fields.set("ipopt", hex(bytes.subarray(20, header)));
  if (v.getUint16(2) !== bytes.length) fields.set("iplen", String(v.getUint16(2)));
  if (checksum(v, 0, header) !== 0) fields.set("ipcsum", hex16(v.getUint16(10)));
  const body = bytes.subarray(header);
  upper(draft, bytes[9], body, 4, pseudo4(v, 0, bytes[9], body.length));
  return draft;
}

function read6(bytes: Uint8Array): Draft | undefined {
  if (bytes.length < 40) return undefined;
  const v = viewOf(bytes);
  const draft: Draft = { kind: "ip", words: [], fields: new Map() };
  const { fields } = draft;
  const tos = (v.getUint16(0) >>> 4) & 0xff;
  fields.set("ttl", String(bytes[7]));
  if (tos) fields.set("tos", `0x${tos.toString(16)}`);
  if (v.getUint32(0) & 0xfffff) fields.set("flow", `0x${(v.getUint32(0) & 0xfffff).toString(16)}`);
  if (v.getUint16(4) + 40 !== bytes.length) fields.set("iplen", String(v.getUint16(4) + 40));
  let protocol = bytes[6];
  let at = 40;
  for (const [name, number] of EXTENSION_FIELDS) {
    if (protocol !== number || at + 8 > bytes.length) continue;
    const length = (bytes[at + 1] + 1) * 8;
    if (at + length > bytes.length) break;
    fields.set(name, hex(bytes.subarray(at + 2, at + length)));
    protocol = bytes[at];
    at += length;
  }
  if (protocol === 44 && at + 8 <= bytes.length) {
    fields.set("fragid", String(v.getUint32(at + 4)));
    setNumber(draft, "frag", v.getUint16(at + 2) & 0xfff8);
    if (v.getUint16(at + 2) & 1) fields.set("mf", "");
    protocol = bytes[at];
    at += 8;
  }
  const body = bytes.subarray(at);
  upper(draft, protocol, body, 6, pseudo6(v, 0, protocol, body.length));
  return draft;
}

/** The notation of any bytes; building it again gives exactly these bytes. */
export function readPacket(bytes: Uint8Array): Note {
  const family = bytes.length > 0 ? bytes[0] >> 4 : 0;
  const draft = family === 4 ? read4(bytes) : family === 6 ? read6(bytes) : undefined;
  if (!draft) return raw(bytes);
  const at = family === 4 ? 12 : 8;
  const length = family === 4 ? 4 : 16;
  const note: Note = {
    ...draft,
    src: formatAddress(family as 4 | 6, bytes, at),
    dst: formatAddress(family as 4 | 6, bytes, at + length),
  };
  try {
    if (Buffer.compare(buildPacket(note), bytes) === 0) return note;
  } catch {
    // what the notation cannot say is told byte by byte
  }
  return raw(bytes);
}
