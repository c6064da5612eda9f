/**
 * One virtual server: which of its real servers are up, whether its quorum is met, who serves.
 *
 * Pure. What happened comes in, the new state and the actions, in keepalived's order, go out: table, notify script, pipe, quorum, table,
 * quorum script, pipe, mail. What the table shall hold follows from the state alone (`pool.ts`).
 * @module
 */
import { type DestinationSpec, destinationKey } from "../../core/destination.ts";
import type { ServiceId } from "../../core/service.ts";
import type { Verdict } from "../checks/check.ts";
import type { Effect, HealthEvent, Hold } from "../supervision.ts";
import type { ScriptSpec, VirtualServerSpec, Wanted } from "../wanted.ts";
import type { Action } from "./action.ts";
import { serverName } from "./names.ts";
import { entryWeight } from "./pool.ts";
import { effectiveWeight, isUp, type ServerHealth } from "./real-server.ts";
import { Roster } from "./roster.ts";

/** Whose rules are followed where the two differ. */
export type Habit = Wanted["language"];

/** Both clocks at one moment. */
export interface Moment {
  /** Monotonic ms. */
  readonly now: number;
  /** Milliseconds since 1970. */
  readonly date: number;
}

/** A destination that left the configuration and finishes its connections. */
export interface LeavingServer {
  /** With weight 0. */
  readonly spec: DestinationSpec;
  readonly name: string;
  /** Was up when it left; undefined: it was no real server. */
  readonly wasUp: boolean | undefined;
  readonly since: Moment;
  /** Monotonic ms. */
  readonly until: number;
}

/** A service that left the configuration and finishes its connections. */
export interface LeavingService {
  readonly id: ServiceId;
  readonly since: Moment;
  /** Monotonic ms. */
  readonly until: number;
}

/** How a virtual server stands. */
export interface VirtualServerHealth {
  /** Names it among all. */
  readonly key: string;
  readonly spec: VirtualServerSpec;
  readonly habit: Habit;
  readonly servers: Roster;
  /** What counts for the quorum ({@link liveWeight}), kept as the servers change. */
  readonly live: number;
  /** The quorum is met. */
  readonly quorum: boolean;
  /** Since when, milliseconds since 1970. */
  readonly since: number;
  readonly sorryServing: boolean;
  /** The last word that fallbackcommand was run with. */
  readonly fallback: "start" | "stop" | undefined;
  /** By the keys of their destinations. Of a removed virtual server: all that it had. */
  readonly leaving: ReadonlyMap<string, LeavingServer>;
  readonly leavingIds: readonly LeavingService[];
  /** No longer in the configuration; only `leavingIds` are left of it. */
  readonly removed: boolean;
}

/** A leaving server that may go now. */
export interface Left {
  readonly leaving: LeavingServer;
  readonly why: "done" | "limit";
  readonly connections: number;
}

export type VirtualServerEvent =
  | {
      readonly kind: "verdict";
      /** Key of the server, and which of its checks. */
      readonly server: string;
      readonly check: number;
      readonly verdict: Verdict;
      /** The check turned; undefined: it stays what it was. */
      readonly to: "ok" | "failed" | undefined;
      /** What keepalived logs and mails about it. */
      readonly words: { readonly log: string; readonly mail: string };
    }
  | { readonly kind: "hold"; readonly server: string; readonly hold: Hold | undefined }
  /** Leaving servers are no longer needed. */
  | { readonly kind: "left"; readonly those: readonly Left[] }
  | {
      readonly kind: "service-left";
      readonly leaving: LeavingService;
      readonly why: "done" | "limit";
      readonly connections: number;
    };

/** State and actions, as they grow. */
export class Change {
  state: VirtualServerHealth;
  readonly actions: Action[] = [];

  constructor(state: VirtualServerHealth) {
    this.state = state;
  }
  event(event: Omit<HealthEvent, "at" | "service">): void {
    this.actions.push({ kind: "event", event: { ...event, service: this.state.spec.name } });
  }
  effect(effect: Effect): void {
    this.actions.push({ kind: "effect", effect });
  }
  /** @param only the destination that may differ; absent: any */
  write(only?: string): void {
    this.actions.push({ kind: "write", state: this.state, ...(only !== undefined && { only }) });
  }
  script(what: (Effect & { kind: "script" })["what"], script: ScriptSpec | undefined, server?: string): void {
    if (!script) return;
    const service = this.state.spec.name;
    this.effect({ kind: "script", what, service, ...(server !== undefined && { server }), script });
  }
  server(key: string): ServerHealth | undefined {
    return this.state.servers.get(key);
  }
  put(server: ServerHealth): void {
    const { servers, habit } = this.state;
    const was = servers.get(server.key);
    if (!was || was === server) return;
    const live = this.state.live - countsFor(habit, was) + countsFor(habit, server);
    this.state = { ...this.state, servers: servers.with(server), live };
  }
}

