/**
 * The difference between what the table holds and what is wanted of one service, as operations in an order in which no moment is without
 * a server: what serves comes first, what goes goes last.
 *
 * Pure. `reconcile/writer.ts` carries the operations out.
 * @module
 */
import { type DestinationId, type DestinationSpec, destinationKey } from "../core/destination.ts";
import type { ServiceId, ServiceSpec, ServiceStatus } from "../core/service.ts";
import type { DesiredService } from "./health/action.ts";

/** One change of the table. */
export type Operation =
  | { readonly kind: "add-service"; readonly spec: ServiceSpec }
  | { readonly kind: "edit-service"; readonly spec: ServiceSpec; readonly before: ServiceSpec }
  | { readonly kind: "remove-service"; readonly id: ServiceId }
  | { readonly kind: "add-destination"; readonly service: ServiceId; readonly spec: DestinationSpec }
  | {
      readonly kind: "edit-destination";
      readonly service: ServiceId;
      readonly spec: DestinationSpec;
      readonly before: DestinationSpec;
    }
  | { readonly kind: "remove-destination"; readonly service: ServiceId; readonly id: DestinationId };

/** A service as it is known to be in the table. */
export interface HeldService {
  readonly spec: ServiceSpec;
  /** By their keys. */
  readonly destinations: ReadonlyMap<string, DestinationSpec>;
}

/** What becomes of destinations that are not wanted. */
export interface Strangers {
  /** Keys of those that are ours to remove, besides those that the configuration names. */
  readonly ours: ReadonlySet<string>;
  /** The others. */
  readonly foreign: "keep" | "remove";
}

/** A service's status without its counters. */
export const heldFrom = (status: ServiceStatus): HeldService => ({
  spec: status.spec,
  destinations: new Map(status.destinations.map((d) => [destinationKey(d.spec), d.spec])),
});

/**
 * What must be done so that the table holds the service as wanted; nothing when it does.
 * @param only keys of the destinations to look at; absent: all, and the service
 */
export function difference(
  held: HeldService | undefined,
  wanted: DesiredService,
  strangers: Strangers,
  only?: Iterable<string>,
): Operation[] {
  const service = wanted.spec.id;
  if (wanted.leaving) return held ? quiesce(held) : [];
  const operations: Operation[] = [];
  if (!held) operations.push({ kind: "add-service", spec: wanted.spec });
  else if (!only && !sameService(held.spec, wanted.spec))
    operations.push({ kind: "edit-service", spec: wanted.spec, before: held.spec });
  const quiesced: Operation[] = [];
  for (const key of only ?? wanted.destinations.keys()) {
    const spec = wanted.destinations.get(key);
    const before = held?.destinations.get(key);
    if (!spec || before === spec) continue;
    if (!before) operations.push({ kind: "add-destination", service, spec });
    else if (!sameDestination(before, spec)) {
      const edit: Operation = { kind: "edit-destination", service, spec, before };
      (spec.weight === 0 ? quiesced : operations).push(edit);
    }
  }
  // A loop: thousands of arguments at once are more than a stack takes.
  for (const edit of quiesced) operations.push(edit);
  for (const key of only ?? held?.destinations.keys() ?? []) {
    const spec = held?.destinations.get(key);
    if (!spec || wanted.destinations.has(key)) continue;
    if (strangers.foreign === "keep" && !wanted.named.has(key) && !strangers.ours.has(key)) continue;
    const { family, address, port } = spec;
    operations.push({ kind: "remove-destination", service, id: { family, address, port } });
  }
  return operations;
}

/** Weight 0 for everything. */
function quiesce({ spec, destinations }: HeldService): Operation[] {
  return [...destinations.values()]
    .filter((d) => d.weight !== 0)
    .map((d) => ({ kind: "edit-destination", service: spec.id, spec: { ...d, weight: 0 }, before: d }));
}

/** Whether two specs of one service mean the same to a table. */
export function sameService(a: ServiceSpec, b: ServiceSpec): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.schedFlags === b.schedFlags &&
    a.persistent === b.persistent &&
    // Without persistence its details have no effect, and planes differ in what they keep of them.
    (!a.persistent || (a.timeoutS === b.timeoutS && a.netmask >>> 0 === b.netmask >>> 0)) &&
    a.engine === b.engine &&
    a.onePacket === b.onePacket &&
    (a.localAddresses ?? []).join() === (b.localAddresses ?? []).join()
  );
}

/** Whether two specs of one destination mean the same to a table. */
export function sameDestination(a: DestinationSpec, b: DestinationSpec): boolean {
  if (a === b) return true;
  if (a.method !== b.method || a.weight !== b.weight || a.upper !== b.upper || a.lower !== b.lower)
    return false;
  if (a.method !== "tun") return true;
  return (
    a.tunnel.type === b.tunnel.type &&
    a.tunnel.port === b.tunnel.port &&
    a.tunnel.checksum === b.tunnel.checksum
  );
}
