/**
 * The eBPF plane: rules in the BPF maps of this network namespace, packets in the kernel, nothing of ours running.
 *
 * Built into a file of its own (`dist/lvsd-ebpf.cjs`), which commands load when this plane is chosen.
 * @module
 */
import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import type { ConnectionStatus } from "../../core/connection.ts";
import type { DaemonState, DaemonStatus } from "../../core/daemon.ts";
import type { DestinationId, DestinationSpec, DestinationStatus } from "../../core/destination.ts";
import { TableError } from "../../core/errors.ts";
import type { RealServer } from "../../core/server.ts";
import {
  NO_COUNTERS,
  type ServiceId,
  type ServiceSpec,
  type ServiceStatus,
  serviceKey,
} from "../../core/service.ts";
import type { Settings } from "../../core/settings.ts";
import type { Timeouts } from "../../core/timeouts.ts";
import type { VirtualService } from "../../core/virtual.ts";
import { openPin } from "../../sys/bpf/pins.ts";
import { call } from "../../sys/bpf/program.ts";
import { close, SysError } from "../../sys/libc.ts";
import type { DataPlane, PlaneInfo } from "../plane.ts";
import { checkSettings, shownSettings } from "./config.ts";
import { readConnections } from "./connections.ts";
import { CounterReader } from "./counters.ts";
import { collectGarbage } from "./garbage.ts";
import { TableWriter } from "./hash-tables.ts";
import { type HookReport, hookInterfaces } from "./hooks.ts";
import { wantedEntries } from "./image.ts";
import {
  age,
  beginMove,
  changePrograms,
  endMove,
  install,
  installed,
  mend,
  needsMending,
  takeOver,
  uninstall,
} from "./installation.ts";
import { Journal } from "./journal.ts";
import { PROGRAMS } from "./layout.ts";
import { lock } from "./lock.ts";
import { RulesHost } from "./machine.ts";
import { Maps } from "./maps.ts";
import { bringMarks, forgetMarks } from "./marks.ts";
import { Migration } from "./migration.ts";
import { Mirror } from "./mirror.ts";
import { prepareNamespace, restoreNamespace } from "./namespace.ts";
import type { Operation } from "./operation.ts";
import { bootId, type EbpfPaths, ebpfPaths } from "./paths.ts";
import { checkDestination, checkRoom, checkService, nameOf, refuseDaemon } from "./refusals.ts";
import { Rules } from "./rules.ts";

// Loaded along with the plane, since commands have it as one file.
export { report } from "./report.ts";

/** Whether this plane has rules, or settings that are not the default, in the namespace of this thread. */
export const hasRules = (): boolean => existsSync(ebpfPaths().rules);

/** IPVS 1.2.1. */
const IPVS_VERSION = 0x010201;
/** The connection table size that is reported: the kernel's default. */
const TABLE_SIZE = 4096;
/** Interfaces are looked for again after this long, ms. */
const HOOK_AGAIN_MS = 1000;
/** The trash is looked through again after this long, ms. */
const UPKEEP_AGAIN_MS = 1000;
/** With more destinations than this, routes are looked up only when one is added or changed. */
const ROUTES_AGAIN = 2000;

/** Options of {@link ebpfPlane}. */
export interface EbpfOptions {
  /** @default those of the namespace that this thread is in */
  readonly paths?: EbpfPaths;
  /** Told the name of every step of a change, before it is done; tests end the process there. */
  readonly onStep?: (step: string) => void;
}

/** The plane of the network namespace that this thread is in. @throws TableError EPERM for who is not root */
export function ebpfPlane(options: EbpfOptions = {}): EbpfPlane {
  if (process.geteuid?.() !== 0)
    throw new TableError("EPERM", "BPF programs and maps are root's: run this as root, or with sudo");
  return new EbpfPlane(options);
}

/** {@link DataPlane} over pinned maps, and what only this plane has. */
export class EbpfPlane implements DataPlane {
  readonly name = "ebpf";
  readonly #paths: EbpfPaths;
  readonly #journal: Journal;
  readonly #host = new RulesHost();
  readonly #step: (step: string) => void;
  #rules: Rules | undefined;
  #maps: Maps | undefined;
  /** The folder that {@link #maps} are of: another command may have put others in their place. */
  #folder: number | undefined;
  #mirror: Mirror | undefined;
  #hookedAt = Number.NEGATIVE_INFINITY;
  #keptUpAt = Number.NEGATIVE_INFINITY;
  /** What {@link bringMarks} was told last; "" = nothing yet. */
  #marks = "";
  #markedServices = 0;
  /** Whether the replies of servers on this host are looked at. */
  #local = false;

