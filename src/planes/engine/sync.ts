/**
 * The sync daemons of an engine: the director's announcements onto the wire, and a master's messages into the director.
 * @module
 */
import type { DaemonState, DaemonStatus } from "../../core/daemon.ts";
import type { Director } from "../../core/director.ts";
import { TableError } from "../../core/errors.ts";
import type { BackupCounts, SyncBackup } from "../../core/sync/backup.ts";
import type { MasterCounts, SyncMaster } from "../../core/sync/master.ts";
import { MulticastReceiver, MulticastSender } from "../../sys/multicast.ts";
import type { Routes } from "../../sys/route.ts";
import { parseAddress } from "../../wire/address.ts";

/** Messages read in one go, so that packets get their turn. */
const BATCH = 64;
const LONGEST_MESSAGE = 65536;

/** What the daemons did. */
export interface SyncStatus {
  readonly master?: MasterCounts & { /** Messages that could not be sent. */ readonly failed: number };
  readonly backup?: BackupCounts;
}

interface Running {
  readonly status: DaemonStatus;
  close(): void;
}

/** Keeps the running daemons equal to the table's register. */
export class SyncDaemons {
  readonly #director: Director;
  readonly #routes: Routes;
  readonly #clock: () => number;
  readonly #running = new Map<DaemonState, Running>();
  #master: SyncMaster | undefined;
  #failed = 0;
  #backup: SyncBackup | undefined;
  #bytes = new Uint8Array(new ArrayBuffer(LONGEST_MESSAGE));

  /** `clock` gives monotonic ms. */
  constructor(director: Director, routes: Routes, clock: () => number) {
    this.#director = director;
    this.#routes = routes;
    this.#clock = clock;
  }

  /**
   * Starts and stops what the register says. A daemon that cannot be started is taken out of the register again.
   * @throws TableError EIO
   */
  apply(): void {
    const { daemons } = this.#director.table;
    for (const [state, running] of this.#running) {
      const wanted = daemons.list().find((d) => d.state === state);
      if (wanted === running.status) continue;
      this.#running.delete(state);
      running.close();
    }
    for (const status of daemons.list()) {
      if (this.#running.has(status.state)) continue;
      try {
        this.#running.set(status.state, this.#start(status));
      } catch (error) {
        daemons.stop(status.state);
        const why = error instanceof Error ? error.message : String(error);
        throw new TableError("EIO", `the ${status.state} daemon cannot run on ${status.interface}: ${why}`);
      }
    }
  }

  status(): SyncStatus {
    return {
      ...(this.#master && { master: { ...this.#master.counts, failed: this.#failed } }),
      ...(this.#backup && { backup: { ...this.#backup.counts } }),
    };
  }

  close(): void {
    for (const running of this.#running.values()) running.close();
    this.#running.clear();
  }

  #start(status: DaemonStatus): Running {
    // As in the kernel, a later change of the number counts for daemons started later.
    const ports = this.#director.settings.sync_ports;
    const link = this.#routes.link(status.interface);
    if (!link) throw new Error(`no interface "${status.interface}"`);
    const group = parseAddress(status.group)!;
    const places = Array.from({ length: ports }, (_, i) => ({
      family: group.family,
      group: group.bytes,
      port: status.port + i,
      interface: link.index,
      name: status.interface,
    }));
    if (status.state === "master") {
      const senders = places.map((place) => new MulticastSender(place, status.ttl));
      this.#failed = 0;
      this.#master = this.#director.startMaster({
        syncId: status.syncId,
        maxLen: status.maxLen,
        send: (message, port) => {
          if (senders[port % senders.length].send(message) !== 0) this.#failed++;
        },
      });
      return {
        status,
        close: () => {
          this.#director.stopMaster();
          this.#master = undefined;
          for (const sender of senders) sender.close();
        },
      };
    }
    const backup = this.#director.backup(status.syncId);
    this.#backup = backup;
    const receivers = places.map((place) => new MulticastReceiver(place));
    for (const receiver of receivers) receiver.onReadable(() => this.#receive(receiver, backup));
    return {
      status,
      close: () => {
        this.#backup = undefined;
        for (const receiver of receivers) receiver.close();
      },
    };
  }

  #receive(receiver: MulticastReceiver, backup: SyncBackup): void {
    for (let i = 0; i < BATCH; i++) {
      let n: number;
      try {
        n = receiver.read(this.#bytes);
      } catch {
        return; // The interface went down: it may come back.
      }
      if (n < 0) return;
      backup.receive(this.#bytes.subarray(0, n), this.#clock());
    }
  }
}
