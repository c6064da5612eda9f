/**
 * Addresses, masks and ports as the BPF maps hold them.
 * @module
 */
import { type Family, formatAddress, parseAddress } from "../../wire/address.ts";

/** Bytes of an address field. */
export const ADDRESS_SIZE = 16;

/** Writes an address given as text: IPv4 in the first four bytes, the others 0. */
export function putAddress(bytes: Uint8Array, at: number, text: string): void {
  bytes.fill(0, at, at + ADDRESS_SIZE);
  bytes.set(parseAddress(text)!.bytes, at);
}

/** Text of an address field. */
export const getAddress = (family: Family, bytes: Uint8Array, at: number): string =>
  formatAddress(family, bytes, at);

/** Writes a persistence mask: an IPv4 netmask (0xffffff00), an IPv6 prefix length, as the bytes to AND with. */
export function putMask(bytes: Uint8Array, at: number, family: Family, netmask: number): void {
  bytes.fill(0, at, at + ADDRESS_SIZE);
  if (family === 4) {
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, netmask >>> 0);
    return;
  }
  for (let i = 0; i < ADDRESS_SIZE; i++) {
    const bits = Math.min(8, Math.max(0, netmask - 8 * i));
    bytes[at + i] = (0xff00 >> bits) & 0xff;
  }
}
