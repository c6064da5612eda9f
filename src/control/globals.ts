/**
 * What a configuration says about the table as a whole: timeouts, flushing, sync daemons. Set at start, put back at stop.
 * @module
 */
import type { DaemonState, DaemonStatus } from "../core/daemon.ts";
import type { Timeouts } from "../core/timeouts.ts";
import type { DataPlane } from "../planes/plane.ts";
import type { Clock } from "./supervision.ts";
import type { GlobalSpec, SyncDaemonSpec } from "./wanted.ts";

/** A backup goes on for so long after it became master, ms: what the former master had yet to say is on its way (it buffers 2 s). */
const LINGER_MS = 3000;

/** See the module's description. */
export class Globals {
  readonly #plane: DataPlane;
  readonly #clock: Clock;
  readonly #refused: (message: string) => void;
  #former: Timeouts | undefined;
  #global: GlobalSpec | undefined;
  #role: DaemonState = "backup";
  readonly #running = new Map<DaemonState, SyncDaemonSpec>();
  /** Refusals that stand. */
  readonly #said = new Map<string, string>();
  /** Whether daemons that others left in the table were looked for. */
  #looked = false;
  #cancelLinger: (() => void) | undefined;
  #ended = false;
  /** Changes of daemons come one after the other. */
  #turn: Promise<void> = Promise.resolve();

  /** @param refused told of what the plane did not want */
  constructor(plane: DataPlane, clock: Clock, refused: (message: string) => void) {
    this.#plane = plane;
    this.#clock = clock;
    this.#refused = refused;
  }

  /** At start, before anything else. @throws what the plane answers when the table cannot be emptied */
  async begin(global: GlobalSpec): Promise<void> {
    if (global.flush) await this.#plane.flush();
    await this.#setTimeouts(global);
  }

  /** At start and at reload, with the servers in the table: connections that come in find theirs. */
  async change(global: GlobalSpec): Promise<void> {
    await this.#setTimeouts(global);
    await this.#sync();
  }

