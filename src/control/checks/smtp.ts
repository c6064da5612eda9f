/**
 * A mail server greets and answers to HELO (keepalived's SMTP_CHECK) or EHLO (ldirectord's smtp and submission).
 * @module
 */
import { attempt, CheckFailure, type Outcome } from "./attempt.ts";
import type { Checker, CheckSpec, FailureReason, Verdict } from "./check.ts";
import { Dialogue } from "./connection.ts";

type SmtpSpec = CheckSpec & { readonly kind: "smtp" };

/** Most lines of one reply. */
const LINES_LIMIT = 200;

export class SmtpChecker implements Checker {
  readonly #spec: SmtpSpec;

  constructor(spec: SmtpSpec) {
    this.#spec = spec;
  }

  check(signal: AbortSignal): Promise<Verdict> {
    return attempt(this.#spec.timeoutMs, signal, async (run): Promise<Outcome> => {
      const { target, helo, ehlo } = this.#spec;
      const dialogue = await Dialogue.open(run, target);
      const greeting = await reply(dialogue, "waiting for the greeting");
      expect(greeting, ehlo ? /^2/ : /^220/, "greeting", ehlo ? "2xx" : "220");
      dialogue.say(`${ehlo ? "EHLO" : "HELO"} ${helo}\r\n`);
      let answer = await reply(dialogue, `waiting for the answer to ${ehlo ? "EHLO" : "HELO"}`);
      if (ehlo && !answer.startsWith("2")) {
        dialogue.say(`HELO ${helo}\r\n`);
        answer = await reply(dialogue, "waiting for the answer to HELO");
      }
      expect(answer, ehlo ? /^2/ : /^250/, "answer", ehlo ? "2xx" : "250");
      dialogue.say("QUIT\r\n");
      // Any reply, or none: the server has shown that it works.
      await dialogue.rawLine("waiting for the answer to QUIT").catch(() => undefined);
      return { ok: true, detail: greeting };
    });
  }

  close(): void {}
}

/** The last line of a reply, which may have several (`250-`). @throws CheckFailure */
async function reply(dialogue: Dialogue, waitingFor: string): Promise<string> {
  for (let i = 0; i < LINES_LIMIT; i++) {
    const line = await dialogue.line(waitingFor);
    if (!/^\d{3}-/.test(line)) return line;
  }
  throw new CheckFailure("answer", `a reply of over ${LINES_LIMIT} lines`);
}

function expect(line: string, wanted: RegExp, reason: FailureReason, words: string): void {
  if (wanted.test(line) && /^\d{3}(\D|$)/.test(line)) return;
  throw new CheckFailure(reason, `${reason} "${line.slice(0, 80)}", wanted ${words}`);
}
