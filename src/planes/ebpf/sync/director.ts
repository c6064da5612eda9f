/**
 * The director of this namespace as its sync daemons see it: rules from the journal, connections in the maps. Both may change at any time
 * by commands, the maps may be replaced by others: {@link MapDirector.refresh} looks.
 * @module
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { DaemonRegister } from "../../../core/daemons.ts";
import type { Settings } from "../../../core/settings.ts";
import { type MasterOptions, SyncMaster } from "../../../core/sync/master.ts";
import { bootId } from "../../../sys/boot-id.ts";
import { openPin } from "../../../sys/bpf/pins.ts";
import { close } from "../../../sys/libc.ts";
import { LITTLE_ENDIAN } from "../../../wire/netlink.ts";
import type { Recovery, SyncReceiver, SyncSite } from "../../sync/site.ts";
import { IMAGE, imagePin } from "../image.ts";
import { Journal } from "../journal.ts";
import { CONFIG, PROGRAMS } from "../layout.ts";
import { RulesHost } from "../machine.ts";
import { Maps } from "../maps.ts";
import type { EbpfPaths } from "../paths.ts";
import { Rules } from "../rules.ts";
import { Announcer } from "./announcer.ts";
import { bindStrays, EntryWriter, MapReceiver } from "./receiver.ts";
import { SlabTable } from "./slab-table.ts";

/** The number of connections is looked up again after this long, ms. */
const COUNT_AGAIN_MS = 2000;

/** Monotonic ms, as the programs reckon. */
export const clock = (): number => Number(process.hrtime.bigint()) / 1e6;

/** What {@link MapDirector.refresh} found. */
export type Finding = "same" | "changed" | /** Programs of another lvsd are there. */ "foreign";

