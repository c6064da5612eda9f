/**
 * What an address is to this host, by the kernel's routing tables: what the checks on real server addresses ask.
 * @module
 */
import type { AddressKind, Words } from "../core/host.ts";
import type { Family } from "../core/service.ts";
import { ROUTE_TYPE, type Routes } from "../sys/route.ts";
import { ADDRESS_LEN, writeWords } from "../wire/address.ts";

const key = new Uint8Array(16);
const keyView = new DataView(key.buffer);

/** Asks the namespace in which `routes` was made. */
export function addressKind(routes: Routes, family: Family, address: Words): AddressKind {
  if (address.every((word) => word === 0)) return "unspecified";
  writeWords(family, keyView, 0, address);
  const type = routes.lookup(key.subarray(0, ADDRESS_LEN[family]), 0)?.type;
  if (type === ROUTE_TYPE.LOCAL) return "local";
  const top = address[0] >>> 16;
  if (family === 6) {
    if (top >>> 8 === 0xff) return "multicast";
    return (top & 0xffc0) === 0xfe80 ? "linklocal" : "unicast";
  }
  if (type === ROUTE_TYPE.BROADCAST || address[0] === -1) return "broadcast";
  return top >>> 12 === 0xe ? "multicast" : "unicast";
}
