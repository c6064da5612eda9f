/**
 * Names of servers as keepalived writes them in logs, pipes and mails.
 * @module
 */
import { type DestinationId, destinationKey } from "../../core/destination.ts";
import { type ServiceId, serviceKey } from "../../core/service.ts";
import type { VirtualServerSpec } from "../wanted.ts";

/** `[10.0.1.1]:tcp:80`; a firewall mark has no protocol: `[10.0.1.1]:none:0` (keepalived 2.2.7). */
export function serverName(service: VirtualServerSpec, id: DestinationId): string {
  const first = service.ids[0];
  const protocol = first?.kind === "address" ? first.protocol : "none";
  return `[${id.address}]:${protocol}:${id.port}`;
}

/** Names one virtual server among others: its name, and the family where a mark is used in both. */
export const virtualKey = (service: Pick<VirtualServerSpec, "name" | "ids">): string =>
  service.ids[0]?.family === 6 ? `${service.name} inet6` : service.name;

/** Whether an operator who writes `text` may mean this service: `tcp 10.0.0.1:80`, `10.0.0.1:80`, `fwmark 9`. */
export function meansService(text: string, service: Pick<VirtualServerSpec, "name" | "ids">): boolean {
  if (text === service.name || text === virtualKey(service)) return true;
  return service.ids.some((id) => text === serviceKey(id) || text === withoutProtocol(id));
}

function withoutProtocol(id: ServiceId): string {
  return id.kind === "fwmark" ? `${id.fwmark}` : serviceKey(id).slice(id.protocol.length + 1);
}

/** Whether an operator who writes `text` may mean this server: `[10.0.1.1]:tcp:80`, `10.0.1.1:80`, `10.0.1.1`. */
export const meansServer = (text: string, name: string, id: DestinationId): boolean =>
  text === name || text === destinationKey(id) || text === id.address;
