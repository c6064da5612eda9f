/**
 * A verdict without a question (ldirectord's `on` and `off`, service `none`).
 * @module
 */
import type { Checker, CheckSpec, Verdict } from "./check.ts";

export class AlwaysChecker implements Checker {
  readonly #verdict: Verdict;

  constructor(spec: CheckSpec & { readonly kind: "always" }) {
    this.#verdict = spec.up
      ? { ok: true, detail: "always up", latencyMs: 0 }
      : { ok: false, detail: "always down", latencyMs: 0, reason: "local" };
  }

  check(): Promise<Verdict> {
    return Promise.resolve(this.#verdict);
  }

  close(): void {}
}
