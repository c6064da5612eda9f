/** The defence strategies: the programs against the model, with a memory that is told. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ServiceId, ServiceSpec } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { shownSettings } from "../../src/planes/ebpf/config.ts";
import { TRACE, VERDICT } from "../../src/planes/ebpf/layout.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { Twins, type Way } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

const VIP = "10.9.0.1";
const service = (protocol: "tcp" | "udp" | "sctp", port: number): ServiceId => ({
  kind: "address",
  family: 4,
  protocol,
  address: VIP,
  port,
});
const WEB = service("tcp", 80);
const DNS = service("udp", 53);
const SIGNAL = service("sctp", 2905);

describe.runIf(root)("the programs defend themselves as the model does", { timeout: 60_000 }, () => {
  let twins: Twins;
  beforeEach(() => {
    twins = new Twins([VIP, "10.1.0.1", "10.2.0.1"]);
  }, 60_000);
  afterEach(() => twins?.close());

  const serve = (id: ServiceId, change: Partial<ServiceSpec> = {}): void => {
    twins.addService(serviceSpec(id, { scheduler: "rr", ...change }));
    const port = id.kind === "address" ? id.port : 0;
    twins.addDestination(id, destination("10.2.0.11", { port }));
  };
  /** Shows a packet to both, which must agree; whether it was sent. */
  const both = (note: string, way: Way = "in"): boolean => {
    const difference = twins.show(buildPacket(parseNote(note)), way);
    expect(difference && `${note}\n${difference}`).toBeUndefined();
    expect(twins.compareTables()).toEqual([]);
    return twins.maps.array("trace").view.getUint32(TRACE.at.verdict, true) === VERDICT.send;
  };
  const wait = (seconds: number): void => {
    twins.wait(seconds * 1000);
    expect(twins.compareTables()).toEqual([]);
  };
  /** Modes as `lvsd settings` shows them, which must be the model's. */
  const modes = (): number[] => {
    const of = ({ drop_entry, drop_packet, secure_tcp }: typeof twins.model.settings) => [
      drop_entry,
      drop_packet,
      secure_tcp,
    ];
    const shown = of(shownSettings(twins.rules.settings, twins.maps));
    expect(shown).toEqual(of(twins.model.settings));
    return shown;
  };
  const opened = (ports: readonly number[]): boolean[] =>
    ports.map((port) => both(`tcp 10.1.0.2:${port} > ${VIP}:80 S`));

  test("automatic modes follow the memory once a second, and are shown as 2 while it is short", () => {
    serve(WEB);
    twins.settings({ amemthresh: 1000, drop_entry: 2, drop_packet: 1, secure_tcp: 1 });
    expect(modes()).toEqual([1, 1, 1]);
    expect(opened([1, 2, 3])).toEqual([true, true, true]);
    twins.memory(500);
    twins.wait(100);
    expect(modes()).toEqual([1, 1, 1]);
    wait(1);
    expect(modes()).toEqual([2, 2, 2]);
    // 1000 / (1000 - 500): every second one.
    expect(opened([11, 12, 13, 14])).toEqual([false, true, false, true]);
    twins.memory(750);
    wait(1);
    expect(opened([21, 22, 23, 24, 25])).toEqual([false, true, true, true, false]);
    twins.memory(1000);
    wait(1);
    expect(modes()).toEqual([1, 1, 1]);
    expect(opened([31, 32, 33])).toEqual([true, true, true]);
  });

  test("without memory at all every new connection is dropped, and none that is there", () => {
    serve(WEB);
    expect(opened([1])).toEqual([true]);
    twins.settings({ drop_packet: 1 });
    twins.memory(0);
    wait(1);
    expect(opened([2, 3, 4])).toEqual([false, false, false]);
    expect(both(`tcp 10.1.0.2:1 > ${VIP}:80 A`)).toBe(true);
  });

  test("a mode acts at once, by the memory that there is then; 0 and 3 do not ask for it", () => {
    serve(WEB);
    twins.memory(10);
    twins.settings({ secure_tcp: 1 });
    expect(modes()).toEqual([0, 0, 2]);
    twins.settings({ secure_tcp: 0, drop_packet: 3, am_droprate: 2 });
    expect(modes()).toEqual([0, 3, 0]);
    expect(opened([1, 2, 3])).toEqual([false, true, false]);
    twins.memory(1_000_000);
    wait(2);
    expect(modes()).toEqual([0, 3, 0]);
    expect(opened([4, 5, 6])).toEqual([true, false, true]);
    twins.settings({ am_droprate: 0 });
    expect(opened([7, 8])).toEqual([true, true]);
  });

  test("the secure table is in force while secure_tcp is 2", () => {
    serve(WEB);
    twins.settings({ secure_tcp: 1 });
    for (const pages of [10, 1_000_000, 10]) {
      twins.memory(pages);
      wait(1);
      for (const [i, flags] of ["S", "A", "FA", "R"].entries()) {
        both(`tcp 10.1.0.2:${pages + i} > ${VIP}:80 S`);
        both(`tcp 10.2.0.11:80 > 10.1.0.2:${pages + i} SA`, "through");
        both(`tcp 10.1.0.2:${pages + i} > ${VIP}:80 ${flags}`);
        both(`tcp 10.2.0.11:80 > 10.1.0.2:${pages + i} FA`, "through");
      }
    }
  });

  test("drop_entry takes half-open and idle connections, every n-th of those with n packets", () => {
    serve(WEB);
    serve(DNS);
    serve(SIGNAL);
    twins.thorough();
    for (let i = 1; i <= 6; i++) for (let n = 0; n < i; n++) both(`udp 10.1.0.2:${i} > ${VIP}:53`);
    for (let i = 10; i < 16; i++) for (let n = 0; n < 3; n++) both(`udp 10.1.0.2:${i} > ${VIP}:53`);
    for (let n = 0; n < 9; n++) both(`udp 10.1.0.2:99 > ${VIP}:53`);
    for (const port of [1, 2, 3]) {
      both(`tcp 10.1.0.2:${port} > ${VIP}:80 S`);
      both(`sctp 10.1.0.2:${port} > ${VIP}:2905 INIT tag=7`);
    }
    both(`tcp 10.2.0.11:80 > 10.1.0.2:2 SA`, "through");
    both(`tcp 10.1.0.2:2 > ${VIP}:80 A`);
    twins.settings({ amemthresh: 1000, drop_entry: 1 });
    wait(40);
    const before = twins.programConnections().length;
    twins.memory(999);
    wait(1);
    expect(twins.programConnections().length).toBeLessThan(before);
    const kept = twins.programConnections().length;
    wait(40);
    expect(twins.programConnections().length).toBeLessThan(kept);
  });

  test("and their template along, unless it is assured or its service schedules each packet alone", () => {
    serve(WEB, { persistent: true, timeoutS: 301 });
    serve(DNS, { persistent: true, timeoutS: 307, onePacket: true });
    twins.thorough();
    twins.settings({ drop_entry: 3 });
    const left = (seconds: number): number => {
      wait(seconds);
      return twins.programConnections().length;
    };
    twins.settings({ drop_entry: 0 });
    both(`tcp 10.1.0.2:1 > ${VIP}:80 S`);
    both(`tcp 10.1.0.3:1 > ${VIP}:80 S`);
    both(`tcp 10.2.0.11:80 > 10.1.0.3:1 SA`, "through");
    both(`tcp 10.1.0.3:1 > ${VIP}:80 A`);
    both(`tcp 10.1.0.3:2 > ${VIP}:80 S`);
    both(`udp 10.1.0.2:1 > ${VIP}:53`);
    expect(twins.programConnections()).toHaveLength(6);
    twins.settings({ drop_entry: 3 });
    expect(left(1)).toBe(3);
    expect(left(62)).toBe(1);
  });

  test("drop_entry 3 draws one of 32 connections each second", () => {
    serve(WEB);
    for (let port = 1; port <= 200; port++) both(`tcp 10.1.0.2:${port} > ${VIP}:80 S`);
    twins.settings({ drop_entry: 3 });
    twins.wait(2000);
    const { length } = twins.programConnections();
    expect(length).toBeGreaterThan(150);
    expect(length).toBeLessThan(200);
  });
});
