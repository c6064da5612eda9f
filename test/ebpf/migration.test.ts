/** Maps are exchanged for others while packets go on: what the programs do before, between and after is what the model does. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ServiceId } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { CounterReader } from "../../src/planes/ebpf/counters.ts";
import { CONN, LIMIT, PHASE, STATE, VERDICT } from "../../src/planes/ebpf/layout.ts";
import { reclaim } from "../../src/planes/ebpf/reclaim.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { Twins, type Way } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

const VIP = "10.9.0.1";
const RS = "10.2.0.13";
const CLIENT = "10.1.0.2:4000";
const FTP: ServiceId = { kind: "address", family: 4, protocol: "tcp", address: VIP, port: 21 };
const WEB: ServiceId = { ...FTP, port: 80 };
const says = (text: string): string => `data=${JSON.stringify(text)}`;

describe.runIf(root)("a change of maps under traffic", { timeout: 60_000 }, () => {
  let twins: Twins;
  beforeEach(() => {
    twins = new Twins([VIP, "10.1.0.1", "10.2.0.1"]);
  }, 60_000);
  afterEach(() => twins?.close());

  /** Shows a packet to the model and to the programs that work at the moment. */
  const pass = (note: string, way: Way): void => {
    const difference = twins.show(buildPacket(parseNote(note)), way);
    expect(difference && `${note}\n${difference}`).toBeUndefined();
  };
  const client = (body: string, port = 21): void => pass(`tcp ${CLIENT} > ${VIP}:${port} ${body}`, "in");
  const server = (body: string, port = 21): void => pass(`tcp ${RS}:${port} > ${CLIENT} ${body}`, "through");
  const compare = (): void => expect(twins.compareTables()).toEqual([]);
  const open = (): void => {
    client("S seq=9");
    server("SA seq=500 ack=10");
    client("A seq=10 ack=501");
  };
  const waiting = (): number => twins.maps.array("state").view.getUint32(STATE.at.waiting, true);
  /** References in the hash table, and keys that live connections have. */
  const references = (): [number, number] => {
    const buckets = twins.maps.array("buckets").view;
    let found = 0;
    for (let at = 0; at < buckets.byteLength; at += 64) {
      for (let i = 0; i < LIMIT.refs; i++) if (buckets.getBigUint64(at + 8 + 8 * i, true) !== 0n) found++;
    }
    const slab = twins.maps.array("slab").view;
    let live = 0;
    for (let at = CONN.size; at < slab.byteLength; at += CONN.size)
      if (slab.getUint8(at + CONN.at.ctl) === PHASE.live) live++;
    return [found, live];
  };

  test("sequence numbers that shift between the copy and the change go on shifted", () => {
    twins.addService(serviceSpec(FTP, { scheduler: "rr" }));
    twins.addDestination(FTP, destination(RS, { port: 21 }));
    open();
    const answer = "227 Entering Passive Mode (1,2,3,4,200,10)\r\n";
    twins.move(() => {
      client(`PA seq=10 ack=501 ${says("PASV\r\n")}`);
      server(`PA seq=501 ack=16 ${says(answer)}`);
    });
    compare();
    // What readers see, before a slot of the estimator is over.
    const { conns, inPackets, outPackets } = new CounterReader(twins.maps).read("service_estimates", 0);
    expect([conns, inPackets, outPackets]).toEqual([1, 3, 2]);
    const next = 501 + answer.length;
    server(`PA seq=${next} ack=16 ${says("150 Here it comes\r\n")}`);
    client(`A seq=16 ack=${next + 3}`);
    compare();
    // Asked for before, answered behind.
    twins.move(
      () => client(`PA seq=16 ack=${next + 3} ${says("PASV\r\n")}`),
      () => {},
    );
    server(`PA seq=${next + 19} ack=22 ${says("227 (1,2,3,4,200,11)\r\n")}`);
    server(`PA seq=${next + 41} ack=22 ${says("150\r\n")}`);
    compare();
    // No longer asked for.
    twins.move(() => client(`PA seq=22 ack=${next + 50} ${says("PORT 10,1,0,2,200,10\r\n")}`));
    server(`PA seq=${next + 46} ack=44 ${says("227 (1,2,3,4,200,12)\r\n")}`);
    compare();
  });

  test("a connection of which only the old programs know is not left to the stack, and goes on", () => {
    twins.addService(serviceSpec(WEB, { scheduler: "rr" }));
    twins.addDestination(WEB, destination(RS, { port: 80 }));
    const alone = (note: string): number => twins.showPrograms(buildPacket(parseNote(note)));
    twins.move(
      () => {
        client("S seq=9", 80);
        server("SA seq=500 ack=10", 80);
        // Programs of interfaces change one after the other: what the new ones know, the old ones may meet.
        expect(alone(`tcp ${RS}:80 > 10.1.0.2:4002 SA seq=500 ack=10`)).toBe(VERDICT.drop);
      },
      () => {
        expect(alone(`tcp ${CLIENT} > ${VIP}:80 A seq=10 ack=501`)).toBe(VERDICT.drop);
        expect(alone(`tcp ${RS}:80 > ${CLIENT} SA seq=500 ack=10`)).toBe(VERDICT.drop);
        expect(alone("tcp 10.1.0.2:22 > 10.1.0.1:5000 A seq=10 ack=501")).toBe(VERDICT.accept);
      },
    );
    client("A seq=10 ack=501", 80);
    server("PA seq=501 ack=10", 80);
    compare();
    expect(alone(`tcp 10.1.0.2:4001 > ${VIP}:80 A seq=10 ack=501`)).toBe(VERDICT.accept);
  });

  test("the server's number of a full-NAT connection, told meanwhile, brings the client's address", () => {
    twins.addService(serviceSpec(WEB, { scheduler: "rr" }));
    twins.addDestination(WEB, destination(RS, { method: "fullnat", port: 80 }));
    client("S seq=9", 80);
    const slab = twins.maps.array("slab").view;
    const port = slab.getUint16(CONN.size + CONN.at.local_port);
    const first = (slab.getUint32(CONN.size + CONN.at.seq_delta, true) + 10) >>> 0;
    twins.move(() => pass(`tcp ${RS}:80 > 10.2.0.1:${port} SA seq=500 ack=${first}`, "in"));
    client("A seq=10 ack=501", 80);
    compare();
  });

  test("slots that a change of maps put aside, and was killed then, are used again", () => {
    twins.addService(serviceSpec(WEB, { scheduler: "rr" }));
    twins.addDestination(WEB, destination(RS, { port: 80 }));
    const queue = twins.maps.map("free_slots");
    const drain = (): number[] => {
      const slots: number[] = [];
      for (let slot = queue.pop(); slot !== undefined; slot = queue.pop()) slots.push(slot);
      return slots.sort((a, b) => a - b);
    };
    for (let port = 5001; port <= 5006; port++) pass(`tcp 10.1.0.2:${port} > ${VIP}:80 S seq=1`, "in");
    twins.rest(1_000_000);
    pass(`tcp 10.1.0.2:5007 > ${VIP}:80 S seq=1`, "in");
    const unused = drain();
    expect(unused.length).toBeGreaterThan(4);
    queue.push(unused[0]!);
    reclaim(twins.maps);
    expect(drain()).toEqual(unused);
    compare();
  });

  test("counters that were zeroed are never below zero, also when the change goes no further", () => {
    twins.addService(serviceSpec(WEB, { scheduler: "rr" }));
    twins.addDestination(WEB, destination(RS, { port: 80 }));
    const opened = (port: number): void => pass(`tcp 10.1.0.2:${port} > ${VIP}:80 S seq=1`, "in");
    const counted = (): number => new CounterReader(twins.maps).read("service_estimates", 0).conns;
    for (let port = 5001; port <= 5006; port++) opened(port);
    twins.wait(3000);
    expect(counted()).toBe(6);
    new CounterReader(twins.maps).zero("service_estimates", 0);
    opened(5007);
    twins.move(
      () => opened(5008),
      () => expect(counted()).toBe(0),
    );
    expect(counted()).toBe(2);
  });

  test("what waits for its client's port is counted, also out of sight", () => {
    twins.addService(serviceSpec(FTP, { scheduler: "rr" }));
    twins.addDestination(FTP, destination(RS, { port: 21 }));
    open();
    client(`PA seq=10 ack=501 ${says("EPSV\r\n")}`);
    const offer = (port: number): void => server(`PA seq=501 ack=16 ${says(`229 Ok (|||${port}|)\r\n`)}`);
    for (const port of [2000, 2001, 2002]) offer(port);
    expect(waiting()).toBe(3);
    twins.move(
      () => offer(2003),
      () => offer(2004),
    );
    expect(waiting()).toBe(5);
    compare();
    twins.move(() => pass(`tcp 10.1.0.2:4100 > ${VIP}:2000 S seq=1`, "in"));
    twins.wait(100);
    expect(waiting()).toBe(4);
    pass(`tcp 10.1.0.2:4101 > ${VIP}:2001 S seq=1`, "in");
    expect(waiting()).toBe(3);
    compare();
    twins.wait(130_000, true);
    expect(waiting()).toBe(0);
    compare();
  });

  test("a connection that gave way to another one with its ends is not found any more, and leaves no keys", () => {
    twins.addService(serviceSpec(WEB, { scheduler: "rr" }));
    twins.addDestination(WEB, destination(RS, { port: 80 }));
    const opened = (): void => {
      client("S seq=9", 80);
      server("SA seq=500 ack=10", 80);
      client("A seq=10 ack=501", 80);
    };
    opened();
    client("R seq=10", 80);
    twins.move(opened);
    twins.wait(100);
    compare();
    client("PA seq=10 ack=501 len=9", 80);
    server("A seq=501 ack=19", 80);
    compare();
    expect(references()).toEqual([2, 1]);
    twins.rest(1_000_000);
    compare();
    expect(references()).toEqual([0, 0]);
  });

  test("a template that must not match any more does not, and what hangs on it stays", () => {
    twins.addService(serviceSpec(WEB, { scheduler: "rr", persistent: true, timeoutS: 300 }));
    twins.addDestination(WEB, destination(RS, { port: 80 }));
    twins.addDestination(WEB, destination("10.2.0.14", { port: 80 }));
    twins.settings({ expire_quiescent_template: 1 });
    client("S seq=9", 80);
    const [first] = twins.rules.table.find(WEB).destinations.filter((d) => d.active + d.inactive >= 0);
    for (const { spec } of [first!]) twins.editDestination(WEB, { ...spec, weight: 0 });
    twins.move(() => pass(`tcp 10.1.0.2:4001 > ${VIP}:80 S seq=9`, "in"));
    compare();
    pass(`tcp 10.1.0.2:4002 > ${VIP}:80 S seq=9`, "in");
    client("A seq=10", 80);
    compare();
    twins.rest(1_000_000);
    compare();
    expect(references()).toEqual([0, 0]);
  });
});
