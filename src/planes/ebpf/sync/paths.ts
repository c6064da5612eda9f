/**
 * Files of the sync process of one namespace, beside the rules.
 * @module
 */
import { dirname } from "node:path";
import type { EbpfPaths } from "../paths.ts";

/** See the module's description. */
export interface SyncPaths {
  /** Folder of state, as `LVSD_RUN_DIR` names it. */
  readonly directory: string;
  readonly socket: string;
  readonly lock: string;
  readonly log: string;
}

/** @param paths of the plane in the same namespace */
export function syncPaths({ run, cookie, mount }: EbpfPaths): SyncPaths {
  const stem = `${run}/sync-${cookie}`;
  return { directory: dirname(mount), socket: `${stem}.sock`, lock: `${stem}.lock`, log: `${stem}.log` };
}
