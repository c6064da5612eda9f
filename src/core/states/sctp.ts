/**
 * The director's view of an SCTP association: first chunk and direction of a packet in, next state out. Tables and timeouts
 * are those of `net/netfilter/ipvs/ip_vs_proto_sctp.c` (Linux 6.1).
 * @module
 */
import type { Direction } from "./tcp.ts";

/** State numbers, as in sync messages (`enum ip_vs_sctp_states`). */
export const SCTP_STATE = {
  NONE: 0,
  INIT1: 1,
  INIT: 2,
  COOKIE_SENT: 3,
  COOKIE_REPLIED: 4,
  COOKIE_WAIT: 5,
  COOKIE: 6,
  COOKIE_ECHOED: 7,
  ESTABLISHED: 8,
  SHUTDOWN_SENT: 9,
  SHUTDOWN_RECEIVED: 10,
  SHUTDOWN_ACK_SENT: 11,
  REJECTED: 12,
  CLOSED: 13,
} as const;

/** How many SCTP states there are. */
const SCTP_STATES = 14;

/** Names by state number, as the connection table prints them. */
export const SCTP_STATE_NAMES: readonly string[] = [
  "NONE",
  "INIT1",
  "INIT",
  "C-SENT",
  "C-REPLIED",
  "C-WAIT",
  "COOKIE",
  "C-ECHOED",
  "ESTABLISHED",
  "S-SENT",
  "S-RECEIVED",
  "S-ACK-SENT",
  "REJECTED",
  "CLOSED",
];

/** Default timeouts by state number, milliseconds. */
export const SCTP_TIMEOUT_MS: readonly number[] = [
  2_000, 4_000, 61_000, 61_000, 61_000, 61_000, 61_000, 61_000, 900_000, 61_000, 61_000, 61_000, 4_000,
  61_000,
];

/** What a packet means to the state machine. */
export const SCTP_EVENT = {
  data: 0,
  init: 1,
  initAck: 2,
  cookieEcho: 3,
  cookieAck: 4,
  shutdown: 5,
  shutdownAck: 6,
  shutdownComplete: 7,
  error: 8,
  abort: 9,
} as const;
/** A value of {@link SCTP_EVENT}, or -1 when the packet ends before its first chunk: the state stays. */
export type SctpEvent = -1 | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

/** Chunk types that matter here (RFC 9260 §3.2). */
export const SCTP_CHUNK = { init: 1, abort: 6, cookieEcho: 10, cookieAck: 11 } as const;

/** Length of the SCTP common header, bytes. */
const COMMON_HEADER_LEN = 12;
/** Length of a chunk header (type, flags, length), bytes. */
const CHUNK_HEADER_LEN = 4;

/** Events by chunk type: DATA INIT INIT-ACK SACK HEARTBEAT HEARTBEAT-ACK ABORT SHUTDOWN SHUTDOWN-ACK ERROR COOKIE-ECHO COOKIE-ACK ECNE CWR SHUTDOWN-COMPLETE. */
const EVENT_OF_CHUNK = Uint8Array.of(0, 1, 2, 0, 0, 0, 9, 5, 6, 8, 3, 4, 0, 0, 7);

/** Type of the first chunk of the SCTP packet at `at`; -1 when the packet ends before it. */
export function sctpFirstChunk(v: DataView, at: number, end: number): number {
  const chunk = at + COMMON_HEADER_LEN;
  return chunk + CHUNK_HEADER_LEN > end ? -1 : v.getUint8(chunk);
}

/**
 * The event of the SCTP packet whose common header is at `at` and that ends at `end`: its first chunk, or ABORT when that
 * follows a COOKIE-ECHO or COOKIE-ACK as the second chunk. Unknown types count as data.
 */
export function sctpEvent(v: DataView, at: number, end: number): SctpEvent {
  let type = sctpFirstChunk(v, at, end);
  if (type < 0) return -1;
  if (type === SCTP_CHUNK.cookieEcho || type === SCTP_CHUNK.cookieAck) {
    const first = at + COMMON_HEADER_LEN;
    const length = v.getUint16(first + 2);
    const second = first + ((length + 3) & ~3); // chunks are padded to 4 bytes
    if (length >= CHUNK_HEADER_LEN && second + CHUNK_HEADER_LEN <= end) {
      if (v.getUint8(second) === SCTP_CHUNK.abort) type = SCTP_CHUNK.abort;
    }
  }
  return (type < EVENT_OF_CHUNK.length ? EVENT_OF_CHUNK[type]! : SCTP_EVENT.data) as SctpEvent;
}

/** Rows in the order of {@link SCTP_EVENT}; a column a state number; a hex digit the next state's number, "." = stays. */
const ROWS = [
  // in
  [
    "8.............",
    "12..........22",
    "555..6........",
    "42.4..........",
    "8......8......",
    "a.......a.....",
    "d2.......d.d..",
    "ddd........d..",
    "d......d......",
    "dddddcddddddd.",
  ],
  // out
  [
    "8.............",
    "55555.55.55555",
    "333...........",
    "7777777.......",
    "88888888......",
    "999999999.....",
    "bbbbb....bb...",
    "d.............",
    "ddddd.........",
    "dcddddddddddd.",
  ],
  // in only
  [
    "8....8........",
    "12.222......22",
    "777777........",
    "888888........",
    "8..88.88......",
    "a.......a.....",
    "d2......dd.d..",
    "ddddd.....dd..",
    "d.............",
    "dddddcddddddd.",
  ],
] as const;

/** `direction << 8 | event << 4 | state` to next state. */
const TABLE = new Uint8Array(768);
ROWS.forEach((rows, direction) => {
  rows.forEach((row, event) => {
    for (let state = 0; state < SCTP_STATES; state++) {
      const next = row[state] === "." ? state : Number.parseInt(row[state]!, 16);
      TABLE[(direction << 8) | (event << 4) | state] = next;
    }
  });
});

/** The state after a packet. `state` is 0..13. */
export function sctpNext(direction: Direction, event: SctpEvent, state: number): number {
  if (event < 0) return state;
  return TABLE[(direction << 8) | (event << 4) | state]!;
}

/** Whether an association in this state counts as active. */
export const sctpActive = (state: number): boolean => state === SCTP_STATE.ESTABLISHED;
