/**
 * How a virtual server begins, changes with its configuration, leaves, and stops. What did not change is not touched: states of servers and
 * checks, operator's words and quorum live on.
 * @module
 */
import { type DestinationSpec, destinationKey } from "../../core/destination.ts";
import { serviceKey } from "../../core/service.ts";
import type { CheckSpec } from "../checks/check.ts";
import type { Hold, Removal } from "../supervision.ts";
import type { RealServerSpec, VirtualServerSpec } from "../wanted.ts";
import type { Action } from "./action.ts";
import { serverName } from "./names.ts";
import { pool, serverKey } from "./pool.ts";
import {
  type CheckView,
  effectiveWeight,
  freshView,
  isUp,
  type Presumption,
  type ServerHealth,
} from "./real-server.ts";
import {
  Change,
  decide,
  type Habit,
  type LeavingServer,
  type Moment,
  notify,
  tellServer,
  turnWords,
  type VirtualServerHealth,
  weightChanged,
  withServers,
} from "./virtual-server.ts";

/** What all virtual servers have in common. */
export interface Rules {
  readonly habit: Habit;
  readonly removal: Removal;
  /** Run notify_up for servers that are up at start. */
  readonly rsInitNotifies: boolean;
  /** Equal exactly for equal checks. */
  readonly checkKey: (spec: CheckSpec) => string;
  /** Keys of all services in the new configuration: those do not leave, whoever had them. */
  readonly wantedIds: ReadonlySet<string>;
  /** What a former daemon left of a service, besides what the configuration names. */
  readonly leftBehind: (service: VirtualServerSpec) => readonly DestinationSpec[];
  /** What is presumed of a new server that has checks. */
  readonly presume: (service: VirtualServerSpec, server: RealServerSpec) => Presumption;
  /** An operator's word from former times. */
  readonly formerHold: (service: VirtualServerSpec, server: RealServerSpec) => Hold | undefined;
}

type Result = [VirtualServerHealth, readonly Action[]];

/** A virtual server that is new. */
export function begin(key: string, spec: VirtualServerSpec, rules: Rules, at: Moment): Result {
  const keys = serverKeys(spec.servers);
  const servers = spec.servers.map((server, i) =>
    newServer(spec, server, keys[i], rules.presume(spec, server), rules, at),
  );
  const empty = {
    key,
    spec,
    habit: rules.habit,
    quorum: false,
    since: at.date,
    sorryServing: false,
    fallback: undefined,
    leaving: new Map<string, LeavingServer>(),
    leavingIds: [],
    removed: false,
  };
  const change = new Change(withServers(empty, servers));
  const behind = rules.leftBehind(spec);
  if (behind.length > 0) {
    const leaving = leavingServers(change, behind, new Map(), rules, at);
    change.state = { ...change.state, leaving };
  }
  change.event({ kind: "service-added", level: "info", reason: "in the configuration", words: "" });
  change.write();
  if (rules.rsInitNotifies) for (const server of servers) if (server.up) notify(change, server);
  decide(change, at, true);
  return [change.state, change.actions];
}

/** Keys of servers inside one virtual server; a server listed twice has two. */
function serverKeys(servers: readonly RealServerSpec[]): string[] {
  const seen = new Map<string, number>();
  return servers.map(({ id }) => {
    const destination = destinationKey(id);
    const n = (seen.get(destination) ?? 0) + 1;
    seen.set(destination, n);
    return serverKey(destination, n);
  });
}

function newServer(
  service: VirtualServerSpec,
  spec: RealServerSpec,
  key: string,
  presumed: Presumption,
  rules: Rules,
  at: Moment,
): ServerHealth {
  const checks = spec.checks.map((entry) => freshView(entry, rules.checkKey(entry.spec), presumed));
  const up = isUp(checks);
  return {
    spec,
    key,
    destination: destinationKey(spec.id),
    name: serverName(service, spec.id),
    checks,
    hold: rules.formerHold(service, spec),
    up,
    since: at.date,
    reason: checks.length === 0 ? "no check" : "not checked yet",
    told: up,
  };
}

