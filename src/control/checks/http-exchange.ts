/**
 * One HTTP request and its answer over a connection of its own. The request's bytes are keepalived's, so that a server sees what it
 * is used to.
 * @module
 */
import type { Attempt } from "./attempt.ts";
import { CheckFailure } from "./attempt.ts";
import type { CheckTarget } from "./check.ts";
import { connect, failureOf, startTls, type TlsOptions } from "./connection.ts";
import { HttpResponse, type ReadingOptions } from "./http-response.ts";

/** What is asked. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  readonly path: string;
  /** "1.0C" is 1.0 with `Connection: close`. */
  readonly version: "1.0" | "1.0C" | "1.1";
  readonly host: string;
  readonly userAgent: string;
}

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export const hostPort = ({ family, address, port }: CheckTarget): string =>
  family === 6 ? `[${address}]:${port}` : `${address}:${port}`;

/**
 * The request as it goes over the wire. Lines and their order are keepalived-2.2.7's. White space and control characters
 * in the path, which would break the first line, are %-escaped.
 */
export function requestText({ method, path, version, host, userAgent }: HttpRequest): string {
  const safe = path.replace(
    /[^!-~\x80-\uffff]/g,
    (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
  return [
    `${method} ${safe} HTTP/${version === "1.1" ? "1.1" : "1.0"}`,
    `User-Agent: ${userAgent}`,
    ...(version === "1.0" ? [] : ["Connection: close"]),
    `Host: ${host}`,
    "",
    "",
  ].join("\r\n");
}

/** Asks, and reads the answer to its end; `onData` sees its bytes as they come, after the response has. @throws CheckFailure */
export async function exchange(
  attempt: Attempt,
  target: CheckTarget,
  tls: TlsOptions | undefined,
  request: HttpRequest,
  reading: ReadingOptions,
  onData?: (bytes: Buffer, response: HttpResponse) => void,
): Promise<HttpResponse> {
  attempt.phase = "connecting";
  const plain = await connect(attempt, target);
  const socket = tls ? await startTls(attempt, plain, tls) : plain;
  attempt.phase = "waiting for the answer";
  const response = new HttpResponse(reading);
  return new Promise((resolve, reject) => {
    const done = (): void => {
      socket.destroy();
      if (response.received) resolve(response);
      else reject(new CheckFailure("closed", "closed by the server without an answer"));
    };
    socket.on("data", (bytes: Buffer) => {
      attempt.phase = "reading the answer";
      response.feed(bytes);
      onData?.(bytes, response);
      if (response.complete) done();
    });
    socket.on("end", done);
    socket.on("close", done);
    socket.on("error", (error) => reject(failureOf(error)));
    socket.write(requestText(request));
  });
}
