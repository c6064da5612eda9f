/**
 * Runs the scripts that VRRP instances track (vrrp_script): each at its interval, from start to start.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { type ProgramResult, type ProgramSpec, runProgram } from "../scripts/program.ts";
import type { TrackScriptSpec } from "./spec.ts";

/** How a program is run; tests have their own. */
export type Run = (spec: ProgramSpec, signal: AbortSignal) => Promise<ProgramResult>;

/** What a script told so far. */
export interface ScriptMemory {
  /** What counts now; undefined before the first result. */
  readonly good: boolean | undefined;
  /** Results in a row that say otherwise. */
  readonly streak: number;
}

/** The very first result decides alone; then `rise` good or `fall` bad ones in a row change it. */
export function remember(
  memory: ScriptMemory,
  good: boolean,
  spec: Pick<TrackScriptSpec, "rise" | "fall">,
): ScriptMemory {
  if (memory.good === undefined) return { good, streak: 0 };
  if (good === memory.good) return { good, streak: 0 };
  const streak = memory.streak + 1;
  return streak >= (good ? spec.rise : spec.fall) ? { good, streak: 0 } : { good: memory.good, streak };
}

/** One script, run again and again until closed. */
export class TrackScript {
  readonly spec: TrackScriptSpec;
  readonly #run: Run;
  readonly #tell: (good: boolean) => void;
  readonly #log: (text: string) => void;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #memory: ScriptMemory = { good: undefined, streak: 0 };
  #running = false;
  #last: string | undefined;

  /** `tell` hears the first result, and every change. */
  constructor(
    spec: TrackScriptSpec,
    tell: (good: boolean) => void,
    log: (text: string) => void,
    run: Run = runProgram,
  ) {
    this.spec = spec;
    this.#run = run;
    this.#tell = tell;
    this.#log = log;
    this.#timer = setInterval(() => this.#start(), spec.intervalMs);
    this.#start();
  }

  /** What counts now; undefined before the first result. */
  get good(): boolean | undefined {
    return this.#memory.good;
  }

  #start(): void {
    if (this.#running) {
      this.#log(`Script \`${this.spec.name}\` is still running - skipping run`);
      return;
    }
    this.#running = true;
    const { script, intervalMs, timeoutMs } = this.spec;
    const program: ProgramSpec = {
      command: script.command,
      ...(script.user !== undefined && { user: script.user }),
      ...(script.group !== undefined && { group: script.group }),
      timeoutMs: timeoutMs || intervalMs,
    };
    this.#run(program, this.#abort.signal).then(
      (result) => this.#ended(result),
      (error: unknown) => this.#ended(undefined, String(error)),
    );
  }

  #ended(result: ProgramResult | undefined, trouble = ""): void {
    this.#running = false;
    if (this.#abort.signal.aborted) return;
    const { name } = this.spec;
    const how = describe(result, trouble);
    if (
      how !== this.#last &&
      this.#last !== undefined &&
      result &&
      !result.timedOut &&
      result.status !== null
    )
      this.#log(`Script \`${name}\` now returning ${result.status}`);
    this.#last = how;
    const before = this.#memory.good;
    this.#memory = remember(this.#memory, how === "succeeded", this.spec);
    if (this.#memory.good === before) return;
    // The result that decided, unless an earlier one of its row did already.
    this.#log(`VRRP_Script(${name}) ${how}`);
    this.#tell(this.#memory.good!);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#abort.abort();
  }
}

function describe(result: ProgramResult | undefined, trouble: string): string {
  if (result === undefined) return `failed (${trouble})`;
  if (result.timedOut) return "timed_out";
  if (result.failure !== undefined) return `failed (${result.failure})`;
  if (result.signal !== null) return `failed due to signal ${result.signal}`;
  return result.status === 0 ? "succeeded" : `failed (exited with status ${result.status})`;
}

/** Whether a running script can go on under a new specification. */
export const sameScript = (a: TrackScriptSpec, b: TrackScriptSpec): boolean => {
  const { at: _a, weight: _aw, reverse: _ar, ...restA } = a;
  const { at: _b, weight: _bw, reverse: _br, ...restB } = b;
  return isDeepStrictEqual(restA, restB);
};
