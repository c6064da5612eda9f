/**
 * Answers a peer that asks for the whole table.
 * @module
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { endWithoutAnswer } from "../../sys/peer.ts";
import { FRAME, FrameStream, MAGIC, NONCE_LEN } from "./frames.ts";
import { sendTable } from "./table-stream.ts";

const REPORT_MS = 1000;
const HANDSHAKE_MS = 5000;
const MAX_PEERS = 16;
/** A peer that acknowledges nothing for so long is gone, ms. */
const SILENCE_MS = 5000;

/** Takes the table of a peer. */
export interface TableTaker {
  message(bytes: Uint8Array): void;
  /** The whole of it was here. */
  complete(): void;
}

/** What the server tells of. */
export interface TableSource {
  /** 0..255. */
  readonly syncId: number;
  /** Every connection as messages of version 1, a few at a time, so that packets get their turn in between. */
  messages(): Iterable<Uint8Array>;
  report(): { readonly messages: number; readonly entries: number; readonly connections: number };
  /** Who takes the table of the peer with this address; absent or undefined: it is not asked for. */
  taker?(peer: string): TableTaker | undefined;
}

/** Serves on one address and port at a time. */
export class PeerServer {
  readonly #key: Buffer;
  readonly #source: TableSource;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Peers that proved the key. */
  #peers = 0;
  #closed = false;

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

  /** Listens there, and nowhere else any more; who is connected stays. Resolves with the port. @throws Error when the address cannot be had */
  async listen(host: string, port: number): Promise<number> {
    this.#server.close();
    const listening = once(this.#server, "listening");
    this.#server.listen({ host, port });
    await listening;
    const at = (this.#server.address() as { port: number }).port;
    if (this.#closed) this.#server.close();
    return at;
  }

  close(): void {
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #welcome(socket: Socket): void {
    const stream = new FrameStream(this.#key, false);
    const nonce = randomBytes(NONCE_LEN);
    const patience = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    let reports: NodeJS.Timeout | undefined;
    let greeted = false;
    let taker: TableTaker | undefined;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    endWithoutAnswer(socket, SILENCE_MS);
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
            if (this.#source.syncId !== 0 && body[0] !== 0 && body[0] !== this.#source.syncId)
              throw new Error("a peer of another syncid");
            clearTimeout(patience);
            reports = setInterval(() => this.#report(socket, stream), REPORT_MS);
            this.#peers++;
            taker = this.#source.taker?.(socket.remoteAddress ?? "a peer");
            if (taker) socket.write(stream.frame(FRAME.ask, Buffer.alloc(0)));
            void this.#send(socket, stream);
          } else if (taker && type === FRAME.table) taker.message(body);
          else if (taker && type === FRAME.complete) {
            taker.complete();
            taker = undefined;
          } else throw new Error(`frame ${type} out of turn`);
        }
      } catch {
        socket.destroy();
      }
    });
  }

  async #send(socket: Socket, stream: FrameStream): Promise<void> {
    const source = this.#source;
    const table = {
      messages: () => source.messages(),
      get connections(): number {
        return source.report().connections;
      },
    };
    if (await sendTable(socket, stream, table)) this.#report(socket, stream);
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
