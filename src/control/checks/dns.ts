/**
 * A name server answers a question with rcode 0 (keepalived's DNS_CHECK); with a pattern, with an answer that matches (ldirectord's
 * dns).
 * @module
 */
import { type Answer, decode, encode, type Packet, type RecordType } from "dns-packet";
import { attempt, CheckFailure, type Outcome } from "./attempt.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";
import { Dialogue } from "./connection.ts";
import { type Pattern, patternOf } from "./pattern.ts";
import { openDatagram, question } from "./question.ts";

type DnsSpec = CheckSpec & { readonly kind: "dns" };

const HEADER_LEN = 12;
/** The bit TC in the third byte. */
const TRUNCATED = 0x02;
/** Names of rcodes (RFC 1035 §4.1.1). */
const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

export class DnsChecker implements Checker {
  readonly #spec: DnsSpec;
  readonly #pattern: Pattern | undefined;
  readonly #randomId: () => number;

  /** `randomId` gives numbers 0..65535. */
  constructor(spec: DnsSpec, randomId: () => number) {
    this.#spec = spec;
    this.#pattern = patternOf(spec.pattern);
    this.#randomId = randomId;
  }

  check(signal: AbortSignal): Promise<Verdict> {
    const { target, timeoutMs, transport } = this.#spec;
    return attempt(timeoutMs, signal, async (run) => {
      const id = this.#randomId();
      const query = this.#query(id);
      const overTcp = async (): Promise<Outcome> => {
        const dialogue = await Dialogue.open(run, target);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(query.length);
        dialogue.say(Buffer.concat([length, query]).toString("latin1"));
        const size = (await dialogue.bytes(2, "waiting for the answer")).readUInt16BE();
        return this.#judge(await dialogue.bytes(size, "reading the answer"), id);
      };
      if (transport === "tcp") return overTcp();
      run.phase = "waiting for the answer";
      const socket = openDatagram(run, "udp", target);
      const answer = await question(socket, query, (bytes) => (isAnswer(bytes, id) ? bytes : undefined));
      // The record that is looked for may be among those that did not fit (RFC 7766 §5).
      const truncated = (answer[2]! & TRUNCATED) !== 0;
      return this.#pattern && truncated ? overTcp() : this.#judge(answer, id);
    });
  }

  close(): void {}

  #query(id: number): Buffer {
    const { name, type } = this.#spec;
    const recursionDesired = 0x0100;
    return encode({
      type: "query",
      id,
      flags: recursionDesired,
      questions: [{ type: type as RecordType, name: name === "." ? "." : name.replace(/\.$/, "") }],
    });
  }

  #judge(bytes: Uint8Array, id: number): Outcome {
    if (!isAnswer(bytes, id)) throw new CheckFailure("answer", "what came is no answer to the question");
    const rcode = bytes[3]! & 15;
    if (rcode !== 0) throw new CheckFailure("answer", `answered ${RCODES[rcode] ?? `rcode ${rcode}`}`);
    const pattern = this.#pattern;
    if (!pattern) return { ok: true, detail: "answered NOERROR" };
    // An alias on the way (CNAME) is no answer to the question.
    const texts = answersOf(bytes)
      .filter(({ type }) => type === this.#spec.type)
      .map(dataText);
    const matching = texts.find((text) => pattern.accepts(text));
    if (matching !== undefined) return { ok: true, detail: `answered ${matching}` };
    const got = texts.length === 0 ? "no record" : texts.slice(0, 3).join(", ");
    throw new CheckFailure("pattern", `answered ${got}: ${pattern.complaint}`);
  }
}

/** Whether a datagram is an answer to the question with this id. */
const isAnswer = (b: Uint8Array, id: number): boolean =>
  b.length >= HEADER_LEN && ((b[0]! << 8) | b[1]!) === id && (b[2]! & 0x80) !== 0;

function answersOf(bytes: Uint8Array): readonly Answer[] {
  let packet: Packet;
  try {
    packet = decode(Buffer.from(bytes));
  } catch {
    throw new CheckFailure("answer", "the answer cannot be read");
  }
  return packet.answers ?? [];
}

/** What a record says, as text: an address, a name, a text. */
function dataText(answer: Answer): string {
  if (answer.type === "OPT") return "";
  const data: unknown = answer.data;
  if (typeof data === "string") return data;
  if (Buffer.isBuffer(data)) return data.toString("latin1");
  if (Array.isArray(data))
    return data.map((part) => (Buffer.isBuffer(part) ? part.toString("latin1") : String(part))).join("");
  return Object.values(data as object).join(" ");
}
