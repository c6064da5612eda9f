/**
 * Addresses of connections in the slab: the first word lies with what packets read, the others, of IPv6, in the second cache line.
 * @module
 */
import type { Family } from "../../wire/address.ts";
import { ADDRESS_SIZE, getAddress } from "./encode.ts";
import { CONN } from "./layout.ts";

/** Bytes of an address's first word. */
export const WORD = 4;

/** The addresses, by their fields. */
export const ENDS = ["client", "virtual", "dest_address", "local"] as const;
export type End = (typeof ENDS)[number];

/** Copies an address into 16 bytes: IPv4 in the first four, the others 0. @param at offset of the connection */
export function endBytes(family: Family, bytes: Uint8Array, at: number, end: End): Uint8Array {
  const whole = new Uint8Array(ADDRESS_SIZE);
  const first = at + CONN.at[end];
  whole.set(bytes.subarray(first, first + WORD));
  const more = at + CONN.at[`${end}_more`];
  if (family === 6) whole.set(bytes.subarray(more, more + ADDRESS_SIZE - WORD), WORD);
  return whole;
}

/** Text of an address. @param at offset of the connection */
export const getEnd = (family: Family, bytes: Uint8Array, at: number, end: End): string =>
  getAddress(family, endBytes(family, bytes, at, end), 0);
