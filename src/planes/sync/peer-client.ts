/**
 * Asks a peer for its whole table, and follows its reports.
 * @module
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { FRAME, FrameStream, MAGIC, NONCE_LEN } from "./frames.ts";
import { sendTable, type WholeTable } from "./table-stream.ts";

const CONNECT_MS = 5000;
/** Reports come every second: a peer that is silent for so long is gone. */
const SILENCE_MS = 5000;

/** What the peer said last. */
export interface PeerReport {
  readonly messages: number;
  readonly entries: number;
  readonly connections: number;
}

/** What a client tells its owner. */
export interface PeerEvents {
  /** A message of the table. */
  message(bytes: Buffer): void;
  /** The whole table was sent; so many connections were in it. */
  complete(connections: number): void;
  report(report: PeerReport): void;
  /** The peer asks for the table here; undefined: there is none to give. */
  table?(): WholeTable | undefined;
  /** The connection is over; `why` is for people. Nothing follows. */
  closed(why: string): void;
}

/** One connection to a peer. */
export class PeerClient {
  readonly #socket: Socket;
  readonly #stream: FrameStream;
  readonly #events: PeerEvents;
  #open = true;

  /** `syncId` 0 takes the table of any. */
  constructor(key: Buffer, host: string, port: number, syncId: number, events: PeerEvents) {
    this.#events = events;
    const stream = new FrameStream(key, true);
    this.#stream = stream;
    const nonce = randomBytes(NONCE_LEN);
    const socket = connect({ host, port });
    this.#socket = socket;
    let agreed = false;
    socket.setTimeout(CONNECT_MS, () => this.#end(`${host} does not answer`));
    socket.on("connect", () => {
      socket.setTimeout(SILENCE_MS);
      socket.write(stream.frame(FRAME.hello, Buffer.concat([MAGIC, nonce])));
    });
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () =>
      this.#end(`${host} ended the connection${agreed ? "" : ": it has another key"}`),
    );
    socket.on("data", (bytes) => {
      try {
        for (const { type, body } of stream.push(bytes)) {
          if (!agreed) {
            if (type !== FRAME.welcome || body.length !== NONCE_LEN) throw new Error("no welcome");
            stream.agree(nonce, Buffer.from(body));
            agreed = true;
            socket.write(stream.frame(FRAME.request, Buffer.of(syncId & 0xff)));
          } else if (this.#open) this.#take(type, body);
        }
      } catch (error) {
        this.#end(`${host}: ${(error as Error).message}`);
      }
    });
  }

  close(): void {
    this.#open = false;
    this.#socket.destroy();
  }

  #take(type: number, body: Buffer): void {
    if (type === FRAME.ask) void this.#give();
    else if (type === FRAME.table) this.#events.message(body);
    else if (type === FRAME.complete && body.length === 4) this.#events.complete(body.readUInt32BE());
    else if (type === FRAME.report && body.length === 24) {
      const number = (i: number): number => Number(body.readBigUInt64BE(8 * i));
      this.#events.report({ messages: number(0), entries: number(1), connections: number(2) });
    }
  }

  async #give(): Promise<void> {
    const nothing = { messages: () => [], connections: 0 };
    await sendTable(this.#socket, this.#stream, this.#events.table?.() ?? nothing);
  }

  #end(why: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.destroy();
    this.#events.closed(why);
  }
}
