/**
 * The supervisor: wires wanted state, checks, health and plane together. It decides nothing itself: the machines in `health/` do, the plane
 * is written by `reconcile/writer.ts`.
 * @module
 */
import type { DestinationId } from "../core/destination.ts";
import { TableError } from "../core/errors.ts";
import { type ServiceStatus, serviceKey } from "../core/service.ts";
import type { CheckSpec } from "./checks/check.ts";
import { Globals } from "./globals.ts";
import type { Action } from "./health/action.ts";
import { FIRST_DELAY_MS } from "./health/check-life.ts";
import { findServer, findService, holdFor } from "./health/find.ts";
import { type Fleet, presumptions, reconfigure } from "./health/fleet.ts";
import { finished } from "./health/leaving.ts";
import { desired, idsOf } from "./health/pool.ts";
import { Probes } from "./health/probes.ts";
import { MAX_WEIGHT } from "./health/real-server.ts";
import { stop as stopped } from "./health/reload.ts";
import {
  type Habit,
  type Moment,
  step,
  type VirtualServerEvent,
  type VirtualServerHealth,
} from "./health/virtual-server.ts";
import { Heritage, memoryOf } from "./memory.ts";
import { makePlan, planFromTable } from "./plan.ts";
import { describeAll } from "./reconcile/operation.ts";
import { TableWriter } from "./reconcile/writer.ts";
import { statusOf } from "./status.ts";
import {
  type ApplyResult,
  DEFAULT_REMOVAL,
  type HealthEvent,
  type Hold,
  type Plan,
  type Status,
  type Supervisor,
  SupervisorError,
  type SupervisorOptions,
} from "./supervision.ts";
import type { VirtualServerSpec, Wanted } from "./wanted.ts";
import { Watching } from "./watching.ts";

/** Connections of leaving servers are counted this often, ms. */
const LEAVING_MS = 1000;
/** Default of `repairMs`. */
const REPAIR_MS = 10_000;

/** Makes one. Nothing happens before the first `apply`. */
export const createSupervisor = (options: SupervisorOptions): Supervisor => new TheSupervisor(options);

class TheSupervisor implements Supervisor {
  readonly #o: SupervisorOptions;
  readonly #probes: Probes;
  readonly #writer: TableWriter;
  readonly #globals: Globals;
  readonly #checkKey: (spec: CheckSpec) => string;
  #fleet = new Map<string, VirtualServerHealth>();
  readonly #watching: Watching;
  #wanted: Wanted | undefined;
  #appliedAt: number | undefined;
  /** Applies, plans and stops come one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  #cancelRepair: (() => void) | undefined;
  #cancelLeaving: (() => void) | undefined;
  #repairing = false;
  /** What the last repairs of an owner were, and how often in a row: a plane that stores something else than asked is told of once. */
  readonly #mended = new Map<string, { text: string; times: number }>();
  #unreadable = "";
  /** What was last told to be remembered. */
  #remembered = "";

