/**
 * A plane where nobody made rules or settings yet. What is asked of the table is answered without loading the plane, so that
 * a listing is quick; the first change opens it.
 * @module
 */
import type { ConnectionStatus } from "../core/connection.ts";
import type { DaemonSpec, DaemonState, DaemonStatus } from "../core/daemon.ts";
import type { DestinationId, DestinationSpec } from "../core/destination.ts";
import { TableError } from "../core/errors.ts";
import { type ServiceId, type ServiceSpec, type ServiceStatus, serviceKey } from "../core/service.ts";
import type { Settings } from "../core/settings.ts";
import { DEFAULT_TIMEOUTS, type Timeouts } from "../core/timeouts.ts";
import type { DataPlane, PlaneInfo } from "./plane.ts";
import type { SyncStatus } from "./sync/status.ts";

/** What the other planes say of an empty table: IPVS 1.2.1 and the kernel's default size. */
const EMPTY: PlaneInfo = { version: 0x010201, tableSize: 4096 };

/** See the module's description. */
export class UntouchedPlane implements DataPlane {
  readonly name: DataPlane["name"];
  readonly #open: () => Promise<DataPlane>;
  #opened: Promise<DataPlane> | undefined;

  /** @param open called once, for the first change or for what only the plane knows */
  constructor(name: DataPlane["name"], open: () => Promise<DataPlane>) {
    this.name = name;
    this.#open = open;
  }

  async #plane<T>(work: (plane: DataPlane) => Promise<T>): Promise<T> {
    this.#opened ??= this.#open();
    return work(await this.#opened);
  }

  async #read<T>(untouched: () => T, work: (plane: DataPlane) => Promise<T>): Promise<T> {
    return this.#opened ? work(await this.#opened) : untouched();
  }

  info(): Promise<PlaneInfo> {
    return this.#read(
      () => EMPTY,
      (plane) => plane.info(),
    );
  }
  services(): Promise<ServiceStatus[]> {
    return this.#read(
      () => [],
      (plane) => plane.services(),
    );
  }
  service(id: ServiceId): Promise<ServiceStatus> {
    return this.#read(
      () => missing(id),
      (plane) => plane.service(id),
    );
  }
  addService(spec: ServiceSpec): Promise<void> {
    return this.#plane((plane) => plane.addService(spec));
  }
  editService(spec: ServiceSpec): Promise<void> {
    return this.#read(
      () => missing(spec.id),
      (plane) => plane.editService(spec),
    );
  }
  removeService(id: ServiceId): Promise<void> {
    return this.#read(
      () => missing(id),
      (plane) => plane.removeService(id),
    );
  }
  flush(): Promise<void> {
    return this.#read(
      () => undefined,
      (plane) => plane.flush(),
    );
  }
  addDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#read(
      () => missing(service),
      (plane) => plane.addDestination(service, spec),
    );
  }
  editDestination(service: ServiceId, spec: DestinationSpec): Promise<void> {
    return this.#read(
      () => missing(service),
      (plane) => plane.editDestination(service, spec),
    );
  }
  removeDestination(service: ServiceId, id: DestinationId): Promise<void> {
    return this.#read(
      () => missing(service),
      (plane) => plane.removeDestination(service, id),
    );
  }
  zero(service?: ServiceId): Promise<void> {
    return this.#read(
      () => (service ? missing(service) : undefined),
      (plane) => plane.zero(service),
    );
  }
  timeouts(): Promise<Timeouts> {
    return this.#read(
      () => DEFAULT_TIMEOUTS,
      (plane) => plane.timeouts(),
    );
  }
  setTimeouts(timeouts: Timeouts): Promise<void> {
    return this.#plane((plane) => plane.setTimeouts(timeouts));
  }
  /** Daemons may run where there are no rules. */
  daemons(): Promise<DaemonStatus[]> {
    return this.#plane((plane) => plane.daemons());
  }
  startDaemon(spec: DaemonSpec): Promise<void> {
    return this.#plane((plane) => plane.startDaemon(spec));
  }
  stopDaemon(state: DaemonState): Promise<void> {
    return this.#plane((plane) => plane.stopDaemon(state));
  }
  syncStatus(): Promise<SyncStatus | undefined> {
    return this.#read(
      () => undefined,
      async (plane) => plane.syncStatus?.(),
    );
  }
  expectTable(): Promise<void> {
    return this.#read(
      () => undefined,
      async (plane) => plane.expectTable?.(),
    );
  }
  async *connections(): AsyncGenerator<ConnectionStatus> {
    if (this.#opened) yield* (await this.#opened).connections();
  }
  /** What is shown may differ from the kernel's defaults. */
  settings(): Promise<Settings> {
    return this.#plane((plane) => plane.settings());
  }
  setSettings(change: Partial<Settings>): Promise<void> {
    return this.#plane((plane) => plane.setSettings(change));
  }
  async close(): Promise<void> {
    await this.#read(
      () => undefined,
      (plane) => plane.close(),
    );
  }
}

function missing(id: ServiceId): never {
  throw new TableError("ESRCH", `there is no service ${serviceKey(id)}: the table is empty`);
}
