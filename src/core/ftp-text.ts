/**
 * Recognising and rewriting the few FTP lines that name addresses and ports (RFC 959 §4.1.2, RFC 2428). Offsets are absolute
 * in the given bytes. Whatever is malformed, split or out of range is not recognised.
 * @module
 */

/** Where a data connection will go. */
export interface FtpAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Offset of the text that names it, and behind it. */
  readonly start: number;
  readonly end: number;
}

/** A port alone (EPSV). */
export interface FtpPort {
  readonly port: number;
  readonly start: number;
  readonly end: number;
}

import { parseAddress } from "../wire/address.ts";

const text = (bytes: Uint8Array, from: number, to: number): string => {
  let s = "";
  for (let i = from; i < to; i++) s += String.fromCharCode(bytes[i]);
  return s;
};

/** Longest text that is looked at, bytes: control lines are short. */
const LONGEST = 1024;
const part = (bytes: Uint8Array, from: number, to: number): string =>
  text(bytes, from, Math.min(to, from + LONGEST));

function sixNumbers(numbers: string, start: number, end: number): FtpAddress | undefined {
  const n = numbers.split(",").map(Number);
  if (n.length !== 6 || n.some((x) => x > 255)) return undefined;
  const port = n[4] * 256 + n[5];
  return port === 0 ? undefined : { address: Uint8Array.from(n.slice(0, 4)), port, start, end };
}

/** `PORT a,b,c,d,p,q` at the start of the segment. */
export function parsePort(bytes: Uint8Array, from: number, to: number): FtpAddress | undefined {
  const m = /^PORT (\d{1,3}(?:,\d{1,3}){5})[\r\n]/i.exec(part(bytes, from, to));
  return m ? sixNumbers(m[1], from + 5, from + 5 + m[1].length) : undefined;
}

/** `EPRT |1|address|port|` (or 2 for IPv6) at the start of the segment, for the connection's own family. */
export function parseEprt(
  bytes: Uint8Array,
  from: number,
  to: number,
  family: 4 | 6,
): FtpAddress | undefined {
  const m = /^EPRT ([!-/:-~])([12])\1([^\r\n]+?)\1(\d{1,5})\1[\r\n]/i.exec(part(bytes, from, to));
  if (!m || (m[2] === "1" ? 4 : 6) !== family) return undefined;
  const parsed = parseAddress(m[3]);
  const port = Number(m[4]);
  if (!parsed || parsed.family !== family || port < 1 || port > 65535) return undefined;
  return { address: parsed.bytes, port, start: from + 5, end: from + m[0].length - 1 };
}

/** The segment holds `PASV` on a line of its own. */
export function isPasv(bytes: Uint8Array, from: number, to: number): boolean {
  return /(?:^|\n)PASV\r\n/i.test(part(bytes, from, to));
}

/** The segment holds `EPSV`, with no or the connection's own family. */
export function isEpsv(bytes: Uint8Array, from: number, to: number, family: 4 | 6): boolean {
  const m = /(?:^|\n)EPSV(?: ([12]))?\r\n/i.exec(part(bytes, from, to));
  return m !== null && (m[1] === undefined || (m[1] === "1" ? 4 : 6) === family);
}

/** `227 ... (a,b,c,d,p,q)`, parenthesis optional. */
export function parse227(bytes: Uint8Array, from: number, to: number): FtpAddress | undefined {
  const m = /^227 [^\r\n]*?(?<![\d,])(\d{1,3}(?:,\d{1,3}){5})(?![\d,])[^\r\n]*[\r\n]/.exec(
    part(bytes, from, to),
  );
  if (!m) return undefined;
  const at = from + m[0].indexOf(m[1], 4);
  return sixNumbers(m[1], at, at + m[1].length);
}

/** `229 ... (|||port|)`. */
export function parse229(bytes: Uint8Array, from: number, to: number): FtpPort | undefined {
  const m = /^229 [^\r\n]*?\(([!-/:-~])\1\1(\d{1,5})\1\)/.exec(part(bytes, from, to));
  const port = Number(m?.[2]);
  if (!m || port < 1 || port > 65535) return undefined;
  const at = from + m[0].lastIndexOf(m[2]);
  return { port, start: at, end: at + m[2].length };
}

/** The six numbers of a 227 reply. */
export function format227(address: number, port: number): Uint8Array {
  const n = [
    address >>> 24,
    (address >>> 16) & 255,
    (address >>> 8) & 255,
    address & 255,
    port >> 8,
    port & 255,
  ];
  return Uint8Array.from(n.join(","), (c) => c.charCodeAt(0));
}
