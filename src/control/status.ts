/**
 * How a virtual server stands, from its health and what the table reports.
 * @module
 */
import { destinationKey } from "../core/destination.ts";
import { type Counters, NO_COUNTERS, type ServiceStatus, serviceKey } from "../core/service.ts";
import { serverName } from "./health/names.ts";
import { namedBy } from "./health/pool.ts";
import { effectiveWeight, type ServerHealth } from "./health/real-server.ts";
import type { Moment, VirtualServerHealth } from "./health/virtual-server.ts";
import type { Watch } from "./health/watches.ts";
import type { ConnectionCounts, LeavingStatus, ServerStatus, VirtualServerStatus } from "./supervision.ts";

type Destination = ServiceStatus["destinations"][number];

/**
 * What {@link VirtualServerStatus} says, at this moment.
 * @param statuses what the table holds, by the keys of the services
 */
export function statusOf(
  v: VirtualServerHealth,
  statuses: ReadonlyMap<string, ServiceStatus>,
  watches: readonly Watch[],
  suspended: boolean,
  moment: Moment,
): VirtualServerStatus {
  const own = [...(v.removed ? [] : v.spec.ids), ...v.leavingIds.map((l) => l.id)];
  const services = own.flatMap((id) => statuses.get(serviceKey(id)) ?? []);
  const checks = new Map<string, Watch[]>();
  for (const watch of watches) {
    const same = checks.get(watch.server);
    if (same) same.push(watch);
    else checks.set(watch.server, [watch]);
  }
  const entries = new Map<string, Destination[]>();
  for (const d of services.flatMap((s) => s.destinations)) {
    const key = destinationKey(d.spec);
    const same = entries.get(key);
    if (same) same.push(d);
    else entries.set(key, [d]);
  }
  const { sorry } = v.spec;
  const named = new Set(namedBy(v));
  for (const key of v.leaving.keys()) named.add(key);
  const at = (key: string) => entries.get(key) ?? [];
  return {
    name: v.spec.name,
    ids: v.spec.ids,
    service: v.spec.service,
    up: v.quorum,
    since: v.since,
    quorum: { needed: v.spec.quorum, hysteresis: v.spec.hysteresis, weight: v.live },
    ...(sorry && {
      sorry: {
        id: sorry.id,
        name: serverName(v.spec, sorry.id),
        serving: v.sorryServing,
        ...connectionsOf(at(destinationKey(sorry.id))),
      },
    }),
    suspended,
    leaving: v.removed,
    servers: v.removed
      ? []
      : v.servers.all.map((s) => serverStatus(s, at(destinationKey(s.spec.id)), checks.get(s.key) ?? [])),
    leavingServers: [...(v.removed ? [] : v.leaving)].map(
      ([key, l]): LeavingStatus => ({
        id: { family: l.spec.family, address: l.spec.address, port: l.spec.port },
        name: l.name,
        connections: connectionsOf(at(key)),
        since: l.since.date,
        until: moment.date + Math.round(l.until - moment.now),
      }),
    ),
    foreign: v.removed ? [] : [...entries].filter(([key]) => !named.has(key)).map(([, [d]]) => d.spec),
    connections: connectionsOf([...entries.values()].flat()),
    stats: sum(services.map((s) => s.stats)),
  };
}

function serverStatus(
  s: ServerHealth,
  entries: readonly Destination[],
  watches: readonly Watch[],
): ServerStatus {
  const inOrder = [...watches].sort((a, b) => a.check - b.check);
  return {
    name: s.name,
    id: s.spec.id,
    method: s.spec.method,
    up: s.up,
    since: s.since,
    reason: s.reason,
    configuredWeight: s.spec.weight,
    weight: effectiveWeight(s),
    ...(entries[0] && { tableWeight: entries[0].spec.weight }),
    ...(s.hold && { hold: s.hold }),
    checks: inOrder.map((w) => w.subscription.status()),
    connections: connectionsOf(entries),
    stats: sum(entries.map((d) => d.stats)),
  };
}

function connectionsOf(entries: readonly Destination[]): ConnectionCounts {
  let active = 0;
  let inactive = 0;
  let persistent = 0;
  for (const d of entries) {
    active += d.active;
    inactive += d.inactive;
    persistent += d.persistent;
  }
  return { active, inactive, persistent };
}

function sum(all: readonly Counters[]): Counters {
  const total: Record<string, number> = { ...NO_COUNTERS };
  for (const counters of all) for (const [name, n] of Object.entries(counters)) total[name] += n;
  return total as unknown as Counters;
}
