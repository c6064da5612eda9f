/**
 * The server accepts a TCP connection in time. Nothing is sent (keepalived's TCP_CHECK, ldirectord's connect).
 * @module
 */
import { attempt } from "./attempt.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";
import { connect } from "./connection.ts";

export class TcpChecker implements Checker {
  readonly #spec: CheckSpec;

  constructor(spec: CheckSpec & { readonly kind: "tcp" }) {
    this.#spec = spec;
  }

  check(signal: AbortSignal): Promise<Verdict> {
    return attempt(this.#spec.timeoutMs, signal, async (run) => {
      await connect(run, this.#spec.target);
      return { ok: true, detail: "connected" };
    });
  }

  close(): void {}
}
