/**
 * Answers a peer that asks for the whole table.
 * @module
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { FRAME, FrameStream, MAGIC, NONCE_LEN } from "./frames.ts";

const REPORT_MS = 1000;
const HANDSHAKE_MS = 5000;
const MAX_PEERS = 16;

/** What the server tells of. */
export interface TableSource {
  /** 0..255. */
  readonly syncId: number;
  /** Every connection as messages of version 1, a few at a time, so that packets get their turn in between. */
  messages(): Iterable<Uint8Array>;
  report(): { readonly messages: number; readonly entries: number; readonly connections: number };
}

/** Serves on one address and port. */
export class PeerServer {
  readonly #key: Buffer;
  readonly #source: TableSource;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Peers that proved the key. */
  #peers = 0;

  constructor(key: Buffer, source: TableSource) {
    this.#key = key;
    this.#source = source;
    this.#server = createServer((socket) => this.#welcome(socket));
    this.#server.maxConnections = MAX_PEERS;
    this.#server.on("error", () => {});
  }

  get peers(): number {
    return this.#peers;
  }

  /** Resolves with the port. @throws Error when the address cannot be had */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.removeListener("error", reject);
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #welcome(socket: Socket): void {
    const stream = new FrameStream(this.#key, false);
    const nonce = randomBytes(NONCE_LEN);
    const patience = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    let reports: NodeJS.Timeout | undefined;
    let greeted = false;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(patience);
      if (reports) {
        clearInterval(reports);
        this.#peers--;
      }
      this.#sockets.delete(socket);
    });
    socket.on("data", (bytes) => {
      try {
        for (const { type, body } of stream.push(bytes)) {
          if (!greeted && type === FRAME.hello && isHello(body)) {
            greeted = true;
            socket.write(stream.frame(FRAME.welcome, nonce));
            stream.agree(body.subarray(MAGIC.length), nonce);
          } else if (greeted && type === FRAME.request && body.length === 1 && !reports) {
            clearTimeout(patience);
            if (this.#source.syncId !== 0 && body[0] !== 0 && body[0] !== this.#source.syncId)
              socket.destroy();
            reports = setInterval(() => this.#report(socket, stream), REPORT_MS);
            this.#peers++;
            void this.#send(socket, stream);
          } else throw new Error(`frame ${type} out of turn`);
        }
      } catch {
        socket.destroy();
      }
    });
  }

  async #send(socket: Socket, stream: FrameStream): Promise<void> {
    for (const message of this.#source.messages()) {
      if (socket.destroyed) return;
      if (!socket.write(stream.frame(FRAME.table, message)))
        await new Promise<void>((resolve) => {
          socket.once("drain", resolve);
          socket.once("close", resolve);
        });
      else await new Promise((resolve) => setImmediate(resolve));
    }
    if (socket.destroyed) return;
    const body = Buffer.alloc(4);
    body.writeUInt32BE(this.#source.report().connections);
    socket.write(stream.frame(FRAME.complete, body));
    this.#report(socket, stream);
  }

  #report(socket: Socket, stream: FrameStream): void {
    const { messages, entries, connections } = this.#source.report();
    const body = Buffer.alloc(24);
    for (const [i, n] of [messages, entries, connections].entries()) body.writeBigUInt64BE(BigInt(n), 8 * i);
    if (socket.writableLength < 1 << 20) socket.write(stream.frame(FRAME.report, body));
  }
}

const isHello = (body: Buffer): boolean =>
  body.length === MAGIC.length + NONCE_LEN && timingSafeEqual(body.subarray(0, MAGIC.length), MAGIC);
