/**
 * The difference that a configuration would make, as data, with its cost in live connections; before anything happens.
 * @module
 */
import { type DestinationId, destinationKey } from "../core/destination.ts";
import { type ServiceStatus, serviceKey } from "../core/service.ts";
import { checkKey } from "./checks/key.ts";
import { type Fleet, presumptions, reconfigure } from "./health/fleet.ts";
import { serverName } from "./health/names.ts";
import { desired, namedBy } from "./health/pool.ts";
import { changedFields } from "./health/reload.ts";
import type { VirtualServerHealth } from "./health/virtual-server.ts";
import { difference, heldFrom, type Operation, type Strangers } from "./reconcile.ts";
import {
  DEFAULT_REMOVAL,
  type FieldChange,
  type Plan,
  type PlanChange,
  type Removal,
} from "./supervision.ts";
import type { Wanted } from "./wanted.ts";

/** What a plan is made from. */
export interface PlanInput {
  /** Virtual servers as they are, and as they would be. */
  readonly before: Fleet;
  readonly after: Fleet;
  /** What the table holds. */
  readonly statuses: readonly ServiceStatus[];
  readonly foreign: Strangers["foreign"];
}

/** What a daemon that starts with this configuration would change in the table as it is. */
export function planFromTable(
  statuses: readonly ServiceStatus[],
  wanted: Wanted,
  options: { readonly removal?: Removal; readonly foreign?: Strangers["foreign"] } = {},
): Plan {
  const held = wanted.global.flush ? [] : statuses;
  const rules = {
    habit: wanted.language,
    removal: options.removal ?? DEFAULT_REMOVAL,
    rsInitNotifies: false,
    checkKey,
    presume: presumptions(held, new Set(), wanted.language),
    leftBehind: () => [],
    formerHold: () => undefined,
  };
  const before: Fleet = new Map();
  const { fleet: after } = reconfigure(before, wanted.virtualServers, rules, { now: 0, date: 0 });
  const foreign = options.foreign ?? (wanted.language === "ldirectord" ? "remove" : "keep");
  const plan = makePlan({ before, after, statuses: held, foreign });
  return wanted.global.flush ? withFlush(plan, statuses) : plan;
}

/** What has to be done, what it costs, what stays. */
export function makePlan(input: PlanInput): Plan {
  const maker = new PlanMaker(input);
  for (const [key, v] of input.after) maker.virtualServer(input.before.get(key), v);
  for (const [key, v] of input.before) if (!input.after.has(key)) maker.gone(v);
  return maker.plan();
}

/** Live connections of one destination. */
const live = (d: { readonly active: number; readonly inactive: number }): number => d.active + d.inactive;

const liveOf = (status: ServiceStatus | undefined): number =>
  status ? status.destinations.reduce((sum, d) => sum + live(d), 0) : 0;

const connections = (n: number): string => (n === 1 ? "1 connection" : `${n} connections`);

class PlanMaker {
  readonly #input: PlanInput;
  readonly #found: ReadonlyMap<string, ServiceStatus>;
  /** Services that are wanted, or finish their connections. */
  readonly #kept: ReadonlySet<string>;
  readonly #destinations = new Map<string, ReadonlyMap<string, ServiceStatus["destinations"][number]>>();
  readonly #changes: PlanChange[] = [];
  #services = 0;
  #servers = 0;
  #checks = 0;

  constructor(input: PlanInput) {
    this.#input = input;
    this.#found = new Map(input.statuses.map((s) => [serviceKey(s.spec.id), s]));
    const all = [...input.after.values()].flatMap(desired);
    this.#kept = new Set(all.map((s) => serviceKey(s.spec.id)));
  }

  plan(): Plan {
    const sum = (cost: PlanChange["cost"]) =>
      this.#changes.reduce((n, c) => n + (c.cost === cost ? c.connections : 0), 0);
    const drained = sum("drained");
    const cut = sum("cut");
    const total = this.#input.statuses.reduce((n, s) => n + liveOf(s), 0);
    return {
      changes: this.#changes,
      unchanged: { services: this.#services, servers: this.#servers, checks: this.#checks },
      connections: { untouched: Math.max(0, total - drained - cut), drained, cut },
    };
  }

  /** A virtual server that the new configuration has, or that finishes its connections. */
  virtualServer(before: VirtualServerHealth | undefined, after: VirtualServerHealth): void {
    const mark = this.#changes.length;
    const leavingBefore = new Set((before?.leavingIds ?? []).map(({ id }) => serviceKey(id)));
    for (const { id } of after.leavingIds) {
      if (leavingBefore.has(serviceKey(id))) continue;
      const n = liveOf(this.#found.get(serviceKey(id)));
      const text = `drain service ${serviceKey(id)} of ${after.spec.name}: ${finish(n)}`;
      this.#add({
        kind: "drain",
        what: "service",
        service: after.spec.name,
        id,
        connections: n,
        cost: n > 0 ? "drained" : "none",
        text,
      });
    }
    if (after.removed) return;
    const touched = this.#table(before, after);
    this.#settings(before, after);
    this.#checksOf(before, after);
    if (this.#changes.length === mark) this.#services++;
    const edited = new Set(this.#changes.slice(mark).map((c) => c.server));
    this.#servers += after.servers.all.filter((s) => !edited.has(s.name) && !touched.has(s.name)).length;
  }

  /** A virtual server that goes at once. */
  gone(v: VirtualServerHealth): void {
    const ids = [...(v.removed ? [] : v.spec.ids), ...v.leavingIds.map((l) => l.id)];
    for (const id of ids) {
      const status = this.#found.get(serviceKey(id));
      if (this.#kept.has(serviceKey(id)) || !status) continue;
      const n = liveOf(status);
      const text = `remove service ${serviceKey(id)} of ${v.spec.name}: ${cut(n)}`;
      this.#add({
        kind: "remove",
        what: "service",
        service: v.spec.name,
        id,
        connections: n,
        cost: n > 0 ? "cut" : "none",
        text,
      });
    }
  }

  #add(change: Omit<PlanChange, "fields"> & { readonly fields?: readonly FieldChange[] }): void {
    this.#changes.push({ fields: [], ...change });
  }

