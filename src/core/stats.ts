/**
 * Counting packets: the connection's destination, its service and the total, all three at once. A destination that left its
 * service counts no more.
 * @module
 */
import type { Context } from "./context.ts";

/** A request of `bytes` (IP packet length, before encapsulation). */
export function countIn(context: Context, c: number, bytes: number): void {
  const { table, connections } = context;
  const server = table.server(connections.server(c));
  if (!server?.available) return;
  server.meter.inPackets++;
  server.meter.inBytes += bytes;
  server.service.meter.inPackets++;
  server.service.meter.inBytes += bytes;
  table.total.inPackets++;
  table.total.inBytes += bytes;
}

/** A reply of `bytes` (IP packet length, after translation). */
export function countOut(context: Context, c: number, bytes: number): void {
  const { table, connections } = context;
  const server = table.server(connections.server(c));
  if (!server?.available) return;
  server.meter.outPackets++;
  server.meter.outBytes += bytes;
  server.service.meter.outPackets++;
  server.service.meter.outBytes += bytes;
  table.total.outPackets++;
  table.total.outBytes += bytes;
}
