/**
 * All instances of a host, and the sync groups that tie some of them together: members share one state.
 *
 * A member becomes master only when every member would; one that leaves master or fails takes the others along.
 * @module
 */
import {
  type Action,
  createInstance,
  type Event,
  type Instance,
  nextAt,
  respecify,
  step as stepInstance,
} from "./instance.ts";
import type { VrrpState } from "./messages.ts";
import type { SyncGroupSpec, VrrpInstanceSpec, VrrpSpec } from "./spec.ts";

/** A sync group and the state that was last told of it. */
export interface Group {
  readonly spec: SyncGroupSpec;
  readonly state: VrrpState;
}

/** Everything, immutable; keys are names. */
export interface Cluster {
  readonly instances: ReadonlyMap<string, Instance>;
  readonly groups: ReadonlyMap<string, Group>;
  /** Instance → its group. */
  readonly groupOf: ReadonlyMap<string, string>;
}

/** An event for one instance. */
export type ClusterEvent = Event & { readonly instance: string };

export const EMPTY: Cluster = { instances: new Map(), groups: new Map(), groupOf: new Map() };

/** When the first instance wants to hear `timeout`. */
export function nextTimeout(c: Cluster): number {
  let next = Number.POSITIVE_INFINITY;
  for (const i of c.instances.values()) next = Math.min(next, nextAt(i));
  return next;
}

/** Instances whose time has come. */
export const due = (c: Cluster, now: number): string[] =>
  [...c.instances.values()].filter((i) => nextAt(i) <= now).map((i) => i.spec.name);

/** What keeps an instance its identity over a reload. */
const identity = (spec: VrrpInstanceSpec): string =>
  `${spec.name} ${spec.family} ${spec.routerId} ${spec.interface}`;

/** A cluster being worked on: copies of the maps, and the actions so far. */
class Work {
  readonly instances: Map<string, Instance>;
  readonly groups: Map<string, Group>;
  readonly groupOf: ReadonlyMap<string, string>;
  readonly actions: Action[] = [];
  readonly now: number;

  constructor(c: Cluster, now: number) {
    this.instances = new Map(c.instances);
    this.groups = new Map(c.groups);
    this.groupOf = c.groupOf;
    this.now = now;
  }

  get done(): [Cluster, Action[]] {
    return [{ instances: this.instances, groups: this.groups, groupOf: this.groupOf }, this.actions];
  }

  /** Steps one instance, then whatever its group makes of it. */
  apply(name: string, event: Event): void {
    const before = this.instances.get(name);
    if (before === undefined) return;
    const after = this.#one(before, event);
    const group = this.groupOf.get(name);
    if (group !== undefined) this.#sync(group, before, after, event);
  }

  #one(before: Instance, event: Event): Instance {
    const [after, actions] = stepInstance(before, event, this.now);
    this.instances.set(before.spec.name, after);
    this.actions.push(...actions);
    return after;
  }

  #members(group: string): Instance[] {
    const { members } = this.groups.get(group)!.spec;
    return members.map((m) => this.instances.get(m)).filter((i): i is Instance => i !== undefined);
  }

  #all(group: string, event: Event): void {
    for (const member of this.#members(group)) this.#one(member, event);
  }

  #sync(group: string, before: Instance, after: Instance, event: Event): void {
    const { name } = after.spec;
    const failed = this.#members(group).find((m) => m.conditions.faults.length > 0);
    if (after.state === "stop") {
      // A member that ends does not take the others along: they are stopped, or kept, on their own.
    } else if (failed) {
      const fresh = this.#members(group).some((m) => m.state !== "fault" && m.state !== "stop");
      if (fresh) {
        this.#log(group, "Syncing instances to FAULT state");
        this.#all(group, {
          kind: "become",
          to: "fault",
          reason: `${failed.spec.name} of group ${group} is in fault`,
        });
      }
    } else if (this.#members(group).some((m) => m.state === "fault")) {
      if (!this.#members(group).some((m) => m.conditions.waiting.length > 0 && m.state === "init"))
        this.#all(group, { kind: "become", to: "backup", reason: `all failures of group ${group} are gone` });
    } else if (
      (before.state === "master" && after.state === "backup") ||
      // A reload may have made a group of a master and a backup: when another router is master of the one, it shall be of the other.
      (event.kind === "advert" &&
        after.state === "backup" &&
        event.advert.priority > 0 &&
        after.dueAt > before.dueAt &&
        this.#members(group).some((m) => m.state === "master"))
    ) {
      this.#log(group, "Syncing instances to BACKUP state");
      this.#all(group, {
        kind: "become",
        to: "backup",
        reason: `${name} of group ${group} is backup: ${after.reason}`,
      });
    } else if (
      this.#members(group).every((m) => m.state === "master" || (m.state === "backup" && m.wantsMaster))
    ) {
      if (after.state !== "master") {
        this.#log(group, "Syncing instances to MASTER state");
        this.#all(group, { kind: "become", to: "master", reason: `all members of group ${group} are ready` });
      }
    }
    // Hosts learnt another router's address for one member: they probably did for all.
    if (
      before.state === "master" &&
      after.state === "master" &&
      after.lowerAnnounceAt !== before.lowerAnnounceAt &&
      after.lowerAnnounceAt !== Number.POSITIVE_INFINITY
    )
      for (const m of this.#members(group)) if (m.spec.name !== name) this.#one(m, { kind: "announceLower" });
    this.#tellGroup(group);
  }

  #log(group: string, text: string): void {
    this.actions.push({
      kind: "tell",
      level: "info",
      text: `VRRP_Group(${group}) ${text}`,
      happening: { kind: "log" },
    });
  }

  /** Tells the state of a group once all its members share it. */
  #tellGroup(name: string): void {
    const group = this.groups.get(name)!;
    const members = this.#members(name);
    const state = members[0]?.state;
    if (state === undefined || state === "init" || state === group.state) return;
    if (members.some((m) => m.state !== state)) return;
    this.groups.set(name, { ...group, state });
    const happening = { kind: "group", group: name, to: state } as const;
    const text = `VRRP_Group(${name}) is ${state.toUpperCase()}`;
    this.actions.push({ kind: "tell", level: state === "fault" ? "warning" : "info", text, happening });
  }
}

