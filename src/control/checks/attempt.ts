/**
 * The frame around every check: a time limit, the caller's signal, the clock, and that nothing is left behind. Within it a check
 * is written as if it always succeeded; what goes wrong is thrown as a {@link CheckFailure}.
 * @module
 */
import type { FailureReason, Verdict } from "./check.ts";

/** The server (or this machine) is at fault: becomes a verdict. Any other error is a bug. */
export class CheckFailure extends Error {
  override readonly name = "CheckFailure";
  readonly reason: FailureReason;

  /** `detail` is the verdict's sentence. */
  constructor(reason: FailureReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** What a check says for itself; latency and reason are added by the frame. */
export type Outcome = Omit<Verdict, "latencyMs">;

/** One run of a check. */
export class Attempt {
  /** What is being waited for, as it follows "while" in `timeout after 3 s while ...`. */
  phase = "connecting";
  #ended = false;
  #cleanups: (() => void)[] = [];

  /** True once the verdict is known: whatever comes later is late. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Has `cleanup` called at the end, whatever the end is; at once when that is past. */
  onEnd(cleanup: () => void): void {
    if (this.#ended) cleanup();
    else this.#cleanups.push(cleanup);
  }

  /** Called by {@link attempt}. */
  end(): void {
    this.#ended = true;
    for (const cleanup of this.#cleanups) cleanup();
    this.#cleanups = [];
  }
}

/** A timer that comes later than this tells that the process was held up. */
const LATE_MS = 100;

const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back when a signal fires; returns what takes that back. One listener serves all: thousands of checks may share a signal, whose
 * own list is searched from its start for every change.
 */
function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = waiting.get(signal);
  if (!callbacks) {
    const all = new Set<() => void>();
    callbacks = all;
    waiting.set(signal, all);
    signal.addEventListener("abort", () => {
      for (const each of all) each();
    });
  }
  const added = callbacks.add(callback);
  return () => added.delete(callback);
}

/** A time for people: `250 ms`, `3 s`. */
export const spell = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${+(ms / 1000).toFixed(1)} s`;

/**
 * Runs `body` for at most `timeoutMs`, and not beyond `signal`. Its verdict is there as soon as body returns, throws, or its time
 * is up; then everything registered with {@link Attempt.onEnd} is cleaned up. Rejects only for a bug.
 */
export function attempt(
  timeoutMs: number,
  signal: AbortSignal,
  body: (attempt: Attempt) => Promise<Outcome>,
): Promise<Verdict> {
  if (signal.aborted) return Promise.resolve(ABORTED);
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const run = new Attempt();
    const settle = (outcome: Outcome): void => {
      if (run.ended) return;
      clearTimeout(timer);
      forget();
      run.end();
      resolve({ ...outcome, latencyMs: performance.now() - startedAt });
    };
    const fail = (reason: FailureReason, detail: string): void => settle({ ok: false, detail, reason });
    const onAbort = (): void => fail("aborted", "check aborted");
    const expire = (): void => {
      // Time in which this process did not get to run is not the server's: what came meanwhile is still to be read.
      const lateMs = performance.now() - startedAt - timeoutMs;
      const detail = `timeout after ${spell(timeoutMs)} while ${run.phase}`;
      if (lateMs > LATE_MS && !extended) {
        extended = true;
        timer = setTimeout(expire, Math.min(lateMs, timeoutMs));
      } else setImmediate(fail, "timeout", detail);
    };
    let extended = false;
    let timer = setTimeout(expire, timeoutMs);
    const forget = whenAborted(signal, onAbort);
    (async () => body(run))().then(settle, (error: unknown) => {
      if (run.ended) return; // the cleaning up broke what was still going on
      if (error instanceof CheckFailure) return fail(error.reason, error.message);
      reject(error); // before settling, so that this is what the promise becomes
      fail("local", "internal error");
    });
  });
}

const ABORTED: Verdict = { ok: false, detail: "check aborted", reason: "aborted", latencyMs: 0 };
