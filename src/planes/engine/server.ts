/**
 * The engine's control socket: reads requests, lets the plane answer them, survives whatever else is sent.
 * @module
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { ConnectionStatus } from "../../core/connection.ts";
import type { DestinationSpec } from "../../core/destination.ts";
import { TableError, UnsupportedError } from "../../core/errors.ts";
import type { ServiceSpec } from "../../core/service.ts";
import { getOption, SO, SOL_SOCKET } from "../../sys/socket.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import type { Added, Engine, EngineLog } from "./engine.ts";
import {
  type Answer,
  CHANGING_METHODS,
  CONNECTIONS_A_LINE,
  LineReader,
  PLANE_METHODS,
  parseRequest,
  type Request,
} from "./protocol.ts";

/** What the server is made of. */
export interface ServerOptions {
  readonly engine: Engine;
  readonly path: string;
  readonly log: EngineLog;
  /** Called when a client asked the engine to stop. */
  readonly onStop: () => void;
}

/** The listening socket and its clients. */
export class ControlServer {
  readonly #o: ServerOptions;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  /** Requests of all clients are worked off one after the other, in batches. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ServerOptions) {
    this.#o = options;
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  /** Clients connected. */
  get clients(): number {
    return this.#clients.size;
  }

  /** Begins to listen, in place of a socket that a killed engine left. */
  listen(): Promise<void> {
    rmSync(this.#o.path, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const umask = process.umask(0o177);
      this.#server.listen({ path: this.#o.path, backlog: 511 }, () => {
        chmodSync(this.#o.path, 0o600);
        resolve();
      });
      process.umask(umask);
    });
  }

  #welcome(socket: Socket): void {
    if (!fromRoot(socket)) {
      socket.destroy();
      return;
    }
    this.#clients.add(socket);
    const lines = new LineReader();
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#clients.delete(socket));
    socket.on("data", (text: string) => {
      const batch = lines.push(text);
      if (batch.length === 0) return;
      socket.pause();
      const failed = (error: unknown): number[] => {
        // A bug: this client hears of it by the end of its connection, the others go on.
        this.#o.log.error({ err: error }, "requests failed");
        socket.destroy();
        return [];
      };
      const worked = this.#turn.then(() => this.#work(socket, batch)).catch(failed);
      this.#turn = worked;
      // A table takes as long as its reader does: nobody else waits for that.
      void worked
        .then((tables) => this.#connections(socket, tables))
        .catch(failed)
        .finally(() => socket.resume());
    });
  }

  /** Answers requests; returns the ids of those that ask for the connection table. */
  async #work(socket: Socket, lines: readonly (string | undefined)[]): Promise<number[]> {
    const answers: Answer[] = [];
    const tables: number[] = [];
    const added: Added[] = [];
    let changed = false;
    this.#o.engine.refresh();
    for (const line of lines) {
      if (line === "") continue;
      const request = line === undefined ? undefined : parseRequest(line);
      if (!request) {
        answers.push({ id: 0, error: { code: "EINVAL", message: "not a request" } });
        continue;
      }
      if (request.method === "connections") {
        tables.push(request.id);
        continue;
      }
      const answer = await this.#answer(request);
      answers.push(answer);
      if (!changes(request.method)) continue;
      changed = true;
      if (!("error" in answer)) added.push(additions(request));
    }
    try {
      this.#o.engine.widen(added);
    } catch (error) {
      this.#o.log.error({ err: error }, "the packet filter could not be changed");
    }
    if (changed) this.#o.engine.settleSoon();
    send(socket, answers);
    return tables;
  }

  async #answer({ id, method, args }: Request): Promise<Answer> {
    try {
      return { id, value: await this.#call(method, args) };
    } catch (error) {
      if (error instanceof TableError || error instanceof UnsupportedError)
        return { id, error: { code: error.code, message: error.message } };
      // Arguments of a wrong shape end here; so do bugs, which the log then shows.
      this.#o.log.error({ err: error, method }, "request failed");
      return { id, error: { code: "EINVAL", message: `${method}: ${String(error)}` } };
    }
  }

  async #call(method: string, args: readonly unknown[]): Promise<unknown> {
    const { engine } = this.#o;
    switch (method) {
      case "status":
        return engine.status();
      case "stop":
        setImmediate(this.#o.onStop);
        return undefined;
      case "expectTable":
        engine.expectTable();
        return undefined;
      case "announce":
        engine.announcer.add(String(args[0]), String(args[1]));
        return undefined;
      case "withdraw":
        engine.announcer.remove(String(args[0]));
        return undefined;
    }
    const known = PLANE_METHODS.find((name) => name === method);
    if (!known) throw new TableError("EINVAL", `the engine knows no request "${method}"`);
    const { plane } = engine;
    return await (plane[known] as (...args: readonly unknown[]) => Promise<unknown>).apply(
      plane,
      args as unknown[],
    );
  }

  /** Sends the connection table in parts; between them packets have their turn, and the client time to read. */
  async #connections(socket: Socket, ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      let part: ConnectionStatus[] = [];
      for await (const connection of this.#o.engine.plane.connections()) {
        part.push(connection);
        if (part.length < CONNECTIONS_A_LINE) continue;
        const room = send(socket, [{ id, value: part, more: true }]);
        part = [];
        if (socket.destroyed) return;
        if (room) await new Promise((resolve) => setImmediate(resolve));
        else await drained(socket);
      }
      send(socket, [{ id, value: part }]);
    }
  }

  /** Listens no more and lets go of the clients once their answers are on the way. */
  async close(): Promise<void> {
    rmSync(this.#o.path, { force: true });
    await this.#turn;
    this.#server.close();
    for (const socket of this.#clients) socket.end();
  }
}

/** Whether the socket has room for more. */
function send(socket: Socket, answers: readonly Answer[]): boolean {
  if (socket.destroyed || answers.length === 0) return true;
  return socket.write(answers.map((a) => `${JSON.stringify(a)}\n`).join(""));
}

/** When the socket has room again, or is gone. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
    if (socket.destroyed) done();
  });
}

const changes = (method: string): boolean =>
  CHANGING_METHODS.has(method) || method === "announce" || method === "withdraw";

/** What a request that succeeded may have added to the director's interest. */
function additions({ method, args }: Request): Added {
  const none = { id: undefined, destination: undefined };
  if (method === "addService") return { ...none, id: (args[0] as ServiceSpec).id };
  if (method === "addDestination" || method === "editDestination")
    return { ...none, destination: args[1] as DestinationSpec };
  return none;
}

/** The socket's mode keeps others out; this also holds when somebody changed it. */
function fromRoot(socket: Socket): boolean {
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return false;
  try {
    const credentials = getOption(fd, SOL_SOCKET, SO.PEERCRED, 12); // struct ucred: pid, uid, gid
    return new DataView(credentials.buffer).getUint32(4, LITTLE_ENDIAN) === 0;
  } catch {
    return false;
  }
}
