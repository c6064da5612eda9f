/**
 * A director with real packets around it: the machine, the filter, the packet loop and the timers of one network namespace.
 * @module
 */
import { readFileSync } from "node:fs";
import type { DestinationSpec } from "../../core/destination.ts";
import { Director } from "../../core/director.ts";
import type { ServiceId } from "../../core/service.ts";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
import { DEFAULT_TIMEOUTS } from "../../core/timeouts.ts";
import { netnsCookie } from "../../sys/netns.ts";
import type { DataPlane } from "../plane.ts";
import { SyncDaemons } from "../sync/daemons.ts";
import { Announcer } from "./announcer.ts";
import { type Interest, PacketFilter } from "./filter.ts";
import { interestOf, keepUsed, seesReplies } from "./interest.ts";
import { localPlane } from "./local.ts";
import { Machine } from "./machine.ts";
import type { EngineStatus } from "./protocol.ts";
import { type Rules, RulesFile } from "./rules-file.ts";
import { siteOf } from "./sync-site.ts";
import { Traffic } from "./traffic.ts";

const TICK_MS = 100;
/** Connections to make room for: the memory is taken when they come. */
const CAPACITY = 1 << 20;
const SETTLE_MS = 100;
/** Saving a large table takes its time: at most a fifth of it goes there while changes come in. */
const SETTLE_SHARE = 5;
/** How often addresses that are no longer in the table, but in use, are looked at again. */
const LINGER_MS = 10_000;

/** What an engine tells. */
export interface EngineLog {
  info(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** What a change may have added. */
export interface Added {
  readonly id: ServiceId | undefined;
  readonly destination: DestinationSpec | undefined;
}

/** One running engine. */
export class Engine {
  readonly plane: DataPlane;
  readonly announcer: Announcer;
  readonly #log: EngineLog;
  readonly #startedAt = performance.now();
  readonly #machine = new Machine();
  readonly #director: Director;
  readonly #traffic: Traffic;
  readonly #filter: PacketFilter;
  readonly #sync: SyncDaemons;
  readonly #file: RulesFile;
  readonly #tick: NodeJS.Timeout;
  #interest: Interest = { vips: new Set(), servers: new Set(), marks: new Set() };
  #lingering = false;
  #lingerAt = 0;
  #settleTimer: NodeJS.Timeout | undefined;
  #settleMs = SETTLE_MS;
  #unusual = false;

  /** Makes an empty engine in this process's network namespace. @throws SysError */
  constructor(rulesPath: string, log: EngineLog) {
    this.#log = log;
    const clock = (): number => performance.now();
    this.#director = new Director({
      host: this.#machine,
      random: Math.random,
      now: clock(),
      capacity: CAPACITY,
    });
    const site = siteOf(this.#director, (text) => log.info({}, text));
    this.#sync = new SyncDaemons(site, this.#machine.routes, clock);
    this.plane = localPlane(this.#director, clock, () => this.#sync.apply());
    this.announcer = new Announcer(this.#machine.routes);
    this.#traffic = new Traffic(this.#director, (error) =>
      log.error({ err: error }, "packet dropped: a bug"),
    );
    try {
      this.#filter = new PacketFilter(this.#traffic.queue.number);
    } catch (error) {
      this.#traffic.close();
      throw error;
    }
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    this.#file = new RulesFile(rulesPath, boot, netnsCookie());
    this.#tick = setInterval(() => this.#advance(), TICK_MS);
  }

  #advance(): void {
    const now = performance.now();
    this.#director.advance(now);
    if (this.#lingering && now >= this.#lingerAt) {
      this.#lingerAt = now + LINGER_MS;
      void this.applyInterest();
    }
  }

  /** Takes the kernel's latest routes and addresses into account; called before a request is answered. */
  refresh(): void {
    this.#machine.refresh();
  }

  /** Makes the filter fit the table, apart from what connections still use. */
  async applyInterest(): Promise<void> {
    const wanted = interestOf(await this.plane.services());
    this.#lingering = keepUsed(wanted, this.#interest, this.#director);
    this.#filter.update(wanted);
    this.#interest = wanted;
  }

  /**
   * Before changes are acknowledged: the director is shown what they added. What they removed may be shown a little longer,
   * it lets it pass.
   */
  widen(added: readonly Added[]): void {
    const fresh: Interest = { vips: new Set(), servers: new Set(), marks: new Set() };
    const known = this.#interest;
    const put = <T>(kind: { has(item: T): boolean }, into: Set<T>, item: T): void => {
      if (!kind.has(item)) into.add(item);
    };
    for (const a of added) {
      if (a.id?.kind === "fwmark") put(known.marks, fresh.marks, a.id.fwmark);
      if (a.id?.kind === "address") put(known.vips, fresh.vips, a.id.address);
      if (a.destination && seesReplies(a.destination.method))
        put(known.servers, fresh.servers, a.destination.address);
    }
    this.#filter.add(fresh);
    for (const vip of fresh.vips) known.vips.add(vip);
    for (const server of fresh.servers) known.servers.add(server);
    for (const mark of fresh.marks) known.marks.add(mark);
  }

  /** After changes: narrows the filter and writes the rules down soon. */
  settleSoon(): void {
    this.#settleTimer ??= setTimeout(() => void this.#settle(), this.#settleMs);
  }

  async #settle(): Promise<void> {
    const began = performance.now();
    this.#settleTimer = undefined;
    try {
      await this.applyInterest();
    } catch (error) {
      this.#log.error({ err: error }, "the packet filter could not be changed");
    }
    await this.save();
    this.#settleMs = Math.max(SETTLE_MS, SETTLE_SHARE * (performance.now() - began));
  }

