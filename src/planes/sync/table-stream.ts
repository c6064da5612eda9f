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
  for (const message of table.messages()) {
    if (socket.destroyed) return false;
    if (!socket.write(stream.frame(FRAME.table, message)))
      await new Promise<void>((resolve) => {
        socket.once("drain", resolve);
        socket.once("close", resolve);
      });
    else await new Promise((resolve) => setImmediate(resolve));
  }
  if (socket.destroyed) return false;
  const body = Buffer.alloc(4);
  body.writeUInt32BE(table.connections);
  socket.write(stream.frame(FRAME.complete, body));
  return true;
}
