/**
 * The engine's director as its sync daemons see it.
 * @module
 */
import type { Director } from "../../core/director.ts";
import type { SyncSite } from "../sync/site.ts";

/** See the module's description. */
export const siteOf = (director: Director): SyncSite => ({
  daemons: director.table.daemons,
  settings: director.settings,
  get connections(): number {
    return director.connections.count;
  },
  startMaster: (options) => director.startMaster(options),
  stopMaster: () => director.stopMaster(),
  backup: (syncId) => director.backup(syncId),
});
