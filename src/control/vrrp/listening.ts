/**
 * The sockets that instances need.
 * @module
 */
import type { Listening } from "./host.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

const VRRP = 112;
const AH = 51;

/** One for each interface, family and protocol, however many instances share it. */
export function listenings(instances: readonly VrrpInstanceSpec[]): Listening[] {
  const found = new Map<
    string,
    { interface: string; family: 4 | 6; protocol: number; groups: Set<string> }
  >();
  for (const i of instances) {
    const protocol = i.version === 2 && i.family === 4 && i.auth?.type === "ah" ? AH : VRRP;
    const key = `${i.interface} ${i.family} ${protocol}`;
    const listening = found.get(key) ?? {
      interface: i.interface,
      family: i.family,
      protocol,
      groups: new Set<string>(),
    };
    if (i.peers.length === 0) listening.groups.add(i.group);
    found.set(key, listening);
  }
  return [...found.values()].map((l) => ({ ...l, groups: [...l.groups] }));
}