/** The same virtual server with another configuration. */
export function reload(v: VirtualServerHealth, spec: VirtualServerSpec, rules: Rules, at: Moment): Result {
  if (spec === v.spec && !v.removed) return [v, []];
  const change = new Change(v);
  const before = v.removed ? [] : [...pool(v).values()];
  const keys = serverKeys(spec.servers);
  const old = v.servers;
  const servers = spec.servers.map((server, i) => {
    const was = old.get(keys[i]);
    if (was) return carried(was, spec, server, rules);
    // One that has not left yet comes back as it went.
    const wasUp = v.leaving.get(keys[i])?.wasUp;
    const presumed = wasUp === undefined ? rules.presume(spec, server) : wasUp ? "up" : "down";
    return newServer(spec, server, keys[i], presumed, rules, at);
  });
  change.state = withServers({ ...v, spec, removed: false, habit: rules.habit }, servers);
  change.state = { ...change.state, leavingIds: leavingIds(v, spec, rules, at) };
  tellService(change, v);
  const present = new Set(servers.map((s) => s.key));
  const gone = v.removed ? [] : v.servers.all.filter((s) => !present.has(s.key));
  for (const server of gone) {
    const words = `service ${server.name} no longer exist`;
    change.event({
      kind: "server-removed",
      level: "info",
      server: server.name,
      reason: "not in the configuration any more",
      words,
    });
  }
  const wasUp = new Map(gone.map((s) => [s.destination, s.up]));
  change.state = { ...change.state, leaving: leavingServers(change, before, wasUp, rules, at) };
  for (const server of servers) tellEdited(change, old.get(server.key), server, v.removed);
  change.write();
  for (const server of gone) {
    if (!server.up) continue;
    change.script("notify_down", server.spec.notifyDown, server.name);
    change.effect({ kind: "fifo", line: `RS ${server.name} ${spec.name} DOWN` });
  }
  for (const server of servers) if (old.get(server.key)?.up === !server.up) notify(change, server);
  decide(change, at, v.removed);
  for (const server of gone) if (server.up) tellServer(change, false, server, "=> Removing <=", false);
  return [change.state, change.actions];
}

/** The same server under a new configuration. */
function carried(
  was: ServerHealth,
  service: VirtualServerSpec,
  spec: RealServerSpec,
  rules: Rules,
): ServerHealth {
  if (spec === was.spec) return was;
  const known = [...was.checks];
  const checks = spec.checks.map((entry): CheckView => {
    const key = rules.checkKey(entry.spec);
    const at = known.findIndex((c) => c.key === key);
    if (at >= 0) return { ...known.splice(at, 1)[0], entry };
    // A server that was up stays so until a new check fails; one that was down shows first that it is well.
    return freshView(entry, key, was.up ? "up" : "down");
  });
  const up = isUp(checks);
  return { ...was, spec, checks, up, name: serverName(service, spec.id), told: was.told || up };
}

/** Services that are no longer among those of the virtual server finish their connections first. */
function leavingIds(v: VirtualServerHealth, spec: VirtualServerSpec, rules: Rules, at: Moment) {
  const still = stillLeaving(v, rules);
  if (rules.removal.mode === "immediate" || v.removed) return still;
  const until = at.now + rules.removal.limitMs;
  const kept = new Set(spec.ids.map(serviceKey));
  const gone = v.spec.ids.filter((id) => !kept.has(serviceKey(id)) && !rules.wantedIds.has(serviceKey(id)));
  return [...still, ...gone.map((id) => ({ id, since: at, until }))];
}

const stillLeaving = (v: VirtualServerHealth, rules: Rules) =>
  v.leavingIds.filter(({ id }) => !rules.wantedIds.has(serviceKey(id)));

