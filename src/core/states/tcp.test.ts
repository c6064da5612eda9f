import { expect, test } from "vitest";
import {
  DIRECTION,
  type Direction,
  TCP_EVENT,
  TCP_STATE,
  TCP_STATE_NAMES,
  TCP_TIMEOUT_MS,
  type TcpEvent,
  tcpActive,
  tcpEvent,
  tcpNext,
} from "./tcp.ts";

/** Linux 6.1.192: direction and event, then the next state for each state of the first line. */
const NORMAL = `
  - -     NO ES SS SR FW TW CL CW LA LI SA
  IN syn  SR ES ES SR SR SR SR SR SR SR SR
  IN fin  CL CW SS TW TW TW CL CW LA LI TW
  IN ack  ES ES SS ES FW TW CL CW CL LI ES
  IN rst  CL CL CL SR CL CL CL CL LA LI SR
  OUT syn SS ES SS SR SS SS SS SS SS LI SR
  OUT fin TW FW SS TW FW TW CL TW LA LI TW
  OUT ack ES ES SS ES FW TW CL CW LA ES ES
  OUT rst CL CL SS CL CL TW CL CL CL CL CL
  INONLY syn SR ES ES SR SR SR SR SR SR SR SR
  INONLY fin CL FW SS TW FW TW CL CW LA LI TW
  INONLY ack ES ES SS ES FW TW CL CW CL LI ES
  INONLY rst CL CL CL SR CL CL CL CL LA LI CL
`;
/** The rows of secure_tcp that differ. */
const SECURE = `
  - -     NO ES SS SR FW TW CL CW LA LI SA
  IN syn  SR ES ES SR SR SR SR SR SR SR SA
  IN fin  CL CW SS TW TW TW CL CW LA LI SA
  IN ack  ES ES SS SR FW TW CL CW CL LI SA
  IN rst  CL CL CL SR CL CL CL CL LA LI CL
  OUT syn SS ES SS SA SS SS SS SS SS LI SA
  INONLY syn SA ES ES SR SA SA SA SA SA SA SA
`;
const STATES: Record<string, number> = {
  NO: TCP_STATE.NONE,
  ES: TCP_STATE.ESTABLISHED,
  SS: TCP_STATE.SYN_SENT,
  SR: TCP_STATE.SYN_RECV,
  FW: TCP_STATE.FIN_WAIT,
  TW: TCP_STATE.TIME_WAIT,
  CL: TCP_STATE.CLOSE,
  CW: TCP_STATE.CLOSE_WAIT,
  LA: TCP_STATE.LAST_ACK,
  LI: TCP_STATE.LISTEN,
  SA: TCP_STATE.SYNACK,
};
const DIRECTIONS: Record<string, Direction> = {
  IN: DIRECTION.in,
  OUT: DIRECTION.out,
  INONLY: DIRECTION.inOnly,
};

/** `direction event state` to next state. */
function cells(table: string): Map<string, number> {
  const [head, ...rows] = table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  const map = new Map<string, number>();
  for (const [direction, event, ...next] of rows) {
    next.forEach((to, i) => {
      const key = [DIRECTIONS[direction!], TCP_EVENT[event as keyof typeof TCP_EVENT], STATES[head![i + 2]!]];
      map.set(key.join(" "), STATES[to]!);
    });
  }
  return map;
}

test("tcpNext() has every cell of the kernel's tables", () => {
  const normal = cells(NORMAL);
  const secure = new Map([...normal, ...cells(SECURE)]);
  expect(normal.size).toBe(3 * 4 * 11);
  for (const [table, isSecure] of [
    [normal, false],
    [secure, true],
  ] as const) {
    for (const [key, next] of table) {
      const [direction, event, state] = key.split(" ").map(Number);
      const got = tcpNext(isSecure, direction as Direction, event as TcpEvent, state!);
      expect(`${isSecure} ${key} ${got}`).toBe(`${isSecure} ${key} ${next}`);
    }
  }
});

test("a segment without RST, SYN, FIN and ACK closes the connection", () => {
  for (let state = 0; state < 11; state++) {
    for (const direction of [0, 1, 2] as const)
      expect(tcpNext(false, direction, tcpEvent(0x08), state)).toBe(6);
  }
});

test("tcpEvent() prefers RST to SYN to FIN to ACK", () => {
  for (let flags = 0; flags < 256; flags++) {
    const expected =
      flags & 4 ? "rst" : flags & 2 ? "syn" : flags & 1 ? "fin" : flags & 16 ? "ack" : undefined;
    expect(tcpEvent(flags)).toBe(expected ? TCP_EVENT[expected] : -1);
  }
});

test("ESTABLISHED, SYN_SENT, SYN_RECV and SYNACK count as active", () => {
  const active = TCP_STATE_NAMES.filter((_, state) => tcpActive(state));
  expect(active).toEqual(["ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"]);
});

test("states have the kernel's timeouts", () => {
  const seconds = Object.fromEntries(
    TCP_STATE_NAMES.map((name, state) => [name, TCP_TIMEOUT_MS[state]! / 1000]),
  );
  expect(seconds).toEqual({
    NONE: 2,
    ESTABLISHED: 900,
    SYN_SENT: 120,
    SYN_RECV: 60,
    FIN_WAIT: 120,
    TIME_WAIT: 120,
    CLOSE: 10,
    CLOSE_WAIT: 60,
    LAST_ACK: 30,
    LISTEN: 120,
    SYNACK: 120,
  });
});
