/**
 * How many addresses an advert has room for.
 * @module
 */
import * as vrrp from "../../wire/vrrp.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

/** The count is one byte. */
const MOST = 255;
const HEADERS = { 4: 20, 6: 40 } as const;
const AH_LEN = 24;

/** The instance with the addresses that do not fit into an advert of `mtu` bytes moved to the excluded ones; itself when all fit. */
export function fitted(spec: VrrpInstanceSpec, mtu: number): VrrpInstanceSpec {
  const ah = spec.auth?.type === "ah" ? AH_LEN : 0;
  const fixed = HEADERS[spec.family] + ah + vrrp.byteLength(spec.version, spec.family, 0);
  const each = spec.family === 4 ? 4 : 16;
  const room = Math.min(MOST, Math.floor((mtu - fixed) / each));
  if (spec.addresses.length <= room) return spec;
  return {
    ...spec,
    addresses: spec.addresses.slice(0, room),
    excluded: [...spec.addresses.slice(room), ...spec.excluded],
  };
}
