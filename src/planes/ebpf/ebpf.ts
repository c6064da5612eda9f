/**
 * The eBPF plane: rules in the BPF maps of this network namespace, packets in the kernel, nothing of ours running.
 *
 * What the {@link DataPlane} says, said by the rules (`rule-keeper.ts`) and the maps (`counters.ts`, `connections.ts`). Built into a
 * file of its own (`dist/lvsd-ebpf.cjs`), which commands load when this plane is chosen.
 * @module
 */
import { existsSync } from "node:fs";
import type { ConnectionStatus } from "../../core/connection.ts";
import type { DaemonSpec, DaemonState, DaemonStatus } from "../../core/daemon.ts";
import type { DestinationId, DestinationSpec, DestinationStatus } from "../../core/destination.ts";
import { TableError } from "../../core/errors.ts";
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
import type { DataPlane, PlaneInfo } from "../plane.ts";
import type { SyncStatus } from "../sync/status.ts";
import { checkSettings, shownSettings } from "./config.ts";
import { openConnections, readConnections } from "./connections.ts";
import { CounterReader } from "./counters.ts";
import { followInterfaces } from "./follow.ts";
import { type HookReport, NOTHING_HOOKED } from "./hooks.ts";
import { wantedEntries } from "./image.ts";
import { checkForwarding } from "./namespace.ts";
import { type EbpfPaths, ebpfPaths } from "./paths.ts";
import { checkRoom, nameOf } from "./refusals.ts";
import { RuleKeeper } from "./rule-keeper.ts";
import type { Rules } from "./rules.ts";
import { applySync, expectTable, keepSync, syncProcessStatus, tellSync } from "./sync/client.ts";
import { type SyncPaths, syncPaths } from "./sync/paths.ts";

// Loaded along with the plane, since commands have it as one file.
export { ebpfMissing } from "./probe.ts";
export { report } from "./report.ts";

/** Whether this plane has rules, or settings that are not the default, in the namespace of this thread. */
export const hasRules = (): boolean => existsSync(ebpfPaths().rules);

/** IPVS 1.2.1. */
const IPVS_VERSION = 0x010201;
/** The connection table size that is reported: the kernel's default. */
const TABLE_SIZE = 4096;

