/**
 * Greeting, login and a question in one of the text protocols, as ldirectord's negotiate asks them: pop, imap, nntp, simpletcp here,
 * ftp in its own file.
 * @module
 */
import { createHash } from "node:crypto";
import { type Attempt, attempt, CheckFailure } from "./attempt.ts";
import type { Checker, Verdict } from "./check.ts";
import { Dialogue } from "./connection.ts";
import { ftp } from "./ftp.ts";
import { type Pattern, patternOf } from "./pattern.ts";
import { type DialogueSpec, oneLine, type Protocol, quote, requestOf } from "./protocol.ts";

const open = (run: Attempt, spec: DialogueSpec): Promise<Dialogue> =>
  Dialogue.open(run, spec.target, spec.tls ? {} : undefined);

/** POP3, RFC 1939. APOP where the greeting offers it. */
const pop: Protocol = async (run, spec) => {
  const server = await open(run, spec);
  const expectOk = async (waitingFor: string, reason: "greeting" | "login" | "answer"): Promise<string> => {
    const line = await server.line(waitingFor);
    if (line.startsWith("+OK")) return line;
    throw new CheckFailure(reason, `${reason} ${quote(line)}, wanted +OK`);
  };
  const greeting = await expectOk("waiting for the greeting", "greeting");
  if (spec.login !== "") {
    const stamp = /<[^<>]+>/.exec(greeting)?.[0];
    if (stamp !== undefined) {
      const digest = createHash("md5")
        .update(stamp + spec.password, "utf8")
        .digest("hex");
      server.say(`APOP ${oneLine(spec.login)} ${digest}\r\n`);
    } else {
      server.say(`USER ${oneLine(spec.login)}\r\n`);
      await expectOk("waiting for the answer to USER", "login");
      server.say(`PASS ${oneLine(spec.password)}\r\n`);
    }
    await expectOk("waiting for the login", "login");
    server.say("STAT\r\n");
    await expectOk("waiting for the answer to STAT", "answer");
  }
  server.say("QUIT\r\n");
  return { ok: true, detail: spec.login === "" ? "greeted" : "logged in" };
};

/** IMAP4, RFC 3501. */
const imap: Protocol = async (run, spec) => {
  const server = await open(run, spec);
  const greeting = await server.line("waiting for the greeting");
  if (!/^\* (OK|PREAUTH)\b/i.test(greeting))
    throw new CheckFailure("greeting", `greeting ${quote(greeting)}, wanted * OK`);
  if (spec.login !== "") {
    server.say(`a1 LOGIN ${imapString(spec.login)} ${imapString(spec.password)}\r\n`);
    for (;;) {
      const line = await server.line("waiting for the login");
      if (/^a1 OK\b/i.test(line)) break;
      if (/^(a1 |\* BYE\b|\+)/i.test(line)) throw new CheckFailure("login", `login answered ${quote(line)}`);
    }
  }
  server.say("a2 LOGOUT\r\n");
  return { ok: true, detail: spec.login === "" ? "greeted" : "logged in" };
};

/** NNTP, RFC 3977: the greeting is enough. */
const nntp: Protocol = async (run, spec) => {
  const server = await open(run, spec);
  const greeting = await server.line("waiting for the greeting");
  if (!greeting.startsWith("2"))
    throw new CheckFailure("greeting", `greeting ${quote(greeting)}, wanted 2xx`);
  return { ok: true, detail: greeting };
};

/** Sends the request, then looks for a line that matches; without a pattern for any data. */
const simpletcp: Protocol = async (run, spec, pattern) => {
  const server = await open(run, spec);
  server.say(requestOf(spec).replaceAll("\\n", "\n"));
  server.finish();
  for (let lines = 0; ; lines++) {
    const line = await server.rawLine("waiting for the answer");
    if (line === undefined) {
      if (lines === 0) throw new CheckFailure("closed", "closed by the server without an answer");
      throw new CheckFailure("pattern", `every line of the answer ${pattern?.complaint}`);
    }
    if (!pattern || pattern.accepts(line)) return { ok: true, detail: `answered ${quote(line.trimEnd())}` };
  }
};

/** A quoted string of IMAP (RFC 3501 §4.3). */
const imapString = (text: string): string => `"${oneLine(text).replace(/["\\]/g, "\\$&")}"`;

const PROTOCOLS: Readonly<Record<DialogueSpec["protocol"], Protocol>> = { ftp, imap, nntp, pop, simpletcp };

export class DialogueChecker implements Checker {
  readonly #spec: DialogueSpec;
  readonly #pattern: Pattern | undefined;

  constructor(spec: DialogueSpec) {
    this.#spec = spec;
    this.#pattern = patternOf(spec.pattern);
  }

  check(signal: AbortSignal): Promise<Verdict> {
    const { timeoutMs, protocol } = this.#spec;
    return attempt(timeoutMs, signal, (run) => PROTOCOLS[protocol](run, this.#spec, this.#pattern));
  }

  close(): void {}
}
