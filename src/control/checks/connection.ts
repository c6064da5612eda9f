/**
 * TCP and TLS connections of checks, and a dialogue over them: say, read a line, read the rest.
 *
 * Connections without mark and interface are node's own; the others start as a descriptor from `sys/`.
 * @module
 */
import { isIP, Socket } from "node:net";
import { createSecureContext, type SecureContext, type TLSSocket, connect as tlsConnect } from "node:tls";
import { openTcpSocket } from "../../sys/datagram.ts";
import { SysError } from "../../sys/libc.ts";
import { type Attempt, CheckFailure } from "./attempt.ts";
import type { CheckTarget, FailureReason } from "./check.ts";

/** What the kernel's errors mean for a check. */
const ERRORS: Readonly<Record<string, readonly [FailureReason, string]>> = {
  ECONNREFUSED: ["refused", "connection refused"],
  ECONNRESET: ["reset", "connection reset"],
  EPIPE: ["reset", "connection reset"],
  ECONNABORTED: ["reset", "connection aborted"],
  EHOSTUNREACH: ["unreachable", "no route to host"],
  EHOSTDOWN: ["unreachable", "host is down"],
  ENETUNREACH: ["unreachable", "network is unreachable"],
  ENETDOWN: ["unreachable", "network is down"],
  EACCES: ["unreachable", "communication prohibited"],
  EPROTO: ["unreachable", "protocol not available there"],
  ENOPROTOOPT: ["unreachable", "protocol not available there"],
  ETIMEDOUT: ["timeout", "connection timed out"],
  EADDRNOTAVAIL: ["local", "the source address is not on this host"],
  EADDRINUSE: ["local", "the source port is in use"],
  ENODEV: ["local", "the source interface does not exist"],
  EPERM: ["local", "not permitted here"],
  EINVAL: ["local", "the address does not fit the interface or family"],
  EMFILE: ["local", "too many open files"],
  ENFILE: ["local", "too many open files"],
  ENOBUFS: ["local", "no buffer space"],
};

/** An error of a socket as the failure of a check. */
export function failureOf(error: unknown): CheckFailure {
  if (error instanceof CheckFailure) return error;
  const { code = "", message } = error as NodeJS.ErrnoException;
  const known = ERRORS[code];
  if (known) return new CheckFailure(...known);
  if (/^ERR_(SSL|TLS|OSSL)/.test(code)) return new CheckFailure("tls", `TLS: ${tlsReason(message)}`);
  return new CheckFailure(
    error instanceof SysError ? "local" : "unreachable",
    code ? `error ${code}` : message,
  );
}

/** OpenSSL's `error:0A00010B:SSL routines::wrong version number` and longer forms, cut to what they say. */
const tlsReason = (message: string): string =>
  message
    .split("\n")[0]!
    .replace(/^.*error:[0-9A-F]+:[^:]*:[^:]*:/i, "")
    .replace(/:\.\.\/.*$/, "")
    .trim();

/** Connects. The socket is destroyed when the attempt ends. @throws CheckFailure */
export function connect(attempt: Attempt, target: CheckTarget): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let socket: Socket;
    try {
      socket =
        target.fwmark || target.bindInterface
          ? new Socket({ fd: openTcpSocket(target.family, target), manualStart: true } as object)
          : new Socket();
    } catch (error) {
      reject(failureOf(error));
      return;
    }
    attempt.onEnd(() => socket.destroy());
    socket.on("error", (error) => reject(failureOf(error)));
    socket.connect(
      {
        host: target.address,
        port: target.port,
        ...(target.bindAddress !== undefined && { localAddress: target.bindAddress }),
        ...(target.bindPort && { localPort: target.bindPort }),
      },
      () => resolve(socket),
    );
  });
}

/** TLS towards a server whose certificate is not looked at. */
export interface TlsOptions {
  /** Name for SNI; none is sent when absent, or when it is an address. */
  readonly sni?: string | undefined;
  /** Client certificate and so on. @default {@link permissiveContext} */
  readonly context?: SecureContext;
  /** A session to resume. */
  readonly session?: Buffer | undefined;
}

/** A context that talks to old servers too: a check asks whether they live, not how well they are kept. */
export const secureContext = (
  client: { ca?: Buffer; cert?: Buffer; key?: Buffer; passphrase?: string } = {},
): SecureContext =>
  createSecureContext({ minVersion: "TLSv1", ciphers: "DEFAULT:@SECLEVEL=0", ca: [], ...client });