  /** Writes the rules down, or removes the file when there is nothing to write. */
  async save(): Promise<void> {
    try {
      const rules = await this.#rules();
      if (this.#plain(rules)) this.#file.remove();
      else this.#file.save(rules);
    } catch (error) {
      this.#log.error({ err: error }, "rules not saved");
    }
  }

  async #rules(): Promise<Rules> {
    const { plane } = this;
    // Listings show the newest first, and adding puts in front: added in reverse they come out the same.
    const services = (await plane.services()).reverse().map((s) => ({
      spec: s.spec,
      destinations: s.destinations.map((d) => d.spec).reverse(),
    }));
    const rules = {
      services,
      timeouts: await plane.timeouts(),
      settings: await plane.settings(),
      daemons: await plane.daemons(),
      announced: this.announcer.list(),
    };
    this.#unusual = !this.#usual(rules);
    return rules;
  }

  #usual(r: Rules): boolean {
    return (
      same(r.timeouts, DEFAULT_TIMEOUTS) &&
      same(r.settings, DEFAULT_SETTINGS) &&
      r.daemons.length === 0 &&
      r.announced.length === 0
    );
  }

  #plain(r: Rules): boolean {
    return r.services.length === 0 && this.#usual(r);
  }

  /** Takes up the rules of an engine that ended without being told to, if there are any. */
  async restore(): Promise<void> {
    const rules = this.#file.load();
    if (!rules) {
      this.#file.remove();
      return;
    }
    const attempt = async (what: string, work: () => Promise<void> | void): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.#log.error({ err: error }, `not restored: ${what}`);
      }
    };
    const { plane } = this;
    await attempt("settings", () => plane.setSettings(rules.settings));
    await attempt("timeouts", () => plane.setTimeouts(rules.timeouts));
    for (const a of rules.announced) {
      await attempt(`announcement of ${a.address}`, () => this.announcer.add(a.address, a.interface, true));
    }
    for (const { spec, destinations } of rules.services) {
      await attempt("a service", () => plane.addService(spec));
      for (const d of destinations) await attempt("a destination", () => plane.addDestination(spec.id, d));
    }
    // A master's connections may be at a backup, and packets of them come as soon as the filter shows them.
    this.#director.awaiting = rules.daemons.some((d) => d.state === "master");
    for (const d of rules.daemons) await attempt(`${d.state} daemon`, () => plane.startDaemon(d));
    if (!this.#director.table.daemons.has("master")) this.#director.awaiting = false;
    await this.applyInterest();
    await this.save();
    const { awaiting } = this.#director;
    const fate = awaiting ? "may be at a backup" : "are gone";
    this.#log.info({}, `rules restored; the connections of the former engine ${fate}`);
  }

  /** See {@link DataPlane.expectTable}. */
  expectTable(): void {
    this.#sync.expectTable();
  }

  /** Nothing is wanted of this engine and nobody is connected through it. */
  get idle(): boolean {
    const { table, connections } = this.#director;
    return (
      this.#settleTimer === undefined &&
      !this.#unusual &&
      table.services().length === 0 &&
      connections.count === 0 &&
      this.announcer.list().length === 0
    );
  }

  status(): EngineStatus {
    return {
      pid: process.pid,
      uptimeMs: Math.round(performance.now() - this.#startedAt),
      packetsBy: this.#filter.by,
      queue: this.#traffic.queue.number,
      services: this.#director.table.services().length,
      connections: this.#director.connections.count,
      ...this.#traffic.counts,
      ...this.#machine.counts,
      sync: this.#sync.status(),
      announced: this.announcer.list(),
    };
  }

  /** Ends; `forget` removes the saved rules, else they are there for the next engine. */
  async close(forget: boolean): Promise<void> {
    clearInterval(this.#tick);
    clearTimeout(this.#settleTimer);
    if (forget) this.#file.remove();
    else await this.save();
    this.#sync.close();
    this.#filter.close();
    this.#traffic.close();
    this.announcer.close();
    this.#machine.close();
  }
}

function same<T extends object>(a: T, b: T): boolean {
  return (Object.keys(b) as (keyof T)[]).every((key) => a[key] === b[key]);
}
