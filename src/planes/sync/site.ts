/**
 * What sync daemons need of the director whose connections they announce, or put others' connections into.
 * @module
 */
import type { DaemonRegister } from "../../core/daemons.ts";
import type { Settings } from "../../core/settings.ts";
import type { BackupCounts } from "../../core/sync/backup.ts";
import type { MasterOptions, SyncMaster } from "../../core/sync/master.ts";

/** Takes the messages of a master. */
export interface SyncReceiver {
  readonly counts: Readonly<BackupCounts>;
  /** A UDP payload arrived, at `now` (monotonic ms). Never throws. */
  receive(bytes: Uint8Array, now: number): void;
}

/** The director. */
export interface SyncSite {
  /** Which daemons are to run. */
  readonly daemons: DaemonRegister;
  readonly settings: Readonly<Settings>;
  /** Connections in its table. */
  readonly connections: number;
  /** Announces connections from now on. */
  startMaster(options: MasterOptions): SyncMaster;
  /** Ends announcing; what waits is sent. */
  stopMaster(): void;
  /** `syncId` 0 takes messages of every id. */
  backup(syncId: number): SyncReceiver;
}
