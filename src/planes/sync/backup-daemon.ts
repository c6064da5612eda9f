/**
 * The running backup daemon: a master's messages into the director; with a shared key also the whole table, asked of the
 * master as soon as it is heard.
 * @module
 */
import type { DaemonStatus } from "../../core/daemon.ts";
import { forEachGroup, type MulticastGroup, MulticastReceiver } from "../../sys/multicast.ts";
import { reachable, TABLE_BATCH } from "./master-daemon.ts";
import { Meter } from "./meter.ts";
import { PeerClient, type PeerReport } from "./peer-client.ts";
import type { SyncReceiver, SyncSite } from "./site.ts";
import type { BackupStatus } from "./status.ts";
import type { WholeTable } from "./table-stream.ts";

/** Messages read in one go, so that packets get their turn. */
const BATCH = 64;
const LONGEST_MESSAGE = 65536;
/** The least time between two tables; a peer that could not be had is asked again when it is heard after this. ms. */
const RETRY_MS = 5000;
/** A peer that had given its table and then went away may be back at once, ms. */
const RETURN_MS = 300;
/** Another master is followed when the one that is known has been silent for so long, ms. */
const SILENT_MS = 3000;

/** See the module's description. */
export class BackupDaemon {
  readonly #site: SyncSite;
  readonly #status: DaemonStatus;
  readonly #key: Buffer | undefined;
  readonly #clock: () => number;
  readonly #backup: SyncReceiver;
  #groups: readonly MulticastGroup[];
  #receivers: readonly MulticastReceiver[];
  readonly #bytes = new Uint8Array(new ArrayBuffer(LONGEST_MESSAGE));
  readonly #meter = new Meter();
  #received = 0;
  #address: string | undefined;
  #heardAt = 0;
  #client: PeerClient | undefined;
  #askAgainAt = 0;
  #tableAt: number | undefined;
  #failure: string | undefined;
  #report: PeerReport | undefined;
  /** Messages that the peer had sent, less those that had arrived, when the table was complete. */
  #difference: number | undefined;
  /** Messages that came with the table, not by the group. */
  #direct = 0;
  /** What was missing at the report before. */
  #missingBefore = 0;
  /** Messages that were lost before the newest table came. */
  #lost = 0;
  #closing = false;

  /** @throws SysError */
  constructor(
    site: SyncSite,
    status: DaemonStatus,
    groups: readonly MulticastGroup[],
    key: Buffer | undefined,
    clock: () => number,
  ) {
    this.#site = site;
    this.#status = status;
    this.#key = key;
    this.#clock = clock;
    this.#backup = site.backup(status.syncId);
    this.#groups = groups;
    this.#receivers = this.#listen(groups);
  }

  #listen(groups: readonly MulticastGroup[]): MulticastReceiver[] {
    const receivers = forEachGroup(groups, (group) => new MulticastReceiver(group));
    for (const [i, receiver] of receivers.entries())
      receiver.onReadable(() => void this.#receive(receiver, i));
    return receivers;
  }

