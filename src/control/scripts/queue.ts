/**
 * Notify scripts, one after another: those about one thing (a virtual server, a VRRP instance) in the order of what happened,
 * each awaited and limited in time; those about different things side by side.
 * @module
 */
import { setMaxListeners } from "node:events";
import type { ScriptSpec } from "../wanted.ts";
import { type ProgramResult, type ProgramSpec, runProgram } from "./program.ts";
import { refusal, type ScriptPolicy } from "./security.ts";

/** Time a script has that names none, in seconds. */
export const DEFAULT_TIMEOUT_S = 60;
/** Scripts that run at one time. */
const SIDE_BY_SIDE = 32;

/** One run, as it is reported when it ends. */
export interface ScriptReport {
  /** What it is about: `[10.0.0.1]:tcp:80`, `VI_1`. */
  readonly about: string;
  /** `notify_down`, `quorum_up` ... */
  readonly what: string;
  readonly command: readonly string[];
  /** Why it did not run, or did not end with 0; absent when all is well. */
  readonly problem?: string;
  readonly result?: ProgramResult;
}

interface Job {
  readonly about: string;
  readonly what: string;
  readonly script: ScriptSpec;
  readonly args: readonly string[];
  readonly done: (report: ScriptReport) => void;
}

/** What the queue needs. */
export interface ScriptQueueOptions {
  readonly policy: ScriptPolicy;
  readonly report: (report: ScriptReport) => void;
  /** @default runProgram */
  readonly run?: (spec: ProgramSpec, signal: AbortSignal) => Promise<ProgramResult>;
}

/** Why a result is no success, for people. */
export function trouble(result: ProgramResult, timeoutS: number): string | undefined {
  if (result.failure !== undefined) return result.failure;
  if (result.timedOut) return `ended after ${timeoutS} s, its time limit`;
  if (result.aborted) return "ended because the daemon stops";
  if (result.signal !== null) return `ended by ${result.signal}`;
  return result.status === 0 ? undefined : `exit status ${result.status}`;
}

/** Runs a program as the policy's user, when it names none itself; one that the policy forbids counts as not startable. */
export function runAllowed(
  policy: ScriptPolicy,
  spec: ProgramSpec,
  signal: AbortSignal,
  run: NonNullable<ScriptQueueOptions["run"]> = runProgram,
): Promise<ProgramResult> {
  const refused = refusal(policy, spec.command, spec.user);
  if (refused !== undefined) {
    const failure = `not run: ${refused} (enable_script_security)`;
    return Promise.resolve({
      status: null,
      signal: null,
      timedOut: false,
      aborted: false,
      failure,
      output: "",
      latencyMs: 0,
    });
  }
  const user = spec.user ?? policy.user;
  const group = spec.group ?? (spec.user === undefined ? policy.group : undefined);
  return run({ ...spec, ...(user !== undefined && { user }), ...(group !== undefined && { group }) }, signal);
}

/** The queue. */
export class ScriptQueue {
  readonly #report: ScriptQueueOptions["report"];
  readonly #run: NonNullable<ScriptQueueOptions["run"]>;
  readonly #abort = new AbortController();
  /** What waits, per thing; a thing with a list, empty or not, has one running. */
  readonly #lines = new Map<string, Job[]>();
  /** Things whose turn waits for others to end. */
  readonly #ready: Job[] = [];
  #running = 0;
  #idle: (() => void)[] = [];
  /** Who scripts run as; a reload may change it. */
  policy: ScriptPolicy;

  constructor(options: ScriptQueueOptions) {
    this.policy = options.policy;
    setMaxListeners(0, this.#abort.signal);
    this.#report = options.report;
    this.#run = options.run ?? runProgram;
  }

  /** Scripts that run or wait. */
  get length(): number {
    let waiting = this.#ready.length + this.#running;
    for (const line of this.#lines.values()) waiting += line.length;
    return waiting;
  }

  /** Has a script run after those about the same thing; nothing happens without one. Resolves when it has ended. */
  add(
    about: string,
    what: string,
    script: ScriptSpec | undefined,
    args: readonly string[] = [],
  ): Promise<ScriptReport | undefined> {
    if (script === undefined || this.#abort.signal.aborted) return Promise.resolve(undefined);
    return new Promise((done) => {
      const job: Job = { about, what, script, args, done };
      const line = this.#lines.get(about);
      if (line) {
        line.push(job);
        return;
      }
      this.#lines.set(about, []);
      this.#start(job);
    });
  }

  #start(job: Job): void {
    if (this.#running >= SIDE_BY_SIDE) {
      this.#ready.push(job);
      return;
    }
    this.#running++;
    void this.#perform(job).then((report) => {
      this.#running--;
      this.#report(report);
      job.done(report);
      const line = this.#lines.get(job.about)!;
      const next = line.shift();
      if (next) this.#ready.push(next);
      else this.#lines.delete(job.about);
      const turn = this.#ready.shift();
      if (turn) this.#start(turn);
      if (this.length === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  async #perform({ about, what, script, args }: Job): Promise<ScriptReport> {
    const command = [...script.command, ...args];
    const timeoutS = script.timeoutS ?? DEFAULT_TIMEOUT_S;
    const spec: ProgramSpec = {
      command,
      timeoutMs: timeoutS * 1000,
      ...(script.user !== undefined && { user: script.user }),
      ...(script.group !== undefined && { group: script.group }),
    };
    const result = await runAllowed(this.policy, spec, this.#abort.signal, this.#run);
    const problem = trouble(result, timeoutS);
    return { about, what, command, result, ...(problem !== undefined && { problem }) };
  }

  /** Waits until nothing runs or waits, at most `limitMs`. Whether that is so. */
  idle(limitMs: number): Promise<boolean> {
    if (this.length === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** Ends what runs and forgets what waits. */
  close(): void {
    this.#abort.abort();
  }
}
