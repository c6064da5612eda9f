/**
 * Reading of addresses, ports and numbers as ipvsadm takes them, old forms and all.
 * @module
 */
import type { Family, Protocol } from "../../../core/service.ts";
import { format4, formatAddress, parseAddress } from "../../../wire/address.ts";
import type { Names } from "../names.ts";
import type { AddressFault } from "./failure.ts";

/** A whole decimal number as strtol(3) in base 10 takes it (leading blanks, sign, zeros), within limits. */
export function readNumber(word: string, low: number, high: number): number | undefined {
  if (!/^[ \t\n\v\f\r]*[+-]?\d+$/.test(word)) return undefined;
  const number = Number(word);
  return number >= low && number <= high ? number : undefined;
}

/** The number a text begins with, or 0: atoi(3). */
export const leadingNumber = (word: string): number =>
  Number(/^[ \t\n\v\f\r]*([+-]?\d+)/.exec(word)?.[1] ?? 0);

/** One part of a classic IPv4 address: decimal, octal with 0, hexadecimal with 0x. */
function addressPart(text: string): number | undefined {
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return Number.parseInt(text, 16);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9]\d*$/.test(text) ? Number(text) : undefined;
}

/** An IPv4 address in any of the forms of inet_aton(3): `10.1`, `0x0a000001`, `012.0.0.1`. Unsigned, host order. */
export function readIpv4(text: string): number | undefined {
  const parts = text.replace(/[ \t\n\v\f\r].*$/s, "").split(".");
  if (parts.length > 4) return undefined;
  let address = 0;
  for (const [i, part] of parts.entries()) {
    const value = addressPart(part);
    const last = i === parts.length - 1;
    if (value === undefined || value >= (last ? 256 ** (5 - parts.length) : 256)) return undefined;
    address += last ? value : value * 256 ** (3 - i);
  }
  return address;
}

/** An address with or without a port. */
export interface Endpoint {
  readonly family: Family;
  /** Canonical text. */
  readonly address: string;
  /** undefined: none was given. */
  readonly port: number | undefined;
}

/** A port as a number or, when the protocol is known, a name of services(5). */
function readPort(text: string, protocol: Protocol | undefined, names: Names): number | AddressFault {
  if (text === "") return "empty-port";
  const number = readNumber(text, 0, 65535);
  if (number !== undefined) return number;
  if (/^\s*[+-]?\d/.test(text)) return "port-range";
  if (protocol === undefined) return "port-name-before-service";
  return names.portNumber(text, protocol) ?? "unknown-port-name";
}

/** A host: an IPv4 address in any form, or a name. */
async function readHost(text: string, names: Names): Promise<string | AddressFault> {
  if (text === "") return "empty";
  const number = readIpv4(text);
  if (number !== undefined) return format4(number);
  if (/^[\d.]+$/.test(text)) return "ipv4-range";
  return (await names.hostAddress(text)) ?? "unknown-host";
}

/** The IPv4 address or host name `text`, unsigned, or undefined. For netmasks, which may be any of that. */
export async function readMask(text: string, names: Names): Promise<number | undefined> {
  const host = await readHost(text, names);
  return readIpv4(host);
}

/**
 * `IPV4[:PORT]`, `NAME[:PORT]`, `[IPV6]:PORT` or a bare IPV6.
 *
 * compat: ipvsadm 1.31 takes `[IPV4]:PORT` and `[NAME]:PORT` and forgets the port.
 * @param protocol for the names of ports; undefined while it is not known.
 */
export async function readEndpoint(
  word: string,
  protocol: Protocol | undefined,
  names: Names,
): Promise<Endpoint | AddressFault> {
  if (word.startsWith("[")) return readBracketed(word, protocol, names);
  const bare = parseAddress(word);
  if (bare?.family === 6) return { family: 6, address: formatAddress(6, bare.bytes), port: undefined };
  if (/^[0-9a-fA-F:.]+%/.test(word)) return "zone";
  if (/:.*:/.test(word)) return "ipv6-text";
  const colon = word.indexOf(":");
  if (colon < 0 && /^\d+$/.test(word)) return "no-port-number";
  const host = await readHost(colon < 0 ? word : word.slice(0, colon), names);
  if (readIpv4(host) === undefined) return host as AddressFault;
  if (colon < 0) return { family: 4, address: host, port: undefined };
  const port = readPort(word.slice(colon + 1), protocol, names);
  return typeof port === "number" ? { family: 4, address: host, port } : port;
}

async function readBracketed(
  word: string,
  protocol: Protocol | undefined,
  names: Names,
): Promise<Endpoint | AddressFault> {
  const close = word.indexOf("]");
  if (close < 0) return "bracket-not-closed";
  if (word[close + 1] !== ":") return "bracket-without-port";
  const inside = word.slice(1, close);
  const parsed = parseAddress(inside);
  const port = readPort(word.slice(close + 2), protocol, names);
  if (parsed?.family === 6) {
    if (typeof port !== "number") return port;
    return { family: 6, address: formatAddress(6, parsed.bytes), port };
  }
  if (inside.includes("%")) return "zone";
  if (inside.includes(":")) return "ipv6-text";
  if (port === "empty-port") return port;
  const host = await readHost(inside, names);
  if (readIpv4(host) === undefined) return host as AddressFault;
  return { family: 4, address: host, port: 0 };
}

/** Whether what {@link readEndpoint} gave is a fault. */
export const isFault = (read: Endpoint | AddressFault): read is AddressFault => typeof read === "string";