let permissive: SecureContext | undefined;
/** The shared context of checks without a client certificate; making one costs milliseconds. */
const permissiveContext = (): SecureContext => {
  permissive ??= secureContext();
  return permissive;
};

/** Speaks TLS over a connection. @throws CheckFailure */
export function startTls(attempt: Attempt, socket: Socket, options: TlsOptions): Promise<TLSSocket> {
  attempt.phase = "negotiating TLS";
  return new Promise((resolve, reject) => {
    const sni = options.sni !== undefined && isIP(options.sni) === 0 ? options.sni : undefined;
    const secured = tlsConnect({
      socket,
      rejectUnauthorized: false,
      secureContext: options.context ?? permissiveContext(),
      ...(sni !== undefined && { servername: sni }),
      ...(options.session && { session: options.session }),
    });
    attempt.onEnd(() => secured.destroy());
    secured.on("error", (error) => {
      const failure = failureOf(error);
      reject(failure.reason === "reset" ? new CheckFailure("tls", "TLS: closed by the server") : failure);
    });
    secured.once("secureConnect", () => resolve(secured));
  });
}

/** Longest line, and most bytes held unread. */
const LINE_LIMIT = 65536;

/** A connection read line by line. Text is latin1: a byte is a character. */
export class Dialogue {
  readonly socket: Socket;
  readonly #attempt: Attempt;
  #buffer = "";
  #ended = false;
  #failure: CheckFailure | undefined;
  #wake: (() => void) | undefined;

  private constructor(attempt: Attempt, socket: Socket) {
    this.#attempt = attempt;
    this.socket = socket;
    const wake = (): void => this.#wake?.();
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#buffer += text;
      if (this.#buffer.length > LINE_LIMIT) socket.pause();
      wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      wake();
    });
    socket.on("error", (error) => {
      this.#failure = failureOf(error);
      wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      wake();
    });
  }

  /** Connects, with TLS when its options are given. @throws CheckFailure */
  static async open(attempt: Attempt, target: CheckTarget, tls?: TlsOptions): Promise<Dialogue> {
    attempt.phase = "connecting";
    const socket = await connect(attempt, target);
    return new Dialogue(attempt, tls ? await startTls(attempt, socket, tls) : socket);
  }

  /** Sends text. Errors show at the next read. */
  say(text: string): void {
    if (!this.#ended) this.socket.write(text, "latin1");
  }

  /** Sends nothing more (half-close). */
  finish(): void {
    this.socket.end();
  }

  /** The next line with its newline, the last one perhaps without; undefined at the end. @throws CheckFailure */
  async rawLine(waitingFor: string): Promise<string | undefined> {
    for (;;) {
      const at = this.#buffer.indexOf("\n");
      if (at >= 0) return this.#take(at + 1);
      if (this.#failure) throw this.#failure;
      if (this.#ended) return this.#buffer === "" ? undefined : this.#take(this.#buffer.length);
      if (this.#buffer.length > LINE_LIMIT)
        throw new CheckFailure("answer", `a line of over ${LINE_LIMIT} bytes`);
      await this.#more(waitingFor);
    }
  }

  /** The next line without its newline. @throws CheckFailure, also when the server closes */
  async line(waitingFor: string): Promise<string> {
    const line = await this.rawLine(waitingFor);
    if (line === undefined) throw new CheckFailure("closed", `closed by the server while ${waitingFor}`);
    return line.replace(/\r?\n$/, "");
  }

  /** `length` bytes. @throws CheckFailure, also when the server closes before */
  async bytes(length: number, waitingFor: string): Promise<Buffer> {
    while (this.#buffer.length < length) {
      if (this.#failure) throw this.#failure;
      if (this.#ended) throw new CheckFailure("closed", `closed by the server while ${waitingFor}`);
      await this.#more(waitingFor);
    }
    return Buffer.from(this.#take(length), "latin1");
  }

  /** All that comes until the server closes, `limit` bytes at most. @throws CheckFailure */
  async rest(limit: number, waitingFor: string): Promise<string> {
    while (!this.#ended && !this.#failure && this.#buffer.length < limit) await this.#more(waitingFor);
    if (this.#failure) throw this.#failure;
    return this.#take(Math.min(limit, this.#buffer.length));
  }

  #take(length: number): string {
    const text = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.slice(length);
    return text;
  }

  #more(waitingFor: string): Promise<void> {
    this.#attempt.phase = waitingFor;
    if (this.socket.isPaused()) this.socket.resume();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
