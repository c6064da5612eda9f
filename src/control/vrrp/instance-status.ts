/**
 * An instance as it is shown to people and programs.
 * @module
 */
import type { Instance } from "./instance.ts";
import type { VrrpInstanceStatus } from "./messages.ts";

/** What the instance does not know of itself. */
export interface Around {
  readonly group: string | undefined;
  /** Source of its adverts. */
  readonly source: string | undefined;
  /** Of the last change of state, milliseconds since 1970. */
  readonly sinceMs: number;
}

export function statusOf(i: Instance, { group, source, sinceMs }: Around): VrrpInstanceStatus {
  const { spec } = i;
  const master = i.state === "master" ? { address: source, priority: i.priority } : i.master;
  return {
    name: spec.name,
    ...(group !== undefined && { group }),
    state: i.state,
    sinceMs,
    reason: i.reason,
    interface: spec.interface,
    family: spec.family,
    version: spec.version,
    routerId: spec.routerId,
    basePriority: spec.priority,
    priority: i.priority,
    ...(source !== undefined && { source }),
    ...(master?.address !== undefined && { master: master.address, masterPriority: master.priority }),
    advertIntMs: i.intervalMs,
    addresses: spec.addresses.map((a) => `${a.address}/${a.prefix}`),
    excluded: spec.excluded.map((a) => `${a.address}/${a.prefix}`),
    faults: i.conditions.faults,
    waitingFor: i.conditions.waiting,
  };
}
