/**
 * What a daemon has to know of a former one that was killed: the operator's words, and which entries of the table were its own, so that
 * what has left the configuration meanwhile (or was just finishing its connections) does not stay in the table for ever.
 * @module
 */
import { type DestinationSpec, destinationKey } from "../core/destination.ts";
import { type ServiceId, type ServiceStatus, serviceKey } from "../core/service.ts";
import type { Fleet } from "./health/fleet.ts";
import { Roster } from "./health/roster.ts";
import type { VirtualServerHealth } from "./health/virtual-server.ts";
import type { Memory } from "./supervision.ts";
import type { VirtualServerSpec } from "./wanted.ts";

/** What is to be remembered of virtual servers. */
export function memoryOf(all: Iterable<VirtualServerHealth>): Memory {
  const holds: Memory["holds"][number][] = [];
  const virtualServers: Memory["virtualServers"][number][] = [];
  for (const v of all) {
    const { name, ids, servers, sorry } = v.spec;
    if (!v.removed) {
      for (const { name: server, hold } of v.servers) if (hold) holds.push({ service: name, server, hold });
    }
    virtualServers.push({
      name,
      ids: [...(v.removed ? [] : ids), ...v.leavingIds.map((l) => l.id)],
      servers: [
        ...servers.map((s) => s.id),
        ...(sorry ? [sorry.id] : []),
        ...[...v.leaving.values()].map(({ spec: { family, address, port } }) => ({ family, address, port })),
      ],
    });
  }
  return { holds, virtualServers };
}

/** What a former daemon put into the table, as far as it is still there. */
export class Heritage {
  readonly #own = new Map<string, { readonly name: string; readonly keys: Set<string> }>();
  readonly #found: ReadonlyMap<string, ServiceStatus>;

  constructor(virtualServers: Memory["virtualServers"], statuses: readonly ServiceStatus[]) {
    this.#found = new Map(statuses.map((s) => [serviceKey(s.spec.id), s]));
    for (const { name, ids, servers } of virtualServers) {
      for (const id of ids) {
        const known = this.#own.get(serviceKey(id)) ?? { name, keys: new Set() };
        for (const server of servers) known.keys.add(destinationKey(server));
        this.#own.set(serviceKey(id), known);
      }
    }
  }

  /** Keys of the destinations in a service that are its work. */
  keys(service: string): ReadonlySet<string> {
    return this.#own.get(service)?.keys ?? NONE;
  }

  /** The key of the virtual server that stands for an abandoned service. */
  owner(service: string): string {
    return `${this.#own.get(service)?.name ?? ""} ${service}`;
  }

  /** Its destinations in the services of a virtual server, each once. */
  destinations({ ids }: VirtualServerSpec): readonly DestinationSpec[] {
    const all = new Map<string, DestinationSpec>();
    for (const id of ids) {
      const own = this.keys(serviceKey(id));
      for (const { spec } of this.#found.get(serviceKey(id))?.destinations ?? []) {
        const key = destinationKey(spec);
        if (own.has(key) && !all.has(key)) all.set(key, spec);
      }
    }
    return [...all.values()];
  }

  /** Services of its that nobody asks for any more, as virtual servers of which nothing but the name is known. */
  abandoned(wanted: readonly VirtualServerSpec[]): Fleet {
    const asked = new Set(wanted.flatMap((v) => v.ids.map(serviceKey)));
    const fleet = new Map<string, VirtualServerHealth>();
    for (const [key, { name }] of this.#own) {
      const status = this.#found.get(key);
      if (status && !asked.has(key)) fleet.set(this.owner(key), shell(this.owner(key), name, status));
    }
    return fleet;
  }
}

const NONE: ReadonlySet<string> = new Set();

function shell(key: string, name: string, { spec }: ServiceStatus): VirtualServerHealth {
  const { id, ...service } = spec;
  return {
    key,
    spec: {
      name,
      ids: [id as ServiceId],
      service,
      servers: [],
      quorum: 1,
      hysteresis: 0,
      omega: false,
      haSuspend: false,
      keepOnStop: false,
      smtpAlert: false,
      at: { file: "", line: 0, column: 0 },
    },
    habit: "keepalived",
    servers: Roster.of([]),
    live: 0,
    quorum: false,
    since: 0,
    sorryServing: false,
    fallback: undefined,
    leaving: new Map(),
    leavingIds: [],
    removed: false,
  };
}
