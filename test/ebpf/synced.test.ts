/** Connections that another director announced, among packets: the programs take them as the model does. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FLAG } from "../../src/core/connections.ts";
import type { ServiceId } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { seeded } from "../../src/testkit/random.ts";
import { parseAddress } from "../../src/wire/address.ts";
import { type SyncEntry, SyncWriter } from "../../src/wire/sync.ts";
import { Twins } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");
const VIP = { 4: "10.9.0.1", 6: "2001:db8:9::1" } as const;
const SERVER = { 4: "10.2.0.", 6: "2001:db8:2::" } as const;
const CLIENT = { 4: "10.1.0.", 6: "2001:db8:1::" } as const;
const PROTO = { tcp: 6, udp: 17, sctp: 132 } as const;
type Name = keyof typeof PROTO;

const idOf = (family: 4 | 6, protocol: Name): ServiceId => ({
  ...{ kind: "address", family, protocol, address: VIP[family], port: 80 },
});
const bytes = (address: string): Uint8Array => parseAddress(address)!.bytes;

describe.runIf(root)("what another director announced", { timeout: 60_000 }, () => {
  let twins: Twins;
  beforeEach(() => {
    twins = new Twins([VIP[4], VIP[6], "10.1.0.1", "10.2.0.1", "2001:db8:2::1"]);
  });
  afterEach(() => twins?.close());

  const send = (...entries: SyncEntry[]): void => {
    const writer = new SyncWriter(1, 0, 1400);
    for (const entry of entries) expect(writer.add(entry)).toBe(true);
    twins.hear(writer.take());
    twins.wait(100);
    expect(twins.compareTables()).toEqual([]);
  };
  const entry = (change: Partial<SyncEntry> = {}, family: 4 | 6 = 4): SyncEntry => ({
    ...{
      family,
      protocol: PROTO.tcp,
      flags: 0,
      state: 1,
      clientPort: 4000,
      virtualPort: 80,
      destinationPort: 80,
    },
    ...{ fwmark: 0, timeoutS: 900, client: bytes(`${CLIENT[family]}2`), virtual: bytes(VIP[family]) },
    ...{ destination: bytes(`${SERVER[family]}11`), sequence: undefined, engine: undefined },
    ...change,
  });

  test("connections, ends of connections and templates, of known servers and of strangers, among packets", () => {
    const random = seeded(7);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
    for (const family of [4, 6] as const) {
      for (const protocol of ["tcp", "udp", "sctp"] as const) {
        const id = idOf(family, protocol);
        const persistence = { persistent: true, timeoutS: 60, netmask: family === 4 ? 0xffffffff : 128 };
        twins.addService(serviceSpec(id, { scheduler: "rr", ...(protocol === "udp" && persistence) }));
        for (const [i, method] of (["nat", "dr", "tun"] as const).entries())
          twins.addDestination(id, destination(`${SERVER[family]}${11 + i}`, { family, method }));
      }
    }
    let packets = 0;
    for (let i = 0; i < 1000; i++) {
      const family = pick([4, 6] as const);
      const protocol = pick(["tcp", "udp", "sctp"] as const);
      const [client, port] = [
        `${CLIENT[family]}${2 + Math.floor(random() * 3)}`,
        4000 + Math.floor(random() * 3),
      ];
      if (random() < 0.3) {
        const flags = protocol === "tcp" ? pick(["S", "A", "FA", "R"]) : "";
        const chunk = protocol === "sctp" ? pick(["INIT", "DATA", "SHUTDOWN"]) : "";
        const note = `${protocol} ${family === 6 ? `[${client}]` : client}:${port} > ${family === 6 ? `[${VIP[6]}]` : VIP[4]}:80 ${flags}${chunk}`;
        const difference = twins.show(buildPacket(parseNote(note.trim())), "in");
        expect(difference && `${i}: ${note}\n${difference}`).toBeUndefined();
        expect([i, note, twins.compareTables()]).toEqual([i, note, []]);
        packets++;
        continue;
      }
      const template = random() < 0.2;
      const method = pick([0, 2, 3]);
      const active =
        protocol === "tcp" ? pick([1, 1, 4, 5, 7]) : protocol === "sctp" ? pick([8, 8, 9, 13]) : 0;
      const inactive = template || protocol === "udp" || (active !== 1 && active !== 8);
      send(
        entry(
          {
            ...{ protocol: PROTO[protocol], client: bytes(client), clientPort: template ? 0 : port },
            ...{ destination: bytes(`${SERVER[family]}${pick([11, 12, 13, 14])}`) },
            state: template ? pick([0, 1]) : active,
            timeoutS: pick([5, 60, 900]),
            flags:
              method |
              (inactive ? FLAG.inactive : 0) |
              (method ? FLAG.noOutput : 0) |
              (template ? FLAG.template : 0),
          },
          family,
        ),
      );
    }
    expect(packets).toBeGreaterThan(200);
  });

  test("a server that comes later: its connections are bound, and forwarded as its method says", () => {
    const id = idOf(4, "tcp");
    twins.addService(serviceSpec(id, { scheduler: "rr" }));
    send(entry({ flags: 2 }), entry({ flags: 2, clientPort: 4001, state: 4 }));
    twins.addDestination(id, destination("10.2.0.11", { method: "tun" }));
    twins.bindStrays();
    twins.wait(100);
    const counts = twins.programConnections().map((line) => /flags (\w+)/.exec(line)![1]);
    expect(counts.sort()).toEqual(
      twins
        .modelConnections()
        .map((line) => /flags (\w+)/.exec(line)![1])
        .sort(),
    );
    expect(twins.show(buildPacket(parseNote("tcp 10.1.0.2:4000 > 10.9.0.1:80 A")), "in")).toBeUndefined();
  });
});
