/**
 * A host answers ICMP echo (keepalived's PING_CHECK, ldirectord's ping). Through a ping socket where the kernel lets us, else a raw
 * one.
 * @module
 */

import { DatagramSocket } from "../../sys/datagram.ts";
import { SysError } from "../../sys/libc.ts";
import * as icmp from "../../wire/icmp.ts";
import * as icmpv6 from "../../wire/icmpv6.ts";
import { type Attempt, attempt, CheckFailure, type Outcome } from "./attempt.ts";
import type { Checker, CheckSpec, CheckTarget, Verdict } from "./check.ts";
import { failureOf } from "./connection.ts";
import { question } from "./question.ts";

type PingSpec = CheckSpec & { readonly kind: "ping" };

/** keepalived's payload. */
const DEFAULT_LEN = 128;
/** Bytes at the start of the payload that tell our echoes from others'. */
const COOKIE_LEN = 8;
const IPV4_HEADER_LEN = 20;

export class PingChecker implements Checker {
  readonly #spec: PingSpec;
  readonly #randomBytes: (length: number) => Uint8Array;
  #sequence = 0;

  constructor(spec: PingSpec, randomBytes: (length: number) => Uint8Array) {
    this.#spec = spec;
    this.#randomBytes = randomBytes;
  }

  async check(signal: AbortSignal): Promise<Verdict> {
    let latencyMs = 0;
    for (let left = this.#spec.attempts ?? 1; ; left--) {
      const verdict = await attempt(this.#spec.timeoutMs, signal, (run) => this.#echo(run));
      latencyMs += verdict.latencyMs;
      if (verdict.ok || left <= 1 || verdict.reason === "aborted") return { ...verdict, latencyMs };
    }
  }

  close(): void {}

  #echo(run: Attempt): Promise<Outcome> {
    const { target, size = DEFAULT_LEN } = this.#spec;
    run.phase = "waiting for the echo";
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const cookie = this.#randomBytes(COOKIE_LEN);
    const { socket, raw } = openPing(run, target);
    const packet = echoRequest(target.family, this.#sequence, size, cookie);
    return question(socket, packet, (bytes) => {
      const at = raw && target.family === 4 ? ((bytes[0] ?? 0x45) & 15) * 4 : 0;
      return isEcho(target.family, bytes, at, this.#sequence, cookie.subarray(0, size))
        ? { ok: true, detail: "echo received" }
        : undefined;
    });
  }
}

function openPing(run: Attempt, target: CheckTarget): { socket: DatagramSocket; raw: boolean } {
  const make = (kind: "icmp" | "raw-icmp"): DatagramSocket => {
    const socket = new DatagramSocket(kind, target.family, target);
    run.onEnd(() => socket.close());
    socket.connect(target.address, 0);
    return socket;
  };
  try {
    try {
      return { socket: make("icmp"), raw: false };
    } catch (error) {
      // Outside net.ipv4.ping_group_range (EACCES), or a kernel without ping sockets.
      if (!(error instanceof SysError) || error.call !== "socket") throw error;
      return { socket: make("raw-icmp"), raw: true };
    }
  } catch (error) {
    const { call, code } = error as SysError;
    if (call === "socket" && (code === "EPERM" || code === "EACCES"))
      throw new CheckFailure(
        "local",
        "neither ping sockets (net.ipv4.ping_group_range) nor raw ones (CAP_NET_RAW) are allowed",
      );
    throw failureOf(error);
  }
}

/** An echo request whose payload begins with the cookie. A ping socket writes id and checksum itself, IPv6 the checksum always. */
function echoRequest(family: 4 | 6, sequence: number, size: number, cookie: Uint8Array): Uint8Array {
  const packet = new Uint8Array(icmp.HEADER_LEN + size);
  const view = new DataView(packet.buffer);
  packet[0] = family === 4 ? icmp.TYPE.echo : icmpv6.TYPE.echo;
  view.setUint16(icmp.AT.id, (cookie[0]! << 8) | cookie[1]!);
  view.setUint16(icmp.AT.sequence, sequence);
  packet.set(cookie.subarray(0, size), icmp.HEADER_LEN);
  if (family === 4) icmp.setChecksum(view, 0, packet.length);
  return packet;
}

function isEcho(family: 4 | 6, bytes: Uint8Array, at: number, sequence: number, cookie: Uint8Array): boolean {
  if (at !== 0 && at < IPV4_HEADER_LEN) return false;
  if (bytes.length < at + icmp.HEADER_LEN + cookie.length) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const wanted = family === 4 ? icmp.TYPE.echoReply : icmpv6.TYPE.echoReply;
  if (icmp.type(view, at) !== wanted || icmp.sequence(view, at) !== sequence) return false;
  return cookie.every((byte, i) => bytes[at + icmp.HEADER_LEN + i] === byte);
}
