/**
 * A RADIUS server accepts a user (ldirectord's radius): one Access-Request with a hidden password, RFC 2865, and a
 * Message-Authenticator, RFC 2869 §5.14, without which servers no longer listen.
 *
 *     0      1      2        4                20
 *     | code | id   | length | authenticator  | attributes (type, length, value) ...
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import { attempt, CheckFailure, type Outcome } from "./attempt.ts";
import type { Checker, CheckSpec, Verdict } from "./check.ts";
import { openDatagram, question } from "./question.ts";

type RadiusSpec = CheckSpec & { readonly kind: "radius" };

const HEADER_LEN = 20;
const CODE = { request: 1, accept: 2, reject: 3, challenge: 11 } as const;
const ATTRIBUTE = {
  userName: 1,
  userPassword: 2,
  replyMessage: 18,
  nasIdentifier: 32,
  messageAuthenticator: 80,
} as const;
const NAS_IDENTIFIER = "lvsd";
/** Most bytes of an attribute's value. */
const VALUE_LIMIT = 253;

export class RadiusChecker implements Checker {
  readonly #spec: RadiusSpec;
  readonly #randomBytes: (length: number) => Uint8Array;

  constructor(spec: RadiusSpec, randomBytes: (length: number) => Uint8Array) {
    this.#spec = spec;
    this.#randomBytes = randomBytes;
  }

  check(signal: AbortSignal): Promise<Verdict> {
    const { target, timeoutMs, secret } = this.#spec;
    return attempt(timeoutMs, signal, (run): Promise<Outcome> => {
      run.phase = "waiting for the answer";
      const random = this.#randomBytes(17);
      const request = accessRequest(this.#spec, random[0]!, Buffer.from(random.subarray(1)));
      const socket = openDatagram(run, "udp", target);
      return question(socket, request, (bytes) => judge(Buffer.from(bytes), request, secret));
    });
  }

  close(): void {}
}

/** The request, ready to be sent. `authenticator` is sixteen random bytes. */
export function accessRequest(
  { login, password, secret }: Pick<RadiusSpec, "login" | "password" | "secret">,
  id: number,
  authenticator: Buffer,
): Buffer {
  const attributes = Buffer.concat([
    // First, as servers that guard against forged answers want it.
    attribute(ATTRIBUTE.messageAuthenticator, Buffer.alloc(16)),
    attribute(ATTRIBUTE.userName, Buffer.from(login, "utf8")),
    attribute(ATTRIBUTE.userPassword, hide(Buffer.from(password, "utf8"), secret, authenticator)),
    attribute(ATTRIBUTE.nasIdentifier, Buffer.from(NAS_IDENTIFIER)),
  ]);
  const header = Buffer.alloc(HEADER_LEN);
  header[0] = CODE.request;
  header[1] = id;
  header.writeUInt16BE(HEADER_LEN + attributes.length, 2);
  authenticator.copy(header, 4);
  const packet = Buffer.concat([header, attributes]);
  createHmac("md5", secret)
    .update(packet)
    .digest()
    .copy(packet, HEADER_LEN + 2);
  return packet;
}

const attribute = (type: number, value: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from([type, 2 + Math.min(value.length, VALUE_LIMIT)]),
    value.subarray(0, VALUE_LIMIT),
  ]);

/** The password under a chain of MD5 (RFC 2865 §5.2); at most 128 bytes. */
export function hide(password: Buffer, secret: string, authenticator: Buffer): Buffer {
  const length = Math.min(128, Math.max(16, Math.ceil(password.length / 16) * 16));
  const hidden = Buffer.alloc(length);
  password.copy(hidden, 0, 0, length);
  let previous = authenticator;
  for (let at = 0; at < length; at += 16) {
    const mask = createHash("md5").update(secret).update(previous).digest();
    for (let i = 0; i < 16; i++) hidden[at + i]! ^= mask[i]!;
    previous = hidden.subarray(at, at + 16);
  }
  return hidden;
}

/** The verdict on a datagram; undefined when it is no answer to this request. @throws CheckFailure */
function judge(answer: Buffer, request: Buffer, secret: string): Outcome | undefined {
  if (answer.length < HEADER_LEN || answer[1] !== request[1]) return undefined;
  const length = answer.readUInt16BE(2);
  if (length < HEADER_LEN || length > answer.length) return undefined;
  const packet = answer.subarray(0, length);
  const expected = createHash("md5")
    .update(packet.subarray(0, 4))
    .update(request.subarray(4, HEADER_LEN))
    .update(packet.subarray(HEADER_LEN))
    .update(secret)
    .digest();
  if (!expected.equals(packet.subarray(4, HEADER_LEN)))
    throw new CheckFailure("answer", "the answer is signed with another secret");
  if (packet[0] === CODE.accept) return { ok: true, detail: "Access-Accept" };
  if (packet[0] === CODE.reject) throw new CheckFailure("login", `Access-Reject${messageOf(packet)}`);
  if (packet[0] === CODE.challenge) throw new CheckFailure("login", "Access-Challenge, wanted Access-Accept");
  throw new CheckFailure("answer", `answered code ${packet[0]}`);
}

function messageOf(packet: Buffer): string {
  for (let at = HEADER_LEN; at + 2 <= packet.length; ) {
    const length = packet[at + 1]!;
    if (length < 2) break;
    if (packet[at] === ATTRIBUTE.replyMessage) return `: ${packet.toString("utf8", at + 2, at + length)}`;
    at += length;
  }
  return "";
}
