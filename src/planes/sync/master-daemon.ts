/**
 * The running master daemon: a director's announcements to the group; with a shared key also a heartbeat, and the whole table for a
 * backup that asks.
 * @module
 */
import type { DaemonStatus } from "../../core/daemon.ts";
import type { SyncMaster } from "../../core/sync/master.ts";
import { forEachGroup, type MulticastGroup, MulticastSender, sourceTowards } from "../../sys/multicast.ts";
import { formatAddress } from "../../wire/address.ts";
import { SyncWriter } from "../../wire/sync.ts";
import { Meter } from "./meter.ts";
import { PeerServer } from "./peer-server.ts";
import { Recovering } from "./recovering.ts";
import type { Recovery, SyncSite } from "./site.ts";
import type { MasterStatus } from "./status.ts";
import { TableDoor } from "./table-door.ts";

/** How often a master with a key says that it is there when it has nothing else to say, ms. */
const HEARTBEAT_MS = 1000;
/** Slots of the table looked at for one step of an answer to a peer. */
export const TABLE_BATCH = 1000;

/** An address of an interface as one connects to it: link-local IPv6 ones with their scope. */
export function reachable({ family, name }: MulticastGroup, address: Uint8Array): string {
  const text = formatAddress(family, address);
  return text.startsWith("fe80:") ? `${text}%${name}` : text;
}

/** See the module's description. */
export class MasterDaemon {
  readonly #site: SyncSite;
  readonly #clock: () => number;
  readonly #ttl: number;
  #groups: readonly MulticastGroup[];
  #senders: readonly MulticastSender[];
  readonly #master: SyncMaster;
  readonly #server: PeerServer | undefined;
  readonly #door: TableDoor | undefined;
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
    this.#ttl = status.ttl;
    this.#groups = groups;
    this.#senders = this.#open(groups);
    this.#master = this.#start(status);
    const { recovery } = site;
    if (!key) {
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
    this.#door = new TableDoor(this.#server, status.port, () => this.#source());
    this.#heartbeat = setInterval(() => this.#beat(status.syncId), HEARTBEAT_MS);
  }

  #open(groups: readonly MulticastGroup[]): MulticastSender[] {
    return forEachGroup(groups, (group) => new MulticastSender(group, this.#ttl));
  }

  #closeSenders(): void {
    for (const sender of this.#senders) sender.close();
  }

  #start({ syncId, maxLen }: DaemonStatus): SyncMaster {
    try {
      return this.#site.startMaster({ syncId, maxLen, send: (message, port) => this.#send(message, port) });
    } catch (error) {
      this.#closeSenders();
      throw error;
    }
  }

  /** How many it uses. */
  get ports(): number {
    return this.#groups.length;
  }

  get status(): MasterStatus {
    return {
      ...this.#master.counts,
      failed: this.#failed,
      peers: this.#server?.peers ?? 0,
      ...(this.#door?.failure && { failure: this.#door.failure }),
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
    this.#door?.look();
  }

  /** Goes on by the same groups on an interface that has come in the place of the former one. @throws SysError it goes on as before */
  moveTo(groups: readonly MulticastGroup[]): void {
    const senders = this.#open(groups);
    this.#closeSenders();
    this.#senders = senders;
    this.#groups = groups;
  }

  #source(): string | undefined {
    const [group] = this.#groups;
    const address = sourceTowards(group);
    return address && reachable(group, address);
  }

  /** Ends; what waits leaves first, and the connections that were too young to be announced. */
  close(): void {
    clearInterval(this.#heartbeat);
    this.#recovering?.close();
    this.#master.announceYoung();
    this.#site.stopMaster();
    this.#server?.close();
    this.#closeSenders();
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
