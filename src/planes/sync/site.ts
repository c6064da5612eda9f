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

/** Connections that a director lost with its process, or that another one made beside it, and that a peer may have. */
export interface Recovery {
  /** Whether they are still missed. */
  readonly pending: boolean;
  /** They are missed from now on. */
  begin(): void;
  /** Takes them; what is known here already stays as it is. */
  receiver(): SyncReceiver;
  /** They are here, or nobody has them; `text` is for the log. */
  end(text: string): void;
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
  /** Its whole table as messages of version 1, `batch` slots looked at for each step. Absent: it gives none but as a master. */
  table?(options: Pick<MasterOptions, "syncId" | "maxLen">, batch: number): Iterable<Uint8Array>;
  /** Absent: none are ever asked of a backup. */
  readonly recovery?: Recovery;
}