  constructor(options: EbpfOptions) {
    this.#paths = options.paths ?? ebpfPaths();
    this.#step = options.onStep ?? (() => {});
    this.#journal = new Journal(this.#paths.rules, bootId(), this.#paths.cookie);
  }

  // --- the rules, under the lock ----------------------------------------------------------------------------------------

  /** Works with the rules as they are now, alone. */
  async #alone<T>(work: (rules: Rules) => T | Promise<T>): Promise<T> {
    mkdirSync(this.#paths.run, { recursive: true, mode: 0o755 });
    const unlock = await lock(this.#paths.lock);
    try {
      return await work(await this.#refresh());
    } catch (error) {
      throw error instanceof SysError && error.code === "EPERM"
        ? new TableError("EPERM", `${error.message}: BPF needs CAP_BPF and CAP_NET_ADMIN`)
        : error;
    } finally {
      unlock();
    }
  }

  /** What a reader gets; `otherwise` without touching anything when there are no rules. */
  async #read<T>(otherwise: () => T, work: (rules: Rules) => T | Promise<T>): Promise<T> {
    if (!this.#journal.exists) return otherwise();
    return this.#alone(work);
  }

  /** The rules as the journal has them, and the maps in line with them. */
  async #refresh(): Promise<Rules> {
    const current = this.#journal.current && this.#folder === folderOf(this.#paths);
    if (this.#rules && current && (this.#rules.table.empty || this.#maps)) return this.#rules;
    this.#forget();
    const reading = this.#journal.read();
    const rules = new Rules(this.#host);
    this.#host.replaying = true;
    try {
      for (const operation of reading?.operations ?? []) rules.apply(operation);
    } finally {
      this.#host.replaying = false;
    }
    this.#rules = rules;
    if (needsMending(this.#paths)) await this.#globally(() => mend(this.#paths));
    const there = installed(this.#paths);
    if (there && rules.table.empty && rules.table.trashed().length === 0 && reading?.applied !== true) {
      // Clearing was cut short.
      await this.#remove();
    }
    if (!rules.table.empty && !there) {
      await this.#install();
      this.#mirrorOf(rules).everything();
      await this.#hook(rules);
    } else if (there) {
      // First, since maps of another shape must not be written.
      await this.#renew();
      if (reading?.applied !== true) {
        this.#mirrorOf(rules).everything();
        await this.#hook(rules);
      }
    }
    if (reading && !reading.applied) this.#journal.applied();
    if (installed(this.#paths)) this.#mapsOf();
    return rules;
  }

  /** Everything in memory is as it was before anything was read. */
  #forget(): void {
    this.#maps?.close();
    this.#maps = undefined;
    this.#folder = undefined;
    this.#mirror = undefined;
    this.#rules = undefined;
  }

  #mapsOf(): Maps {
    if (!this.#maps) {
      this.#maps = new Maps(`${this.#paths.pins}/maps`);
      this.#folder = folderOf(this.#paths);
    }
    return this.#maps;
  }

  #mirrorOf(rules: Rules): Mirror {
    const maps = this.#mapsOf();
    this.#mirror ??= new Mirror(maps, rules, (server) => this.#host.routeTo(server), new TableWriter(maps));
    return this.#mirror;
  }

  async #globally<T>(work: () => T): Promise<T> {
    const unlock = await lock(this.#paths.globalLock);
    try {
      return work();
    } finally {
      unlock();
    }
  }

  async #install(): Promise<void> {
    await this.#globally(() => {
      if (installed(this.#paths)) return;
      this.#step("install");
      collectGarbage(this.#paths);
      install(this.#paths);
    });
  }

  /** A newer lvsd than the one that loaded the programs puts its own in their place. */
  async #renew(): Promise<void> {
    await this.#globally(() => {
      const found = age(this.#paths);
      if (found === "same") return;
      this.#maps?.close();
      this.#maps = undefined;
      this.#mirror = undefined;
      if (found === "other") takeOver(this.#paths);
      else this.#move(this.#rules!);
    });
  }

  /** Carries everything over to maps of another shape. */
  #move(rules: Rules): void {
    this.#step("stage");
    const { layouts, from, to } = beginMove(this.#paths);
    const [old, next] = [new Maps(from), new Maps(to)];
    try {
      const routeTo = (server: RealServer) => this.#host.routeTo(server);
      new Mirror(next, rules, routeTo, new TableWriter(next)).everything();
      const migration = new Migration(old, next, layouts, rules.ends);
      this.#step("copy");
      migration.copy();
      this.#step("change programs");
      changePrograms(this.#paths);
      this.#step("catch up");
      migration.catchUp();
    } finally {
      old.close();
      next.close();
    }
    endMove(this.#paths, this.#step);
    hookInterfaces(this.#paths, this.#mirrorOf(rules).hasLocal);
  }

  /** Brings interfaces and routes that changed since to the programs' notice. */
  async #hook(rules: Rules): Promise<HookReport> {
    return await this.#globally(() => {
      this.#step("hook");
      prepareNamespace(this.#paths);
      const mirror = this.#mirrorOf(rules);
      this.#bringMarks(rules);
      if (rules.ends.destinations <= ROUTES_AGAIN) mirror.routes();
      const report = hookInterfaces(this.#paths, mirror.hasLocal);
      this.#hookedAt = performance.now();
      this.#local = mirror.hasLocal;
      return report;
    });
  }

  /** Netfilter's rules for firewall marks follow the services. */
  #bringMarks(rules: Rules): void {
    const marks: Record<4 | 6, number[]> = { 4: [], 6: [] };
    if (rules.census.marked > 0) {
      for (const service of rules.table.services()) {
        if (service.fwmark !== 0) marks[service.family].push(service.fwmark);
      }
    }
    const key = JSON.stringify(marks);
    if (key === this.#marks) return;
    bringMarks(marks);
    this.#marks = key;
    this.#markedServices = rules.census.marked;
  }

  async #remove(): Promise<void> {
    this.#maps?.close();
    this.#maps = undefined;
    this.#mirror = undefined;
    await this.#globally(() => {
      this.#step("uninstall");
      uninstall(this.#paths);
      forgetMarks();
      restoreNamespace(this.#paths);
    });
  }

  /** Changes the rules: refused by the table, written down, mirrored into the maps, in this order. */
  async #change(operations: (rules: Rules) => readonly Operation[]): Promise<void> {
    await this.#alone(async (rules) => {
      const upkeep = this.#upkeep(rules);
      const wanted = operations(rules);
      let made = 0;
      const all = [...upkeep, ...wanted];
      const mirrored: (() => void)[] = [];
      try {
        for (const operation of all) {
          mirrored.push(this.#apply(rules, operation));
          made++;
        }
      } catch (error) {
        // Refused, and nothing was written: what came before it in this change is forgotten with the rules in memory.
        if (made > 0) this.#forget();
        throw error;
      }
      await this.#commit(rules, all, mirrored);
    });
  }

  async #commit(rules: Rules, all: readonly Operation[], mirrored: readonly (() => void)[]): Promise<void> {
    if (!this.#journal.current) this.#journal.rewrite([], true);
    const size = this.#journal.size;
    this.#step("journal");
    this.#journal.append(all);
    try {
      if (!rules.table.empty && !installed(this.#paths)) {
        await this.#install();
        this.#step("everything");
        this.#mirrorOf(rules).everything();
        await this.#hook(rules);
      } else if (installed(this.#paths)) {
        for (const [i, mirror] of mirrored.entries()) {
          this.#step(`mirror ${all[i]!.op}`);
          mirror();
        }
        if (
          rules.census.marked !== this.#markedServices ||
          performance.now() - this.#hookedAt > HOOK_AGAIN_MS ||
          this.#mirrorOf(rules).hasLocal !== this.#local
        )
          await this.#hook(rules);
      }
    } catch (error) {
      // The maps could not take it: back to what they had.
      this.#journal.undo(size);
      this.#forget();
      if (installed(this.#paths)) this.#mirrorOf(await this.#reread()).everything();
      throw error;
    }
    this.#step("applied");
    if (this.#journal.overgrown(rules.size)) this.#journal.rewrite(rules.operations(), true);
    else this.#journal.applied();
  }

  async #reread(): Promise<Rules> {
    const rules = new Rules(this.#host);
    this.#host.replaying = true;
    for (const operation of this.#journal.read()?.operations ?? []) rules.apply(operation);
    this.#host.replaying = false;
    this.#rules = rules;
    return rules;
  }

  #upkeep(rules: Rules): Operation[] {
    if (rules.table.trashed().length === 0) return [];
    if (performance.now() - this.#keptUpAt < UPKEEP_AGAIN_MS || !installed(this.#paths)) return [];
    this.#keptUpAt = performance.now();
    const counters = new CounterReader(this.#mapsOf());
    const referenced = (id: number): boolean => {
      const { active, inactive, persistent } = counters.load(id);
      return active + inactive + persistent > 0;
    };
    return rules.upkeep(referenced, Math.floor(Number(process.hrtime.bigint() / 1_000_000n)));
  }

  /** Changes the rules in memory; returns what does the same to the maps. @throws TableError */
  #apply(rules: Rules, change: Operation): () => void {
    const mirror = (): Mirror => this.#mirrorOf(rules);
    const { table } = rules;
    switch (change.op) {
      case "addService":
        rules.apply(change);
        return () => mirror().serviceAdded(table.find(change.spec.id));
      case "editService": {
        const was = table.find(change.spec.id).spec.scheduler;
        rules.apply(change);
        return () => mirror().serviceEdited(table.find(change.spec.id), was);
      }
      case "removeService": {
        const service = table.find(change.service);
        const number = rules.serviceNumber(service);
        const servers = [...service.destinations];
        rules.apply(change);
        return () => mirror().serviceRemoved(number, servers);
      }
      case "addDestination": {
        rules.apply(change);
        const server = table.find(change.service).destinations[0]!;
        const revived = rules.destinationNumber(server) !== change.id;
        return () => mirror().destinationAdded(server, revived);
      }
      case "editDestination": {
        rules.apply(change);
        const server = destinationOf(table.find(change.service), change.spec);
        return () => mirror().destinationEdited(server);
      }
      case "removeDestination": {
        const service = table.find(change.service);
        const server = service.destinations.find((d) => same(d, change.destination));
        const index = server ? service.destinations.indexOf(server) : -1;
        rules.apply(change);
        return () => mirror().destinationRemoved(server!, index);
      }
      case "free":
        rules.apply(change);
        return () => mirror().destinationFreed(change.id);
      case "idle":
        rules.apply(change);
        return () => {};
      default:
        rules.apply(change);
        return () => mirror().config();
    }
  }

  // --- the table ----------------------------------------------------------------------------------------------------------

  async info(): Promise<PlaneInfo> {
    return { version: IPVS_VERSION, tableSize: TABLE_SIZE };
  }

  services(): Promise<ServiceStatus[]> {
    return this.#read(
      () => [],
      (rules) => rules.table.services().map((service) => this.#status(rules, service)),
    );
  }

  service(id: ServiceId): Promise<ServiceStatus> {
    return this.#read(
      () => missing(id),
      (rules) => this.#status(rules, rules.table.find(id)),
    );
  }

  #status(rules: Rules, service: VirtualService): ServiceStatus {
    const counters = this.#maps && new CounterReader(this.#maps);
    const destinations = service.destinations.map((server): DestinationStatus => {
      const number = rules.destinationNumber(server);
      const load = counters?.load(number) ?? { active: 0, inactive: 0, persistent: 0 };
      return { spec: server.spec, stats: counters?.read("dest_estimates", number) ?? NO_COUNTERS, ...load };
    });
    const stats = counters?.read("service_estimates", rules.serviceNumber(service)) ?? NO_COUNTERS;
    return { spec: service.spec, stats, destinations };
  }

  addService(spec: ServiceSpec): Promise<void> {
    return this.#change((rules) => {
      checkService(spec);
      checkRoom("services", rules.nextService, this.#room("service_state"), serviceKey(spec.id));
      return [{ op: "addService", spec, id: rules.nextService }];
    });
  }
  editService(spec: ServiceSpec): Promise<void> {
    return this.#change((rules) => {
      rules.table.find(spec.id);
      checkService(spec);
      return [{ op: "editService", spec }];
    });
  }
  removeService(id: ServiceId): Promise<void> {
    return this.#change(() => [{ op: "removeService", service: id }]);
  }

  /** Removes all services, and with them every map, program and hook, with all connections. */
  async flush(): Promise<void> {
    await this.#read(
      () => undefined,
      async (rules) => {
        const rest = rules.operations().filter(({ op }) => !/Service$|Destination$|^idle$/.test(op));
        this.#step("journal");
        this.#journal.rewrite(rest, false);
        await this.#remove();
        this.#step("applied");
        this.#forget();
        const left = new Rules(this.#host);
        this.#host.replaying = true;
        for (const operation of rest) left.apply(operation);
        this.#host.replaying = false;
        if (left.isDefault) this.#removeFiles();
        else this.#journal.applied();
      },
    );
  }

  addDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#change((rules) => {
      checkDestination(rules.table.find(service).spec, spec);
      const room = this.#room("dests");
      // One that comes back from the trash has its number.
      if (rules.nextDestination >= room && !rules.isTrashed(service, spec))
        checkRoom("destinations", rules.nextDestination, room, nameOf(service, spec));
      return [{ op: "addDestination", service, spec, id: rules.nextDestination }];
    });
  }
  editDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#change((rules) => {
      checkDestination(rules.table.find(service).spec, spec);
      return [{ op: "editDestination", service, spec }];
    });
  }
  removeDestination(service: ServiceId, destination: DestinationId): Promise<void> {
    return this.#change(() => [{ op: "removeDestination", service, destination }]);
  }

  /** Entries of a map: of the one that is there, else of the one that will be made. */
  #room(name: "service_state" | "dests"): number {
    if (this.#maps) return this.#maps.map(name).info.maxEntries;
    return wantedEntries()[name === "dests" ? "dests" : "services"];
  }

  async zero(id?: ServiceId): Promise<void> {
    await this.#read(
      () => {
        if (id && !isEverything(id)) missing(id);
      },
      (rules) => {
        // compat: the all-zero service stands for "everything" (`ipvsadm -Z -t 0.0.0.0:0`).
        const everything = !id || isEverything(id);
        const services = everything ? rules.table.services() : [rules.table.find(id)];
        if (!this.#maps) return;
        const counters = new CounterReader(this.#maps);
        for (const service of services) {
          counters.zero("service_estimates", rules.serviceNumber(service));
          for (const server of service.destinations)
            counters.zero("dest_estimates", rules.destinationNumber(server));
        }
        if (everything) counters.zero("service_estimates", 0);
      },
    );
  }

  // --- timeouts, daemons, settings ----------------------------------------------------------------------------------------

  timeouts(): Promise<Timeouts> {
    return this.#read(
      () => new Rules(this.#host).timeouts,
      (rules) => rules.timeouts,
    );
  }
  setTimeouts(timeouts: Timeouts): Promise<void> {
    return this.#change(() => [{ op: "timeouts", timeouts }]);
  }

  async daemons(): Promise<DaemonStatus[]> {
    return [];
  }
  async startDaemon(): Promise<void> {
    refuseDaemon();
  }
  async stopDaemon(state: DaemonState): Promise<void> {
    throw new TableError("ESRCH", `no ${state} daemon runs`);
  }

  settings(): Promise<Settings> {
    return this.#read(
      () => shownSettings(new Rules(this.#host).settings),
      (rules) => shownSettings(rules.settings),
    );
  }
  async setSettings(change: Partial<Settings>): Promise<void> {
    checkSettings(change);
    await this.#change(() => [{ op: "settings", change }]);
  }

  // --- connections --------------------------------------------------------------------------------------------------------

  async *connections(): AsyncGenerator<ConnectionStatus> {
    const maps = await this.#read(
      () => undefined,
      () => this.#maps,
    );
    if (!maps) return;
    for (const rows of readConnections(maps)) yield* rows;
  }

  /** Nothing of this namespace is left. Call with its lock held. */
  #removeFiles(): void {
    this.#journal.remove();
    rmSync(this.#paths.lock, { force: true });
  }

  // --- what only this plane has -------------------------------------------------------------------------------------------

  /** Hooks interfaces that came since. */
  hook(): Promise<HookReport> {
    return this.#alone((rules) =>
      installed(this.#paths) ? this.#hook(rules) : { hooked: [], xdp: [], covered: [], missing: [] },
    );
  }

  /** Sweeps the connection table once, at once. */
  async sweep(): Promise<void> {
    await this.#alone(() => {
      const fd = openPin(`${this.#paths.pins}/programs/${PROGRAMS.sweep}`);
      if (fd === undefined) return;
      call(fd);
      close(fd);
    });
  }

  /** Removes everything: rules, settings, maps, programs, hooks. */
  async reset(): Promise<void> {
    mkdirSync(this.#paths.run, { recursive: true, mode: 0o755 });
    const unlock = await lock(this.#paths.lock);
    try {
      this.#forget();
      this.#journal.remove();
      await this.#remove();
      this.#removeFiles();
    } finally {
      unlock();
    }
  }

  async close(): Promise<void> {
    this.#forget();
    this.#host.close();
  }
}

/** Inode of the folder of pins; undefined when there is none. */
const folderOf = ({ pins }: EbpfPaths): number | undefined => statSync(pins, { throwIfNoEntry: false })?.ino;

const same = (server: RealServer, id: DestinationId): boolean =>
  server.port === id.port && server.family === id.family && server.spec.address === id.address;

const destinationOf = (service: VirtualService, id: DestinationId): RealServer =>
  service.destinations.find((server) => same(server, id))!;

const isEverything = (id: ServiceId): boolean =>
  id.kind === "address" && id.family === 4 && id.address === "0.0.0.0" && id.port === 0;

function missing(id: ServiceId): never {
  throw new TableError("ESRCH", `there is no service ${serviceKey(id)}: the table is empty`);
}
