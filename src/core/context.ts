/**
 * What the parts of one director share.
 * @module
 */
import type { ConnectionTable } from "./connections.ts";
import type { Host } from "./host.ts";
import type { Settings } from "./settings.ts";
import type { Table } from "./table.ts";

/** The director as its parts see it. */
export interface Context {
  readonly host: Host;
  readonly settings: Settings;
  readonly table: Table;
  readonly connections: ConnectionTable;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Monotonic ms of the packet or tick being handled. */
  now: number;
}
