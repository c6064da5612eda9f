/**
 * What every data plane can do. Implementations: `engine/` and `kernel/`.
 *
 * Every method rejects with a {@link TableError} when the table refuses, and changes nothing then.
 * @module
 */
import type { ConnectionStatus } from "../core/connection.ts";
import type { DaemonSpec, DaemonState, DaemonStatus } from "../core/daemon.ts";
import type { DestinationId, DestinationSpec } from "../core/destination.ts";
import type { ServiceId, ServiceSpec, ServiceStatus } from "../core/service.ts";
import type { Settings } from "../core/settings.ts";
import type { Timeouts } from "../core/timeouts.ts";
import type { SyncStatus } from "./sync/status.ts";

/** Facts shown in the first line of a listing. */
export interface PlaneInfo {
  /** IPVS version the plane stands for, 0x010201 for 1.2.1. */
  readonly version: number;
  /** Buckets of the connection table. */
  readonly tableSize: number;
}

/** One network namespace's director. */
export interface DataPlane {
  readonly name: "engine" | "kernel" | "ebpf";
  info(): Promise<PlaneInfo>;

  /** Every service with its destinations, in the plane's own order (destinations newest first). */
  services(): Promise<ServiceStatus[]>;
  /** One service; ESRCH when it does not exist. */
  service(id: ServiceId): Promise<ServiceStatus>;
  addService(spec: ServiceSpec): Promise<void>;
  /** Replaces every setting of the service named by `spec.id`. */
  editService(spec: ServiceSpec): Promise<void>;
  removeService(id: ServiceId): Promise<void>;
  /** Removes all services; connections, timeouts and daemons stay. */
  flush(): Promise<void>;

  addDestination(service: ServiceId, spec: DestinationSpec): Promise<void>;
  editDestination(service: ServiceId, spec: DestinationSpec): Promise<void>;
  removeDestination(service: ServiceId, id: DestinationId): Promise<void>;

  /** Zeroes the counters of one service and its destinations, or of everything. */
  zero(service?: ServiceId): Promise<void>;

  timeouts(): Promise<Timeouts>;
  /** Sets the timeouts that are not 0. */
  setTimeouts(timeouts: Timeouts): Promise<void>;

  daemons(): Promise<DaemonStatus[]>;
  startDaemon(spec: DaemonSpec): Promise<void>;
  stopDaemon(state: DaemonState): Promise<void>;
  /** What the sync daemons did, where the plane knows; undefined when nothing runs that could tell. */
  syncStatus?(): Promise<SyncStatus | undefined>;

  /**
   * Another director was master at the same time: a backup that connects with the key is asked for its connections, and what could belong
   * to one of them is dropped until they are here.
   */
  expectTable?(): Promise<void>;

  /** The connection table, in the plane's own order. */
  connections(): AsyncIterable<ConnectionStatus>;

  settings(): Promise<Settings>;
  /** Changes some settings; EINVAL for a value out of range. */
  setSettings(change: Partial<Settings>): Promise<void>;

  /**
   * What of the plane was found not to work by the calls so far, though they had their answers; undefined = nothing. Planes without
   * processes beside the table have no need of it.
   */
  trouble?(): string | undefined;

  /** `lost` is called when the process that holds the table ended by itself; the next request starts another. */
  onLost?(lost: () => void): void;

  /**
   * For processes that stay: keeps the plane on interfaces that come later, until {@link close}. Planes that sit on no interfaces
   * have no need of it. `onTrouble` is told what could not be done, once until it changes.
   */
  follow?(onTrouble: (message: string) => void): void;

  /** Releases what the client side holds; the rules stay. */
  close(): Promise<void>;
}
