/**
 * The engine's director as its sync daemons see it.
 * @module
 */
import type { Director } from "../../core/director.ts";
import { SyncMaster } from "../../core/sync/master.ts";
import type { SyncSite } from "../sync/site.ts";

/** See the module's description. `log` hears what became of connections that were lost. */
export const siteOf = (director: Director, log: (text: string) => void): SyncSite => ({
  daemons: director.table.daemons,
  settings: director.settings,
  get connections(): number {
    return director.connections.count;
  },
  startMaster: (options) => director.startMaster(options),
  stopMaster: () => director.stopMaster(),
  backup: (syncId) => director.backup(syncId),
  table: (options, batch) => new SyncMaster(director, { ...options, send() {} }).table(batch),
  recovery: {
    get pending(): boolean {
      return director.awaiting;
    },
    begin(): void {
      director.awaiting = true;
    },
    receiver: () => director.backup(0, true),
    end(text): void {
      director.awaiting = false;
      log(text);
    },
  },
});