/** The same virtual server with other real servers. */
export function withServers<T extends Omit<VirtualServerHealth, "servers" | "live">>(
  state: T,
  servers: readonly ServerHealth[],
): T & Pick<VirtualServerHealth, "servers" | "live"> {
  return { ...state, servers: Roster.of(servers), live: liveWeight(state.habit, servers) };
}

/** What an event makes of a virtual server. */
export function step(
  v: VirtualServerHealth,
  event: VirtualServerEvent,
  at: Moment,
): [VirtualServerHealth, readonly Action[]] {
  const change = new Change(v);
  if (event.kind === "verdict") judge(change, event, at);
  else if (event.kind === "hold") hold(change, event.server, event.hold, at);
  else if (event.kind === "left") left(change, event);
  else serviceLeft(change, event);
  return [change.state, change.actions];
}

// --- one server -------------------------------------------------------------------------------------------------------

function judge(change: Change, event: VirtualServerEvent & { kind: "verdict" }, at: Moment): void {
  const before = change.server(event.server);
  const view = before?.checks[event.check];
  if (!before || !view) return;
  const { verdict, to, words } = event;
  const failed = to === undefined ? view.failed : to === "failed";
  const weight = verdict.ok ? verdict.weight : view.weight;
  if (to !== undefined) {
    change.event({
      kind: to === "ok" ? "check-ok" : "check-failed",
      level: to === "ok" ? "info" : "warning",
      server: before.name,
      reason: verdict.detail,
      words: words.log,
      latencyMs: verdict.latencyMs,
    });
  }
  const checks = before.checks.map((c) => (c === view ? { ...view, failed, weight } : c));
  const server: ServerHealth = { ...before, checks };
  const up = isUp(checks);
  if (up !== before.up) {
    turn(change, { ...server, up }, verdict, at);
    decide(change, at);
    tellServer(change, up, before, words.mail, true);
    return;
  }
  change.put(server);
  if (to !== undefined && !before.told) {
    // compat: a server that begins as failed and fails its first check is told of too (keepalived 2.2).
    if (to === "failed") notify(change, { ...server, told: true, reason: verdict.detail, since: at.date });
  }
  if (effectiveWeight(server) === effectiveWeight(before)) return;
  weightChanged(change, before, server, `${view.entry.spec.kind} check: ${verdict.detail}`);
  decide(change, at);
}

/** A server goes up or down: event, table, script, pipe. */
function turn(change: Change, server: ServerHealth, verdict: Verdict, at: Moment): void {
  const { up, name } = server;
  const was = change.server(server.key)!;
  const from = entryWeight(change.state, was);
  change.put({ ...server, since: at.date, reason: verdict.detail, told: true });
  const to = entryWeight(change.state, server);
  const table = whatBecame(from, to);
  change.event({
    kind: up ? "server-up" : "server-down",
    level: up ? "info" : "warning",
    server: name,
    reason: verdict.detail,
    words: turnWords(change.state, server),
    latencyMs: verdict.latencyMs,
    table,
    ...(to !== undefined && { weight: to }),
  });
  if (table !== "none") change.write(server.destination);
  notify(change, change.server(server.key)!);
}

/** keepalived's words for a server that went up or down. */
export function turnWords({ spec }: VirtualServerHealth, { name, up, spec: server }: ServerHealth): string {
  if (server.inhibitOnFailure) return `${up ? "Enabling" : "Disabling"} service ${name} of VS ${spec.name}`;
  return up ? `Adding service ${name} to VS ${spec.name}` : `Removing service ${name} from VS ${spec.name}`;
}

function whatBecame(from: number | undefined, to: number | undefined): NonNullable<HealthEvent["table"]> {
  if (from === to) return "none";
  if (from === undefined) return "added";
  if (to === undefined) return "removed";
  return to > from ? "enabled" : "disabled";
}