/** Works on one event. An event for an instance that does not exist does nothing. */
export function step(c: Cluster, event: ClusterEvent, now: number): [Cluster, Action[]] {
  const work = new Work(c, now);
  work.apply(event.instance, event);
  return work.done;
}

/** Works on events one after another. */
export function steps(c: Cluster, events: readonly ClusterEvent[], now: number): [Cluster, Action[]] {
  const work = new Work(c, now);
  for (const event of events) work.apply(event.instance, event);
  return work.done;
}

/**
 * Takes a new specification over. An instance with the same name, family, router id and interface keeps its state, and a master sets what
 * changed at once; the others are removed, and new ones wait for `start`. The goodbyes are for the former cluster to carry out: an instance of
 * the same name may take its place.
 */
export function reconfigure(
  c: Cluster,
  spec: VrrpSpec,
  now: number,
): { cluster: Cluster; goodbyes: Action[]; actions: Action[]; fresh: string[] } {
  const wanted = new Map(spec.instances.map((i) => [i.name, i]));
  const gone = [...c.instances.values()].filter((i) => {
    const next = wanted.get(i.spec.name);
    return next === undefined || identity(next) !== identity(i.spec);
  });
  const events = gone.map((i) => ({
    kind: "stop" as const,
    instance: i.spec.name,
    reason: "removed from the configuration",
    deleted: true,
  }));
  const actions: Action[] = [];
  const dropped = new Set(gone.map((i) => i.spec.name));
  const goodbyes = events.flatMap((event) => stepInstance(c.instances.get(event.instance)!, event, now)[1]);

  const groupOf = new Map(spec.groups.flatMap((g) => g.members.map((m) => [m, g.name] as const)));
  const instances = new Map<string, Instance>();
  const fresh: string[] = [];
  for (const next of spec.instances) {
    const old = dropped.has(next.name) ? undefined : c.instances.get(next.name);
    const grouped = groupOf.has(next.name);
    if (old === undefined) {
      instances.set(next.name, createInstance(next, grouped));
      fresh.push(next.name);
      continue;
    }
    instances.set(next.name, respecify(old, next, grouped, now));
    if (old.state !== "master") continue;
    actions.push({ kind: "take", instance: next.name });
    const had = new Set([...old.spec.addresses, ...old.spec.excluded].map((a) => a.address));
    if ([...next.addresses, ...next.excluded].some((a) => !had.has(a.address)))
      actions.push({ kind: "announce", instance: next.name, repeat: next.announce.repeat });
  }
  const groups = new Map(
    spec.groups.map((g) => [g.name, { spec: g, state: c.groups.get(g.name)?.state ?? "init" } as Group]),
  );
  return { cluster: { instances, groups, groupOf }, goodbyes, actions, fresh };
}
