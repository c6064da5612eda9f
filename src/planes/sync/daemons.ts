/**
 * The sync daemons of a director, kept equal to the table's register of them.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { DaemonState, DaemonStatus } from "../../core/daemon.ts";
import { TableError } from "../../core/errors.ts";
import type { MulticastGroup } from "../../sys/multicast.ts";
import type { Routes } from "../../sys/route.ts";
import { parseAddress } from "../../wire/address.ts";
import { BackupDaemon } from "./backup-daemon.ts";
import { readSyncKey, type SyncKey } from "./key.ts";
import { MasterDaemon } from "./master-daemon.ts";
import type { SyncSite } from "./site.ts";
import type { SyncStatus } from "./status.ts";

const SAMPLE_MS = 1000;

/** The daemons that run. */
export class SyncDaemons {
  readonly #site: SyncSite;
  readonly #routes: Routes;
  readonly #clock: () => number;
  readonly #of = new Map<DaemonState, DaemonStatus>();
  /** Index of the interface that each has its sockets on. */
  readonly #indexes = new Map<DaemonState, number>();
  #master: MasterDaemon | undefined;
  #backup: BackupDaemon | undefined;
  #key: SyncKey = { kind: "none" };
  #sampling: NodeJS.Timeout | undefined;

  /** `clock` gives monotonic ms. */
  constructor(site: SyncSite, routes: Routes, clock: () => number) {
    this.#site = site;
    this.#routes = routes;
    this.#clock = clock;
  }

  /**
   * Starts and stops what the register says. A daemon that cannot be started is taken out of the register again.
   * @throws TableError EIO
   */
  apply(): void {
    const { daemons } = this.#site;
    const wanted = new Map(daemons.list().map((d) => [d.state, d]));
    for (const [state, status] of this.#of) {
      if (wanted.get(state) !== status) this.#end(state);
    }
    for (const [state, status] of wanted) {
      if (this.#of.has(state)) continue;
      try {
        this.#start(status);
      } catch (error) {
        daemons.stop(state);
        const why = error instanceof Error ? error.message : String(error);
        throw new TableError("EIO", `the ${state} daemon cannot run on ${status.interface}: ${why}`);
      }
      this.#of.set(state, status);
    }
    this.#sample(this.#of.size > 0);
  }

  status(): SyncStatus {
    const key = this.#key;
    return {
      ...(this.#master && { master: this.#master.status }),
      ...(this.#backup && { backup: this.#backup.status }),
      key: key.kind === "key" && this.#of.size > 0,
      ...(key.kind === "unusable" && this.#of.size > 0 && { keyFailure: key.why }),
      ...this.#interfaceFailure(),
    };
  }

  #interfaceFailure(): Pick<SyncStatus, "interfaceFailure"> {
    const failures = new Set<string>();
    for (const name of new Set([...this.#of.values()].map((status) => status.interface))) {
      const link = this.#routes.link(name);
      if (!link) failures.add(`${name} is not there`);
      else if (!link.up) failures.add(`${name} is down`);
      else if (!link.running) failures.add(`${name} has no carrier`);
    }
    return failures.size > 0 ? { interfaceFailure: [...failures].join(", ") } : {};
  }

  /** A backup may have connections that a master here lacks. */
  expectTable(): void {
    this.#master?.expectTable();
  }

  close(): void {
    for (const state of [...this.#of.keys()]) this.#end(state);
    this.#sample(false);
  }

  /** Looks at the daemons' counters every second while there are any. */
  #sample(wanted: boolean): void {
    if (!wanted) {
      clearInterval(this.#sampling);
      this.#sampling = undefined;
      return;
    }
    this.#sampling ??= setInterval(() => {
      const now = this.#clock();
      this.#lookAtKey();
      this.#follow();
      this.#master?.sample(now);
      this.#backup?.sample(now);
    }, SAMPLE_MS);
  }

  /** An interface may be removed, and made again by the same name. */
  #follow(): void {
    for (const [state, status] of this.#of) {
      const daemon = state === "master" ? this.#master : this.#backup;
      const link = this.#routes.link(status.interface);
      if (!link || (daemon && link.index === this.#indexes.get(state))) continue;
      try {
        if (daemon) daemon.moveTo(groupsOf(status, link.index, daemon.ports));
        else this.#start(status);
        this.#indexes.set(state, link.index);
      } catch {
        // It is not ready yet, or gone again: the next second tries.
      }
    }
  }

  /** The key's file may be made, changed or removed: the daemons begin anew with what it is now. */
  #lookAtKey(): void {
    const found = readSyncKey();
    if (isDeepStrictEqual(found, this.#key)) return;
    this.#key = found;
    const running = [...this.#of];
    for (const [state] of running) this.#end(state);
    // They are started with the next look at their interfaces.
    for (const [state, status] of running) this.#of.set(state, status);
  }

  #start(status: DaemonStatus): void {
    const link = this.#routes.link(status.interface);
    if (!link) throw new Error(`no interface "${status.interface}"`);
    // As in the kernel, a later change of the number counts for daemons started later.
    const groups = groupsOf(status, link.index, this.#site.settings.sync_ports);
    if (this.#of.size === 0) this.#key = readSyncKey();
    const key = this.#key.kind === "key" ? this.#key.key : undefined;
    if (status.state === "master")
      this.#master = new MasterDaemon(this.#site, status, groups, key, this.#clock);
    else this.#backup = new BackupDaemon(this.#site, status, groups, key, this.#clock);
    this.#indexes.set(status.state, link.index);
  }

  #end(state: DaemonState): void {
    this.#of.delete(state);
    if (state === "master") {
      this.#master?.close();
      this.#master = undefined;
    } else {
      this.#backup?.close();
      this.#backup = undefined;
    }
  }
}

/** The groups of a daemon on the interface with this index: one a port. */
function groupsOf(status: DaemonStatus, index: number, ports: number): MulticastGroup[] {
  const { family, bytes } = parseAddress(status.group)!;
  return Array.from({ length: ports }, (_, i) => ({
    family,
    group: bytes,
    port: status.port + i,
    interface: index,
    name: status.interface,
  }));
}
