/**
 * The director in memory, no machine around it: packets of established flows per second, new connections per second, bytes a
 * connection takes. One core; the garbage collector's share is included.
 *
 *     npm run bench -- director
 */

import type { METHOD_NUMBER } from "../src/core/destination.ts";
import { Director } from "../src/core/director.ts";
import { Packet } from "../src/core/packet.ts";
import { serviceSpec } from "../src/core/table.ts";
import { RecordingHost } from "../src/testkit/recording-host.ts";
import { toWords } from "../src/wire/address.ts";
import { pseudo4 } from "../src/wire/checksum.ts";
import * as ipv4 from "../src/wire/ipv4.ts";
import * as tcp from "../src/wire/tcp.ts";

const FLOWS = 100_000;
const CONNECTIONS = 1_000_000;
const HEADROOM = 128;
/** As the engine process reserves: memory is taken when connections use it. */
const ENGINE_CAPACITY = 1 << 20;

/** A TCP segment of 40 bytes, written in place. */
function segment(p: Packet, client: number, port: number, vip: number, flags: number): void {
  const v = p.view;
  const at = HEADROOM;
  p.at = at;
  p.end = at + 40;
  v.setUint32(at, 0x45000028);
  v.setUint32(at + 4, 0x00014000);
  v.setUint32(at + 8, 0x40060000);
  v.setUint32(at + ipv4.AT.src, client);
  v.setUint32(at + ipv4.AT.dst, vip);
  ipv4.setChecksum(v, at);
  v.setUint16(at + 20, port);
  v.setUint16(at + 22, 80);
  v.setUint32(at + 24, 1);
  v.setUint32(at + 28, 1);
  v.setUint16(at + 32, 0x5000 | flags);
  v.setUint32(at + 34, 0xffff0000);
  v.setUint16(at + 38, 0);
  tcp.setChecksum(v, at + 20, 20, pseudo4(v, at, 6, 20));
}

function director(method: keyof typeof METHOD_NUMBER, scheduler: string, capacity: number): Director {
  const host = new RecordingHost(["10.9.0.1"]);
  host.quiet = true;
  const d = new Director({ host, random: Math.random, now: 0, capacity });
  const id = { kind: "address", family: 4, protocol: "tcp", address: "10.9.0.1", port: 80 } as const;
  d.table.addService(serviceSpec(id, { scheduler }));
  for (let i = 1; i <= 10; i++) {
    d.table.addDestination(id, {
      family: 4,
      address: `10.2.0.${i}`,
      port: 80,
      method,
      weight: i,
      upper: 0,
      lower: 0,
      tunnel: { type: "ipip", port: 0, checksum: "none" },
    });
  }
  return d;
}

const VIP = toWords("10.9.0.1")[0];
const client = (i: number): number => 0x0a010000 + (i & 0xffff);
const port = (i: number): number => 1024 + (i >>> 16) * 97;

function established(method: keyof typeof METHOD_NUMBER): number {
  const d = director(method, "wlc", FLOWS * 2);
  const p = new Packet();
  for (let i = 0; i < FLOWS; i++) {
    segment(p, client(i), port(i), VIP, tcp.FLAG.syn);
    d.localIn(p, 1);
    segment(p, client(i), port(i), VIP, tcp.FLAG.ack);
    d.localIn(p, 2);
  }
  // Segments lie ready, so that only the director is measured; it changes them in place, so each is copied in first.
  const ready = new Uint8Array(FLOWS * 40);
  for (let i = 0; i < FLOWS; i++) {
    segment(p, client(i), port(i), VIP, tcp.FLAG.ack);
    ready.set(p.copy(), i * 40);
  }
  let best = 0;
  for (let round = 0; round < 8; round++) {
    const start = performance.now();
    for (let i = 0; i < FLOWS; i++) {
      const from = i * 40;
      for (let b = 0; b < 40; b++) p.bytes[HEADROOM + b] = ready[from + b];
      p.at = HEADROOM;
      p.end = HEADROOM + 40;
      d.localIn(p, 1000 + round);
    }
    best = Math.max(best, FLOWS / ((performance.now() - start) / 1000));
  }
  return best;
}

function opening(scheduler: string): { rate: number; bytesEach: number; slowestMs: number } {
  const before = memory();
  const d = director("dr", scheduler, ENGINE_CAPACITY);
  const p = new Packet();
  const start = performance.now();
  let slowestMs = 0;
  let last = start;
  for (let i = 0; i < CONNECTIONS; i++) {
    segment(p, client(i), port(i), VIP, tcp.FLAG.syn);
    d.localIn(p, 1);
    if ((i & 63) === 0) {
      const now = performance.now();
      slowestMs = Math.max(slowestMs, now - last);
      last = now;
    }
  }
  const seconds = (performance.now() - start) / 1000;
  if (d.connections.count !== CONNECTIONS)
    throw new Error(`${d.connections.count} connections instead of ${CONNECTIONS}`);
  return { rate: CONNECTIONS / seconds, bytesEach: (memory() - before) / CONNECTIONS, slowestMs };
}

/** Resident memory, bytes. */
function memory(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

/** One line of the table that `npm run bench` prints. */
function report(name: string, value: number, unit: string, note: string): void {
  console.log(JSON.stringify({ name, value, unit, note }));
}

for (const scheduler of ["wlc", "rr", "mh"]) {
  const o = opening(scheduler);
  // Memory is measured while the process is still fresh.
  if (scheduler === "wlc") {
    report(
      "memory of 1,000,000 connections",
      (o.bytesEach * CONNECTIONS) / 2 ** 20,
      "MiB",
      "resident; aim 600 MB",
    );
    report("longest stall while opening them", o.slowestMs, "ms", "64 packets and garbage collection");
  }
  report(`new connections, ${scheduler}`, o.rate / 1e6, "M/s", "one core; aim 0.3 M/s");
}
for (const method of ["nat", "dr", "tun"] as const) {
  report(`established packets, ${method}`, established(method) / 1e6, "M/s", "one core; aim 1 M/s");
}
