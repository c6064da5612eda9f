/**
 * What a configuration says about the table as a whole: timeouts, flushing, sync daemons. Set at start, put back at stop.
 * @module
 */
import type { DaemonState } from "../core/daemon.ts";
import type { Timeouts } from "../core/timeouts.ts";
import type { DataPlane } from "../planes/plane.ts";
import type { GlobalSpec, SyncDaemonSpec } from "./wanted.ts";

/** See the module's description. */
export class Globals {
  readonly #plane: DataPlane;
  readonly #refused: (message: string) => void;
  #former: Timeouts | undefined;
  #global: GlobalSpec | undefined;
  #role: DaemonState = "backup";
  readonly #running = new Map<DaemonState, SyncDaemonSpec>();

  /** @param refused told of what the plane did not want */
  constructor(plane: DataPlane, refused: (message: string) => void) {
    this.#plane = plane;
    this.#refused = refused;
  }

  /** At start. @throws what the plane answers when the table cannot be emptied */
  async begin(global: GlobalSpec): Promise<void> {
    if (global.flush) await this.#plane.flush();
    await this.change(global);
  }

  /** At start and at reload. */
  async change(global: GlobalSpec): Promise<void> {
    const before = this.#global?.timeouts;
    this.#global = global;
    const { timeouts } = global;
    if (timeouts && !(before && sameTimeouts(before, timeouts))) {
      await this.#try("set the timeouts", async () => {
        this.#former ??= await this.#plane.timeouts();
        await this.#plane.setTimeouts(timeouts);
      });
    }
    await this.#sync();
  }

  /** The state of the VRRP instance that the sync daemon goes by. */
  async setSyncRole(role: DaemonState): Promise<void> {
    this.#role = role;
    await this.#sync();
  }

  /** Runs the daemons that are wanted, ends the others. */
  async #sync(): Promise<void> {
    const spec = this.#global?.sync;
    const roles: DaemonState[] = !spec
      ? []
      : spec.instance === undefined
        ? ["master", "backup"]
        : [this.#role];
    for (const [state, running] of [...this.#running]) {
      if (roles.includes(state) && JSON.stringify(running) === JSON.stringify(spec)) continue;
      this.#running.delete(state);
      await this.#try(`stop the ${state} sync daemon`, () => this.#plane.stopDaemon(state));
    }
    if (!spec) return;
    for (const state of roles) {
      if (this.#running.has(state)) continue;
      const { syncId, maxLen, group, port, ttl } = spec;
      const started = await this.#try(`start the ${state} sync daemon on ${spec.interface}`, () =>
        this.#plane.startDaemon({ state, interface: spec.interface, syncId, maxLen, group, port, ttl }),
      );
      if (started) this.#running.set(state, spec);
    }
  }

  /** At stop. */
  async end(keep: boolean): Promise<void> {
    const global = this.#global;
    if (!keep && global?.flushOnStop === "all") await this.#try("empty the table", () => this.#plane.flush());
    if (keep) return;
    for (const state of this.#running.keys())
      await this.#try(`stop the ${state} sync daemon`, () => this.#plane.stopDaemon(state));
    this.#running.clear();
    const former = this.#former;
    if (former) await this.#try("put the timeouts back", () => this.#plane.setTimeouts(former));
  }

  async #try(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#refused(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }
}

const sameTimeouts = (a: Timeouts, b: Timeouts): boolean =>
  a.tcp === b.tcp && a.tcpFin === b.tcpFin && a.udp === b.udp;
