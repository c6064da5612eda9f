/**
 * Feeds a sync master with what the BPF programs tell of connections, and with what they do not: templates whose connections live on
 * without news, connections whose expiry moved (`sync_refresh_period`), and those whose event was lost.
 * @module
 */
import { FLAG } from "../../../core/connections.ts";
import type { Settings } from "../../../core/settings.ts";
import { type MasterOptions, SyncMaster } from "../../../core/sync/master.ts";
import { RingBuffer } from "../../../sys/bpf/ringbuf.ts";
import { LITTLE_ENDIAN } from "../../../wire/netlink.ts";
import { CONN_FLAG, STATE, SYNC_EVENT } from "../layout.ts";
import type { Maps } from "../maps.ts";
import { SlabTable } from "./slab-table.ts";

/** Events worked off in one go, so that sockets get their turn. */
const BATCH = 8192;
/** The whole table is looked through in so many steps of {@link STEP_MS}. */
const STEPS = 50;
const STEP_MS = 100;
/** A template with connections is announced again after this long, or half its time if that is shorter, ms. */
const AGAIN_MS = 10_000;

/** What an announcer works for. */
export interface AnnouncerSite {
  readonly settings: Readonly<Settings>;
  /** Monotonic ms, as the expiry of connections. */
  clock(): number;
}

/** One running master on one set of maps; other maps need another. */
export class Announcer {
  readonly master: SyncMaster;
  readonly #site: AnnouncerSite;
  readonly #context: { connections: SlabTable; settings: Readonly<Settings>; now: number };
  #maps: Maps;
  #table: SlabTable;
  #events: RingBuffer;
  /** By slot: the generation that is known, and when a template was announced last. */
  #generations: Uint32Array;
  #toldAt: Float64Array;
  /** By slot: how many packets were seen when it was looked at last. */
  #packets: Uint32Array;
  #hand = 1;
  #steppedAt = 0;
  /** Events that were lost, as far as what they would have said was looked up since. */
  #madeUp = 0;
  #catchingUp = false;
  /** Events that came. */
  events = 0;

  constructor(maps: Maps, site: AnnouncerSite, options: MasterOptions) {
    this.#maps = maps;
    this.#site = site;
    this.#table = new SlabTable(maps);
    this.#context = { connections: this.#table, settings: site.settings, now: site.clock() };
    this.master = new SyncMaster(this.#context, options);
    this.#events = new RingBuffer(maps.map("sync_events").fd);
    const slots = maps.map("slab").info.maxEntries;
    this.#generations = new Uint32Array(slots);
    this.#toldAt = new Float64Array(slots);
    this.#packets = new Uint32Array(slots);
  }

  /** Goes on with other maps, to which the connections were carried; nothing of the former ones is used any more. */
  moveTo(maps: Maps): void {
    this.#events.close();
    this.#maps = maps;
    this.#table = new SlabTable(maps);
    this.#context.connections = this.#table;
    this.#events = new RingBuffer(maps.map("sync_events").fd);
    const slots = maps.map("slab").info.maxEntries;
    for (let c = 0; c < this.#generations.length; c++) this.master.forget(c);
    this.#generations = new Uint32Array(slots);
    this.#toldAt = new Float64Array(slots);
    this.#packets = new Uint32Array(slots);
    this.#hand = 1;
    // What the programs told while the maps changed was told to nobody.
    this.#catchingUp = true;
  }

  /** Events that the ring buffer had no room for since the maps were made. */
  get lost(): number {
    return Number(this.#maps.array("state").view.getBigUint64(STATE.at.sync_lost, LITTLE_ENDIAN));
  }

  /** Settings may have been replaced. */
  set settings(settings: Readonly<Settings>) {
    this.#context.settings = settings;
  }

  /** Works off what is there. @returns how many events */
  poll(): number {
    const now = this.#site.clock();
    this.#context.now = now;
    const count = this.#events.consume((record) => this.#heard(record), BATCH);
    this.events += count;
    if (now - this.#steppedAt >= STEP_MS) {
      this.#steppedAt = now;
      this.#step(now);
    }
    this.master.flush(now);
    return count;
  }

  #heard(record: Uint8Array): void {
    const v = new DataView(record.buffer, record.byteOffset, record.byteLength);
    const c = v.getUint32(SYNC_EVENT.at.slot, LITTLE_ENDIAN);
    const table = this.#table;
    if (c === 0 || c >= this.#generations.length || !table.isLive(c)) return;
    if (table.generation(c) !== v.getUint32(SYNC_EVENT.at.generation, LITTLE_ENDIAN)) return;
    this.#meet(c);
    const parent = table.parent(c);
    if (parent !== 0) {
      this.#meet(parent);
      this.#toldAt[parent] = this.#context.now;
    }
    if (table.flags(c) & FLAG.template) this.master.packet(c);
    else this.master.counted(c, v.getUint32(SYNC_EVENT.at.packets, LITTLE_ENDIAN));
  }

  /** Another connection may have the slot than the last time. */
  #meet(c: number): void {
    const generation = this.#table.generation(c);
    if (this.#generations[c] === generation) return;
    this.#generations[c] = generation;
    this.#toldAt[c] = 0;
    // What another master announced is not announced back.
    this.#packets[c] = this.#table.flags(c) & CONN_FLAG.sync ? this.#table.inPackets(c) : 0;
    this.#table.forget(c);
    this.master.forget(c);
  }

  /** Looks at the next part of the table. */
  #step(now: number): void {
    const { lost } = this;
    if (lost !== this.#madeUp) {
      this.#madeUp = lost;
      this.#catchingUp = true;
      this.#hand = 1;
    }
    const { settings } = this.#site;
    const refreshes = settings.sync_refresh_period > 0 && / 0$/.test(settings.sync_threshold.trim());
    const part = Math.max(1024, Math.ceil(this.#table.end / STEPS));
    const next = this.#table.scan(this.#hand, part, (c) => this.#visit(c, now, refreshes));
    this.#context.now = now;
    this.#hand = Math.max(1, next);
    if (next === 0) this.#catchingUp = false;
  }

  #visit(c: number, now: number, refreshes: boolean): void {
    const table = this.#table;
    this.#context.now = now;
    this.#meet(c);
    if (table.flags(c) & FLAG.template) {
      if (table.children(c) === 0) return;
      if (now - this.#toldAt[c]! < Math.min(AGAIN_MS, table.timeoutMs(c) / 2)) return;
      this.#toldAt[c] = now;
      this.master.kept(c);
      return;
    }
    if (this.#catchingUp) this.master.missed(c);
    if (!refreshes) return;
    // Its expiry also moves by what another master announces: two of them would keep it for ever.
    const packets = table.inPackets(c);
    if (packets === this.#packets[c]) return;
    this.#packets[c] = packets;
    // As of its last packet.
    this.#context.now = table.expiresMs(c) - table.timeoutMs(c);
    this.master.kept(c);
  }

  /** Ends; what is under way is announced. */
  close(): void {
    while (this.poll() === BATCH);
    this.master.flush(this.#context.now, true);
    this.#events.close();
  }
}
