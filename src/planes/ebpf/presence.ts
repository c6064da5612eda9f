/**
 * What is in the namespace because of its rules: maps, programs, hooks, netfilter's marks, sysctls; and the maps as this process has
 * them open. Rules come in as an argument. Call everything with the namespace's lock held; the global one is taken here.
 * @module
 */
import { statSync } from "node:fs";
import { TableError } from "../../core/errors.ts";
import type { RealServer } from "../../core/server.ts";
import { call } from "../../sys/bpf/program.ts";
import { lock } from "../../sys/lock.ts";
import { collectGarbage } from "./garbage.ts";
import { TableWriter } from "./hash-tables.ts";
import { type HookReport, hookInterfaces, hookReport } from "./hooks.ts";
import {
  adopt,
  age,
  beginMove,
  changePrograms,
  endMove,
  install,
  installed,
  mend,
  needsMending,
  takeOver,
  uninstall,
} from "./installation.ts";
import { PROGRAMS } from "./layout.ts";
import type { RulesHost } from "./machine.ts";
import { Maps } from "./maps.ts";
import { bringMarks, changeMarks, forgetMarks } from "./marks.ts";
import { Migration } from "./migration.ts";
import { Mirror } from "./mirror.ts";
import { prepareNamespace, restoreNamespace, unprepared } from "./namespace.ts";
import type { EbpfPaths } from "./paths.ts";
import { withProgram } from "./programs.ts";
import { reclaim } from "./reclaim.ts";
import type { Rules } from "./rules.ts";
import { xdpWish } from "./xdp.ts";

/** Interfaces are looked for again after this long, ms. */
const HOOK_AGAIN_MS = 1000;
/** With more destinations than this, routes are looked up only when one is added or changed. */
const ROUTES_AGAIN = 2000;

/** One namespace's maps, programs and hooks. */
export class Presence {
  readonly #paths: EbpfPaths;
  readonly #host: RulesHost;
  readonly #step: (step: string) => void;
  #maps: Maps | undefined;
  /** The folder that {@link #maps} are of: another command may have put others in their place. */
  #folder: number | undefined;
  #mirror: Mirror | undefined;
  #hookedAt = Number.NEGATIVE_INFINITY;
  #looked = false;
  /** The rules whose marks netfilter has, but for what is in their markChanges; and how many, by family. */
  #marked: Rules | undefined;
  readonly #marks = { 4: 0, 6: 0 };
  /** Whether the replies of servers on this host are looked at. */
  #local = false;
  /** Whether the program that takes a master's connections is there. */
  #synced = false;

  constructor(paths: EbpfPaths, host: RulesHost, onStep: (step: string) => void) {
    this.#paths = paths;
    this.#host = host;
    this.#step = onStep;
  }

