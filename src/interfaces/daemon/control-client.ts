/**
 * Asking a running daemon.
 * @module
 */
import { connect, type Socket } from "node:net";
import type { Answer } from "./protocol.ts";

/** No daemon listens at the socket. */
export class NoDaemonError extends Error {
  override readonly name = "NoDaemonError";
  constructor(path: string) {
    super(
      `no daemon runs in this network namespace (nobody listens at ${path}); "lvsd run -f FILE" starts one`,
    );
  }
}

/** A refusal of the daemon. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket.setEncoding("utf8")));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") reject(new NoDaemonError(path));
      else if (error.code === "EACCES")
        reject(new Error("the daemon's socket is root's: run this as root, or with sudo"));
      else reject(new Error(`connect to the daemon at ${path}: ${error.message}`));
    });
  });
}

/**
 * The answers to one request: each part as it comes, for requests that have several; ends with the last.
 * @throws NoDaemonError, RefusedError
 */
export async function* stream<T>(
  path: string,
  method: string,
  args: readonly unknown[] = [],
): AsyncGenerator<T> {
  const socket = await open(path);
  socket.on("error", () => socket.destroy());
  socket.write(`${JSON.stringify({ id: 1, method, args })}\n`);
  let rest: string[] = [];
  try {
    for await (const text of socket as AsyncIterable<string>) {
      rest.push(text);
      if (!text.includes("\n")) continue;
      const lines = rest.join("").split("\n");
      rest = [lines.pop()!];
      for (const line of lines) {
        const answer = JSON.parse(line) as Answer;
        if ("error" in answer) throw new RefusedError(answer.error.code, answer.error.message);
        if (answer.more) yield answer.value as T;
        else {
          if (answer.value !== undefined) yield answer.value as T;
          return;
        }
      }
    }
  } finally {
    socket.destroy();
  }
  throw new Error("the daemon ended before it answered");
}

/** The answer to a request that has one. @throws NoDaemonError, RefusedError */
export async function ask<T>(path: string, method: string, ...args: readonly unknown[]): Promise<T> {
  for await (const value of stream<T>(path, method, args)) return value;
  return undefined as T;
}
