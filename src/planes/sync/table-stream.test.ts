import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { FrameStream } from "./frames.ts";
import { sendTable } from "./table-stream.ts";

const stream = (): FrameStream => new FrameStream(Buffer.alloc(32), false);

/** A socket whose other end reads one frame at a time, until it goes away before the n-th. */
class SlowSocket extends EventEmitter {
  destroyed = false;
  frames = 0;
  /** Most listeners that were there at once. */
  listening = 0;
  readonly #until: number;

  constructor(until = Number.POSITIVE_INFINITY) {
    super();
    this.#until = until;
  }

  write(): boolean {
    this.frames++;
    setImmediate(() => {
      this.listening = Math.max(this.listening, this.listenerCount("close"), this.listenerCount("drain"));
      this.destroyed = this.frames >= this.#until;
      this.emit(this.destroyed ? "close" : "drain");
    });
    return false;
  }
}

test("a whole table waits for a slow reader, without a listener more for every frame", async () => {
  const socket = new SlowSocket();
  const messages = Array.from({ length: 100 }, () => new Uint8Array(10));
  const table = { messages: () => messages, connections: 100 };
  expect(await sendTable(socket as unknown as Socket, stream(), table)).toBe(true);
  expect(socket).toMatchObject({ frames: 101, listening: 1 });
  expect(socket.eventNames()).toEqual([]);
});

test("a table is not looked at any more when who asked for it is gone", async () => {
  const socket = new SlowSocket(3);
  let looked = 0;
  const messages = function* (): Generator<Uint8Array> {
    for (; looked < 100; looked++) yield new Uint8Array(10);
  };
  expect(await sendTable(socket as unknown as Socket, stream(), { messages, connections: 100 })).toBe(false);
  expect(socket.frames).toBe(3);
  expect(looked).toBe(2);
});
