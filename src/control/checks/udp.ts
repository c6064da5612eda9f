/**
 * A datagram is not refused (keepalived's UDP_CHECK): no ICMP error within the time limit; or, when a reply is required, one comes
 * that has the right length and bytes.
 * @module
 */
import { fromHex } from "../../wire/hex.ts";
import { type Attempt, attempt, CheckFailure, type Outcome, spell } from "./attempt.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";
import { openDatagram, question } from "./question.ts";

type UdpSpec = CheckSpec & { readonly kind: "udp" };

/** Bytes of a payload that is not configured. */
const RANDOM_LEN = 32;

export class UdpChecker implements Checker {
  readonly #spec: UdpSpec;
  readonly #payload: Uint8Array;

  constructor(spec: UdpSpec, randomBytes: (length: number) => Uint8Array) {
    this.#spec = spec;
    this.#payload = spec.payload === undefined ? randomBytes(RANDOM_LEN) : fromHex(spec.payload);
  }

  check(signal: AbortSignal): Promise<Verdict> {
    const { requireReply, timeoutMs } = this.#spec;
    if (requireReply)
      return attempt(timeoutMs, signal, (run) => this.#ask(run, (reply) => judge(reply, requireReply)));
    // Silence is good news here, so that it must come before the attempt's own limit.
    return attempt(timeoutMs + GRACE_MS, signal, (run) => {
      const silence = new Promise<Outcome>((resolve) => {
        const timer = setTimeout(
          () => resolve({ ok: true, detail: `no error within ${spell(timeoutMs)}` }),
          timeoutMs,
        );
        run.onEnd(() => clearTimeout(timer));
      });
      const answered = this.#ask(run, (reply) => ({ ok: true, detail: `reply of ${reply.length} bytes` }));
      return Promise.race([silence, answered]);
    });
  }

  close(): void {}

  #ask(run: Attempt, judgement: (reply: Uint8Array) => Outcome): Promise<Outcome> {
    run.phase = "waiting for a reply";
    return question(openDatagram(run, "udp", this.#spec.target), this.#payload, judgement);
  }
}

/** Never reached; only orders two timers. */
const GRACE_MS = 1000;

function judge(reply: Uint8Array, wanted: NonNullable<UdpSpec["requireReply"]>): Outcome {
  const { minBytes, maxBytes, bytes } = wanted;
  if (reply.length < minBytes || reply.length > maxBytes)
    throw new CheckFailure("answer", `reply of ${reply.length} bytes, wanted ${minBytes}..${maxBytes}`);
  if (bytes !== undefined && !matchesHex(reply, bytes))
    throw new CheckFailure("answer", "the reply has other bytes than wanted");
  return { ok: true, detail: `reply of ${reply.length} bytes` };
}

/** Compares with hex digits, `x` for any, over the shorter length (keepalived-2.2.7). */
export function matchesHex(bytes: Uint8Array, pattern: string): boolean {
  const digits = pattern.replace(/\s/g, "").toLowerCase();
  const length = Math.min(bytes.length * 2, digits.length);
  for (let i = 0; i < length; i++) {
    const nibble = i % 2 === 0 ? bytes[i >> 1]! >> 4 : bytes[i >> 1]! & 15;
    if (digits[i] !== "x" && digits[i] !== nibble.toString(16)) return false;
  }
  return true;
}
