/**
 * What sync daemons tell of themselves.
 * @module
 */
import type { BackupCounts } from "../../core/sync/backup.ts";
import type { MasterCounts } from "../../core/sync/master.ts";

/** What a daemon moved lately, a second. */
export interface SyncRates {
  readonly messagesPerS: number;
  readonly bytesPerS: number;
}

/** What a master did. */
export interface MasterStatus extends MasterCounts {
  /** Messages that could not be sent. */
  readonly failed: number;
  /** Backups that follow this one by the shared key. */
  readonly peers: number;
  readonly rates: SyncRates;
  /** Why nobody can ask it for its table. */
  readonly failure?: string;
  /**
   * Times that the packet path had something to say and no room to say it, where it is not the packet path that announces: the table is
   * looked through then, so that it is late, not lost.
   */
  readonly unheard?: number;
}

/** The master, as its backup knows it. */
export interface PeerStatus {
  readonly address: string;
  /** Milliseconds since it was heard last. */
  readonly heardMs: number;
  /** Milliseconds since its whole table was here; absent: not yet, or there is no key. */
  readonly tableMs?: number;
  /** Connections it has. */
  readonly connections?: number;
  /** Messages to the group that did not arrive since its table came first. */
  readonly lost?: number;
  /** Why the table could not be had the last time it was asked for. */
  readonly failure?: string;
}

/** What a backup did. */
export interface BackupStatus extends BackupCounts {
  /** Connections in the table here. */
  readonly connections: number;
  readonly rates: SyncRates;
  readonly peer?: PeerStatus;
}

/** What the daemons did; those that do not run are absent. */
export interface SyncStatus {
  readonly master?: MasterStatus;
  readonly backup?: BackupStatus;
  /** Whether a shared key is used by the daemons that run. */
  readonly key: boolean;
  /** Why the shared key is not used. */
  readonly keyFailure?: string;
  /** What is wrong with their interface: nothing is sent or heard there. */
  readonly interfaceFailure?: string;
}