/** See the module's description. */
export class MapDirector implements SyncSite {
  readonly #paths: EbpfPaths;
  readonly #log: (text: string) => void;
  readonly #journal: Journal;
  readonly #host = new RulesHost();
  /** The rules' daemons, one and the same object as long as it does not change. */
  readonly daemons = new DaemonRegister(this.#host);
  #rules: Rules;
  #maps: Maps | undefined;
  /** Maps that are gone, and none came in their place yet. */
  #former: Maps | undefined;
  #folder: number | undefined;
  #writer: EntryWriter | undefined;
  #program: number | undefined;
  #announcer: Announcer | undefined;
  #count = 0;
  #countedAt = Number.NEGATIVE_INFINITY;

  /** @param log hears what became of connections that were missed */
  constructor(paths: EbpfPaths, log: (text: string) => void) {
    this.#log = log;
    this.#paths = paths;
    this.#journal = new Journal(paths.rules, bootId(), paths.cookie);
    this.#host.replaying = true;
    this.#rules = new Rules(this.#host);
  }

  get settings(): Readonly<Settings> {
    return this.#rules.settings;
  }

  get connections(): number {
    const now = performance.now();
    if (this.#maps && now - this.#countedAt > COUNT_AGAIN_MS) {
      this.#count = new SlabTable(this.#maps).count();
      this.#countedAt = now;
    }
    return this.#count;
  }

  /** Events of which the programs could not tell, as far as they were not made up for. */
  get lost(): number {
    return this.#announcer?.lost ?? 0;
  }

  clock(): number {
    return clock();
  }

  /** Takes up what changed: rules, maps. */
  refresh(): Finding {
    const rules = !this.#journal.current;
    if (rules) this.#read();
    const maps = this.#open();
    if (maps === "foreign") return maps;
    if (!rules && maps === "same") return "same";
    this.#writer = undefined;
    if (this.#announcer) this.#announcer.settings = this.#rules.settings;
    const writer = this.#write();
    if (writer && this.#maps) bindStrays(this.#maps, writer);
    return "changed";
  }

  #read(): void {
    const rules = new Rules(this.#host);
    for (const operation of this.#journal.glance()) rules.apply(operation);
    this.#rules = rules;
  }

  /** Makes {@link daemons} those of the rules; one that could not be started is among them again. @returns whether there are any */
  arrange(): boolean {
    const wanted = new Map(this.#rules.table.daemons.list().map((d) => [d.state, d]));
    for (const daemon of this.daemons.list())
      if (JSON.stringify(wanted.get(daemon.state)) !== JSON.stringify(daemon))
        this.daemons.stop(daemon.state);
    for (const daemon of wanted.values())
      if (!this.daemons.has(daemon.state)) this.daemons.start(daemon, false);
    return wanted.size > 0;
  }

  #open(): Finding {
    const { pins } = this.#paths;
    const folder = statSync(pins, { throwIfNoEntry: false })?.ino;
    if (folder !== undefined && !existsSync(imagePin(pins))) {
      // There is none for a moment while the programs are replaced.
      return readdirSync(pins).some((name) => name.startsWith(IMAGE)) ? "foreign" : "same";
    }
    if (folder === this.#folder) return "same";
    const former = this.#maps ?? this.#former;
    this.#maps = folder === undefined ? undefined : new Maps(`${pins}/maps`);
    this.#folder = folder;
    this.#count = 0;
    this.#countedAt = Number.NEGATIVE_INFINITY;
    this.#writer = undefined;
    if (this.#program !== undefined) close(this.#program);
    this.#program = undefined;
    // An announcer without other maps goes on reading those that are gone, in which nothing happens.
    this.#former = this.#maps ? undefined : former;
    if (!this.#maps) return "changed";
    // Of a process that died while it waited.
    this.#maps
      .array("config")
      .view.setUint32(CONFIG.at.awaiting, this.recovery.pending ? 1 : 0, LITTLE_ENDIAN);
    this.#announcer?.moveTo(this.#maps);
    former?.close();
    return "changed";
  }

  #write(): EntryWriter | undefined {
    if (!this.#maps || this.#writer) return this.#writer;
    this.#program ??= openPin(`${this.#paths.pins}/programs/${PROGRAMS.synced}`);
    if (this.#program === undefined) return undefined;
    this.#writer = new EntryWriter({ maps: this.#maps, program: this.#program, rules: this.#rules });
    return this.#writer;
  }

  /** @throws Error while there are no maps */
  startMaster(options: MasterOptions): SyncMaster {
    if (!this.#maps) throw new Error("the programs of the eBPF plane are not there");
    this.#announcer = new Announcer(this.#maps, this, options);
    return this.#announcer.master;
  }

  stopMaster(): void {
    this.#announcer?.close();
    this.#announcer = undefined;
  }

  backup(syncId: number): SyncReceiver {
    return this.#receiver(syncId, false);
  }
  #receiver(syncId: number, newOnly: boolean): MapReceiver {
    const made = (count: number): void => {
      this.#count += count;
    };
    return new MapReceiver(() => this.#write(), syncId, made, newOnly);
  }

  *table(options: Pick<MasterOptions, "syncId" | "maxLen">, batch: number): Generator<Uint8Array> {
    const maps = this.#maps;
    if (!maps) return;
    const context = { connections: new SlabTable(maps), settings: this.settings, now: clock() };
    for (const message of new SyncMaster(context, { ...options, send() {} }).table(batch)) {
      yield message;
      // Those that were looked at are not there any more.
      if (this.#maps !== maps) return;
    }
  }

  /** Packets that may be of connections on their way are dropped meanwhile: nobody's stack ends those. */
  readonly recovery: Recovery = this.#makeRecovery();
  #makeRecovery(): Recovery {
    let pending = false;
    const set = (now: boolean): void => {
      pending = now;
      this.#maps?.array("config").view.setUint32(CONFIG.at.awaiting, now ? 1 : 0, LITTLE_ENDIAN);
    };
    return {
      get pending() {
        return pending;
      },
      begin: () => set(true),
      receiver: () => this.#receiver(0, true),
      end: (text) => {
        set(false);
        this.#log(text);
      },
    };
  }

  /** Works off what the programs told. @returns how many events */
  poll(): number {
    return this.#announcer?.poll() ?? 0;
  }
}
