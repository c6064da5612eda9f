/**
 * The running master daemon: a director's announcements to the group; with a shared key also a heartbeat, and the whole table for a
 * backup that asks.
 * @module
 */
import { networkInterfaces } from "node:os";
import type { DaemonStatus } from "../../core/daemon.ts";
import type { SyncMaster } from "../../core/sync/master.ts";
import { type MulticastGroup, MulticastSender } from "../../sys/multicast.ts";
import { SyncWriter } from "../../wire/sync.ts";
import { Meter } from "./meter.ts";
import { PeerServer } from "./peer-server.ts";
import { Recovering } from "./recovering.ts";
import type { Recovery, SyncSite } from "./site.ts";
import type { MasterStatus } from "./status.ts";

/** How often a master with a key says that it is there when it has nothing else to say, ms. */
const HEARTBEAT_MS = 1000;
/** Slots of the table looked at for one step of an answer to a peer. */
export const TABLE_BATCH = 1000;

/** The first address of an interface that is of this family; link-local IPv6 ones with their scope. */
export function addressOfInterface(name: string, family: 4 | 6): string | undefined {
  const found = networkInterfaces()[name]?.find((a) => a.family === `IPv${family}`);
  return found?.address.startsWith("fe80:") ? `${found.address}%${name}` : found?.address;
}

/** See the module's description. */
export class MasterDaemon {
  readonly #site: SyncSite;
  readonly #clock: () => number;
  readonly #senders: readonly MulticastSender[];
  readonly #master: SyncMaster;
  readonly #server: PeerServer | undefined;
  #recovering: Recovering | undefined;
  readonly #heartbeat: NodeJS.Timeout | undefined;
  readonly #meter = new Meter();
  #failed = 0;
  #told = 0;

  /** @throws SysError */
  constructor(
    site: SyncSite,
    status: DaemonStatus,
    groups: readonly MulticastGroup[],
    key: Buffer | undefined,
    clock: () => number,
  ) {
    this.#site = site;
    this.#clock = clock;
    this.#senders = groups.map((group) => new MulticastSender(group, status.ttl));
    this.#master = site.startMaster({
      syncId: status.syncId,
      maxLen: status.maxLen,
      send: (message, port) => this.#send(message, port),
    });
    const own = key && addressOfInterface(status.interface, groups[0].family);
    const { recovery } = site;
    if (!key || !own) {
      if (recovery?.pending)
        recovery.end("the connections of the former process are gone: there is no sync key");
      return;
    }
    if (recovery?.pending) this.#recover(recovery, "the connections of the former process");
    this.#server = new PeerServer(key, {
      syncId: status.syncId & 0xff,
      messages: () => this.#master.table(TABLE_BATCH),
      report: () => ({
        messages: this.#master.counts.messages,
        entries: this.#master.counts.entries,
        connections: site.connections,
      }),
      taker: (peer) => this.#recovering?.taker(peer),
    });
    // Without the port the announcements go on; the backup says that the table could not be had.
    this.#server.listen(own, status.port).catch(() => {});
    this.#heartbeat = setInterval(() => this.#beat(status.syncId), HEARTBEAT_MS);
  }

  get status(): MasterStatus {
    return {
      ...this.#master.counts,
      failed: this.#failed,
      peers: this.#server?.peers ?? 0,
      rates: this.#meter.rates,
    };
  }

  /** A backup may have connections that are not here: the next one that connects is asked. */
  expectTable(): void {
    const { recovery } = this.#site;
    if (!this.#server || !recovery || recovery.pending) return;
    recovery.begin();
    this.#recover(recovery, "the connections of the other master");
  }

  #recover(recovery: Recovery, what: string): void {
    this.#recovering = new Recovering(recovery, what, this.#clock);
  }

  /** To be called once a second. */
  sample(now: number): void {
    const { messages, bytes } = this.#master.counts;
    this.#meter.sample(now, messages, bytes);
  }

  /** Ends; what waits leaves first, and the connections that were too young to be announced. */
  close(): void {
    clearInterval(this.#heartbeat);
    this.#recovering?.close();
    this.#master.announceYoung();
    this.#site.stopMaster();
    this.#server?.close();
    for (const sender of this.#senders) sender.close();
  }

  #send(message: Uint8Array, port: number): void {
    if (this.#senders[port % this.#senders.length].send(message) !== 0) this.#failed++;
  }

  /** An empty message, which every receiver understands. */
  #beat(syncId: number): void {
    const { messages } = this.#master.counts;
    if (messages === this.#told) this.#send(new SyncWriter(1, syncId & 0xff, 0).take(), 0);
    this.#told = messages;
  }
}
