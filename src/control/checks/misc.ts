/**
 * A program's exit status is the verdict (keepalived's MISC_CHECK, ldirectord's external checks). A dynamic one also says the weight:
 * status 2..255 means up with weight status - 2.
 * @module
 */
import { runProgram } from "../scripts/program.ts";
import { spell } from "./attempt.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";

export class MiscChecker implements Checker {
  readonly #spec: CheckSpec & { readonly kind: "misc" };

  constructor(spec: CheckSpec & { readonly kind: "misc" }) {
    this.#spec = spec;
  }

  async check(signal: AbortSignal): Promise<Verdict> {
    const { command, user, group, timeoutMs, dynamic } = this.#spec;
    const result = await runProgram(
      { command, timeoutMs, ...(user !== undefined && { user }), ...(group !== undefined && { group }) },
      signal,
    );
    const { status, latencyMs } = result;
    const failed = (reason: "timeout" | "aborted" | "program", detail: string): Verdict => ({
      ok: false,
      detail,
      latencyMs,
      reason,
    });
    if (result.aborted) return failed("aborted", "check aborted");
    if (result.failure !== undefined) return failed("program", result.failure);
    if (result.timedOut) return failed("timeout", `timed out after ${spell(timeoutMs)}`);
    if (status === null) return failed("program", `ended by ${result.signal}`);
    const detail = `exited with status ${status}`;
    if (dynamic && status >= 2)
      return { ok: true, detail, latencyMs, weight: { kind: "absolute", value: status - 2 } };
    return status === 0 ? { ok: true, detail, latencyMs } : failed("program", detail);
  }

  close(): void {}
}
