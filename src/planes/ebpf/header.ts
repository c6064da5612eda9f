/**
 * Writes `bpf/layout.h`: the shared structs and constants of `layout.ts`, and the state tables of core, as C.
 * @module
 */
import { type SctpEvent, sctpActive, sctpNext } from "../../core/states/sctp.ts";
import { type Direction, type TcpEvent, tcpActive, tcpNext } from "../../core/states/tcp.ts";
import { CONSTANTS, STRUCTS } from "./layout.ts";
import { type Struct, structToC } from "./struct.ts";

const TCP_STATES = 11;
const TCP_EVENTS = 4;
const SCTP_STATES = 14;
const SCTP_EVENTS = 10;
const DIRECTIONS = 3;

const upper = (name: string): string => name.replace(/([a-z])([A-Z0-9])/g, "$1_$2").toUpperCase();

function constants(): string {
  const lines: string[] = [];
  for (const [prefix, group] of Object.entries(CONSTANTS)) {
    for (const [name, value] of Object.entries(group))
      lines.push(`#define ${prefix}_${upper(name)} ${value}`);
  }
  return lines.join("\n");
}

function bytes(name: string, meaning: string, values: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < values.length; at += 16) rows.push(`\t${values.subarray(at, at + 16).join(", ")},`);
  return `/* ${meaning} */\nstatic const __u8 ${name}[${values.length}] = {\n${rows.join("\n")}\n};`;
}

/** `secure << 8 | direction << 6 | event << 4 | state` to next state. */
function tcpTable(): Uint8Array {
  const table = new Uint8Array(512);
  for (const secure of [0, 1])
    for (let direction = 0; direction < DIRECTIONS; direction++)
      for (let event = 0; event < TCP_EVENTS; event++)
        for (let state = 0; state < TCP_STATES; state++)
          table[(secure << 8) | (direction << 6) | (event << 4) | state] = tcpNext(
            secure === 1,
            direction as Direction,
            event as TcpEvent,
            state,
          );
  return table;
}

/** `direction << 8 | event << 4 | state` to next state. */
function sctpTable(): Uint8Array {
  const table = new Uint8Array(1024);
  for (let direction = 0; direction < DIRECTIONS; direction++)
    for (let event = 0; event < SCTP_EVENTS; event++)
      for (let state = 0; state < SCTP_STATES; state++)
        table[(direction << 8) | (event << 4) | state] = sctpNext(
          direction as Direction,
          event as SctpEvent,
          state,
        );
  return table;
}

const bits = (states: number, active: (state: number) => boolean): number =>
  Array.from({ length: states }, (_, state) => (active(state) ? 1 << state : 0)).reduce((a, b) => a | b, 0);

/** The header's text. */
export function layoutHeader(): string {
  return [
    "/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */",
    "/* Generated from src/planes/ebpf/layout.ts by `npm run build:bpf`. Do not edit. */",
    "#pragma once",
    "",
    constants(),
    "",
    ...(STRUCTS as readonly Struct[]).map((s) => `${structToC(s)}\n`),
    `#define TCP_ACTIVE_STATES ${bits(TCP_STATES, tcpActive)}`,
    `#define SCTP_ACTIVE_STATES ${bits(SCTP_STATES, sctpActive)}`,
    "",
    bytes("TCP_NEXT", "Next TCP state by secure << 8 | direction << 6 | event << 4 | state", tcpTable()),
    "",
    bytes("SCTP_NEXT", "Next SCTP state by direction << 8 | event << 4 | state", sctpTable()),
    "",
  ].join("\n");
}
