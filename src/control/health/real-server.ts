/**
 * One real server: up while none of its checks is failed, with the weight that configuration, checks and operator give it.
 * @module
 */
import type { Verdict } from "../checks/check.ts";
import type { Hold } from "../supervision.ts";
import type { CheckEntry, RealServerSpec } from "../wanted.ts";

/** The largest weight that the table takes. */
export const MAX_WEIGHT = 0x7fffffff;

/** One of a server's checks, as the server sees it. */
export interface CheckView {
  readonly entry: CheckEntry;
  /** Equal exactly for equal checks. */
  readonly key: string;
  readonly failed: boolean;
  /** The weight it last asked for. */
  readonly weight: Verdict["weight"] | undefined;
}

/** How a real server stands. */
export interface ServerHealth {
  readonly spec: RealServerSpec;
  /** Names it inside its virtual server. */
  readonly key: string;
  /** Key of its entry in the table. */
  readonly destination: string;
  readonly name: string;
  readonly checks: readonly CheckView[];
  readonly hold: Hold | undefined;
  readonly up: boolean;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly reason: string;
  /** Somebody has been told whether it is up. */
  readonly told: boolean;
}

/** Up when none of its checks is failed. */
export const isUp = (checks: readonly CheckView[]): boolean => checks.every((c) => !c.failed);

/** Configured weight and what checks add to it, or the operator's word. 0..{@link MAX_WEIGHT}. */
export function effectiveWeight(server: ServerHealth): number {
  if (server.hold) return server.hold.weight;
  const configured = server.spec.weight;
  let weight = configured;
  for (const { weight: asked } of server.checks) {
    if (asked) weight += asked.kind === "absolute" ? asked.value - configured : asked.value;
  }
  return Math.min(MAX_WEIGHT, Math.max(0, Math.trunc(weight)));
}

/** What is presumed of a server before its checks have come to a result. undefined: what `alpha` says. */
export type Presumption = "up" | "down" | undefined;

/** A check that has no result yet. */
export const freshView = (entry: CheckEntry, key: string, presumed: Presumption): CheckView => ({
  entry,
  key,
  failed: presumed === undefined ? entry.alpha : presumed === "down",
  weight: undefined,
});
