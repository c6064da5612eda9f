/**
 * The daemon: reads the configuration, runs its two halves, reloads, stops, and answers its commands.
 *
 * Where its configuration comes from, how it logs and what else hears of events is handed in: `lvsd run`, `keepalived` and
 * `ldirectord` are the same daemon with different habits.
 * @module
 */
import { hostname, version as kernelVersion, release } from "node:os";
import type { Diagnostic } from "../../control/config/diagnostic.ts";
import type { HealthEvent, Removal, SupervisorOptions } from "../../control/supervision.ts";
import type { VrrpEvent, VrrpOptions, VrrpStats } from "../../control/vrrp/messages.ts";
import { NO_VRRP, type VrrpSpec } from "../../control/vrrp/spec.ts";
import { createTrackers } from "../../control/vrrp/trackers.ts";
import type { Wanted } from "../../control/wanted.ts";
import { Balancing } from "./balancing.ts";
import { Effects } from "./effects.ts";
import { type DaemonEvent, Events } from "./events.ts";
import { Latest } from "./latest.ts";
import type { Log } from "./log.ts";
import type { DaemonPaths } from "./paths.ts";
import { waitForPeerTable } from "./peer-table.ts";
import type { DaemonStatus, LoadReport, PlanAnswer, ReloadAnswer, SyncReport } from "./protocol.ts";
import { diagnosticLine, type Identity, LVSD, plainWords } from "./texts.ts";
import { vrrpDifferences } from "./vrrp-plan.ts";
import { VrrpProcess } from "./vrrp-process.ts";

/** What a reader of configurations gives. */
export interface Loaded {
  readonly wanted: Wanted;
  readonly diagnostics: readonly Diagnostic[];
}

/** What else a program around the daemon may do. */
export interface DaemonHooks {
  readonly onHealth?: (event: HealthEvent) => void;
  readonly onVerdict?: SupervisorOptions["onVerdict"];
  /** A configuration is about to count: the first one, or that of a reload. */
  readonly onApplying?: (wanted: Wanted, state: "starting" | "reloading") => void;
  /** A configuration counts from now on. */
  readonly onApplied?: (wanted: Wanted) => void;
  /** The VRRP process runs, or runs again. */
  readonly onVrrpStart?: (pid: number) => void;
}

/** How a daemon is made. */
export interface DaemonOptions {
  /** Reads the configuration; another path when a plan for another file is asked for. */
  readonly read: (path?: string) => Promise<Loaded>;
  readonly paths: DaemonPaths;
  readonly log: Log;
  readonly plane?: string | undefined;
  /** Halves that run. @default both */
  readonly halves?: { readonly balancing: boolean; readonly vrrp: boolean };
  /** Leave the table at stop. */
  readonly keepTable?: boolean;
  readonly vrrpOptions?: VrrpOptions;
  /** How long VRRP waits at the start for the connections of a peer, ms; 0 not at all. @default 10 s */
  readonly syncWaitMs?: number | undefined;
  /** Start the VRRP process again when it died. @default true */
  readonly respawn?: boolean;
  /** Start with a keepalived.conf that has errors, without the parts they are in, as keepalived does. */
  readonly tolerant?: boolean;
  readonly removal?: Removal;
  readonly hooks?: DaemonHooks;
  /** Who it says it is in its log. @default lvsd */
  readonly identity?: Identity;
}

/** A configuration that cannot be used. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly diagnostics: readonly Diagnostic[];
  constructor(message: string, diagnostics: readonly Diagnostic[]) {
    super(message);
    this.diagnostics = diagnostics;
  }
}

/** Time that scripts and mail have to end at a stop (keepalived's child_wait_time). */
const SETTLE_MS = 5000;
/** Default of `syncWaitMs`. */
const SYNC_WAIT_MS = 10_000;

/** The daemon. */
export class Daemon {
  readonly #o: DaemonOptions;
  readonly #log: Log;
  readonly events = new Events();
  readonly #effects: Effects;
  readonly #balancing: Balancing;
  readonly #vrrp: VrrpProcess;
  readonly #trackers: ReturnType<typeof createTrackers>;
  readonly #startedAt = Date.now();
  readonly #identity: Identity;
  #wanted: Wanted | undefined;
  /** VRRP instances that are master now. */
  readonly #masters = new Set<string>();
  /** The sync daemons have heard of their newest role. */
  #roleTold: Promise<void> = Promise.resolve();
  /** Instances for which a peer's connections are waited for. */
  readonly #catchUps = new Latest();
  /** The backup sync daemon is being started anew. */
  #renewal: Promise<void> | undefined;
  #state: DaemonStatus["state"] = "starting";
  #load: LoadReport = { at: 0, ok: false, errors: 0, warnings: 0, text: "not read yet" };
  #reloads = 0;
  #reloading: Promise<ReloadAnswer> | undefined;
  #again: Promise<ReloadAnswer> | undefined;
  #stopping: Promise<void> | undefined;
  #leaving = false;

