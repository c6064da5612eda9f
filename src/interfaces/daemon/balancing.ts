/**
 * The load-balancing half of the daemon: the supervisor with real checks, clock and plane around it, opened when a configuration
 * first asks for something.
 * @module
 */
import { rmSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { Checker, CheckSpec } from "../../control/checks/check.ts";
import { createChecker } from "../../control/checks/create.ts";
import { checkKey } from "../../control/checks/key.ts";
import { refusal, type ScriptPolicy, scriptPolicy } from "../../control/scripts/security.ts";
import type {
  ApplyResult,
  Clock,
  Effect,
  HealthEvent,
  Memory,
  Plan,
  Removal,
  Status,
  Supervisor,
  SupervisorOptions,
} from "../../control/supervision.ts";
import { createSupervisor } from "../../control/supervisor.ts";
import type { Wanted } from "../../control/wanted.ts";
import type { DataPlane } from "../../planes/plane.ts";
import { openPlane } from "../../planes/select.ts";
import type { SyncStatus } from "../../planes/sync/status.ts";
import { checkWords } from "./check-words.ts";
import { readMemory, writeMemory } from "./memory-file.ts";

/** How often the host's addresses are looked at, for ha_suspend. */
const ADDRESSES_MS = 1000;
/** A process that is gone is told of once in this time, ms. */
const LOST_AGAIN_MS = 1000;

const CLOCK: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** What the half needs. */
export interface BalancingOptions {
  readonly plane: string | undefined;
  readonly removal: Removal | undefined;
  /** File in which words of the operator, and what is ours in the table, outlive a crash. */
  readonly stateFile: string;
  readonly onEvent: (event: HealthEvent) => void;
  readonly onEffect: (effect: Effect) => void;
  readonly onVerdict?: SupervisorOptions["onVerdict"];
}

/** Whether a configuration has anything for a plane to do. */
export const asksForBalancing = ({ virtualServers, global }: Wanted): boolean =>
  virtualServers.length > 0 || global.flush || global.timeouts !== undefined || global.sync !== undefined;

/** The half. */
export class Balancing {
  readonly #o: BalancingOptions;
  #policy: ScriptPolicy = { enforce: false };
  #plane: DataPlane | undefined;
  #supervisor: Supervisor | undefined;
  #addressTimer: NodeJS.Timeout | undefined;
  #addresses = "";
  #stopping = false;
  /** Why nothing can be remembered. */
  #forgetful = "";

  constructor(options: BalancingOptions) {
    this.#o = options;
  }

  /** The supervisor, once a configuration needed it. */
  get supervisor(): Supervisor | undefined {
    return this.#supervisor;
  }

  async #open(): Promise<Supervisor> {
    if (this.#supervisor) return this.#supervisor;
    this.#plane = await openPlane({ plane: this.#o.plane });
    this.#plane.follow?.((reason) => this.#warn(reason));
    const memory = readMemory(this.#o.stateFile);
    this.#supervisor = createSupervisor({
      plane: this.#plane,
      createChecker: (spec) => this.#checker(spec),
      checkKey,
      checkWords,
      clock: CLOCK,
      random: Math.random,
      onEvent: this.#o.onEvent,
      onEffect: this.#o.onEffect,
      ...(this.#o.onVerdict && { onVerdict: this.#o.onVerdict }),
      ...(this.#o.removal && { removal: this.#o.removal }),
      holds: memory.holds,
      former: memory.virtualServers,
      onMemory: (memory) => this.#remember(memory),
    });
    // Nobody forwards meanwhile: the next look at the table would come too late.
    const { name } = this.#plane;
    let lostAt = Number.NEGATIVE_INFINITY;
    this.#plane.onLost?.(() => {
      if (this.#stopping) return;
      // Who looks for another at once may reach the remains of the one that was killed.
      const now = performance.now();
      if (now - lostAt > LOST_AGAIN_MS) this.#warn(`the ${name} process is gone; another one is started`);
      lostAt = now;
      void this.#supervisor?.repair();
    });
    return this.#supervisor;
  }

  /** A checker; scripts run as the configured user, and only those that the rules allow. */
  #checker(spec: CheckSpec): Checker {
    if (spec.kind !== "misc") return createChecker(spec, {});
    const { user, group } = this.#policy;
    const refused = refusal(this.#policy, spec.command, spec.user);
    if (refused !== undefined) {
      const detail = `${spec.command[0]} is not run: ${refused} (enable_script_security)`;
      return { check: () => Promise.resolve({ ok: false, detail, latencyMs: 0 }), close() {} };
    }
    const account = spec.user === undefined && user !== undefined ? { user, ...(group && { group }) } : {};
    return createChecker({ ...spec, ...account }, {});
  }

  /** Makes a configuration the one that counts. */
  async apply(wanted: Wanted): Promise<ApplyResult> {
    this.#policy = scriptPolicy(wanted);
    if (!this.#supervisor && !asksForBalancing(wanted)) return { changes: 0, refused: [] };
    const supervisor = await this.#open();
    this.#watchAddresses(wanted.virtualServers.some(({ haSuspend }) => haSuspend));
    return supervisor.apply(wanted);
  }

  /** What {@link apply} would do. */
  async plan(wanted: Wanted): Promise<Plan> {
    const nothing = { unchanged: { services: 0, servers: 0, checks: 0 }, changes: [] };
    if (!this.#supervisor && !asksForBalancing(wanted))
      return { ...nothing, connections: { untouched: 0, drained: 0, cut: 0 } };
    return (await this.#open()).plan(wanted);
  }

  status(): Promise<Status | undefined> {
    return this.#supervisor?.status() ?? Promise.resolve(undefined);
  }

  /** What the sync daemons do; undefined where the plane cannot tell. */
  async sync(): Promise<SyncStatus | undefined> {
    return this.#plane?.syncStatus?.();
  }

  /** Another director was master at the same time: it may have connections that are not here. */
  async expectTable(): Promise<void> {
    await this.#plane?.expectTable?.();
  }

  /** A word of the operator. */
  async hold(change: (supervisor: Supervisor) => Promise<void>): Promise<void> {
    if (!this.#supervisor) throw new Error("no virtual servers are configured");
    await change(this.#supervisor);
  }

  /** Writes down what a daemon that comes after a crash has to know. */
  #remember(memory: Memory): void {
    const { stateFile } = this.#o;
    try {
      writeMemory(stateFile, memory);
    } catch (error) {
      const reason = `${stateFile} cannot be written, so that a daemon after a crash does not know what was here: ${(error as Error).message}`;
      if (reason === this.#forgetful) return;
      this.#forgetful = reason;
      this.#warn(reason);
    }
  }

  #warn(reason: string): void {
    this.#o.onEvent({
      at: Date.now(),
      kind: "trouble",
      level: "warning",
      service: "",
      reason,
      words: reason,
    });
  }

  #watchAddresses(wanted: boolean): void {
    if (!wanted) {
      clearInterval(this.#addressTimer);
      this.#addressTimer = undefined;
      return;
    }
    this.#lookAtAddresses();
    this.#addressTimer ??= setInterval(() => this.#lookAtAddresses(), ADDRESSES_MS);
  }

  #lookAtAddresses(): void {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list?.map((a) => a.address) ?? []);
    const key = addresses.join(" ");
    if (key === this.#addresses) return;
    this.#addresses = key;
    this.#supervisor?.setAddresses(new Set(addresses));
  }

  async stop(keep: boolean): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#addressTimer);
    await this.#supervisor?.stop({ keep });
    await this.#plane?.close();
    // What stays in the table is for the next one to know.
    if (!keep) rmSync(this.#o.stateFile, { force: true });
  }
}
