/**
 * A SIP server answers OPTIONS with 200 (ldirectord's sip), RFC 3261 §11.
 * @module
 */
import { formatAddress } from "../../wire/address.ts";
import { attempt, CheckFailure, type Outcome } from "./attempt.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";
import { Dialogue } from "./connection.ts";
import { openDatagram, question } from "./question.ts";

type SipSpec = CheckSpec & { readonly kind: "sip" };

/** ldirectord's. */
const SEQUENCE = 63104;

export class SipChecker implements Checker {
  readonly #spec: SipSpec;
  readonly #randomBytes: (length: number) => Uint8Array;

  constructor(spec: SipSpec, randomBytes: (length: number) => Uint8Array) {
    this.#spec = spec;
    this.#randomBytes = randomBytes;
  }

  check(signal: AbortSignal): Promise<Verdict> {
    const { target, timeoutMs, transport, login } = this.#spec;
    return attempt(timeoutMs, signal, async (run): Promise<Outcome> => {
      const tag = Buffer.from(this.#randomBytes(8)).toString("hex");
      if (transport === "tcp") {
        const server = await Dialogue.open(run, target);
        const { localAddress = "", localPort = 0 } = server.socket;
        server.say(optionsRequest(login, "TCP", hostPort(localAddress, localPort), tag));
        for (;;) {
          const outcome = judge(await server.line("waiting for the answer"));
          if (outcome) return outcome;
          while ((await server.line("waiting for the answer")) !== "") {} // the headers of a provisional answer
        }
      }
      run.phase = "waiting for the answer";
      const socket = openDatagram(run, "udp", target);
      const local = socket.localAddress();
      const from = hostPort(formatAddress(target.family, local.bytes), local.port);
      const request = Buffer.from(optionsRequest(login, "UDP", from, tag), "utf8");
      return question(socket, request, (bytes) =>
        judge(Buffer.from(bytes).toString("latin1").split(/\r?\n/, 1)[0]!),
      );
    });
  }

  close(): void {}
}

const hostPort = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** The request; `from` is the address and port that it leaves from. */
export function optionsRequest(login: string, transport: "UDP" | "TCP", from: string, tag: string): string {
  const uri = `sip:${login.replace(/[\s<>]/g, "")}`;
  return [
    `OPTIONS ${uri} SIP/2.0`,
    `Via: SIP/2.0/${transport} ${from};branch=z9hG4bK${tag}`,
    "Max-Forwards: 70",
    `To: <${uri}>`,
    `From: <${uri}>;tag=${tag}`,
    `Call-ID: ${tag}@${from}`,
    `CSeq: ${SEQUENCE} OPTIONS`,
    `Contact: <${uri}>`,
    "Accept: application/sdp",
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}

/** The verdict on a first line; undefined for a provisional answer (1xx). @throws CheckFailure */
function judge(line: string): Outcome | undefined {
  if (line.startsWith("SIP/2.0 200")) return { ok: true, detail: line };
  if (/^SIP\/2\.0 1\d\d/.test(line)) return undefined;
  if (line.startsWith("SIP/2.0 "))
    throw new CheckFailure("status", `answered ${line.slice(8, 80)}, wanted 200`);
  throw new CheckFailure("answer", "the answer is not SIP");
}