/** Entries that nothing in the configuration stands for any more: they finish their connections first. */
function leavingServers(
  change: Change,
  before: readonly DestinationSpec[],
  wasUp: ReadonlyMap<string, boolean>,
  rules: Rules,
  at: Moment,
): Map<string, LeavingServer> {
  const { spec, servers, leaving } = change.state;
  const configured = new Set(servers.all.map((s) => s.destination));
  if (spec.sorry) configured.add(destinationKey(spec.sorry.id));
  const still = new Map([...leaving].filter(([key]) => !configured.has(key)));
  const { mode, limitMs } = rules.removal;
  for (const entry of before) {
    const key = destinationKey(entry);
    if (configured.has(key) || still.has(key)) continue;
    const name = serverName(spec, entry);
    if (mode === "immediate") {
      const words = `Removing service ${name} from VS ${spec.name}`;
      change.event({
        kind: "server-down",
        level: "info",
        server: name,
        reason: "removed at once",
        words,
        table: "removed",
      });
      continue;
    }
    const reason = `finishes its connections, at most ${limitMs / 1000} s`;
    change.event({ kind: "drain-begun", level: "info", server: name, reason, words: "" });
    still.set(key, leaves(entry, name, wasUp.get(key), at, limitMs));
  }
  return still;
}

/** An entry that finishes its connections. */
const leaves = (
  entry: DestinationSpec,
  name: string,
  wasUp: boolean | undefined,
  at: Moment,
  limitMs: number,
): LeavingServer => ({ spec: { ...entry, weight: 0 }, name, wasUp, since: at, until: at.now + limitMs });

function tellService(change: Change, before: VirtualServerHealth): void {
  const { spec } = change.state;
  if (before.spec.name !== spec.name)
    change.event({ kind: "service-edited", level: "info", reason: `was ${before.spec.name}`, words: "" });
  if (before.removed) {
    change.event({ kind: "service-added", level: "info", reason: "in the configuration again", words: "" });
    return;
  }
  const fields = changedFields(before.spec.service, spec.service);
  if (fields.length > 0)
    change.event({
      kind: "service-edited",
      level: "info",
      reason: `changed: ${fields.join(", ")}`,
      words: "",
    });
}

/** Names of the fields in which two plain objects differ. */
export function changedFields<T extends object>(a: T, b: T): (keyof T & string)[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof T & string>;
  return [...names].filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
}

const EDITABLE = ["method", "tunnel", "upper", "lower"] as const;

function tellEdited(
  change: Change,
  was: ServerHealth | undefined,
  server: ServerHealth,
  again: boolean,
): void {
  if (!was) {
    const reason = "new in the configuration";
    change.event({ kind: "server-added", level: "info", server: server.name, reason, words: "" });
    return;
  }
  if (again || was.spec === server.spec) return;
  const edited = EDITABLE.filter((f) => JSON.stringify(was.spec[f]) !== JSON.stringify(server.spec[f]));
  if (edited.length > 0) {
    const reason = `changed: ${edited.join(", ")}`;
    change.event({ kind: "server-edited", level: "info", server: server.name, reason, words: "" });
  }
  if (was.up !== server.up) {
    const words = turnWords(change.state, server);
    const reason = "its checks changed";
    change.event({
      kind: server.up ? "server-up" : "server-down",
      level: "info",
      server: server.name,
      reason,
      words,
    });
  }
  // One write follows for everything: only the event is wanted here.
  if (effectiveWeight(was) !== effectiveWeight(server)) {
    const quiet = new Change(change.state);
    weightChanged(quiet, was, server, "changed in the configuration");
    change.actions.push(...quiet.actions.filter((a) => a.kind === "event"));
  }
}

