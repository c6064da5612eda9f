/**
 * Puts a table back to how it was: for `-R --atomic`. What did not change is not touched, so its connections and counters stay.
 * @module
 */
import type { DaemonStatus } from "../../../core/daemon.ts";
import { destinationKey } from "../../../core/destination.ts";
import { type ServiceStatus, serviceKey } from "../../../core/service.ts";
import type { Timeouts } from "../../../core/timeouts.ts";
import type { DataPlane } from "../../../planes/plane.ts";

/** Everything that command lines can change. */
export interface Snapshot {
  readonly services: readonly ServiceStatus[];
  readonly timeouts: Timeouts;
  readonly daemons: readonly DaemonStatus[];
}

/** Reads all that {@link rollBack} puts back. */
export async function snapshot(plane: DataPlane): Promise<Snapshot> {
  return {
    services: await plane.services(),
    timeouts: await plane.timeouts(),
    daemons: await plane.daemons(),
  };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Makes the plane's table equal to `before`. */
export async function rollBack(plane: DataPlane, before: Snapshot): Promise<void> {
  const wanted = new Map(before.services.map((s) => [serviceKey(s.spec.id), s]));
  const daemons = await plane.daemons();
  for (const now of daemons) {
    if (!before.daemons.some((d) => same(d, now))) await plane.stopDaemon(now.state);
  }
  for (const now of await plane.services()) {
    const key = serviceKey(now.spec.id);
    const old = wanted.get(key);
    if (!old) await plane.removeService(now.spec.id);
    else {
      wanted.delete(key);
      await putBack(plane, old, now);
    }
  }
  // The plane's lists are newest first.
  for (const old of [...wanted.values()].reverse()) {
    await plane.addService(old.spec);
    for (const d of [...old.destinations].reverse()) await plane.addDestination(old.spec.id, d.spec);
  }
  await plane.setTimeouts(before.timeouts);
  for (const old of before.daemons) {
    if (!daemons.some((d) => same(d, old))) await plane.startDaemon(old);
  }
}

async function putBack(plane: DataPlane, old: ServiceStatus, now: ServiceStatus): Promise<void> {
  const { id } = old.spec;
  if (!same(old.spec, now.spec)) await plane.editService(old.spec);
  const wanted = new Map(old.destinations.map((d) => [destinationKey(d.spec), d.spec]));
  for (const { spec } of now.destinations) {
    const before = wanted.get(destinationKey(spec));
    if (!before) await plane.removeDestination(id, spec);
    else if (!same(before, spec)) await plane.editDestination(id, before);
    wanted.delete(destinationKey(spec));
  }
  for (const spec of [...wanted.values()].reverse()) await plane.addDestination(id, spec);
}