  constructor(options: DaemonOptions) {
    this.#o = options;
    this.#log = options.log;
    this.#identity = options.identity ?? LVSD;
    this.#effects = new Effects((part, level, text) => this.#say(part, level, part, text));
    const onVerdict = options.hooks?.onVerdict;
    this.#balancing = new Balancing({
      plane: options.plane,
      removal: options.removal,
      stateFile: options.paths.state,
      onEvent: (event) => this.#health(event),
      onEffect: (effect) => this.#effects.perform(effect),
      ...(onVerdict && { onVerdict }),
    });
    this.#vrrp = new VrrpProcess(
      {
        onEvent: (event) => this.#vrrpEvent(event),
        onStart: (pid) => {
          this.#say("vrrp", "info", "start", `Starting VRRP child process, pid=${pid}`);
          options.hooks?.onVrrpStart?.(pid);
        },
        onDeath: (how, again) =>
          this.#say(
            "vrrp",
            "error",
            "death",
            `the VRRP process ended by itself (${how}); ${again ? "it is started again" : "it stays down"}`,
          ),
      },
      options.vrrpOptions ?? {},
      options.respawn ?? true,
    );
    this.#trackers = createTrackers({
      onResult: (result) => this.#vrrp.track(result),
      log: (text) => this.#say("vrrp", "info", "track", text),
      run: (spec, signal) => this.#effects.run(spec, signal),
    });
  }

  get wanted(): Wanted | undefined {
    return this.#wanted;
  }

  #say(part: DaemonEvent["part"], level: DaemonEvent["level"], kind: string, text: string): void {
    this.#record({ at: Date.now(), part, level, kind, text });
  }

  /** Logs and keeps an event. */
  #record(event: Omit<DaemonEvent, "number">): void {
    const { text, level, at: _, ...rest } = event;
    const write = level === "error" ? "error" : level === "warning" ? "warn" : "info";
    this.#log[write](rest, text);
    this.events.add(event);
  }

  #health(event: HealthEvent): void {
    const { service, server, reason, latencyMs } = event;
    const text = event.words || plainWords(event);
    this.#record({
      at: event.at,
      part: "lvs",
      level: event.level,
      kind: event.kind,
      text,
      ...(service && { about: service }),
      ...(server && { server }),
      ...(event.words && reason && reason !== text && { reason }),
      ...(latencyMs !== undefined && { latencyMs }),
    });
    this.#o.hooks?.onHealth?.(event);
  }

  #vrrpEvent(event: VrrpEvent): void {
    const about = "instance" in event ? event.instance : "group" in event ? event.group : undefined;
    const reason = "reason" in event ? event.reason : undefined;
    const { atMs: at, level, kind, text } = event;
    this.#record({
      at,
      part: "vrrp",
      level,
      kind,
      text,
      ...(about && { about }),
      ...(reason && { reason }),
    });
    this.#effects.vrrp(event);
    if (event.kind === "masterRxLowerPri" && this.#wanted?.global.sync)
      this.#balancing.expectTable().catch(() => undefined);
    if (event.kind !== "state") return;
    if (event.to === "master") this.#masters.add(event.instance);
    else this.#masters.delete(event.instance);
    const { instance } = this.#wanted?.global.sync ?? {};
    if (this.#wanted && instance === event.instance) this.#tellSyncRole(this.#wanted);
    if (event.to === "backup" && (event.from === "fault" || event.from === "master"))
      void this.#catchUp(event.instance);
    else this.#catchUps.end(event.instance);
  }

  /** Somebody else was, or became, master: the instance takes nothing back from it before its connections are here. */
  async #catchUp(vrrpInstance: string): Promise<void> {
    const { sync } = this.#wanted?.global ?? {};
    const overtaken = this.#catchUps.begin(vrrpInstance);
    const over = (): boolean => this.#leaving || overtaken();
    await this.#roleTold;
    if (over()) return;
    // Whoever is master for the others' connections has them already.
    const others = sync && !(sync.instance !== undefined && this.#masters.has(sync.instance));
    // Without a key there is nobody to ask, and a daemon that is started anew would only miss messages.
    if (others && (await this.#balancing.sync().catch(() => undefined))?.key) {
      await this.#renewSyncBackup();
      await this.#waitForPeer(over, `${vrrpInstance} goes on`);
    }
    if (!over()) this.#vrrp.caughtUp(vrrpInstance);
  }

  /** What the backup sync daemon heard before says nothing about now. Once for all instances that change their state together. */
  #renewSyncBackup(): Promise<void> {
    this.#renewal ??= (this.#balancing.supervisor?.renewSyncBackup() ?? Promise.resolve())
      .catch(() => undefined)
      .finally(() => {
        this.#renewal = undefined;
      });
    return this.#renewal;
  }

  /** The connection sync daemon follows a VRRP instance. */
  #tellSyncRole({ global }: Wanted): void {
    const instance = global.sync?.instance;
    if (instance === undefined) return;
    const role = this.#masters.has(instance) ? "master" : "backup";
    const told = this.#balancing.supervisor?.setSyncRole(role) ?? Promise.resolve();
    this.#roleTold = told.catch((error: Error) => {
      this.#say("lvs", "warning", "refused", `the connection sync daemon: ${error.message}`);
    });
  }

  /** Reads and judges. @throws ConfigurationError */
  async #read(path?: string, tolerant = false): Promise<Loaded> {
    const loaded = await this.#o.read(path);
    const errors = loaded.diagnostics.filter(({ severity }) => severity === "error").length;
    // What is wrong in ldirectord.cf ends ldirectord: nothing of such a file is used.
    const usable = tolerant && loaded.wanted.language === "keepalived" && loaded.wanted.files.length > 0;
    if (errors > 0 && !usable) {
      const count = errors === 1 ? "an error" : `${errors} errors`;
      throw new ConfigurationError(`the configuration has ${count}`, loaded.diagnostics);
    }
    return loaded;
  }

  /** Logs what a reader of the configuration had to say. */
  tellDiagnostics(diagnostics: readonly Diagnostic[]): void {
    for (const d of diagnostics) {
      const level = d.severity === "notice" ? "info" : d.severity;
      this.#say("daemon", level, "configuration", diagnosticLine(d));
    }
  }

  #loaded(ok: boolean, diagnostics: readonly Diagnostic[], text: string): void {
    const count = (severity: string): number => diagnostics.filter((d) => d.severity === severity).length;
    this.#load = { at: Date.now(), ok, errors: count("error"), warnings: count("warning"), text };
  }

  /** Starts what the configuration asks for. @throws ConfigurationError, and whatever a plane refuses to begin with */
  async start(): Promise<void> {
    this.#say("daemon", "info", "start", `Starting ${this.#identity.name} v${this.#identity.version}`);
    this.#say("daemon", "info", "start", `Running on Linux ${release()} ${kernelVersion()} (${hostname()})`);
    const { wanted, diagnostics } = await this.#read(undefined, this.#o.tolerant);
    for (const file of wanted.files) this.#say("daemon", "info", "configuration", `Opening file '${file}'.`);
    this.tellDiagnostics(diagnostics);
    this.#effects.configure(wanted);
    this.#o.hooks?.onApplying?.(wanted, "starting");
    await this.#effects.runAlone("startup_script", wanted.global.startupScript);
    this.#wanted = wanted;
    const startVrrp = async (): Promise<void> => {
      const problems = await this.#configureVrrp(wanted);
      if (problems.length > 0)
        throw new ConfigurationError(`VRRP cannot start: ${problems.join("; ")}`, diagnostics);
    };
    const waits = wanted.global.sync !== undefined;
    if (!waits) await startVrrp();
    const { refused } = await this.#applyBalancing(wanted);
    for (const text of refused) this.#say("lvs", "warning", "refused", text);
    if (waits) {
      if (asksForVrrp(wanted.vrrp)) await this.#waitForPeer(() => this.#leaving, "VRRP starts");
      if (this.#leaving) return;
      await startVrrp();
    }
    if (wanted.virtualServers.length === 0 && !asksForVrrp(wanted.vrrp))
      this.#say("daemon", "warning", "configuration", "Warning - keepalived has no configuration to run");
    this.#loaded(true, diagnostics, "loaded at start");
    this.#o.hooks?.onApplied?.(wanted);
    if (this.#state === "starting") this.#state = "running";
    this.#say("daemon", "info", "started", "Startup complete");
  }

  /** How long VRRP waits for a peer's connections, ms. */
  get #tableWaitMs(): number {
    const { halves, syncWaitMs = SYNC_WAIT_MS } = this.#o;
    return halves?.vrrp === false || halves?.balancing === false ? 0 : syncWaitMs;
  }

  /** Addresses are taken with the peer's connections. `next`: what happens without them, for the log. */
  async #waitForPeer(over: () => boolean, next: string): Promise<void> {
    const limitMs = this.#tableWaitMs;
    if (limitMs === 0) return;
    await waitForPeerTable({
      look: () => this.#balancing.sync(),
      limitMs,
      over,
      say: (level, text) => this.#say("lvs", level, "sync", text),
      next,
    });
  }

  /** The instances, told how long they wait for a peer's connections. */
  #vrrpOf({ vrrp, global }: Wanted): VrrpSpec {
    const tableWaitMs = this.#tableWaitMs;
    if (!global.sync || tableWaitMs === 0) return vrrp;
    return { ...vrrp, instances: vrrp.instances.map((i) => ({ ...i, tableWaitMs })) };
  }

  async #configureVrrp(wanted: Wanted): Promise<readonly string[]> {
    if (this.#o.halves?.vrrp === false) return [];
    if (!asksForVrrp(wanted.vrrp) && this.#vrrp.pid === undefined) return [];
    this.#effects.expect(wanted.vrrp);
    const problems = await this.#vrrp.configure(this.#vrrpOf(wanted), wanted.global.vrrpProcess);
    if (problems.length > 0) this.#effects.expect(undefined);
    else this.#trackers.configure(wanted.vrrp);
    return problems;
  }

  async #applyBalancing(
    wanted: Wanted,
  ): Promise<{ readonly changes: number; readonly refused: readonly string[] }> {
    if (this.#o.halves?.balancing === false) return { changes: 0, refused: [] };
    const result = await this.#balancing.apply(wanted);
    this.#tellSyncRole(wanted);
    return result;
  }

  /**
   * Reads the configuration again and makes it the one that counts; a broken one changes nothing. A reload that is asked for during
   * another comes after it, once, however often it was asked for.
   */
  reload(): Promise<ReloadAnswer> {
    if (this.#reloading) {
      this.#again ??= this.#reloading.then(() => {
        this.#again = undefined;
        return this.reload();
      });
      return this.#again;
    }
    this.#reloading = this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  async #reload(): Promise<ReloadAnswer> {
    if (this.#state === "stopping") return refusedReload("the daemon stops", []);
    this.#state = "reloading";
    this.#say("daemon", "info", "reload", "Reloading ...");
    try {
      const { wanted, diagnostics } = await this.#read();
      const problems = await this.#configureVrrp(wanted);
      if (problems.length > 0) throw new ConfigurationError(problems.join("; "), diagnostics);
      this.tellDiagnostics(diagnostics);
      this.#tellUnchangeable(wanted);
      this.#wanted = wanted;
      this.#effects.configure(wanted);
      this.#o.hooks?.onApplying?.(wanted, "reloading");
      const { changes, refused } = await this.#applyBalancing(wanted);
      this.#reloads++;
      const text =
        changes === 0
          ? "reloaded; nothing had to change in the table"
          : `reloaded; ${changes} changes of the table`;
      this.#loaded(true, diagnostics, text);
      this.#o.hooks?.onApplied?.(wanted);
      this.#say("daemon", "info", "reload", "Reload complete");
      return { ok: true, text, diagnostics, changes, refused };
    } catch (error) {
      const diagnostics = error instanceof ConfigurationError ? error.diagnostics : [];
      const text = `New config failed validation, nothing is changed: ${(error as Error).message}`;
      this.tellDiagnostics(diagnostics);
      this.#say("daemon", "error", "reload", text);
      this.#loaded(false, diagnostics, text);
      return refusedReload(text, diagnostics);
    } finally {
      if (this.#state === "reloading") this.#state = "running";
    }
  }

  /** What only a restart can change. */
  #tellUnchangeable({ global }: Wanted): void {
    for (const [key, name] of [
      ["netns", "net_namespace"],
      ["instance", "instance"],
    ] as const) {
      if (global[key] === this.#wanted?.global[key]) continue;
      const text = `Cannot change ${name} at a reload - please restart ${this.#identity.name}`;
      this.#say("daemon", "warning", "configuration", text);
    }
  }

  /** What a reload would do, of the daemon's own file or another. */
  async plan(path?: string): Promise<PlanAnswer> {
    try {
      const { wanted, diagnostics } = await this.#read(path);
      const plan = await this.#balancing.plan(wanted);
      return { diagnostics, plan, vrrp: vrrpDifferences(this.#wanted?.vrrp ?? NO_VRRP, wanted.vrrp) };
    } catch (error) {
      if (error instanceof ConfigurationError) return { diagnostics: error.diagnostics, vrrp: [] };
      throw error;
    }
  }

  async status(): Promise<DaemonStatus> {
    const lvs = await this.#balancing.status();
    let vrrp: DaemonStatus["vrrp"];
    let vrrpTrouble: string | undefined;
    if (this.#wanted && asksForVrrp(this.#wanted.vrrp) && this.#o.halves?.vrrp !== false) {
      try {
        vrrp = await this.#vrrp.status();
      } catch (error) {
        vrrpTrouble = (error as Error).message;
      }
    }
    const { pid: vrrpPid } = this.#vrrp;
    const sync = await this.#syncReport();
    return {
      pid: process.pid,
      ...(vrrpPid !== undefined && { vrrpPid }),
      version: this.#identity.version,
      startedAt: this.#startedAt,
      state: this.#state,
      files: this.#wanted?.files ?? [],
      reloads: this.#reloads,
      load: this.#load,
      scripts: this.#effects.scripts,
      ...(lvs && { lvs }),
      ...(vrrp && { vrrp }),
      ...(vrrpTrouble && { vrrpTrouble }),
      ...(sync && { sync }),
    };
  }

  async #syncReport(): Promise<SyncReport | undefined> {
    const spec = this.#wanted?.global.sync;
    if (!spec || this.#o.halves?.balancing === false) return undefined;
    const { interface: device, syncId, instance } = spec;
    const role = instance === undefined ? "both" : this.#masters.has(instance) ? "master" : "backup";
    const status = await this.#balancing.sync().catch((error: Error) => ({ trouble: error.message }));
    const trouble = this.#balancing.supervisor?.syncTrouble;
    return {
      interface: device,
      syncId,
      ...(instance && { instance }),
      role,
      ...(trouble && { trouble }),
      ...status,
    };
  }

  /** Counters of VRRP, none when there is none. */
  async vrrpStats(clear: boolean): Promise<readonly VrrpStats[]> {
    return this.#vrrp.pid === undefined ? [] : this.#vrrp.stats(clear);
  }

  drain(service: string, server: string): Promise<void> {
    return this.#balancing.hold((supervisor) => supervisor.drain(service, server));
  }

  undrain(service: string, server: string): Promise<void> {
    return this.#balancing.hold((supervisor) => supervisor.undrain(service, server));
  }

  weight(service: string, server: string, weight: number): Promise<void> {
    return this.#balancing.hold((supervisor) => supervisor.weight(service, server, weight));
  }

  /** A stop will follow: a start that waits for a peer waits no more, and goes no further. */
  leave(): void {
    this.#leaving = true;
  }

  /** Stops both halves, then waits a while for scripts and mail. */
  stop(): Promise<void> {
    this.leave();
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#state = "stopping";
    this.#say("daemon", "info", "stop", "Stopping");
    await this.#reloading?.catch(() => undefined);
    this.#trackers.close();
    if (!this.#o.keepTable) await this.#balancing.supervisor?.endSync().catch(() => undefined);
    // First the addresses go to whoever takes over, then the table: fewer clients find a VIP without services.
    await this.#vrrp.stop(this.#o.vrrpOptions?.keepAddresses ? "keep" : "remove");
    try {
      await this.#balancing.stop(this.#o.keepTable ?? false);
    } catch (error) {
      this.#say("lvs", "error", "stop", `the table could not be cleared: ${(error as Error).message}`);
    }
    await this.#effects.settle(SETTLE_MS);
    await this.#effects.runAlone("shutdown_script", this.#wanted?.global.shutdownScript);
    this.#effects.close();
    this.#say("daemon", "info", "stop", "Stopped");
    this.#say("daemon", "info", "stop", `Stopped ${this.#identity.name} v${this.#identity.version}`);
  }
}

/** Whether VRRP has anything to do. */
export const asksForVrrp = (vrrp: VrrpSpec): boolean =>
  vrrp.instances.length > 0 ||
  vrrp.staticAddresses.length > 0 ||
  vrrp.staticRoutes.length > 0 ||
  vrrp.staticRules.length > 0;

const refusedReload = (text: string, diagnostics: readonly Diagnostic[]): ReloadAnswer => ({
  ok: false,
  text,
  diagnostics,
  changes: 0,
  refused: [],
});
