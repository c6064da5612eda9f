/**
 * TCP options: RFC 9293 §3.2, RFC 7323 (window scale, timestamps), RFC 2018 (SACK), and TOA, the client address that a
 * full-NAT director adds for the real server (kind 254 with the port and address of the client).
 *
 *     TOA, IPv4 client:  FE 08 | port | address (4)        IPv6 client:  FE 14 | port | address (16)
 * @module
 */
import { type Family, formatAddress, parseAddress } from "./address.ts";

export const OPTION = {
  end: 0,
  nop: 1,
  mss: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
  toa: 254,
} as const;

/** Bytes of a TOA option, by the client's family. */
export const TOA_LEN = { 4: 8, 6: 20 } as const;

export type TcpOption =
  | { readonly kind: "nop" }
  | { readonly kind: "mss" /** Bytes. */; readonly size: number }
  | { readonly kind: "windowScale"; readonly shift: number }
  | { readonly kind: "sackPermitted" }
  | {
      readonly kind: "sack";
      /** Left and right edge, u32 each; one to four. */ readonly blocks: readonly (readonly [
        number,
        number,
      ])[];
    }
  | { readonly kind: "timestamps" /** u32 */; readonly value: number /** u32 */; readonly echo: number }
  | { readonly kind: "toa"; readonly port: number /** Text. */; readonly address: string }
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array };

function optionLength(option: TcpOption): number {
  switch (option.kind) {
    case "nop":
      return 1;
    case "mss":
      return 4;
    case "windowScale":
      return 3;
    case "sackPermitted":
      return 2;
    case "sack":
      return 2 + 8 * option.blocks.length;
    case "timestamps":
      return 10;
    case "toa":
      return option.address.includes(":") ? TOA_LEN[6] : TOA_LEN[4];
    case "unknown":
      return 2 + option.data.length;
  }
}

/** Bytes of all options, padded to a multiple of 4. */
export function optionsLength(options: readonly TcpOption[]): number {
  let length = 0;
  for (const option of options) length += optionLength(option);
  return (length + 3) & ~3;
}

function parseOption(v: DataView, at: number, length: number): TcpOption {
  const type = v.getUint8(at);
  const bytes = new Uint8Array(v.buffer, v.byteOffset + at + 2, length - 2);
  if (type === OPTION.mss && length === 4) return { kind: "mss", size: v.getUint16(at + 2) };
  if (type === OPTION.windowScale && length === 3) return { kind: "windowScale", shift: v.getUint8(at + 2) };
  if (type === OPTION.sackPermitted && length === 2) return { kind: "sackPermitted" };
  if (type === OPTION.timestamps && length === 10) {
    return { kind: "timestamps", value: v.getUint32(at + 2), echo: v.getUint32(at + 6) };
  }
  if (type === OPTION.sack && length > 2 && length % 8 === 2) {
    const blocks: [number, number][] = [];
    for (let i = at + 2; i < at + length; i += 8) blocks.push([v.getUint32(i), v.getUint32(i + 4)]);
    return { kind: "sack", blocks };
  }
  if (type === OPTION.toa && (length === TOA_LEN[4] || length === TOA_LEN[6])) {
    const family: Family = length === TOA_LEN[4] ? 4 : 6;
    return { kind: "toa", port: v.getUint16(at + 2), address: formatAddress(family, bytes, 2) };
  }
  return { kind: "unknown", type, data: bytes.slice() };
}

/**
 * Reads options up to their end mark, `end`, or the first one whose length is impossible: receivers must live with such
 * (RFC 9293 §3.2), so the segment stays valid. A known kind with a wrong length is "unknown".
 */
export function parseOptions(v: DataView, from: number, end: number): TcpOption[] {
  const options: TcpOption[] = [];
  for (let i = from; i < end; ) {
    const type = v.getUint8(i);
    if (type === OPTION.end) break;
    if (type === OPTION.nop) {
      options.push({ kind: "nop" });
      i++;
      continue;
    }
    const length = i + 1 < end ? v.getUint8(i + 1) : 0;
    if (length < 2 || i + length > end) break;
    options.push(parseOption(v, i, length));
    i += length;
  }
  return options;
}

/** Where the first option of that kind starts between `from` and `end`, or -1. For the packet path: allocates nothing. */
export function findOption(v: DataView, from: number, end: number, kind: number): number {
  for (let i = from; i < end; ) {
    const type = v.getUint8(i);
    if (type === OPTION.end) return -1;
    if (type === OPTION.nop) {
      i++;
      continue;
    }
    const length = i + 1 < end ? v.getUint8(i + 1) : 0;
    if (length < 2 || i + length > end) return -1;
    if (type === kind) return i;
    i += length;
  }
  return -1;
}

/** Writes options and pads them with end marks to a multiple of 4 bytes. */
export function emitOptions(options: readonly TcpOption[], v: DataView, at: number): void {
  let i = at;
  for (const option of options) {
    emitOption(option, v, i);
    i += optionLength(option);
  }
  for (const end = at + optionsLength(options); i < end; i++) v.setUint8(i, OPTION.end);
}

function emitOption(option: TcpOption, v: DataView, at: number): void {
  v.setUint8(at, option.kind === "unknown" ? option.type : OPTION[option.kind]);
  if (option.kind === "nop") return;
  v.setUint8(at + 1, optionLength(option));
  switch (option.kind) {
    case "mss":
      v.setUint16(at + 2, option.size);
      break;
    case "windowScale":
      v.setUint8(at + 2, option.shift);
      break;
    case "sackPermitted":
      break;
    case "sack":
      option.blocks.forEach(([left, right], n) => {
        v.setUint32(at + 2 + 8 * n, left);
        v.setUint32(at + 6 + 8 * n, right);
      });
      break;
    case "timestamps":
      v.setUint32(at + 2, option.value);
      v.setUint32(at + 6, option.echo);
      break;
    case "toa": {
      const address = parseAddress(option.address);
      if (address === undefined) throw new RangeError(`"${option.address}" is not an IP address`);
      v.setUint16(at + 2, option.port);
      address.bytes.forEach((byte, n) => {
        v.setUint8(at + 4 + n, byte);
      });
      break;
    }
    case "unknown":
      option.data.forEach((byte, n) => {
        v.setUint8(at + 2 + n, byte);
      });
      break;
  }
}
