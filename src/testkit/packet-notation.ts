/**
 * A one-line notation for IP packets, made for scenario files and for telling what was wrong with a packet:
 *
 *     tcp 10.1.0.2:40001 > 10.1.0.100:80 SA seq=9 ack=2 ttl=63 data="hello"
 *     icmp 10.1.0.100 > 10.1.0.2 frag-needed mtu=1380 [ tcp 10.1.0.2:40001 > 10.1.0.100:80 PA df len=1400 ]
 *     gue 10.2.0.1:* > 10.2.0.11:6080 csum=0 [ udp [2001:db8:1::2]:5000 > [2001:db8:1::100]:53 len=10 ]
 *
 * The kind, source and destination (IPv6 in brackets when a port follows), then words and fields in any order, then what is
 * carried or quoted between ` [ ` and ` ] `. What a packet does not say is as a well-behaved sender would write it: checksums
 * and lengths are right, everything else is 0.
 *
 * Kinds: tcp udp sctp icmp ipip gre gue; `ip` (any protocol, `proto=50`; also later fragments); `raw hex=...`.
 *
 * | on | words and fields |
 * | --- | --- |
 * | every packet | `ttl=64` (or hop limit) `tos=0x10` |
 * | IPv4 | `id=7` `df` `mf` `frag=1480` (bytes) `ipopt=HEX` |
 * | IPv6 | `flow=0x12345` `hbh=HEX` `dstopt=HEX` `rh=HEX` `fragid=7` with `frag=` and `mf` |
 * | payload | `len=100` (a-z repeated; `phase=3` starts at d), `data="text"` or `hex=0102` |
 * | tcp | flags as letters of FSRPAUEC or `-`; `seq=` `ack=` `win=` `urg=` `opts=HEX` |
 * | udp, gue | `csum=0` for none; gue: `gue=HEX` for a GUE header that is not the plain four bytes |
 * | sctp | chunks, `INIT`, `DATA/3:HEX` (flags, value); `tag=` |
 * | icmp | `echo` `reply` with `eid=` `eseq=`; `unreach-host` `unreach-port` `frag-needed mtu=` ...; else `TYPE/CODE` `rest=HEX` |
 * | gre | `csum` when the GRE header has one |
 * | what is wrong | `csum=0xbeef` `ipcsum=0xbeef` `iplen=1500` `ulen=1480` |
 * | cutting, written only | `cut=0-1480` (that part of the IP payload, as a fragment) `trunc=548` (bytes left of a quoted packet) |
 *
 * In an expectation `*` stands for any value of a field or port.
 * @module
 */

/** What a packet is, or what its innermost known layer is. */
export type Kind = "tcp" | "udp" | "sctp" | "icmp" | "ipip" | "gre" | "gue" | "ip" | "raw";

/** A packet as its notation says it; values are text, so that they can be "*". */
export interface Note {
  readonly kind: Kind;
  /** Address as text; "" for raw. */
  readonly src: string;
  readonly dst: string;
  /** Only kinds with ports have these. */
  readonly srcPort?: string;
  readonly dstPort?: string;
  /** TCP flags, SCTP chunks, the name of an ICMP message. */
  readonly words: readonly string[];
  /** Flags such as `df` have the value "". */
  readonly fields: ReadonlyMap<string, string>;
  /** What is carried or quoted. */
  readonly inner?: Note;
}

const KINDS: readonly Kind[] = ["tcp", "udp", "sctp", "icmp", "ipip", "gre", "gue", "ip", "raw"];
const WITH_PORTS: readonly Kind[] = ["tcp", "udp", "sctp", "gue"];
/** Fields in the order of printing. */
const FIELDS = [
  "proto", "seq", "ack", "win", "urg", "opts", "tag", "mtu", "eid", "eseq", "rest", "gue", "ttl", "tos", "id", "df", "mf",
  "frag", "fragid", "flow", "hbh", "dstopt", "rh", "ipopt", "len", "phase", "data", "hex", "cut", "trunc", "csum", "ulen",
  "iplen", "ipcsum",
]; // biome-ignore format: a list
/** Fields that may stand without a value. */
const BARE = ["df", "mf"];

/** A notation that cannot be read. */
export class NotationError extends Error {
  override readonly name = "NotationError";
}