/** Script and pipe of one server, after its state. */
export function notify(change: Change, server: ServerHealth): void {
  change.put(server);
  const { up, name, spec } = server;
  change.script(up ? "notify_up" : "notify_down", up ? spec.notifyUp : spec.notifyDown, name);
  change.effect({ kind: "fifo", line: `RS ${name} ${change.state.spec.name} ${up ? "UP" : "DOWN"}` });
}

/** Mail about one server. */
export function tellServer(
  change: Change,
  up: boolean,
  { name, spec }: ServerHealth,
  body: string,
  fromChecker: boolean,
): void {
  if (!spec.smtpAlert) return;
  const service = change.state.spec.name;
  const subject = `Realserver ${name} of virtual server ${service} - ${up ? "UP" : "DOWN"}`;
  change.effect({ kind: "mail", service, server: name, subject, body, fromChecker });
}

/** Tells of another weight and writes it. */
export function weightChanged(
  change: Change,
  before: ServerHealth,
  server: ServerHealth,
  reason: string,
): void {
  const from = effectiveWeight(before);
  const to = effectiveWeight(server);
  const state = server.up ? "active" : "inactive";
  change.event({
    kind: "weight-changed",
    level: "info",
    server: server.name,
    reason,
    words: `Changing weight from ${from} to ${to} for ${state} service ${server.name} of VS ${change.state.spec.name}`,
    weight: to,
  });
  const { state: v } = change;
  if (entryWeight(v, before) !== entryWeight(v, server)) change.write(server.destination);
}

function hold(change: Change, key: string, next: Hold | undefined, at: Moment): void {
  const before = change.server(key);
  if (!before) return;
  const server: ServerHealth = { ...before, hold: next };
  change.put(server);
  const reason = !next
    ? "taken back by the operator"
    : next.kind === "drain"
      ? "drained by the operator"
      : `weight ${next.weight} by the operator`;
  change.event({ kind: next ? "held" : "released", level: "info", server: server.name, reason, words: "" });
  if (effectiveWeight(server) === effectiveWeight(before)) return;
  weightChanged(change, before, server, reason);
  decide(change, at);
}

// --- quorum -----------------------------------------------------------------------------------------------------------

/** What one server counts for the quorum. */
function countsFor(habit: Habit, server: ServerHealth): number {
  if (!server.up) return 0;
  if (habit === "keepalived") return effectiveWeight(server);
  return server.hold?.weight === 0 ? 0 : 1;
}

/**
 * What counts for the quorum: the weights of servers that are up. ldirectord counts servers, whatever their weight; one that the
 * operator took out does not count.
 */
export function liveWeight(habit: Habit, servers: readonly ServerHealth[]): number {
  let sum = 0;
  for (const server of servers) sum += countsFor(habit, server);
  return sum;
}

/** Decides about quorum and sorry server, and tells of it. */
export function decide(change: Change, at: Moment, start = false): void {
  const v = change.state;
  const { quorum, hysteresis } = v.spec;
  const weight = v.live;
  const gained = weight >= quorum + hysteresis;
  const lost = weight < quorum - hysteresis || weight === 0;
  if (start) begin(change, gained, weight, at);
  else if (v.quorum ? lost : gained) quorumTurned(change, !v.quorum, weight, at);
  else if (!v.quorum && !v.sorryServing && v.spec.sorry) {
    // A reload brought a sorry server while it was needed.
    sorryIn(change);
  }
}

/** First decision of all. Below the quorum without a sorry server nothing is said (keepalived 2.2). */
function begin(change: Change, up: boolean, weight: number, at: Moment): void {
  change.state = { ...change.state, quorum: up, since: at.date };
  const { spec } = change.state;
  if (up || spec.sorry) quorumTurned(change, up, weight, at, true);
  else fallbackCommand(change, up);
}