  constructor(options: SupervisorOptions) {
    this.#o = options;
    this.#checkKey = options.checkKey ?? ((spec) => JSON.stringify(spec));
    const { createChecker, clock, random, plane } = options;
    this.#probes = new Probes({ createChecker, checkKey: this.#checkKey, clock, random });
    const refused = (service: string, reason: string) =>
      this.#emit({ kind: "refused", level: "error", service, reason, words: "" });
    this.#watching = new Watching({
      probes: this.#probes,
      find: (key) => this.#fleet.get(key),
      step: (key, event) => this.#step(key, event),
      emit: (event) => this.#emit(event),
      checkWords: options.checkWords,
      onVerdict: options.onVerdict,
    });
    this.#writer = new TableWriter({
      plane,
      foreign: () => this.#foreign(this.#habit),
      onRefused: (key, message) =>
        refused(key === undefined ? "" : (this.#fleet.get(key)?.spec.name ?? key), message),
      ...(options.onBug && { onBug: options.onBug }),
    });
    this.#globals = new Globals(plane, clock, (message) => refused("", message));
  }

  get #habit(): Habit {
    return this.#wanted?.language ?? "keepalived";
  }

  #foreign(habit: Habit): "keep" | "remove" {
    return this.#o.foreign ?? (habit === "ldirectord" ? "remove" : "keep");
  }

  #now(): Moment {
    return { now: this.#o.clock.now(), date: this.#o.clock.date() };
  }

  #emit(event: Omit<HealthEvent, "at">): void {
    this.#o.onEvent?.({ at: this.#o.clock.date(), ...event });
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(() => {
      this.#mustRun();
      return work();
    });
    this.#turn = mine.catch(() => {});
    return mine;
  }

  #mustRun(): void {
    if (this.#stopping) throw new SupervisorError("stopped", "the supervisor has been stopped");
  }

  /** Resolves when everything asked for a virtual server so far is in the table, or was refused. */
  #written(key: string): Promise<void> {
    return new Promise((resolve) => this.#writer.after(key, resolve));
  }

  // --- configuration --------------------------------------------------------------------------------------------------

  apply(wanted: Wanted): Promise<ApplyResult> {
    return this.#exclusive(async () => {
      const first = this.#wanted === undefined;
      // A table that cannot be read is found out here, before anything has changed.
      if (first) await this.#globals.begin(wanted.global);
      const statuses = await this.#needed(wanted);
      this.#mustRun();
      const from = this.#writer.changes;
      const heritage = new Heritage(first ? (this.#o.former ?? []) : [], statuses);
      const change = this.#reconfigure(wanted, statuses, heritage);
      // Before anything is done about it: should this be killed meanwhile, the next one knows what was ours.
      this.#remember([...this.#fleet.values(), ...change.fleet.values()]);
      this.#wanted = wanted;
      this.#appliedAt = this.#o.clock.date();
      this.#probes.firstDelayMs = wanted.language === "ldirectord" ? 0 : FIRST_DELAY_MS;
      this.#adopt(statuses, change.fleet, heritage);
      this.#fleet = new Map(change.fleet);
      for (const { service, id } of change.disputed) {
        const reason = `${serviceKey(id)} belongs to another virtual server already`;
        this.#emit({ kind: "refused", level: "warning", service, reason, words: "" });
      }
      for (const { key, actions } of change.actions) this.#perform(key, actions);
      this.#watching.follow(this.#fleet.keys());
      await Promise.all(change.actions.map(({ key }) => this.#written(key)));
      this.#mustRun();
      await this.#globals.change(wanted.global);
      this.#forgetGone();
      await this.#lookAtLeaving();
      this.#remember(this.#fleet.values());
      this.#scheduleRepair();
      const { syncTrouble } = this.#globals;
      const refused = [...this.#writer.refusals, ...(syncTrouble ? [syncTrouble] : [])];
      return { changes: this.#writer.changes - from, refused };
    });
  }

  plan(wanted: Wanted): Promise<Plan> {
    return this.#exclusive(async () => {
      const statuses = await this.#o.plane.services();
      const { removal } = this.#o;
      const foreign = this.#foreign(wanted.language);
      if (!this.#wanted) return planFromTable(statuses, wanted, { foreign, ...(removal && { removal }) });
      const { fleet: after } = this.#reconfigure(wanted, statuses, new Heritage([], []));
      return makePlan({ before: this.#fleet, after, statuses, foreign });
    });
  }

  /** What the plane holds of services that are new to us. */
  async #needed(wanted: Wanted): Promise<readonly ServiceStatus[]> {
    const known = this.#known([]);
    const fresh = wanted.virtualServers.some((v) => v.ids.some((id) => !known.has(serviceKey(id))));
    return fresh || this.#wanted === undefined ? await this.#o.plane.services() : [];
  }

  /** Keys of the services that are ours. */
  #known(statuses: readonly ServiceStatus[]): Set<string> {
    const extra = statuses.map((s) => serviceKey(s.spec.id));
    const known = new Set<string>();
    for (const v of this.#fleet.values()) {
      if (!v.removed) for (const id of v.spec.ids) known.add(serviceKey(id));
      for (const { id } of v.leavingIds) known.add(serviceKey(id));
    }
    // What is just being removed was put there by us: it says nothing about health.
    for (const key of extra) if (this.#writer.has(key)) known.add(key);
    return known;
  }

  #reconfigure(wanted: Wanted, statuses: readonly ServiceStatus[], heritage: Heritage) {
    const habit = wanted.language;
    // Words told to a former daemon concern what that one left behind.
    const holds = this.#wanted === undefined ? (this.#o.holds ?? []) : [];
    const formerHold = (service: VirtualServerSpec, server: { readonly id: DestinationId }) =>
      holdFor(holds, service, server.id);
    const rules = {
      habit,
      removal: this.#o.removal ?? DEFAULT_REMOVAL,
      rsInitNotifies: wanted.global.rsInitNotifies,
      checkKey: this.#checkKey,
      presume: presumptions(statuses, this.#known(statuses), habit, (v, s) => formerHold(v, s) !== undefined),
      formerHold,
      leftBehind: (service: VirtualServerSpec) => heritage.destinations(service),
    };
    const before = new Map([...this.#fleet, ...heritage.abandoned(wanted.virtualServers)]);
    return reconfigure(before, wanted.virtualServers, rules, this.#now());
  }

  /** Takes over what the table holds of new services. */
  #adopt(statuses: readonly ServiceStatus[], next: Fleet, heritage: Heritage): void {
    const known = this.#known(statuses);
    const owners = new Map<string, VirtualServerHealth>();
    for (const v of next.values()) for (const id of idsOf(v)) owners.set(serviceKey(id), v);
    for (const status of statuses) {
      const key = serviceKey(status.spec.id);
      const owner = owners.get(key);
      if (known.has(key)) continue;
      const ours = heritage.keys(key);
      if (owner) this.#writer.adopt(status, ours);
      // Ours once, and to be removed at once.
      else if (ours.size > 0) this.#writer.adopt(status, ours, heritage.owner(key));
      if (!owner || owner.removed) continue;
      const n = status.destinations.length;
      const reason = `${key} was in the table with ${n} ${n === 1 ? "server" : "servers"}`;
      this.#emit({ kind: "adopted", level: "info", service: owner.spec.name, reason, words: "" });
    }
  }

  #forgetGone(): void {
    for (const key of this.#writer.owners) if (!this.#fleet.has(key)) this.#writer.forget(key);
  }

  /** Tells what the next daemon has to know, should this one be killed. */
  #remember(all: Iterable<VirtualServerHealth>): void {
    const tell = this.#o.onMemory;
    if (!tell) return;
    const memory = memoryOf(all);
    const text = JSON.stringify(memory);
    if (text === this.#remembered) return;
    this.#remembered = text;
    tell(memory);
  }

  // --- health ---------------------------------------------------------------------------------------------------------

  #perform(key: string, actions: readonly Action[]): void {
    for (const action of actions) {
      if (action.kind === "event") this.#emit(action.event);
      else if (action.kind === "write") {
        const { state, only } = action;
        this.#writer.write(key, only === undefined ? idsOf(state) : [], () => desired(state), only);
      } else this.#writer.after(key, () => this.#o.onEffect?.(action.effect));
    }
  }

  #step(key: string, event: VirtualServerEvent): void {
    const v = this.#fleet.get(key);
    if (!v) return;
    const [next, actions] = step(v, event, this.#now());
    this.#fleet.set(key, next);
    this.#perform(key, actions);
  }

  setAddresses(addresses: ReadonlySet<string>): void {
    this.#watching.setAddresses(addresses);
  }

  setSyncRole(role: "master" | "backup"): Promise<void> {
    return this.#exclusive(() => this.#globals.setSyncRole(role));
  }

  renewSyncBackup(): Promise<void> {
    return this.#exclusive(() => this.#globals.renewBackup());
  }

  get syncTrouble(): string | undefined {
    return this.#globals.syncTrouble;
  }

  endSync(): Promise<void> {
    return this.#globals.endSync();
  }

  // --- the operator ---------------------------------------------------------------------------------------------------

  drain(service: string, server: string): Promise<void> {
    return this.#hold(service, server, { kind: "drain", weight: 0, since: this.#o.clock.date() });
  }

  undrain(service: string, server: string): Promise<void> {
    return this.#hold(service, server, undefined);
  }

  weight(service: string, server: string, weight: number): Promise<void> {
    if (!Number.isInteger(weight) || weight < 0 || weight > MAX_WEIGHT) {
      const message = `weight ${weight}: expects a whole number, 0..${MAX_WEIGHT}`;
      return Promise.reject(new SupervisorError("bad-weight", message));
    }
    return this.#hold(service, server, { kind: "weight", weight, since: this.#o.clock.date() });
  }

  #hold(service: string, server: string, hold: Hold | undefined): Promise<void> {
    return this.#exclusive(async () => {
      const v = findService([...this.#fleet.values()], service);
      const target = findServer(v, server);
      this.#step(v.key, { kind: "hold", server: target.key, hold });
      this.#remember(this.#fleet.values());
      await this.#written(v.key);
    });
  }

  // --- leaving --------------------------------------------------------------------------------------------------------

  #scheduleLeaving(): void {
    if (this.#cancelLeaving || this.#stopping) return;
    const some = [...this.#fleet.values()].some((v) => v.leaving.size > 0 || v.leavingIds.length > 0);
    if (!some) return;
    this.#cancelLeaving = this.#o.clock.after(LEAVING_MS, () => {
      this.#cancelLeaving = undefined;
      void this.#lookAtLeaving();
    });
  }

  /** Removes what has finished its connections, or has had its time. */
  async #lookAtLeaving(): Promise<void> {
    this.#cancelLeaving?.();
    this.#cancelLeaving = undefined;
    for (const v of [...this.#fleet.values()]) {
      if (v.leaving.size === 0 && v.leavingIds.length === 0) continue;
      const ids = [...(v.removed ? [] : v.spec.ids), ...v.leavingIds.map((l) => l.id)];
      const found = new Map<string, ServiceStatus>();
      const asked = this.#o.clock.now();
      const readable = await Promise.all(ids.map((id) => this.#lookAt(id, found)));
      if (readable.includes(false)) continue;
      if (this.#stopping) return;
      this.#release(v.key, found, asked);
    }
    this.#scheduleLeaving();
  }

  async #lookAt(id: ServiceStatus["spec"]["id"], found: Map<string, ServiceStatus>): Promise<boolean> {
    try {
      found.set(serviceKey(id), await this.#o.plane.service(id));
      return true;
    } catch (error) {
      return error instanceof TableError && error.code === "ESRCH";
    }
  }

  #release(key: string, found: ReadonlyMap<string, ServiceStatus>, asked: number): void {
    // Read again: things may have changed while the plane answered.
    const v = this.#fleet.get(key);
    if (!v) return;
    const events = finished(v, found, asked, this.#o.clock.now());
    for (const event of events) this.#step(key, event);
    if (events.length > 0) this.#writer.after(key, () => this.#remember(this.#fleet.values()));
    const after = this.#fleet.get(key);
    if (!after?.removed || after.leavingIds.length > 0) return;
    this.#fleet.delete(key);
    this.#writer.after(key, () => queueMicrotask(() => this.#forgetGone()));
  }

  // --- repair ---------------------------------------------------------------------------------------------------------

  #scheduleRepair(): void {
    this.#cancelRepair?.();
    this.#cancelRepair = undefined;
    const every = this.#o.repairMs ?? REPAIR_MS;
    if (every === 0 || this.#stopping) return;
    this.#cancelRepair = this.#o.clock.after(every, () => {
      this.#cancelRepair = undefined;
      void this.repair().finally(() => this.#scheduleRepair());
    });
  }

  async repair(): Promise<number> {
    if (this.#repairing || this.#stopping || !this.#wanted) return 0;
    this.#repairing = true;
    try {
      const mended = await this.#writer.repair(await this.#o.plane.services());
      this.#unreadable = "";
      let changes = 0;
      for (const [key, operations] of mended) {
        changes += operations.length;
        this.#tellMended(key, describeAll(operations));
      }
      this.#forgetGone();
      await this.#globals.repair();
      for (const key of [...this.#mended.keys()]) if (!mended.has(key)) this.#mended.delete(key);
      return changes;
    } catch (error) {
      const reason = `read the table: ${error instanceof Error ? error.message : String(error)}`;
      if (reason !== this.#unreadable)
        this.#emit({ kind: "refused", level: "error", service: "", reason, words: "" });
      this.#unreadable = reason;
      return 0;
    } finally {
      this.#repairing = false;
    }
  }

  #tellMended(key: string, text: string): void {
    const last = this.#mended.get(key);
    const times = last?.text === text ? last.times + 1 : 1;
    this.#mended.set(key, { text, times });
    if (times > 3) return;
    const service = this.#fleet.get(key)?.spec.name ?? key;
    const reason = `the table was not as wanted: ${text}`;
    this.#emit({ kind: "repaired", level: "warning", service, reason, words: "" });
  }

  // --- status, end ----------------------------------------------------------------------------------------------------

  async status(): Promise<Status> {
    let trouble = this.#writer.refusals.at(-1);
    let statuses: ReadonlyMap<string, ServiceStatus> = new Map();
    try {
      statuses = new Map((await this.#o.plane.services()).map((s) => [serviceKey(s.spec.id), s]));
    } catch (error) {
      trouble = `read the table: ${error instanceof Error ? error.message : String(error)}`;
    }
    const moment = this.#now();
    const services = [...this.#fleet.values()].map((v) =>
      statusOf(v, statuses, this.#watching.of(v.key), this.#watching.rests(v.spec), moment),
    );
    return {
      language: this.#wanted?.language,
      plane: this.#o.plane.name,
      ...(this.#appliedAt !== undefined && { appliedAt: this.#appliedAt }),
      virtualServers: services,
      probes: this.#probes.count(),
      pendingWrites: this.#writer.pending,
      ...(trouble !== undefined && { trouble }),
    };
  }

  stop(options: { readonly keep?: boolean } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.keep === true);
    return this.#stopping;
  }

  async #stop(keep: boolean): Promise<void> {
    this.#cancelRepair?.();
    this.#cancelLeaving?.();
    this.#watching.close();
    const named = this.#wanted?.global.flushOnStop === "no";
    for (const [key, v] of this.#fleet) {
      const [next, actions] = stopped(v, { keep: keep || v.spec.keepOnStop, named });
      this.#fleet.set(key, next);
      this.#perform(key, actions);
    }
    // The plane may be out of order: what stays anyway is not waited for.
    if (!keep) {
      await this.#turn;
      await this.#writer.idle();
    }
    await this.#globals.end(keep);
  }
}
