/**
 * The daemon's control socket: commands ask, the daemon answers, events are streamed to who follows.
 * @module
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { SupervisorError } from "../../control/supervision.ts";
import { TableError, UnsupportedError } from "../../core/errors.ts";
import { LineReader, parseRequest } from "../../planes/engine/protocol.ts";
import { peerUid } from "../../sys/peer.ts";
import type { Daemon } from "./daemon.ts";
import type { Log } from "./log.ts";
import type { Answer, Request } from "./protocol.ts";

/** A follower that reads so slowly that this many characters wait is let go. */
const MOST_WAITING = 16 << 20;

/** What the server is made of. */
export interface ControlServerOptions {
  readonly daemon: Daemon;
  readonly path: string;
  readonly log: Log;
  /** Somebody asked the daemon to stop. */
  readonly onStop: () => void;
}

/** The listening socket and its clients. */
export class ControlServer {
  readonly #o: ControlServerOptions;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  constructor(options: ControlServerOptions) {
    this.#o = options;
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  /** Begins to listen, in place of a socket that a killed daemon left. */
  listen(): Promise<void> {
    const { path } = this.#o;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(path, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const umask = process.umask(0o177);
      this.#server.listen(path, () => {
        chmodSync(path, 0o600);
        resolve();
      });
      process.umask(umask);
    });
  }

  #welcome(socket: Socket): void {
    if (peerUid(socket) !== 0) {
      socket.destroy();
      return;
    }
    this.#clients.add(socket);
    const lines = new LineReader();
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#clients.delete(socket));
    socket.on("data", (text: string) => {
      for (const line of lines.push(text)) {
        if (line === "") continue;
        const request = line === undefined ? undefined : parseRequest(line);
        if (request) void this.#answer(socket, request);
        else send(socket, { id: 0, error: { code: "EINVAL", message: "not a request" } });
      }
    });
  }

  async #answer(socket: Socket, request: Request): Promise<void> {
    const { id, method, args } = request;
    try {
      if (method === "events") this.#events(socket, id, Number(args[0]), args[1] === true);
      else send(socket, { id, value: await this.#call(method, args) });
    } catch (error) {
      const known =
        error instanceof TableError || error instanceof UnsupportedError || error instanceof SupervisorError;
      if (!known && !(error instanceof Error)) this.#o.log.error({ err: error, method }, "request failed");
      const { message } = error as Error;
      send(socket, { id, error: { code: known ? error.code : "EFAILED", message } });
    }
  }

  async #call(method: string, args: readonly unknown[]): Promise<unknown> {
    const { daemon } = this.#o;
    const text = (at: number): string => {
      const value = args[at];
      if (typeof value !== "string") throw new Error(`${method}: argument ${at + 1} is no text`);
      return value;
    };
    switch (method) {
      case "status":
        return daemon.status();
      case "plan":
        return daemon.plan(typeof args[0] === "string" ? args[0] : undefined);
      case "reload":
        return daemon.reload();
      case "drain":
        return daemon.drain(text(0), text(1));
      case "undrain":
        return daemon.undrain(text(0), text(1));
      case "weight":
        return daemon.weight(text(0), text(1), Number(args[2]));
      case "stats":
        return daemon.vrrpStats(args[0] === true);
      case "stop":
        setImmediate(this.#o.onStop);
        return undefined;
    }
    throw new Error(`the daemon knows no request "${method}"`);
  }

  /** Sends the newest events, and with `follow` those to come until the client goes. */
  #events(socket: Socket, id: number, count: number, follow: boolean): void {
    const { events } = this.#o.daemon;
    for (const event of events.last(count)) send(socket, { id, value: event, more: true });
    if (!follow) {
      send(socket, { id });
      return;
    }
    const end = events.follow((event) => {
      send(socket, { id, value: event, more: true });
      if (socket.writableLength > MOST_WAITING) socket.destroy();
    });
    socket.once("close", end);
  }

  /** Listens no more and lets go of the clients. */
  close(): void {
    rmSync(this.#o.path, { force: true });
    this.#server.close();
    for (const socket of this.#clients) socket.end();
  }
}

function send(socket: Socket, answer: Answer): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
}