function quorumTurned(change: Change, up: boolean, weight: number, at: Moment, start = false): void {
  change.state = { ...change.state, quorum: up, since: at.date };
  const { spec } = change.state;
  const { quorum, hysteresis, name } = spec;
  const sum = up
    ? `${quorum}+${hysteresis}=${quorum + hysteresis} <= ${weight}`
    : `${quorum}-${hysteresis}=${quorum - hysteresis} > ${weight}`;
  const what = up ? "Gained quorum" : start ? "Starting with quorum down" : "Lost quorum";
  change.event({
    kind: up ? "quorum-gained" : "quorum-lost",
    level: up ? "info" : "warning",
    reason: up ? `live weight ${weight} meets the quorum` : `live weight ${weight} is below the quorum`,
    words: `${what} ${sum} for VS ${name}`,
    weight,
  });
  if (up && change.state.sorryServing) sorryOut(change);
  else if (!up && spec.sorry) sorryIn(change, start);
  change.script(up ? "quorum_up" : "quorum_down", up ? spec.quorumUp : spec.quorumDown);
  change.effect({ kind: "fifo", line: `VS ${name} ${up ? "UP" : "DOWN"}` });
  if (spec.smtpAlert) {
    const subject = `Virtualserver ${name} - ${up ? "UP" : "DOWN"}`;
    const body = `=> ${start && up ? "Starting with quorum up" : what} ${sum} <=`;
    change.effect({ kind: "mail", service: name, subject, body, fromChecker: false });
  }
  fallbackCommand(change, up);
}

function sorryIn(change: Change, start = false): void {
  const sorry = change.state.spec.sorry!;
  const { spec } = change.state;
  const name = serverName(spec, sorry.id);
  const live = change.state.habit === "keepalived" && change.state.servers.all.some((s) => s.up);
  change.state = { ...change.state, sorryServing: true };
  change.event({
    kind: "sorry-in",
    level: "warning",
    server: name,
    reason: "the quorum is lost",
    words: `${sorry.inhibit ? "Enabling" : "Adding"} sorry server ${name} to VS ${spec.name}`,
    table: sorry.inhibit ? "enabled" : "added",
    weight: 1,
  });
  if (live && !start) {
    const words = `Removing alive servers from the pool for VS ${spec.name}`;
    change.event({ kind: "pool-out", level: "warning", reason: "the sorry server serves", words });
  }
  change.write();
}

function sorryOut(change: Change): void {
  const { spec } = change.state;
  change.state = { ...change.state, sorryServing: false };
  if (spec.sorry) {
    const name = serverName(spec, spec.sorry.id);
    change.event({
      kind: "sorry-out",
      level: "info",
      server: name,
      reason: "the quorum is met",
      words: `${spec.sorry.inhibit ? "Disabling" : "Removing"} sorry server ${name} from VS ${spec.name}`,
      table: spec.sorry.inhibit ? "disabled" : "removed",
    });
  }
  if (change.state.habit === "keepalived") {
    const words = `Adding alive servers to the pool for VS ${spec.name}`;
    change.event({ kind: "pool-in", level: "info", reason: "the quorum is met", words });
  }
  change.write();
}

/** ldirectord's fallbackcommand: never twice the same word in a row. */
function fallbackCommand(change: Change, up: boolean): void {
  const { spec, fallback } = change.state;
  const word = up ? "stop" : "start";
  const id = spec.ids[0];
  if (spec.fallbackCommand === undefined || !id || fallback === word) return;
  change.state = { ...change.state, fallback: word };
  // Nothing was started that could be stopped.
  if (fallback === undefined && word === "stop") return;
  change.effect({ kind: "fallback-command", service: spec.name, command: spec.fallbackCommand, word, id });
}

// --- leaving ----------------------------------------------------------------------------------------------------------

function left(change: Change, { those }: VirtualServerEvent & { kind: "left" }): void {
  const leaving = new Map(change.state.leaving);
  for (const { leaving: one } of those) leaving.delete(destinationKey(one.spec));
  change.state = { ...change.state, leaving };
  for (const { leaving: one, why, connections } of those) {
    tellLeft(change, why, connections, one.name);
    change.write(destinationKey(one.spec));
  }
}

function serviceLeft(
  change: Change,
  { leaving, why, connections }: VirtualServerEvent & { kind: "service-left" },
): void {
  change.state = { ...change.state, leavingIds: change.state.leavingIds.filter((l) => l !== leaving) };
  tellLeft(change, why, connections);
  change.write();
}

function tellLeft(change: Change, why: "done" | "limit", connections: number, server?: string): void {
  change.event({
    kind: why === "done" ? "drain-done" : "drain-limit",
    level: why === "done" ? "info" : "warning",
    ...(server !== undefined && { server }),
    reason:
      why === "done"
        ? "its connections have ended"
        : `${connections} connections are cut: the limit has passed`,
    words: "",
  });
}