  /** Goes on with the same groups on an interface that has come in the place of the former one. @throws SysError it goes on as before */
  moveTo(groups: readonly MulticastGroup[]): void {
    const receivers = this.#listen(groups);
    for (const receiver of this.#receivers) receiver.close();
    this.#receivers = receivers;
    this.#groups = groups;
    // What was said meanwhile was said to nobody here.
    this.#client?.close();
    this.#client = undefined;
    this.#askAgainAt = 0;
  }

  /** How many it uses. */
  get ports(): number {
    return this.#groups.length;
  }

  get status(): BackupStatus {
    const now = this.#clock();
    const report = this.#report;
    return {
      ...this.#backup.counts,
      connections: this.#site.connections,
      rates: this.#meter.rates,
      ...(this.#address && {
        peer: {
          address: this.#address,
          heardMs: Math.round(now - this.#heardAt),
          ...(this.#tableAt !== undefined && { tableMs: Math.round(now - this.#tableAt) }),
          ...(report && { connections: report.connections }),
          ...(report && { lost: this.#lost + Math.max(0, this.#missing()) }),
          ...(this.#failure && { failure: this.#failure }),
        },
      }),
    };
  }

  /** To be called once a second. */
  sample(now: number): void {
    this.#meter.sample(now, this.#backup.counts.messages, this.#received);
  }

  /** Ends; what has arrived counts. */
  close(): void {
    this.#closing = true;
    this.#client?.close();
    for (const [i, receiver] of this.#receivers.entries()) {
      while (this.#receive(receiver, i) === BATCH);
      receiver.close();
    }
  }

  /** Asks for the whole table again when messages were lost; those of two reports ago are not under way any more. */
  #judge(key: Buffer, address: string): void {
    const missing = this.#missing();
    const lost = Math.min(missing, this.#missingBefore);
    this.#missingBefore = missing;
    if (lost <= 0 || this.#clock() - this.#tableAt! < RETRY_MS) return;
    this.#lost += lost;
    this.#client?.close();
    this.#ask(key, address);
  }

  /** Messages to the group that are not here, since the table came. */
  #missing(): number {
    const report = this.#report;
    return report && this.#difference !== undefined ? this.#behind(report) - this.#difference : 0;
  }

  /** Messages that the peer sent and this end has not seen. */
  #behind(report: PeerReport): number {
    return report.messages - (this.#backup.counts.messages - this.#direct);
  }

  /** Takes what has arrived on a port, {@link BATCH} messages at most: how many. */
  #receive(receiver: MulticastReceiver, port: number): number {
    for (let i = 0; i < BATCH; i++) {
      let n: number;
      try {
        n = receiver.read(this.#bytes);
      } catch {
        return i; // The interface went down: it may come back.
      }
      if (n < 0) return i;
      const now = this.#clock();
      const refused = this.#backup.counts.refused;
      this.#backup.receive(this.#bytes.subarray(0, n), now);
      if (this.#backup.counts.refused !== refused) continue;
      this.#received += n;
      this.#heard(receiver, this.#groups[port], now);
    }
    return BATCH;
  }

  #heard(receiver: MulticastReceiver, group: MulticastGroup, now: number): void {
    const address = reachable(group, receiver.from);
    if (address !== this.#address) {
      if (this.#address !== undefined && now - this.#heardAt < SILENT_MS) return;
      // Another master: what the former one said does not count any more.
      this.#client?.close();
      this.#client = undefined;
      this.#report = undefined;
      this.#lost = 0;
      this.#tableAt = undefined;
      this.#askAgainAt = 0;
      this.#address = address;
    }
    this.#heardAt = now;
    if (this.#key && !this.#client && !this.#closing && now >= this.#askAgainAt)
      this.#ask(this.#key, address);
  }

  /** The table here, for a master that lost its own. */
  #table(): WholeTable | undefined {
    const { syncId, maxLen } = this.#status;
    const site = this.#site;
    if (!site.table) return undefined;
    return {
      messages: () => site.table!({ syncId, maxLen }, TABLE_BATCH),
      get connections(): number {
        return site.connections;
      },
    };
  }

  #ask(key: Buffer, address: string): void {
    const { port, syncId } = this.#status;
    this.#difference = undefined;
    this.#missingBefore = 0;
    let complete = false;
    this.#client = new PeerClient(key, address, port, syncId, {
      message: (bytes) => {
        const { messages } = this.#backup.counts;
        this.#backup.receive(bytes, this.#clock());
        this.#direct += this.#backup.counts.messages - messages;
      },
      complete: () => {
        complete = true;
        this.#tableAt = this.#clock();
        this.#failure = undefined;
      },
      report: (report) => {
        this.#report = report;
        if (!complete) return;
        this.#difference ??= this.#behind(report);
        this.#judge(key, address);
      },
      table: () => this.#table(),
      closed: (why) => {
        this.#client = undefined;
        // Afterwards it may end as it likes: a master that becomes a backup does.
        this.#failure = complete ? undefined : why;
        this.#askAgainAt = this.#clock() + (complete ? RETURN_MS : RETRY_MS);
      },
    });
  }
}
