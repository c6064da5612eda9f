/**
 * `lvsd events`: what happened, and what happens.
 * @module
 */
import { stream } from "../../daemon/control-client.ts";
import type { DaemonEvent } from "../../daemon/events.ts";
import { moment } from "./age.ts";
import { print, type SocketOption, socketOf } from "./daemon-socket.ts";

/** An event as a line. */
export function eventLine(event: DaemonEvent): string {
  const latency = event.latencyMs === undefined ? [] : [`${Math.round(event.latencyMs * 10) / 10} ms`];
  const because = [...(event.reason ? [event.reason] : []), ...latency];
  const level = event.level === "info" ? "" : `${event.level}: `;
  return `${moment(event.at)} ${event.part.padEnd(6)} ${level}${event.text}${because.length > 0 ? ` (${because.join(", ")})` : ""}`;
}

/** What commander hands over. */
interface EventsWords extends SocketOption {
  readonly follow?: true;
  readonly json?: true;
  readonly lines: number;
}

/** Prints them; with `follow` until the daemon or this command ends. */
export async function events(options: EventsWords): Promise<number> {
  const args = [options.lines, options.follow === true];
  try {
    for await (const event of stream<DaemonEvent>(socketOf(options), "events", args))
      print(options.json ? JSON.stringify(event) : eventLine(event));
  } catch (error) {
    if (options.follow && (error as Error).message.includes("ended before")) return 0;
    throw error;
  }
  return 0;
}
