/**
 * A directory lets us in and has exactly one entry at the base, whose name matches (ldirectord's ldap and ldaps). LDAP version 3,
 * RFC 4511: simple bind, a search of scope base for (objectClass=*).
 * @module
 */
import { attempt, CheckFailure, type Outcome } from "./attempt.ts";
import { type Element, element, elements, integer, lengthAt, numberOf, text } from "./ber.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";
import { Dialogue } from "./connection.ts";
import { type Pattern, patternOf } from "./pattern.ts";

type LdapSpec = CheckSpec & { readonly kind: "ldap" };

const TAG = {
  sequence: 0x30,
  boolean: 0x01,
  enumerated: 0x0a,
  bindRequest: 0x60,
  bindResponse: 0x61,
  unbindRequest: 0x42,
  searchRequest: 0x63,
  searchEntry: 0x64,
  searchDone: 0x65,
  simplePassword: 0x80,
  filterPresent: 0x87,
} as const;

/** Longest message of a server that is read. */
const MESSAGE_LIMIT = 1 << 20;

const bindRequest = (dn: string, password: string): Buffer =>
  element(TAG.bindRequest, integer(3), text(dn), text(password, TAG.simplePassword));

/** Scope base, no aliases followed, at most two entries, attribute "1.1" (none). */
const searchRequest = (base: string, seconds: number): Buffer =>
  element(
    TAG.searchRequest,
    text(base),
    integer(0, TAG.enumerated),
    integer(0, TAG.enumerated),
    integer(2),
    integer(seconds),
    element(TAG.boolean, Buffer.from([0])),
    text("objectClass", TAG.filterPresent),
    element(TAG.sequence, text("1.1")),
  );

export class LdapChecker implements Checker {
  readonly #spec: LdapSpec;
  readonly #pattern: Pattern | undefined;

  constructor(spec: LdapSpec) {
    this.#spec = spec;
    this.#pattern = patternOf(spec.pattern);
  }

  check(signal: AbortSignal): Promise<Verdict> {
    const { target, timeoutMs, tls, login, password, base } = this.#spec;
    return attempt(timeoutMs, signal, async (run): Promise<Outcome> => {
      const server = await Dialogue.open(run, target, tls ? {} : undefined);
      const send = (id: number, operation: Buffer): void =>
        server.say(element(TAG.sequence, integer(id), operation).toString("latin1"));

      // A name without a password is an anonymous bind in disguise (RFC 4513 §5.1.2); ldirectord needs both.
      const named = login !== "" && password !== "";
      send(1, named ? bindRequest(login, password) : bindRequest("", ""));
      const bound = await message(server, 1, "waiting for the bind");
      if (bound.tag !== TAG.bindResponse)
        throw new CheckFailure("answer", "what came is no answer to the bind");
      succeed(bound, "login", "bind");

      send(2, searchRequest(base.replace(/^\//, ""), Math.ceil(timeoutMs / 1000)));
      const names: string[] = [];
      for (;;) {
        const answer = await message(server, 2, "waiting for the search");
        if (answer.tag === TAG.searchEntry) {
          names.push(elements(answer.value)?.[0]?.value.toString("utf8") ?? "");
          if (names.length > 1) break; // enough to know; more may come without end
        } else if (answer.tag === TAG.searchDone) {
          succeed(answer, "answer", "search");
          break;
        }
      }
      send(3, element(TAG.unbindRequest));
      return this.#judge(names);
    });
  }

  close(): void {}

  #judge(names: readonly string[]): Outcome {
    const [name] = names;
    if (name === undefined || names.length > 1)
      throw new CheckFailure(
        "answer",
        `the search found ${names.length === 0 ? "no entry" : "several entries"}, wanted one`,
      );
    if (this.#pattern && !this.#pattern.accepts(name))
      throw new CheckFailure("pattern", `the name ${name} ${this.#pattern.complaint}`);
    return { ok: true, detail: `found ${name === "" ? "the root entry" : name}` };
  }
}

/** The operation of the next message with this id. @throws CheckFailure */
async function message(server: Dialogue, id: number, waitingFor: string): Promise<Element> {
  for (;;) {
    let head = await server.bytes(2, waitingFor);
    const more = head[1]! < 0x80 ? 0 : head[1]! & 0x7f;
    if (more > 4) throw new CheckFailure("answer", "the answer is not LDAP");
    if (more > 0) head = Buffer.concat([head, await server.bytes(more, waitingFor)]);
    const length = lengthAt(head, 0);
    if (head[0] !== TAG.sequence || !(length > 0) || length > MESSAGE_LIMIT)
      throw new CheckFailure("answer", "the answer is not LDAP");
    const parts = elements(await server.bytes(length - head.length, waitingFor));
    const [messageId, operation] = parts ?? [];
    if (!messageId || !operation) throw new CheckFailure("answer", "the answer is not LDAP");
    const got = numberOf(messageId.value);
    if (got === id) return operation;
    // 0 is the server's notice that it goes away (RFC 4511 §4.4.1).
    if (got === 0) throw new CheckFailure("closed", "the server ends the connection");
  }
}

/** Looks at an LDAPResult. @throws CheckFailure unless it is success */
function succeed(answer: Element, reason: "login" | "answer", what: string): void {
  const [code, , diagnostic] = elements(answer.value) ?? [];
  const result = code ? numberOf(code.value) : Number.NaN;
  if (result === 0) return;
  const words = diagnostic?.value.toString("utf8") ?? "";
  throw new CheckFailure(
    reason,
    `${what} answered ${RESULTS[result] ?? `result ${result}`}${words ? `: ${words.slice(0, 80)}` : ""}`,
  );
}

/** Result codes one meets (RFC 4511 §4.1.9). */
const RESULTS: Readonly<Record<number, string>> = {
  1: "operationsError",
  2: "protocolError",
  3: "timeLimitExceeded",
  4: "sizeLimitExceeded",
  8: "strongerAuthRequired",
  10: "referral",
  13: "confidentialityRequired",
  32: "noSuchObject",
  34: "invalidDNSyntax",
  48: "inappropriateAuthentication",
  49: "invalidCredentials",
  50: "insufficientAccessRights",
  51: "busy",
  52: "unavailable",
  53: "unwillingToPerform",
};
