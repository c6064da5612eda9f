/**
 * Services and servers as text: numbers, or names where there are any.
 * @module
 */
import { fullMask, type Protocol, type ServiceId, type ServiceSpec } from "../../../core/service.ts";
import { format4 } from "../../../wire/address.ts";
import type { Names } from "../names.ts";
import { flagNames } from "./flags.ts";

/** Texts of addresses and ports. */
export interface Labels {
  /** `10.0.0.1:80`, `[2001:db8::1]:80`, `vip:http`. Without a protocol the port stays a number. */
  endpoint(address: string, port: number, protocol: Protocol | undefined): string;
}

const join = (ipv6: boolean, host: string, port: number | string): string =>
  ipv6 ? `[${host}]:${port}` : `${host}:${port}`;

/** Numbers only. */
export const NUMERIC: Labels = {
  endpoint: (address, port) => join(address.includes(":"), address, port),
};

/** Names of these addresses, and of ports. */
export async function named(names: Names, addresses: Iterable<string>): Promise<Labels> {
  const hosts = await names.hostNames(addresses);
  return {
    endpoint(address, port, protocol) {
      const name = protocol === undefined || port === 0 ? undefined : names.portName(port, protocol);
      return join(address.includes(":"), hosts.get(address) ?? address, name ?? port);
    },
  };
}

/** Protocol of a service's ports, undefined for marks. */
export const protocolOf = (id: ServiceId): Protocol | undefined =>
  id.kind === "address" ? id.protocol : undefined;

/** compat: marks are printed as signed numbers. */
export const signedMark = (fwmark: number): number => fwmark | 0;

/** A netmask as `-M` takes it: dotted for IPv4, a length for IPv6. */
export const maskText = (spec: ServiceSpec): string =>
  spec.id.family === 6 ? `${spec.netmask}` : format4(spec.netmask);

/** Whether the mask says anything. */
export const hasMask = (spec: ServiceSpec): boolean => spec.netmask >>> 0 !== fullMask(spec.id.family);

/** Scheduler and what follows it in a listing: `sh (sh-port) persistent 30 mask 255.255.255.0 pe sip ops`. */
export function schedulerText(spec: ServiceSpec): string {
  let text = spec.scheduler;
  if (spec.schedFlags) text += ` (${flagNames(spec.schedFlags, spec.scheduler)})`;
  if (spec.persistent) {
    text += ` persistent ${spec.timeoutS}`;
    if (hasMask(spec)) text += ` mask ${maskText(spec)}`;
    if (spec.engine) text += ` pe ${spec.engine}`;
  }
  if (spec.onePacket) text += " ops";
  if (spec.localAddresses?.length) text += ` local ${spec.localAddresses.join(",")}`;
  return text;
}