  /** Operations on the table. @returns names of the servers they are about */
  #table(before: VirtualServerHealth | undefined, after: VirtualServerHealth): Set<string> {
    const touched = new Set<string>();
    const ours = new Set(before ? [...namedBy(before), ...before.leaving.keys()] : []);
    const newLeaving = new Set(
      [...after.leaving].filter(([key, l]) => before?.leaving.get(key) !== l).map(([key]) => key),
    );
    for (const service of desired(after)) {
      if (service.leaving) continue;
      const status = this.#found.get(serviceKey(service.spec.id));
      const operations = difference(status && heldFrom(status), service, {
        ours,
        foreign: this.#input.foreign,
      });
      for (const operation of operations) {
        const name = this.#operation(after, operation, status, newLeaving);
        if (name !== undefined) touched.add(name);
      }
      for (const d of status?.destinations ?? []) {
        // Its weight is 0 already (quiesced before): it leaves all the same.
        if (d.spec.weight !== 0 || !newLeaving.has(destinationKey(d.spec))) continue;
        this.#drain(after, service.spec.id, d);
      }
    }
    return touched;
  }

  #drain(
    after: VirtualServerHealth,
    id: ServiceStatus["spec"]["id"],
    d: ServiceStatus["destinations"][number],
  ): string {
    const server = serverName(after.spec, d.spec);
    const n = live(d);
    const text = `drain server ${server} of ${after.spec.name}: ${finish(n)}`;
    const cost = n > 0 ? "drained" : "none";
    this.#add({
      kind: "drain",
      what: "server",
      service: after.spec.name,
      id,
      server,
      connections: n,
      cost,
      text,
    });
    return server;
  }

  #operation(
    after: VirtualServerHealth,
    op: Operation,
    status: ServiceStatus | undefined,
    newLeaving: ReadonlySet<string>,
  ): string | undefined {
    const service = after.spec.name;
    if (op.kind === "add-service" || op.kind === "edit-service") {
      const { id } = op.spec;
      const add = op.kind === "add-service";
      const fields = add ? [] : fieldChanges(op.before, op.spec);
      const text = `${add ? "add" : "edit"} service ${serviceKey(id)} of ${service}${inWords(fields)}`;
      this.#add({
        kind: add ? "add" : "edit",
        what: "service",
        service,
        id,
        fields,
        connections: liveOf(status),
        cost: "none",
        text,
      });
      return undefined;
    }
    if (op.kind === "remove-service") return undefined;
    const target = op.kind === "remove-destination" ? op.id : op.spec;
    const key = destinationKey(target);
    const held = this.#held(status).get(key);
    const n = held ? live(held) : 0;
    const server = serverName(after.spec, target);
    const sorry = after.spec.sorry && destinationKey(after.spec.sorry.id) === key;
    const real = after.servers.get(key) !== undefined;
    const what = sorry && !real ? "sorry-server" : "server";
    const common = { what, service, id: op.service, server, connections: n } as const;
    const noun = `${what.replace("-", " ")} ${server}`;
    if (op.kind === "add-destination") {
      const text = `add ${noun} to ${service}, weight ${op.spec.weight}`;
      this.#add({ kind: "add", ...common, cost: "none", text });
    } else if (op.kind === "remove-destination") {
      this.#add({
        kind: "remove",
        ...common,
        cost: n > 0 ? "cut" : "none",
        text: `remove ${noun} from ${service}: ${cut(n)}`,
      });
    } else if (newLeaving.has(key) && held) {
      this.#drain(after, op.service, held);
    } else {
      const fields = fieldChanges(op.before, op.spec);
      this.#add({
        kind: "edit",
        ...common,
        fields,
        cost: "none",
        text: `edit ${noun} of ${service}${inWords(fields)}`,
      });
    }
    return server;
  }

  /** The destinations of a service by their keys. */
  #held(status: ServiceStatus | undefined): ReadonlyMap<string, ServiceStatus["destinations"][number]> {
    const key = status ? serviceKey(status.spec.id) : "";
    let held = this.#destinations.get(key);
    if (!held) {
      held = new Map((status?.destinations ?? []).map((d) => [destinationKey(d.spec), d]));
      this.#destinations.set(key, held);
    }
    return held;
  }

  /** What the table does not show: quorum, scripts and the like. */
  #settings(before: VirtualServerHealth | undefined, after: VirtualServerHealth): void {
    if (!before || before.removed) return;
    const service = after.spec.name;
    const fields = fieldChanges(before.spec, after.spec, ["at", "ids", "servers", "service", "name"]);
    if (fields.length > 0) {
      const text = `edit ${service}${inWords(fields)}`;
      this.#add({ kind: "edit", what: "service", service, fields, connections: 0, cost: "none", text });
    }
    const old = new Map(before.servers.all.map((s) => [s.key, s]));
    for (const server of after.servers) {
      const was = old.get(server.key);
      if (!was) continue;
      // Weights and methods of servers in the table are shown there.
      const known = ["at", "id", "checks", "weight", "method", "tunnel", "upper", "lower"];
      const changed = fieldChanges(was.spec, server.spec, known);
      if (changed.length === 0) continue;
      const text = `edit server ${server.name} of ${service}${inWords(changed)}`;
      this.#add({
        kind: "edit",
        what: "server",
        service,
        server: server.name,
        fields: changed,
        connections: 0,
        cost: "none",
        text,
      });
    }
  }

  #checksOf(before: VirtualServerHealth | undefined, after: VirtualServerHealth): void {
    const service = after.spec.name;
    const old = new Map(before?.removed ? [] : before?.servers.all.map((s) => [s.key, s]));
    for (const server of after.servers) {
      const was = old.get(server.key);
      // The checks of a new server are part of the server.
      if (!was) continue;
      const known = [...was.checks];
      for (const view of server.checks) {
        const at = known.findIndex((c) => c.key === view.key);
        const kept = at < 0 ? undefined : known.splice(at, 1)[0];
        const fields = kept ? fieldChanges(kept.entry, view.entry, ["at", "spec"]) : [];
        if (kept && fields.length === 0) {
          this.#checks++;
          continue;
        }
        const kind = kept ? "edit" : "add";
        const text = `${kind} ${view.entry.spec.kind} check of ${server.name} of ${service}${inWords(fields)}`;
        this.#add({
          kind,
          what: "check",
          service,
          server: server.name,
          fields,
          connections: 0,
          cost: "none",
          text,
        });
      }
      for (const view of known) {
        const text = `remove ${view.entry.spec.kind} check of ${server.name} of ${service}`;
        this.#add({
          kind: "remove",
          what: "check",
          service,
          server: server.name,
          connections: 0,
          cost: "none",
          text,
        });
      }
    }
  }
}

