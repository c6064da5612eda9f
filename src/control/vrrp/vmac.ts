/**
 * The virtual hardware address and the interface that has it (use_vmac).
 * @module
 */
import type { VrrpInstanceSpec } from "./spec.ts";

/** 00:00:5e:00:01:ID for IPv4, 00:00:5e:00:02:ID for IPv6 (RFC 9568 §7.3), unless another one is configured. */
export function virtualMac(spec: VrrpInstanceSpec): string {
  const id = spec.routerId.toString(16).padStart(2, "0");
  return spec.vmac?.mac ?? `00:00:5e:00:0${spec.family === 4 ? 1 : 2}:${id}`;
}

/** keepalived's name for it: `vrrp.ID`, for IPv6 `vrrp6.ID`. */
export function vmacName(spec: VrrpInstanceSpec): string {
  return spec.vmac?.name ?? `${spec.family === 4 ? "vrrp" : "vrrp6"}.${spec.routerId}`;
}