/** Whether the sync process runs is looked at again after this long, ms. */
const SYNC_AGAIN_MS = 1000;

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
  readonly #keeper: RuleKeeper;
  #unfollow: (() => void) | undefined;
  readonly #sync: SyncPaths;
  #syncSeenAt = Number.NEGATIVE_INFINITY;
  #syncTrouble: string | undefined;
  #onTrouble: ((message: string) => void) | undefined;

  constructor(options: EbpfOptions) {
    this.#paths = options.paths ?? ebpfPaths();
    this.#sync = syncPaths(this.#paths);
    this.#keeper = new RuleKeeper(this.#paths, options.onStep ?? (() => {}), (rules) =>
      this.#keepSync(rules),
    );
  }

  // --- the table ----------------------------------------------------------------------------------------------------------

  async info(): Promise<PlaneInfo> {
    return { version: IPVS_VERSION, tableSize: TABLE_SIZE };
  }

  services(): Promise<ServiceStatus[]> {
    return this.#keeper.read(
      () => [],
      (rules) => rules.table.services().map((service) => this.#status(rules, service)),
    );
  }

  service(id: ServiceId): Promise<ServiceStatus> {
    return this.#keeper.read(
      () => missing(id),
      (rules) => this.#status(rules, rules.table.find(id)),
    );
  }

  #status(rules: Rules, service: VirtualService): ServiceStatus {
    const { maps } = this.#keeper.presence;
    const counters = maps && new CounterReader(maps);
    const destinations = service.destinations.map((server): DestinationStatus => {
      const number = rules.destinationNumber(server);
      const load = counters?.load(number) ?? { active: 0, inactive: 0, persistent: 0 };
      return { spec: server.spec, stats: counters?.read("dest_estimates", number) ?? NO_COUNTERS, ...load };
    });
    const stats = counters?.read("service_estimates", rules.serviceNumber(service)) ?? NO_COUNTERS;
    return { spec: service.spec, stats, destinations };
  }

  addService(spec: ServiceSpec): Promise<void> {
    return this.#keeper.change((rules) => {
      checkForwarding(spec.id.family);
      checkRoom("services", rules.nextService, this.#room("service_state"), serviceKey(spec.id));
      return [{ op: "addService", spec, id: rules.nextService }];
    });
  }
  editService(spec: ServiceSpec): Promise<void> {
    return this.#keeper.change((rules) => {
      rules.table.find(spec.id);
      return [{ op: "editService", spec }];
    });
  }
  removeService(id: ServiceId): Promise<void> {
    return this.#keeper.change(() => [{ op: "removeService", service: id }]);
  }

  /** Removes all services, and with them every map, program and hook, with all connections. */
  flush(): Promise<void> {
    return this.#keeper.flush();
  }

  addDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#keeper.change((rules) => {
      const room = this.#room("dests");
      // One that comes back from the trash has its number.
      if (rules.nextDestination >= room && rules.heritage(service, spec) === "nothing")
        checkRoom("destinations", rules.nextDestination, room, nameOf(service, spec));
      return [{ op: "addDestination", service, spec, id: rules.nextDestination }];
    });
  }
  editDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#keeper.change(() => [{ op: "editDestination", service, spec }]);
  }
  removeDestination(service: ServiceId, destination: DestinationId): Promise<void> {
    return this.#keeper.change(() => [{ op: "removeDestination", service, destination }]);
  }

  /** Entries of a map: of the one that is there, else of the one that will be made. */
  #room(name: "service_state" | "dests"): number {
    const { maps } = this.#keeper.presence;
    if (maps) return maps.map(name).info.maxEntries;
    return wantedEntries()[name === "dests" ? "dests" : "services"];
  }

  async zero(id?: ServiceId): Promise<void> {
    await this.#keeper.read(
      () => {
        if (id && !isEverything(id)) missing(id);
      },
      (rules) => {
        // compat: the all-zero service stands for "everything" (`ipvsadm -Z -t 0.0.0.0:0`).
        const everything = !id || isEverything(id);
        const services = everything ? rules.table.services() : [rules.table.find(id)];
        const { maps } = this.#keeper.presence;
        if (!maps) return;
        const counters = new CounterReader(maps);
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
    return this.#keeper.read(
      () => this.#keeper.none().timeouts,
      (rules) => rules.timeouts,
    );
  }
  setTimeouts(timeouts: Timeouts): Promise<void> {
    return this.#keeper.change(() => [{ op: "timeouts", timeouts }]);
  }

  daemons(): Promise<DaemonStatus[]> {
    return this.#keeper.read(
      () => [],
      (rules) => rules.table.daemons.list(),
    );
  }
  /** The daemon runs when this is done: a process of its own has it. */
  async startDaemon(spec: DaemonSpec): Promise<void> {
    this.#syncSeenAt = performance.now();
    await this.#keeper.change(({ table }) => {
      const daemon = table.daemons.check(spec, table.mixedFamilies);
      return [{ op: "startDaemon", daemon }];
    });
    try {
      await applySync(this.#sync);
    } catch (error) {
      // Another command may have stopped it already.
      await this.stopDaemon(spec.state).catch(() => undefined);
      throw error;
    }
  }
  async stopDaemon(state: DaemonState): Promise<void> {
    let last = false;
    await this.#keeper.change(({ table }) => {
      last = table.daemons.list().every((d) => d.state === state);
      return [{ op: "stopDaemon", state }];
    });
    await tellSync(this.#sync, last);
    // It may be all that maps and programs were there for.
    await this.#keeper.clear();
  }
  async syncStatus(): Promise<SyncStatus | undefined> {
    return (await syncProcessStatus(this.#sync))?.sync;
  }

  expectTable(): Promise<void> {
    return expectTable(this.#sync);
  }

  /** The process that synchronises connections may have died: whoever looks at the rules has it come back. */
  async #keepSync({ table }: Rules): Promise<void> {
    const now = performance.now();
    if (!table.daemons.running || now - this.#syncSeenAt < SYNC_AGAIN_MS) return;
    this.#syncSeenAt = now;
    const before = this.#syncTrouble;
    this.#syncTrouble = await keepSync(this.#sync).then(
      (there) => {
        if (!there) this.#onTrouble?.("the sync process was not there; it is started again");
        return undefined;
      },
      (error: Error) => error.message,
    );
    if (this.#syncTrouble !== undefined && this.#syncTrouble !== before) this.#onTrouble?.(this.#syncTrouble);
  }

  trouble(): string | undefined {
    return this.#syncTrouble;
  }

  settings(): Promise<Settings> {
    return this.#keeper.read(
      () => shownSettings(this.#keeper.none().settings, undefined),
      (rules) => shownSettings(rules.settings, this.#keeper.presence.maps),
    );
  }
  setSettings(change: Partial<Settings>): Promise<void> {
    return this.#keeper.change(() => {
      checkSettings(change);
      return [{ op: "settings", change }];
    });
  }

  // --- connections --------------------------------------------------------------------------------------------------------

  async *connections(): AsyncGenerator<ConnectionStatus> {
    // Maps of its own: what is done while somebody reads may close those of the rules.
    const maps = await this.#keeper.read(
      () => undefined,
      () => (this.#keeper.presence.installed ? openConnections(this.#paths.pins) : undefined),
    );
    if (!maps) return;
    try {
      for (const rows of readConnections(maps)) yield* rows;
    } finally {
      maps.close();
    }
  }

  // --- what only this plane has -------------------------------------------------------------------------------------------

  /** Hooks interfaces that came since. */
  hook(): Promise<HookReport> {
    const { presence } = this.#keeper;
    return this.#keeper.read(
      () => NOTHING_HOOKED,
      (rules) => (presence.installed ? presence.hook(rules) : NOTHING_HOOKED),
    );
  }

  follow(onTrouble: (message: string) => void): void {
    this.#onTrouble = onTrouble;
    let told = "";
    const tell = (trouble: string): void => {
      if (trouble !== told && trouble !== "") onTrouble(trouble);
      told = trouble;
    };
    this.#unfollow ??= followInterfaces(async () => {
      try {
        const { missing } = await this.hook();
        tell(missing.map(({ name, reason }) => `${name} is not hooked: ${reason}`).join("; "));
      } catch (error) {
        tell(`interfaces that came are not hooked: ${(error as Error).message}`);
      }
    });
  }

  /** Sweeps the connection table once, at once. */
  async sweep(): Promise<void> {
    await this.#keeper.alone(() => this.#keeper.presence.sweep());
  }

  /** Removes everything: rules, settings, maps, programs, hooks. */
  async reset(): Promise<void> {
    await this.#keeper.reset();
    await tellSync(this.#sync, true);
  }

  async close(): Promise<void> {
    this.#unfollow?.();
    this.#keeper.close();
  }
}

const isEverything = (id: ServiceId): boolean =>
  id.kind === "address" && id.family === 4 && id.address === "0.0.0.0" && id.port === 0;

function missing(id: ServiceId): never {
  throw new TableError("ESRCH", `there is no service ${serviceKey(id)}: the table is empty`);
}