/** The virtual server left the configuration. */
export function remove(v: VirtualServerHealth, rules: Rules, at: Moment): Result {
  const change = new Change(v);
  const { spec } = v;
  const still = stillLeaving(v, rules);
  if (v.removed) {
    change.state = { ...v, leavingIds: still };
    if (still.length < v.leavingIds.length) change.write();
    return [change.state, change.actions];
  }
  change.event({
    kind: "service-removed",
    level: "info",
    reason: "not in the configuration any more",
    words: `Removing Virtual Server ${spec.name}`,
  });
  const until = at.now + rules.removal.limitMs;
  const drains = rules.removal.mode === "drain";
  const gone = spec.ids.filter((id) => !rules.wantedIds.has(serviceKey(id)));
  const leaving = drains ? gone.map((id) => ({ id, since: at, until })) : [];
  // Should it come back without some of its servers, those still have their connections to finish.
  const entries = leaving.length > 0 ? leavingAll(v, rules, at) : new Map<string, LeavingServer>();
  change.state = { ...v, removed: true, leaving: entries, leavingIds: [...still, ...leaving] };
  if (leaving.length > 0) {
    const reason = `finishes its connections, at most ${rules.removal.limitMs / 1000} s`;
    change.event({ kind: "drain-begun", level: "info", reason, words: "" });
  }
  change.write();
  ended(change, "Removing");
  change.state = { ...change.state, quorum: false, sorryServing: false, fallback: undefined };
  return [change.state, change.actions];
}

/** Everything that a virtual server has in the table, as leaving. */
function leavingAll(v: VirtualServerHealth, rules: Rules, at: Moment): Map<string, LeavingServer> {
  const wasUp = new Map(v.servers.all.map((s) => [s.destination, s.up]));
  const { limitMs } = rules.removal;
  return new Map(
    [...pool(v)].map(([key, entry]) => {
      const before = v.leaving.get(key);
      return [key, before ?? leaves(entry, serverName(v.spec, entry), wasUp.get(key), at, limitMs)];
    }),
  );
}

/** The daemon stops. `keep`: the table stays as it is. `named`: every server is told of. */
export function stop(
  v: VirtualServerHealth,
  how: { readonly keep: boolean; readonly named: boolean },
): Result {
  const { keep } = how;
  const change = new Change(v);
  if (v.removed) {
    change.state = { ...v, leavingIds: [] };
    if (!keep) change.write();
    return [change.state, change.actions];
  }
  const present = pool(v);
  if (!keep) {
    for (const server of how.named ? v.servers : []) {
      if (!present.has(server.destination)) continue;
      const inhibited = server.up ? "" : "(inhibited) ";
      const words = `Shutting down ${inhibited}service ${server.name} from VS ${v.spec.name}`;
      change.event({
        kind: "server-stopped",
        level: "info",
        server: server.name,
        reason: "the daemon stops",
        words,
      });
    }
    change.event({ kind: "service-stopped", level: "info", reason: "the daemon stops", words: "" });
  }
  change.state = { ...v, removed: true, leaving: new Map(), leavingIds: [] };
  if (!keep) change.write();
  if (v.spec.omega && !keep) ended(change, "Shutting down");
  return [change.state, change.actions];
}

/** Scripts, pipes and mails for what was up and is no more. */
function ended(change: Change, how: "Removing" | "Shutting down"): void {
  const { spec, servers, quorum } = change.state;
  for (const server of servers) {
    if (!server.up) continue;
    change.script("notify_down", server.spec.notifyDown, server.name);
    change.effect({ kind: "fifo", line: `RS ${server.name} ${spec.name} DOWN` });
    tellServer(change, false, server, `=> ${how} <=`, false);
  }
  if (!quorum) return;
  change.script("quorum_down", spec.quorumDown);
  change.effect({ kind: "fifo", line: `VS ${spec.name} DOWN` });
  if (spec.smtpAlert) {
    const subject = `Virtualserver ${spec.name} - DOWN`;
    change.effect({ kind: "mail", service: spec.name, subject, body: `=> ${how} <=`, fromChecker: false });
  }
}