  /** Whether maps and programs are there. */
  get installed(): boolean {
    return installed(this.#paths);
  }

  // --- the maps, opened ---------------------------------------------------------------------------------------------------

  /** The maps, if they were opened. */
  get maps(): Maps | undefined {
    return this.#maps;
  }

  /** Whether the maps that are open, or none, are those that are there. */
  get current(): boolean {
    return this.#folder === folderOf(this.#paths);
  }

  /** Opens the maps. */
  open(): Maps {
    if (!this.#maps) {
      this.#maps = new Maps(`${this.#paths.pins}/maps`);
      this.#folder = folderOf(this.#paths);
    }
    return this.#maps;
  }

  /** What writes these rules into the maps; until {@link close}, of the rules of the first call. */
  mirror(rules: Rules): Mirror {
    const maps = this.open();
    this.#mirror ??= new Mirror(maps, rules, this.#routeTo, new TableWriter(maps));
    return this.#mirror;
  }

  readonly #routeTo = (server: RealServer) => this.#host.routeTo(server);

  /** Closes the maps; what is in the namespace stays. */
  close(): void {
    this.#maps?.close();
    this.#maps = undefined;
    this.#folder = undefined;
    this.#mirror = undefined;
    this.#synced = false;
  }

  // --- maps and programs --------------------------------------------------------------------------------------------------

  /** Puts right what a killed command left among the pins. */
  async mend(): Promise<void> {
    if (!needsMending(this.#paths)) return;
    await this.#globally(() => {
      mend(this.#paths);
      // Maps of another shape are changed for others next, and nothing is lost then.
      if (!installed(this.#paths) || age(this.#paths) === "incompatible") return;
      const maps = new Maps(`${this.#paths.pins}/maps`);
      try {
        reclaim(maps);
      } finally {
        maps.close();
      }
    });
  }

  /** Everything that these rules need, where nothing is. */
  async install(rules: Rules): Promise<void> {
    await this.#globally(() => {
      if (installed(this.#paths)) return;
      this.#step("install");
      collectGarbage(this.#paths);
      try {
        install(this.#paths);
      } catch (error) {
        throw error instanceof TableError ? error : cannotInstall(error as Error);
      }
    });
    this.#step("everything");
    await this.everything(rules);
  }

  /** Brings maps and hooks in line with the rules, whatever they were before. */
  async everything(rules: Rules): Promise<void> {
    this.mirror(rules).everything();
    await this.hook(rules);
  }

  /** A newer lvsd than the one that loaded the programs puts its own in their place. */
  async renew(rules: Rules): Promise<void> {
    await this.#globally(() => {
      const found = age(this.#paths);
      if (found !== "same") this.close();
      if (found === "other") takeOver(this.#paths);
      else if (found === "incompatible") this.#move(rules);
      // Also when it is another command that put them there, and was killed then.
      this.#bringSynced(rules);
    });
  }

  /** Carries everything over to maps of another shape. */
  #move(rules: Rules): void {
    this.#step("stage");
    const { layouts, from, to } = beginMove(this.#paths);
    const [old, next] = [new Maps(from), new Maps(to)];
    try {
      new Mirror(next, rules, this.#routeTo, new TableWriter(next)).everything();
      const migration = new Migration(old, next, layouts, rules.ends, () => adopt(this.#paths));
      this.#step("copy");
      migration.copy();
      this.#step("change programs");
      changePrograms(this.#paths);
      this.#step("catch up");
      migration.catchUp();
    } finally {
      old.close();
      next.close();
    }
    endMove(this.#paths, this.#step);
    hookInterfaces(this.#paths, this.mirror(rules).hasLocal);
  }

  /** Takes everything away, with all connections. */
  async remove(): Promise<void> {
    this.close();
    await this.#globally(() => {
      this.#step("uninstall");
      uninstall(this.#paths);
      forgetMarks();
      this.#marked = undefined;
      this.#marks[4] = this.#marks[6] = 0;
      restoreNamespace(this.#paths);
    });
  }

  /** The process of the sync daemons uses a program, too. */
  #bringSynced({ table }: Rules): void {
    if (!table.daemons.running) return;
    withProgram(this.#paths.pins, PROGRAMS.synced, () => undefined);
    this.#synced = true;
  }

  /** Sweeps the connection table once. */
  async sweep(): Promise<void> {
    if (this.installed) await this.#globally(() => withProgram(this.#paths.pins, PROGRAMS.sweep, call));
  }

  // --- hooks --------------------------------------------------------------------------------------------------------------

  /** Brings interfaces and routes that changed since to the programs' notice. */
  async hook(rules: Rules): Promise<HookReport> {
    return await this.#globally(() => {
      this.#step("hook");
      prepareNamespace(this.#paths);
      const mirror = this.mirror(rules);
      this.#bringMarks(rules);
      if (rules.ends.destinations <= ROUTES_AGAIN) mirror.routes();
      const report = hookInterfaces(this.#paths, mirror.hasLocal);
      this.#bringSynced(rules);
      this.#hookedAt = performance.now();
      this.#local = mirror.hasLocal;
      return report;
    });
  }

  /** {@link hook} before something is only read: when the hooks are not as they should be or XDP is asked for, and once in a process. */
  async hookNew(rules: Rules): Promise<void> {
    if (this.#looked || !this.installed) return;
    this.#looked = true;
    try {
      if (xdpWish().kind === "named" || unprepared().length > 0 || hookReport(this.#paths).missing.length > 0)
        await this.hook(rules);
    } catch {
      // Whoever only reads gets what there is; a change tells what the matter is.
    }
  }

  /** {@link hook} after a change of the rules: when they need other hooks, and otherwise now and then. */
  async hookAgain(rules: Rules): Promise<void> {
    if (
      this.#needsTables(rules) ||
      performance.now() - this.#hookedAt > HOOK_AGAIN_MS ||
      this.mirror(rules).hasLocal !== this.#local ||
      (rules.table.daemons.running && !this.#synced)
    )
      await this.hook(rules);
  }

  /** Brings single marks that came or went to netfilter; whether more is to be done there, by {@link hook}. */
  #needsTables(rules: Rules): boolean {
    const { markChanges } = rules;
    if (this.#marked !== rules) return rules.census.marked + this.#marks[4] + this.#marks[6] > 0;
    if (markChanges.length === 0) return false;
    const after = { ...this.#marks };
    for (const { family, by } of markChanges) after[family] += by;
    for (const { family } of markChanges) if (this.#marks[family] === 0 || after[family] === 0) return true;
    try {
      changeMarks(markChanges);
    } catch {
      return true; // somebody removed a table
    }
    Object.assign(this.#marks, after);
    markChanges.length = 0;
    return false;
  }

  /** Netfilter's rules for firewall marks follow the services. */
  #bringMarks(rules: Rules): void {
    if (this.#marked === rules && rules.markChanges.length === 0) return;
    const marks = marksOf(rules);
    bringMarks(marks);
    this.#marked = rules;
    this.#marks[4] = marks[4].length;
    this.#marks[6] = marks[6].length;
    rules.markChanges.length = 0;
  }

  async #globally<T>(work: () => T): Promise<T> {
    const unlock = await lock(this.#paths.globalLock);
    try {
      return work();
    } finally {
      unlock();
    }
  }
}

/** Marks that services match. */
function marksOf(rules: Rules): Record<4 | 6, number[]> {
  const marks: Record<4 | 6, number[]> = { 4: [], 6: [] };
  if (rules.census.marked > 0) {
    for (const service of rules.table.services()) {
      if (service.fwmark !== 0) marks[service.family].push(service.fwmark);
    }
  }
  return marks;
}

const cannotInstall = (cause: Error): Error =>
  new Error(
    `the eBPF plane cannot be set up here: ${cause.message}; LVSD_PLANE=engine needs no BPF, and "lvsd planes" shows what works`,
    { cause },
  );

/** Inode of the folder of pins; undefined when there is none. */
const folderOf = ({ pins }: EbpfPaths): number | undefined => statSync(pins, { throwIfNoEntry: false })?.ino;