const finish = (n: number): string => (n === 0 ? "no connections" : `${connections(n)} may finish`);
const cut = (n: number): string =>
  n === 0 ? "no connections" : `${connections(n)} ${n === 1 ? "is" : "are"} cut`;

/** Fields in which two plain objects differ, apart from some; those of objects inside them as `timing.retry`. */
function fieldChanges<T extends object>(a: T, b: T, apart: readonly string[] = ["id"]): FieldChange[] {
  return changedFields(a, b)
    .filter((name) => !apart.includes(name))
    .flatMap((name) => {
      const [from, to]: unknown[] = [a[name], b[name]];
      if (!isPlain(from) || !isPlain(to)) return [{ name, from: show(from), to: show(to) }];
      return fieldChanges(from, to, []).map((f) => ({ ...f, name: `${name}.${f.name}` }));
    });
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value in few words: servers by their address, programs by their command line. */
function show(value: unknown): string {
  if (value === undefined) return "none";
  if (Array.isArray(value)) return value.map(show).join(" ");
  if (!isPlain(value)) return String(value);
  if (isPlain(value["id"])) return destinationKey(value["id"] as unknown as DestinationId);
  return Array.isArray(value["command"]) ? show(value["command"]) : JSON.stringify(value);
}

const inWords = (fields: readonly FieldChange[]): string =>
  fields.length === 0 ? "" : `: ${fields.map((f) => `${f.name} ${f.from} -> ${f.to}`).join(", ")}`;

/** The plan of a configuration that empties the table first. */
function withFlush(plan: Plan, statuses: readonly ServiceStatus[]): Plan {
  const n = statuses.reduce((sum, s) => sum + liveOf(s), 0);
  const change: PlanChange = {
    kind: "remove",
    what: "global",
    service: "",
    fields: [],
    connections: n,
    cost: n > 0 ? "cut" : "none",
    text: `empty the table (lvs_flush): ${statuses.length} services, ${cut(n)}`,
  };
  return { ...plan, changes: [change, ...plan.changes], connections: { untouched: 0, drained: 0, cut: n } };
}
