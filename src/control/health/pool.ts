/**
 * What a virtual server's health means for the table: which destinations, with which weights.
 * @module
 */
import { type DestinationId, type DestinationSpec, destinationKey } from "../../core/destination.ts";
import type { ServiceId, ServiceSpec } from "../../core/service.ts";
import type { DesiredDestinations, DesiredService } from "./action.ts";
import { effectiveWeight, type ServerHealth } from "./real-server.ts";
import type { VirtualServerHealth } from "./virtual-server.ts";

/** Weight of a sorry server that serves. */
const SORRY_WEIGHT = 1;

/** Whether live real servers stay out of the table because the sorry server serves. ldirectord's never do: none is up then. */
export const heldBack = (v: VirtualServerHealth): boolean =>
  v.sorryServing && v.spec.sorry !== undefined && v.habit === "keepalived";

/** Weight of a real server's entry; undefined: none. */
export function entryWeight(v: VirtualServerHealth, server: ServerHealth): number | undefined {
  if (server.up && !heldBack(v)) return effectiveWeight(server);
  // One that the operator drains keeps its connections, whoever serves the new ones.
  if (server.up && server.hold?.weight === 0) return 0;
  return server.spec.inhibitOnFailure ? 0 : undefined;
}

/** The destination that the services of a virtual server shall have under a key. */
function entryFor(v: VirtualServerHealth, key: string): DestinationSpec | undefined {
  let entry: DestinationSpec | undefined;
  // A server may be listed twice, or be its own sorry server: the entry that serves wins.
  const put = (spec: DestinationSpec): void => {
    if (!entry || (entry.weight === 0 && spec.weight > 0)) entry = spec;
  };
  for (let n = 1; ; n++) {
    const server = v.servers.get(serverKey(key, n));
    if (!server) break;
    const weight = entryWeight(v, server);
    if (weight !== undefined) put(realEntry(v, server, weight));
  }
  const { sorry } = v.spec;
  if (sorry && (v.sorryServing || sorry.inhibit) && destinationKey(sorry.id) === key) {
    const { id, method, tunnel } = sorry;
    put({ ...idOf(id), method, tunnel, weight: v.sorryServing ? SORRY_WEIGHT : 0, upper: 0, lower: 0 });
  }
  return entry ?? v.leaving.get(key)?.spec;
}

/** Key of a server inside its virtual server: that of its destination, numbered from the second on when it is listed again. */
export const serverKey = (destination: string, n: number): string =>
  n === 1 ? destination : `${destination} #${n}`;

/** The destinations that the services of a virtual server shall have, by their keys, in the order of the configuration. */
export function pool(v: VirtualServerHealth): ReadonlyMap<string, DestinationSpec> {
  const entries = new Map<string, DestinationSpec>();
  const put = (key: string): void => {
    if (entries.has(key)) return;
    const entry = entryFor(v, key);
    if (entry) entries.set(key, entry);
  };
  for (const server of v.servers) put(server.destination);
  if (v.spec.sorry) put(destinationKey(v.spec.sorry.id));
  for (const key of v.leaving.keys()) put(key);
  return entries;
}

/** The same, worked out as far as it is asked for: after the turn of one server of thousands only that one is. */
class Pool implements DesiredDestinations {
  readonly #v: VirtualServerHealth;
  #all: ReadonlyMap<string, DestinationSpec> | undefined;

  constructor(v: VirtualServerHealth) {
    this.#v = v;
  }
  get(key: string): DestinationSpec | undefined {
    return this.#all ? this.#all.get(key) : entryFor(this.#v, key);
  }
  has(key: string): boolean {
    return this.get(key) !== undefined;
  }
  keys(): MapIterator<string> {
    return this.#everything().keys();
  }
  [Symbol.iterator](): MapIterator<[string, DestinationSpec]> {
    return this.#everything()[Symbol.iterator]();
  }
  #everything(): ReadonlyMap<string, DestinationSpec> {
    this.#all ??= pool(this.#v);
    return this.#all;
  }
}

/** The entries last made: with thousands of servers most stay the same from one turn to the next. */
const entriesMade = new WeakMap<ServerHealth, DestinationSpec>();

function realEntry(v: VirtualServerHealth, server: ServerHealth, weight: number): DestinationSpec {
  // compat: ldirectord quiesces without naming thresholds, which resets them (4.12).
  const bare = v.habit === "ldirectord" && !server.up;
  const { id, method, tunnel } = server.spec;
  const upper = bare ? 0 : server.spec.upper;
  const lower = bare ? 0 : server.spec.lower;
  const last = entriesMade.get(server);
  if (last && last.weight === weight && last.upper === upper && last.lower === lower) return last;
  const entry: DestinationSpec = { ...idOf(id), method, tunnel, weight, upper, lower };
  entriesMade.set(server, entry);
  return entry;
}

const idOf = ({ family, address, port }: DestinationId): DestinationId => ({ family, address, port });

/** The services of a virtual server: its own, and those that finish their connections. */
export const idsOf = (v: VirtualServerHealth): readonly ServiceId[] =>
  v.removed ? v.leavingIds.map((l) => l.id) : [...v.spec.ids, ...v.leavingIds.map((l) => l.id)];

/** The services that the table shall hold for a virtual server: its own, and those that finish their connections. */
export function desired(v: VirtualServerHealth): DesiredService[] {
  const destinations = v.removed ? NO_DESTINATIONS : new Pool(v);
  const named = namedBy(v);
  const specOf = (id: ServiceId): ServiceSpec => ({ ...v.spec.service, id });
  const services: DesiredService[] = v.removed
    ? []
    : v.spec.ids.map((id) => ({ spec: specOf(id), destinations, named, leaving: false }));
  for (const { id } of v.leavingIds)
    services.push({ spec: specOf(id), destinations: NO_DESTINATIONS, named, leaving: true });
  return services;
}

const NO_DESTINATIONS: ReadonlyMap<string, DestinationSpec> = new Map();

const namesOf = new WeakMap<VirtualServerHealth["spec"], ReadonlySet<string>>();

/** Keys of the destinations that the configuration names. */
export function namedBy({ spec }: VirtualServerHealth): ReadonlySet<string> {
  let keys = namesOf.get(spec);
  if (!keys) {
    const sorry = spec.sorry ? [destinationKey(spec.sorry.id)] : [];
    keys = new Set([...spec.servers.map((s) => destinationKey(s.id)), ...sorry]);
    // Specs do not change: what they name is worked out once, not at every turn of a server.
    namesOf.set(spec, keys);
  }
  return keys;
}