  async #setTimeouts(global: GlobalSpec): Promise<void> {
    const before = this.#global?.timeouts;
    this.#global = global;
    const { timeouts } = global;
    if (timeouts && !(before && sameTimeouts(before, timeouts))) {
      await this.#try("set the timeouts", async () => {
        this.#former ??= await this.#plane.timeouts();
        await this.#plane.setTimeouts(timeouts);
      });
    }
  }

  /** The state of the VRRP instance that the sync daemon goes by. */
  async setSyncRole(role: DaemonState): Promise<void> {
    this.#role = role;
    await this.#sync();
  }

  /** Starts the backup daemon anew, if it runs: what it heard before a fault says nothing about now. */
  async renewBackup(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      const spec = this.#running.get("backup");
      if (!spec || this.#ended) return;
      await this.#stop("backup");
      await this.#start("backup", spec);
    });
    await this.#turn;
  }

  #sync(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#arrange());
    return this.#turn;
  }

  /**
   * Runs the daemons that are wanted, then ends the others: in between both run, and no message is lost. A backup that became master
   * listens a little longer.
   */
  async #arrange(): Promise<void> {
    if (this.#ended) return;
    const spec = this.#global?.sync;
    if (spec && !this.#looked) await this.#adopt(spec);
    const wanted: DaemonState[] = !spec
      ? []
      : spec.instance === undefined
        ? ["master", "backup"]
        : [this.#role];
    for (const [state, running] of [...this.#running])
      if (JSON.stringify(running) !== JSON.stringify(spec)) await this.#stop(state);
    for (const state of spec ? wanted : []) if (!this.#running.has(state)) await this.#start(state, spec!);
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    for (const state of [...this.#running.keys()]) {
      if (wanted.includes(state)) continue;
      if (state === "master") await this.#stop(state);
      else
        this.#cancelLinger = this.#clock.after(LINGER_MS, () => {
          this.#turn = this.#turn.then(() => this.#endLinger());
        });
    }
  }

  /** Whoever ended a sync daemon, or kept it from starting: it is started again. */
  async repair(): Promise<void> {
    if (!this.#global?.sync || this.#ended) return;
    let found: readonly DaemonStatus[];
    try {
      found = await this.#plane.daemons();
    } catch {
      return;
    }
    for (const state of [...this.#running.keys()])
      if (!found.some((d) => d.state === state)) this.#running.delete(state);
    if (this.#missing().length > 0) await this.#sync();
  }

  /** Why a sync daemon that is wanted does not run; undefined when all do. */
  get syncTrouble(): string | undefined {
    const spec = this.#global?.sync;
    const refused = this.#missing().map((state) => this.#said.get(startOf(state, spec!)));
    return refused.find((message) => message !== undefined);
  }

  /** Daemons that are wanted and do not run. */
  #missing(): DaemonState[] {
    const spec = this.#global?.sync;
    if (!spec) return [];
    const wanted = spec.instance === undefined ? (["master", "backup"] as const) : [this.#role];
    return wanted.filter((state) => !this.#running.has(state));
  }

  async #endLinger(): Promise<void> {
    const instance = this.#global?.sync?.instance;
    if (instance !== undefined && this.#role === "master" && this.#running.has("backup"))
      await this.#stop("backup");
  }

  /** Daemons of a run that was killed: those that are as wanted go on, others end. */
  async #adopt(spec: SyncDaemonSpec): Promise<void> {
    this.#looked = true;
    await this.#try("look for sync daemons", async () => {
      for (const daemon of await this.#plane.daemons()) {
        const same =
          daemon.interface === spec.interface &&
          daemon.syncId === spec.syncId &&
          (["maxLen", "port", "ttl", "group"] as const).every(
            (key) => !spec[key] || daemon[key] === spec[key],
          );
        if (same) this.#running.set(daemon.state, spec);
        else await this.#plane.stopDaemon(daemon.state);
      }
    });
  }

  async #start(state: DaemonState, spec: SyncDaemonSpec): Promise<void> {
    const { syncId, maxLen, group, port, ttl } = spec;
    const started = await this.#try(startOf(state, spec), () =>
      this.#plane.startDaemon({ state, interface: spec.interface, syncId, maxLen, group, port, ttl }),
    );
    if (started) this.#running.set(state, spec);
  }

  async #stop(state: DaemonState): Promise<void> {
    this.#running.delete(state);
    await this.#try(`stop the ${state} sync daemon`, () => this.#plane.stopDaemon(state));
  }

  /** Ends the daemons before everything else does: what a master has yet to say leaves while somebody can use it. */
  async endSync(): Promise<void> {
    this.#cancelLinger?.();
    this.#turn = this.#turn.then(async () => {
      for (const state of [...this.#running.keys()]) await this.#stop(state);
      this.#ended = true;
    });
    await this.#turn;
  }

  /** At stop. */
  async end(keep: boolean): Promise<void> {
    this.#cancelLinger?.();
    const global = this.#global;
    if (!keep && global?.flushOnStop === "all") await this.#try("empty the table", () => this.#plane.flush());
    if (keep) return;
    await this.endSync();
    const former = this.#former;
    if (former) await this.#try("put the timeouts back", () => this.#plane.setTimeouts(former));
  }

  async #try(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#said.delete(what);
      return true;
    } catch (error) {
      const message = `${what}: ${error instanceof Error ? error.message : String(error)}`;
      // It is tried again and again, and told of once.
      if (this.#said.get(what) !== message) this.#refused(message);
      this.#said.set(what, message);
      return false;
    }
  }
}

const startOf = (state: DaemonState, { interface: device }: SyncDaemonSpec): string =>
  `start the ${state} sync daemon on ${device}`;

const sameTimeouts = (a: Timeouts, b: Timeouts): boolean =>
  a.tcp === b.tcp && a.tcpFin === b.tcpFin && a.udp === b.udp;
