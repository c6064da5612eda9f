/**
 * The director's view of a TCP connection: event and direction of a packet in, next state out. Tables and timeouts are those
 * of `net/netfilter/ipvs/ip_vs_proto_tcp.c` (Linux 6.1), `secure` being the table that `secure_tcp` puts in force.
 * @module
 */

/** State numbers, as in sync messages (`enum ip_vs_tcp_states`). */
export const TCP_STATE = {
  NONE: 0,
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT: 4,
  TIME_WAIT: 5,
  CLOSE: 6,
  CLOSE_WAIT: 7,
  LAST_ACK: 8,
  LISTEN: 9,
  SYNACK: 10,
} as const;

/** How many TCP states there are. */
const TCP_STATES = 11;

/** Names by state number, as the connection table prints them. */
export const TCP_STATE_NAMES: readonly string[] = [
  "NONE",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "SYNACK",
];

/** Default timeouts by state number, milliseconds. */
export const TCP_TIMEOUT_MS: readonly number[] = [
  2_000, 900_000, 120_000, 60_000, 120_000, 120_000, 10_000, 60_000, 30_000, 120_000, 120_000,
];

/** Which way a packet goes. `inOnly` replaces `in` while no reply is seen or expected (DR, TUN, local). */
export const DIRECTION = { in: 0, out: 1, inOnly: 2 } as const;
/** A value of {@link DIRECTION}. */
export type Direction = 0 | 1 | 2;

/** What a segment means to the state machine. */
export const TCP_EVENT = { syn: 0, fin: 1, ack: 2, rst: 3 } as const;
/** A value of {@link TCP_EVENT}, or -1 when none of the four flags is set: the connection goes to CLOSE. */
export type TcpEvent = -1 | 0 | 1 | 2 | 3;

/** The bits of byte 13 of the TCP header (RFC 9293 §3.1). */
const FLAG = { fin: 0x01, syn: 0x02, rst: 0x04, ack: 0x10 } as const;

/** The event of a segment by its flags byte: RST before SYN before FIN before ACK. */
export function tcpEvent(flags: number): TcpEvent {
  if (flags & FLAG.rst) return TCP_EVENT.rst;
  if (flags & FLAG.syn) return TCP_EVENT.syn;
  if (flags & FLAG.fin) return TCP_EVENT.fin;
  if (flags & FLAG.ack) return TCP_EVENT.ack;
  return -1;
}

/** Rows are syn, fin, ack, rst; a column a state number; a hex digit the next state's number. */
const NORMAL = [
  // in
  ["31133333333", "67255567895", "11214567691", "66636666893"],
  // out
  ["21232222293", "54254565895", "11214567811", "66266566666"],
  // in only
  ["31133333333", "64254567895", "11214567691", "66636666896"],
] as const;

/** Under `secure_tcp` it takes the server's ACK to establish a connection through NAT. */
const SECURE = [
  ["3113333333a", "6725556789a", "1123456769a", "66636666896"],
  ["212a222229a", NORMAL[1][1], NORMAL[1][2], NORMAL[1][3]],
  ["a113aaaaaaa", NORMAL[2][1], NORMAL[2][2], NORMAL[2][3]],
] as const;

/** `secure << 8 | direction << 6 | event << 4 | state` to next state. */
const TABLE = new Uint8Array(512);
[NORMAL, SECURE].forEach((table, secure) => {
  table.forEach((rows, direction) => {
    rows.forEach((row, event) => {
      for (let state = 0; state < TCP_STATES; state++) {
        TABLE[(secure << 8) | (direction << 6) | (event << 4) | state] = Number.parseInt(row[state]!, 16);
      }
    });
  });
});

/** The state after a segment. `state` is 0..10. */
export function tcpNext(secure: boolean, direction: Direction, event: TcpEvent, state: number): number {
  if (event < 0) return TCP_STATE.CLOSE;
  return TABLE[(secure ? 256 : 0) | (direction << 6) | (event << 4) | state]!;
}

/** ESTABLISHED, SYN_SENT, SYN_RECV and SYNACK, one bit each. */
const ACTIVE_BITS = 0b100_0000_1110;

/** Whether a connection in this state counts as active. */
export const tcpActive = (state: number): boolean => ((ACTIVE_BITS >> state) & 1) === 1;
