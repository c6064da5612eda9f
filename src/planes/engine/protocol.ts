/**
 * What goes over the engine's unix socket: one JSON object a line, requests answered in order, so that many can be under way.
 * The connection table comes as several answers, the last without `more`.
 * @module
 */
import type { TableErrorCode } from "../../core/errors.ts";
import type { DataPlane } from "../plane.ts";
import type { SyncStatus } from "../sync/status.ts";

/** Longest line accepted, in characters. */
export const MAX_LINE = 4 << 20;
/** Connections in one answer. */
export const CONNECTIONS_A_LINE = 500;

/** Methods of {@link DataPlane} that are one request and one answer. */
export const PLANE_METHODS = [
  "info",
  "services",
  "service",
  "addService",
  "editService",
  "removeService",
  "flush",
  "addDestination",
  "editDestination",
  "removeDestination",
  "zero",
  "timeouts",
  "setTimeouts",
  "daemons",
  "startDaemon",
  "stopDaemon",
  "settings",
  "setSettings",
] as const satisfies readonly (keyof DataPlane)[];

/** Those of them that change something, and so need an engine and are saved. */
export const CHANGING_METHODS: ReadonlySet<string> = new Set([
  "addService",
  "editService",
  "removeService",
  "flush",
  "addDestination",
  "editDestination",
  "removeDestination",
  "zero",
  "setTimeouts",
  "startDaemon",
  "stopDaemon",
  "setSettings",
]);

/** A request. Besides the plane's methods: "connections", "status", "stop", "announce", "withdraw". */
export interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** An answer. */
export type Answer =
  | { readonly id: number; readonly value?: unknown; readonly more?: true }
  | {
      readonly id: number;
      readonly error: { readonly code: TableErrorCode | "EUNSUPPORTED"; readonly message: string };
    };

/** What `lvsd engine status` shows. */
export interface EngineStatus {
  readonly pid: number;
  readonly uptimeMs: number;
  /** How packets get into the queue: the nftables expression, or the xtables target. */
  readonly packetsBy: "queue" | "NFQUEUE";
  readonly queue: number;
  readonly services: number;
  readonly connections: number;
  /** Packets looked at, and what became of them. */
  readonly packets: number;
  readonly accepted: number;
  readonly modified: number;
  readonly dropped: number;
  /** Packets the director sent, and those the kernel refused to send. */
  readonly sent: number;
  readonly failed: number;
  /** Sync daemons that run: what they sent and received. */
  readonly sync: SyncStatus;
  readonly announced: readonly { readonly address: string; readonly interface: string }[];
}

/** Cuts a stream of text into lines; a line that grows past {@link MAX_LINE} is reported as undefined, once. */
export class LineReader {
  #rest = "";
  #overlong = false;

  /** The lines that `text` completes. */
  push(text: string): (string | undefined)[] {
    const lines: (string | undefined)[] = [];
    const pieces = (this.#rest + text).split("\n");
    this.#rest = pieces.pop()!;
    for (const line of pieces) {
      if (this.#overlong) this.#overlong = false;
      else lines.push(line.length > MAX_LINE ? undefined : line);
    }
    if (this.#rest.length > MAX_LINE) {
      if (!this.#overlong) lines.push(undefined);
      this.#overlong = true;
      this.#rest = "";
    }
    return lines;
  }
}

/** Reads a request; undefined for what is none. */
export function parseRequest(line: string): Request | undefined {
  try {
    const value = JSON.parse(line) as Partial<Request> | null;
    if (typeof value !== "object" || value === null) return undefined;
    const { id, method, args } = value;
    if (typeof id !== "number" || typeof method !== "string" || !Array.isArray(args)) return undefined;
    return { id, method, args };
  } catch {
    return undefined;
  }
}