/** Splits at blanks, but not inside quotation marks. */
function tokensOf(text: string): string[] {
  return text.match(/[^\s"]*"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
}

function endpoint(token: string | undefined, ports: boolean): [address: string, port: string | undefined] {
  if (token === undefined) throw new NotationError("an address is missing");
  if (!ports) return [token, undefined];
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+|\*)$/.exec(token);
  if (!match) throw new NotationError(`"${token}" is not ADDRESS:PORT`);
  return [match[1] ?? match[2], match[3]];
}

/**
 * Reads one packet.
 * @param ttl what `ttl` is, on every layer, where it is not said
 * @throws NotationError
 */
export function parseNote(text: string, ttl = 64): Note {
  const tokens = tokensOf(text);
  const note = parseTokens(tokens, ttl);
  if (tokens.length > 0) throw new NotationError(`"${tokens[0]}" is left over in: ${text}`);
  return note;
}

/** Takes one packet from the front of `tokens`. */
function parseTokens(tokens: string[], ttl: number): Note {
  const kind = tokens.shift() as Kind;
  if (!KINDS.includes(kind)) throw new NotationError(`"${kind}" is not one of ${KINDS.join(" ")}`);
  let [src, srcPort]: [string, string | undefined] = ["", undefined];
  let [dst, dstPort]: [string, string | undefined] = ["", undefined];
  const fields = new Map<string, string>();
  if (kind !== "raw") {
    const ports = WITH_PORTS.includes(kind);
    [src, srcPort] = endpoint(tokens.shift(), ports);
    if (tokens.shift() !== ">") throw new NotationError(`">" expected behind ${src}`);
    [dst, dstPort] = endpoint(tokens.shift(), ports);
    fields.set("ttl", String(ttl));
  }
  const words: string[] = [];
  let inner: Note | undefined;
  while (tokens.length > 0 && tokens[0] !== "]") {
    const token = tokens.shift()!;
    if (token === "[") {
      inner = parseTokens(tokens, ttl);
      if (tokens.shift() !== "]") throw new NotationError(`"]" is missing`);
      continue;
    }
    const match = /^([a-z]+)=(.+)$/.exec(token);
    if (match) {
      if (!FIELDS.includes(match[1])) throw new NotationError(`"${match[1]}" is not a field`);
      fields.set(match[1], match[2]);
    } else if (BARE.includes(token)) fields.set(token, "");
    else words.push(token);
  }
  return {
    kind,
    src,
    dst,
    ...(srcPort !== undefined && { srcPort }),
    ...(dstPort !== undefined && { dstPort }),
    words,
    fields,
    ...(inner && { inner }),
  };
}

const endpointText = (address: string, port: string | undefined): string => {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
};

/** Writes a packet; `ttl` is left out where it has the given value. */
export function printNote(note: Note, ttl?: number): string {
  const parts: string[] = [note.kind];
  if (note.kind !== "raw") {
    parts.push(endpointText(note.src, note.srcPort), ">", endpointText(note.dst, note.dstPort));
  }
  parts.push(...note.words);
  for (const name of FIELDS) {
    const value = note.fields.get(name);
    if (value === undefined || (name === "ttl" && value === String(ttl))) continue;
    parts.push(value === "" ? name : `${name}=${value}`);
  }
  if (note.inner) parts.push("[", printNote(note.inner, ttl), "]");
  return parts.join(" ");
}

/** Messages of ICMP by name: type and code. */
export const ICMP_NAMES: Readonly<Record<string, readonly [number, number]>> = {
  echo: [8, 0],
  reply: [0, 0],
  "unreach-net": [3, 0],
  "unreach-host": [3, 1],
  "unreach-proto": [3, 2],
  "unreach-port": [3, 3],
  "frag-needed": [3, 4],
  "time-exceeded": [11, 0],
  "reassembly-timeout": [11, 1],
};

/** Messages of ICMPv6 by name. */
export const ICMPV6_NAMES: Readonly<Record<string, readonly [number, number]>> = {
  echo: [128, 0],
  reply: [129, 0],
  "unreach-route": [1, 0],
  "unreach-admin": [1, 1],
  "unreach-addr": [1, 3],
  "unreach-port": [1, 4],
  "too-big": [2, 0],
  "time-exceeded": [3, 0],
  "reassembly-timeout": [3, 1],
};

/** Chunks of SCTP by name (RFC 9260 §3.2). */
export const CHUNK_NAMES: Readonly<Record<string, number>> = {
  DATA: 0,
  INIT: 1,
  "INIT-ACK": 2,
  SACK: 3,
  HEARTBEAT: 4,
  "HEARTBEAT-ACK": 5,
  ABORT: 6,
  SHUTDOWN: 7,
  "SHUTDOWN-ACK": 8,
  ERROR: 9,
  "COOKIE-ECHO": 10,
  "COOKIE-ACK": 11,
  ECNE: 12,
  CWR: 13,
  "SHUTDOWN-COMPLETE": 14,
};

/** TCP flags, least significant first. */
export const TCP_FLAGS = "FSRPAUEC";
/** UDP port by which GUE is recognised when a packet is read (IANA). */
export const GUE_PORT = 6080;
