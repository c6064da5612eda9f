/**
 * All virtual servers: what a new configuration makes of them.
 * @module
 */
import { destinationKey } from "../../core/destination.ts";
import { type ServiceId, type ServiceStatus, serviceKey } from "../../core/service.ts";
import { heldFrom } from "../reconcile.ts";
import type { RealServerSpec, VirtualServerSpec } from "../wanted.ts";
import type { Action } from "./action.ts";
import { virtualKey } from "./names.ts";
import type { Presumption } from "./real-server.ts";
import { begin, type Rules, reload, remove } from "./reload.ts";
import type { Habit, Moment, VirtualServerHealth } from "./virtual-server.ts";

/** Virtual servers by their keys. */
export type Fleet = ReadonlyMap<string, VirtualServerHealth>;

/** What a new configuration makes of all virtual servers. */
export interface FleetChange {
  readonly fleet: Fleet;
  /** In the order in which they are to be done. */
  readonly actions: readonly { readonly key: string; readonly actions: readonly Action[] }[];
  /** Services that two virtual servers ask for: the first one has them. */
  readonly disputed: readonly { readonly service: string; readonly id: ServiceId }[];
}

/** Goes from one configuration to the next. Pure: the plan is made with it as well as the change. */
export function reconfigure(
  fleet: Fleet,
  specs: readonly VirtualServerSpec[],
  rules: Omit<Rules, "wantedIds">,
  at: Moment,
): FleetChange {
  const { wanted, wantedIds, disputed } = settleIds(specs);
  const all: Rules = { ...rules, wantedIds };
  const next = new Map<string, VirtualServerHealth>();
  const actions: { key: string; actions: readonly Action[] }[] = [];
  const owners = ownersOf(fleet);
  const renamed = new Set<string>();
  for (const [key, spec] of wanted) {
    let was = fleet.get(key);
    const former = was ? undefined : ownerOfAll(owners, spec);
    if (former && !wanted.has(former.key) && !renamed.has(former.key)) {
      // Another name for what is there already (put into a group, taken out of one): nothing has to begin anew.
      renamed.add(former.key);
      was = { ...former, key };
    }
    const [state, todo] = was ? reload(was, spec, all, at) : begin(key, spec, all, at);
    next.set(key, state);
    actions.push({ key, actions: todo });
  }
  for (const [key, was] of fleet) {
    if (next.has(key) || renamed.has(key)) continue;
    const [state, todo] = remove(was, all, at);
    if (state.leavingIds.length > 0) next.set(key, state);
    actions.push({ key, actions: todo });
  }
  return { fleet: next, actions, disputed };
}

/** Who has which service, by their keys. */
function ownersOf(fleet: Fleet): Map<string, VirtualServerHealth> {
  const owners = new Map<string, VirtualServerHealth>();
  for (const v of fleet.values()) if (!v.removed) for (const id of v.spec.ids) owners.set(serviceKey(id), v);
  return owners;
}

/** The virtual server that has some services of a new one, and none but its own. */
function ownerOfAll(owners: ReadonlyMap<string, VirtualServerHealth>, { ids }: VirtualServerSpec) {
  const found = new Set(ids.flatMap((id) => owners.get(serviceKey(id)) ?? []));
  return found.size === 1 ? [...found][0] : undefined;
}

/** Every service has one owner: the first that asks. */
function settleIds(specs: readonly VirtualServerSpec[]) {
  const wanted = new Map<string, VirtualServerSpec>();
  const wantedIds = new Set<string>();
  const disputed: { service: string; id: ServiceId }[] = [];
  for (const spec of specs) {
    const ids: ServiceId[] = [];
    for (const id of spec.ids) {
      const key = serviceKey(id);
      if (wantedIds.has(key)) disputed.push({ service: spec.name, id });
      else ids.push(id);
      wantedIds.add(key);
    }
    let key = virtualKey(spec);
    while (wanted.has(key)) key += "'";
    if (ids.length > 0) wanted.set(key, ids.length === spec.ids.length ? spec : { ...spec, ids });
  }
  return { wanted, wantedIds, disputed };
}

/**
 * What is presumed of servers that have not been checked yet: what the table says of them where it holds their service already (a former
 * daemon's work), else what the configuration says (`alpha`); ldirectord's begin as down.
 * @param known keys of services that are ours already
 * @param heldBack whether the operator has a word on a server
 */
export function presumptions(
  statuses: readonly ServiceStatus[],
  known: ReadonlySet<string>,
  habit: Habit,
  heldBack: (service: VirtualServerSpec, server: RealServerSpec) => boolean = () => false,
): (service: VirtualServerSpec, server: RealServerSpec) => Presumption {
  const found = new Map(statuses.map((s) => [serviceKey(s.spec.id), heldFrom(s).destinations]));
  const otherwise: Presumption = habit === "ldirectord" ? "down" : undefined;
  return (service, server) => {
    const first = service.ids[0] && serviceKey(service.ids[0]);
    const held = first === undefined || known.has(first) ? undefined : found.get(first);
    if (!held) return otherwise;
    const entry = held.get(destinationKey(server.id));
    if (!entry) return "down";
    if (entry.weight > 0 || server.weight === 0 || heldBack(service, server)) return "up";
    // keepalived has failed servers at weight 0 only with inhibit_on_failure: without, the weight is 0 for another reason.
    return habit === "keepalived" && !server.inhibitOnFailure ? "up" : "down";
  };
}
