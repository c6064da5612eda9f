/**
 * A thorough check now and then, cheap ones between (ldirectord's checktype N): after a good thorough one, `count` cheap ones; after
 * any failure the next is thorough.
 * @module
 */
import type { Checker, CheckSpec, Verdict } from "./check.ts";

export class HybridChecker implements Checker {
  readonly #full: Checker;
  readonly #cheap: Checker;
  readonly #count: number;
  #cheapLeft = 0;

  constructor(spec: CheckSpec & { readonly kind: "hybrid" }, make: (spec: CheckSpec) => Checker) {
    this.#full = make(spec.full);
    this.#cheap = make(spec.cheap);
    this.#count = spec.count;
  }

  async check(signal: AbortSignal): Promise<Verdict> {
    const cheap = this.#cheapLeft > 0;
    const verdict = await (cheap ? this.#cheap : this.#full).check(signal);
    if (!verdict.ok) this.#cheapLeft = 0;
    else this.#cheapLeft = cheap ? this.#cheapLeft - 1 : this.#count;
    return verdict;
  }

  close(): void {
    this.#full.close();
    this.#cheap.close();
  }
}
