/**
 * The life of one check: when it runs next, which failure counts, when it turns.
 *
 * Pure: what happened and what time it is come in, what to do goes out. Pauses are keepalived's (2.2), per kind.
 * @module
 */
import type { CheckSpec, Verdict } from "../checks/check.ts";
import type { CheckTiming } from "../wanted.ts";

/** The first check after activation comes after this and a random part of the warm-up, ms. */
export const FIRST_DELAY_MS = 1000;

/** How a check stands. */
export interface CheckLife {
  readonly kind: CheckSpec["kind"];
  readonly timing: CheckTiming;
  /** No pause between the urls of a server that recovers. */
  readonly fastRecovery: boolean;
  /** unknown: no result yet, so servers go by what was presumed of them. */
  readonly result: "unknown" | "ok" | "failed";
  /** Has had a verdict, so that its failures are forgiven as often as `retry` says. */
  readonly ran: boolean;
  /** Failures in a row that do not count yet; while failed: retries made in this round. */
  readonly failures: number;
}

export type CheckEvent =
  /** Checking begins, or begins again. `random` is uniform in [0, 1). */
  | { readonly kind: "activated"; readonly random: number; readonly firstDelayMs: number }
  | { readonly kind: "verdict"; readonly verdict: Verdict; readonly startedAt: number };

export type CheckAction =
  | { readonly kind: "run"; readonly at: number }
  /** `retries`: failures that had been forgiven before this one. */
  | { readonly kind: "turned"; readonly to: "ok" | "failed"; readonly retries: number }
  /** A failure that does not count yet: number `count` of the `limit` that do. */
  | { readonly kind: "failure"; readonly count: number; readonly limit: number };

/** A check that has not run yet. */
export function newLife(spec: CheckSpec, timing: CheckTiming): CheckLife {
  const fastRecovery = spec.kind === "http" && spec.fastRecovery === true;
  return { kind: spec.kind, timing, fastRecovery, result: "unknown", ran: false, failures: 0 };
}

/** The same check under other timing: what it found stays. */
export const retime = (life: CheckLife, timing: CheckTiming): CheckLife => ({ ...life, timing, failures: 0 });

/** What an event makes of a check. All times in monotonic milliseconds. */
export function step(life: CheckLife, event: CheckEvent, now: number): [CheckLife, readonly CheckAction[]] {
  if (event.kind === "activated") {
    const spread = Math.floor(event.random * life.timing.warmupMs);
    return [life, [{ kind: "run", at: now + event.firstDelayMs + spread }]];
  }
  const [next, delayMs, actions] = judge(life, event.verdict);
  // compat: misc checks are timed from start to start, all others from end to start (keepalived 2.2).
  const from = life.kind === "misc" ? event.startedAt : now;
  return [next, [...actions, { kind: "run", at: Math.max(now, from + delayMs) }]];
}

/** New state, pause before the next check, what else. */
function judge(life: CheckLife, verdict: Verdict): [CheckLife, number, CheckAction[]] {
  const { timing } = life;
  const ran = { ...life, ran: true };
  if (verdict.ok) {
    const healthy = { ...ran, failures: 0 };
    if (life.result === "ok") return [healthy, timing.delayLoopMs, []];
    if (verdict.partial) return [healthy, life.fastRecovery ? 0 : timing.delayLoopMs, []];
    return [{ ...healthy, result: "ok" }, timing.delayLoopMs, [{ kind: "turned", to: "ok", retries: 0 }]];
  }
  if (life.result === "failed") return whileFailed(ran);
  const first = !life.ran && timing.firstFailureCounts;
  const count = life.failures + 1;
  const limit = first ? 1 : timing.retry + 1;
  if (count < limit && !verdict.final) {
    return [{ ...ran, failures: count }, timing.delayBeforeRetryMs, [{ kind: "failure", count, limit }]];
  }
  const failed: CheckLife = { ...ran, result: "failed", failures: 0 };
  return [
    failed,
    pauseAfterFailure(failed),
    [{ kind: "turned", to: "failed", retries: first ? 0 : count - 1 }],
  ];
}

function whileFailed(life: CheckLife): [CheckLife, number, CheckAction[]] {
  const { timing } = life;
  const inRounds = (life.kind === "tcp" || life.kind === "smtp") && timing.downDelayMs === undefined;
  // compat: tcp and smtp go on in rounds of retries, then wait the whole loop (keepalived 2.2.7).
  if (inRounds && life.failures < timing.retry)
    return [{ ...life, failures: life.failures + 1 }, timing.delayBeforeRetryMs, []];
  return [{ ...life, failures: 0 }, pauseAfterFailure(life), []];
}

function pauseAfterFailure({ kind, timing }: CheckLife): number {
  if (timing.downDelayMs !== undefined) return timing.downDelayMs;
  if (kind === "http") return Math.max(timing.delayBeforeRetryMs, timing.delayLoopMs);
  return timing.delayLoopMs;
}
