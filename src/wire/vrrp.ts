/**
 * VRRP advertisements: version 2 (RFC 3768) and version 3 (RFC 9568). All fields are big-endian.
 *
 *     0           1            2          3       4           5          6          8           8 + 4n
 *     | ver, type | router id  | priority | count | auth type | interval | checksum | addresses | auth data 8     version 2
 *     | ver, type | router id  | priority | count | 0, interval (12 bits)| checksum | addresses                  version 3
 *
 * Version 2 over IPv6 is none of the RFCs', but keepalived's: 16 bytes an address and no authentication data.
 * @module
 */
import { ADDRESS_LEN, type Family, formatAddress, parseAddress } from "./address.ts";
import { fold, sum } from "./checksum.ts";

export const AT = {
  versionType: 0,
  routerId: 1,
  priority: 2,
  count: 3,
  authType: 4,
  interval: 5,
  interval3: 4,
  checksum: 6,
  addresses: 8,
} as const;
/** Bytes before the addresses. */
export const HEADER_LEN = 8;
/** Bytes of authentication data behind the addresses of version 2. */
export const AUTH_LEN = 8;
/** IP protocol number, and next header. */
export const PROTOCOL = 112;
/** TTL and hop limit of every multicast advert. */
export const TTL = 255;
/** TOS and traffic class: internetwork control. */
export const TOS = 0xc0;
export const TYPE_ADVERTISEMENT = 1;
/** Priorities with a meaning: the master resigns; the owner of the addresses. */
export const PRIORITY = { resign: 0, owner: 255 } as const;
export const AUTH = { none: 0, pass: 1, ah: 2 } as const;
/** Groups that routers listen to. */
export const GROUP = { 4: "224.0.0.18", 6: "ff02::12" } as const;

export const version = (v: DataView, at: number): number => v.getUint8(at) >>> 4;
export const type = (v: DataView, at: number): number => v.getUint8(at) & 0xf;
export const routerId = (v: DataView, at: number): number => v.getUint8(at + AT.routerId);
export const priority = (v: DataView, at: number): number => v.getUint8(at + AT.priority);
/** Number of addresses, 0..255. */
export const count = (v: DataView, at: number): number => v.getUint8(at + AT.count);
/** Of version 2. */
export const authType = (v: DataView, at: number): number => v.getUint8(at + AT.authType);
/** Milliseconds: whole seconds in version 2, 0..40950 by tens in version 3. */
export const intervalMs = (v: DataView, at: number): number =>
  version(v, at) === 2 ? v.getUint8(at + AT.interval) * 1000 : (v.getUint16(at + AT.interval3) & 0xfff) * 10;

/** Bytes of a message with `addresses` addresses. */
export function byteLength(version: 2 | 3, family: Family, addresses: number): number {
  const auth = version === 2 && family === 4 ? AUTH_LEN : 0;
  return HEADER_LEN + ADDRESS_LEN[family] * addresses + auth;
}

/** What a valid advertisement says. */
export interface Vrrp {
  readonly version: 2 | 3;
  readonly family: Family;
  /** 1..255. */
  readonly routerId: number;
  /** 0..255, see {@link PRIORITY}. */
  readonly priority: number;
  /** Version 2: whole seconds, at most 255000; version 3: by tens, at most 40950. */
  readonly intervalMs: number;
  /** Canonical text, in the order of the sender's configuration; at most 255. */
  readonly addresses: readonly string[];
  /** Version 2 over IPv4; see {@link AUTH}. */
  readonly authType: number;
  /** Its 8 bytes: the password for PASS, else zeros. Empty for the others. */
  readonly authData: Uint8Array;
}

/** Reads the message between `at` and `end`; undefined when it is none or its lengths lie. Says nothing of the checksum. */
export function parse(v: DataView, at: number, end: number, family: Family): Vrrp | undefined {
  if (end - at < HEADER_LEN) return undefined;
  const ver = version(v, at);
  if ((ver !== 2 && ver !== 3) || type(v, at) !== TYPE_ADVERTISEMENT || routerId(v, at) === 0)
    return undefined;
  const n = count(v, at);
  if (end - at !== byteLength(ver, family, n)) return undefined;
  const addresses: string[] = [];
  for (let i = 0; i < n; i++) addresses.push(addressAt(v, at, i, family));
  const auth = ver === 2 && family === 4;
  return {
    version: ver,
    family,
    routerId: routerId(v, at),
    priority: priority(v, at),
    intervalMs: intervalMs(v, at),
    addresses,
    authType: auth ? authType(v, at) : AUTH.none,
    authData: auth
      ? new Uint8Array(v.buffer, v.byteOffset + end - AUTH_LEN, AUTH_LEN).slice()
      : new Uint8Array(),
  };
}

/** Text of the address with index `i`, which must be among the message's bytes. */
export function addressAt(v: DataView, at: number, i: number, family: Family): string {
  const bytes = new Uint8Array(
    v.buffer,
    v.byteOffset + at + HEADER_LEN + ADDRESS_LEN[family] * i,
    ADDRESS_LEN[family],
  );
  return formatAddress(family, bytes);
}

/** Writes the message with its checksum over `pseudoSum` (see {@link pseudo}; 0 for none). Returns its length in bytes. */
export function emit(message: Vrrp, v: DataView, at: number, pseudoSum: number): number {
  const { family } = message;
  const length = byteLength(message.version, family, message.addresses.length);
  v.setUint8(at + AT.versionType, (message.version << 4) | TYPE_ADVERTISEMENT);
  v.setUint8(at + AT.routerId, message.routerId);
  v.setUint8(at + AT.priority, message.priority);
  v.setUint8(at + AT.count, message.addresses.length);
  if (message.version === 2) {
    v.setUint8(at + AT.authType, message.authType);
    v.setUint8(at + AT.interval, Math.round(message.intervalMs / 1000));
  } else v.setUint16(at + AT.interval3, Math.round(message.intervalMs / 10) & 0xfff);
  const bytes = new Uint8Array(v.buffer, v.byteOffset + at, length);
  message.addresses.forEach((text, i) => {
    const address = parseAddress(text);
    if (address?.family !== family) throw new RangeError(`"${text}" is not an IPv${family} address`);
    bytes.set(address.bytes, HEADER_LEN + ADDRESS_LEN[family] * i);
  });
  if (message.version === 2 && family === 4) {
    bytes.fill(0, length - AUTH_LEN);
    bytes.set(message.authData.subarray(0, AUTH_LEN), length - AUTH_LEN);
  }
  v.setUint16(at + AT.checksum, 0);
  v.setUint16(at + AT.checksum, ~fold(sum(v, at, length, pseudoSum)) & 0xffff);
  return length;
}

/** Unfolded sum of the pseudo header of a message of `length` bytes between two addresses of one family. */
export function pseudo(src: Uint8Array, dst: Uint8Array, length: number): number {
  let total = PROTOCOL + length;
  for (const address of [src, dst])
    for (let i = 0; i < address.length; i += 2) total += (address[i] << 8) | address[i + 1];
  return total;
}

/** True when the checksum of a message of `length` bytes is right with this pseudo header sum (0 for none). */
export function checksumOk(v: DataView, at: number, length: number, pseudoSum: number): boolean {
  return fold(sum(v, at, length, pseudoSum)) === 0xffff;
}

/** A password as the 8 bytes of PASS, and as the key of AH: Latin-1, cut or filled with zeros. */
export function password(text: string): Uint8Array {
  const bytes = new Uint8Array(AUTH_LEN);
  for (let i = 0; i < Math.min(text.length, AUTH_LEN); i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
