/**
 * A whole table on its way through a proved stream, in either direction.
 * @module
 */
import type { Socket } from "node:net";
import { FRAME, type FrameStream } from "./frames.ts";

/** A table as it is given away. */
export interface WholeTable {
  /** Every connection as messages of version 1, a few at a time, so that packets get their turn in between. */
  messages(): Iterable<Uint8Array>;
  /** Connections in it now. */
  readonly connections: number;
}

/** Sends a table and its end, no faster than the other end reads; false when the socket is gone before. */
export async function sendTable(socket: Socket, stream: FrameStream, table: WholeTable): Promise<boolean> {
  if (socket.destroyed) return false;
  for (const message of table.messages()) {
    if (!socket.write(stream.frame(FRAME.table, message))) await roomIn(socket);
    else await new Promise((resolve) => setImmediate(resolve));
    // Before the table is looked at again: with who asked for it, the table may be gone.
    if (socket.destroyed) return false;
  }
  const body = Buffer.alloc(4);
  body.writeUInt32BE(table.connections);
  socket.write(stream.frame(FRAME.complete, body));
  return true;
}

/** Resolves when more can be written, or the socket is gone. */
const roomIn = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      socket.off("drain", go);
      socket.off("close", go);
      resolve();
    };
    socket.on("drain", go);
    socket.on("close", go);
  });
