/** Connections that another director announced, among packets: the programs take them as the model does. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FLAG } from "../../src/core/connections.ts";
import type { ServiceId } from "../../src/core/service.ts";
import { type AnnouncedConnections, entryOf } from "../../src/core/sync/entry.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { CONFIG } from "../../src/planes/ebpf/layout.ts";
import { SlabTable } from "../../src/planes/ebpf/sync/slab-table.ts";
import { RingBuffer } from "../../src/sys/bpf/ringbuf.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { seeded } from "../../src/testkit/random.ts";
import { parseAddress } from "../../src/wire/address.ts";
import { type SyncEntry, type SyncLocal, SyncWriter } from "../../src/wire/sync.ts";
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

  /** Shows packets to both, which must agree on them and on all tables. */
  const show = (note: string, way: "in" | "through"): void => {
    const difference = twins.show(buildPacket(parseNote(note)), way);
    expect(difference && `${note}\n${difference}`).toBeUndefined();
    expect([note, ...twins.compareTables()]).toEqual([note]);
  };
  /** What both would announce now, as bytes: of every connection, in the order of their ends. */
  const expectSameEntries = (): void => {
    const slab = new SlabTable(twins.maps);
    const of = (table: AnnouncedConnections): string[] => {
      const found: string[] = [];
      table.scan(0, 100_000, (c) => {
        const writer = new SyncWriter(1, 0, 1400);
        writer.add(entryOf(table, c));
        found.push(Buffer.from(writer.take()).toString("hex"));
      });
      return found.sort();
    };
    expect(of(slab)).toEqual(of(twins.model.connections));
    expect(of(slab).length).toBeGreaterThan(0);
  };

  test.each([4, 6] as const)(
    "an FTP control connection over IPv%i goes on with the numbers that both ends know",
    (family) => {
      const id: ServiceId = { ...idOf(family, "tcp"), port: 21 } as ServiceId;
      twins.addService(serviceSpec(id, { scheduler: "rr" }));
      twins.addDestination(id, destination(`${SERVER[family]}11`, { family, port: 21 }));
      const at = (address: string, port: number): string =>
        `${family === 6 ? `[${address}]` : address}:${port}`;
      const client = (body: string): void =>
        show(`tcp ${at(`${CLIENT[family]}2`, 4000)} > ${at(VIP[family], 21)} ${body}`, "in");
      const server = (body: string): void =>
        show(`tcp ${at(`${SERVER[family]}11`, 21)} > ${at(`${CLIENT[family]}2`, 4000)} ${body}`, "through");
      const control = { virtualPort: 21, destinationPort: 21, flags: FLAG.outSeq };
      const none = { initial: 0, delta: 0, previousDelta: 0 };
      const shifted = (initial: number, delta: number, previousDelta: number): SyncEntry =>
        entry(
          {
            ...control,
            sequence: [none, { initial, delta: delta >>> 0, previousDelta: previousDelta >>> 0 }],
          },
          family,
        );
      for (const [initial, delta, previous] of [
        [1000, 7, 3],
        [2000, -5, 7],
        [0xfffffff0, 300_000, 299_995],
      ] as const) {
        send(shifted(initial, delta, previous));
        expectSameEntries();
        for (const seq of [initial - 5, initial, initial + 1, initial + 40]) {
          server(`PA seq=${seq >>> 0} ack=10 len=4`);
          client(`A seq=10 ack=${(seq + delta) >>> 0}`);
          client(`A seq=10 ack=${(seq + previous) >>> 0}`);
        }
      }
      // What was shifted here is announced in turn.
      client('PA seq=10 ack=1 data="EPSV\\r\\n"');
      if (family === 4) {
        client('PA seq=16 ack=1 data="PASV\\r\\n"');
        // The sync process hears of it at once.
        twins.maps.array("config").view.setUint32(CONFIG.at.sync_on, 1, true);
        const events = new RingBuffer(twins.maps.map("sync_events").fd);
        const heard = (): number => events.consume(() => undefined, 100);
        const passive = 'PA seq=900 ack=22 data="227 (10,2,0,11,200,10)\\r\\n"';
        server(passive);
        expect(heard()).toBe(1);
        server(passive);
        expect(heard()).toBe(0);
        events.close();
        server("A seq=930 ack=22 len=9");
      } else server('PA seq=900 ack=16 data="229 Entering (|||51210|)\\r\\n"');
      expectSameEntries();
    },
  );

  test.each([4, 6] as const)(
    "full-NAT over IPv%i: connections go on from their local ends, which are nobody else's",
    (family) => {
      for (const protocol of ["tcp", "udp"] as const) {
        const id = idOf(family, protocol);
        twins.addService(serviceSpec(id, { scheduler: "rr" }));
        twins.addDestination(id, destination(`${SERVER[family]}11`, { family, method: "fullnat" }));
      }
      const at = (address: string, port: number): string =>
        `${family === 6 ? `[${address}]` : address}:${port}`;
      const client = (protocol: "tcp" | "udp", port: number, body: string): void =>
        show(`${protocol} ${at(`${CLIENT[family]}2`, port)} > ${at(VIP[family], 80)} ${body}`, "in");
      const server = (protocol: "tcp" | "udp", port: number, body: string): void =>
        show(
          `${protocol} ${at(`${SERVER[family]}11`, 80)} > ${at(`${SERVER[family]}1`, port)} ${body}`,
          "in",
        );
      const local = (port: number, more: Partial<SyncLocal> = {}): SyncLocal => ({
        ...{ address: bytes(`${SERVER[family]}1`), port, shift: 0, serverIsn: undefined },
        ...more,
      });
      const full = (clientPort: number, of: SyncLocal, more: Partial<SyncEntry> = {}): SyncEntry =>
        entry({ flags: 5, clientPort, local: of, ...more }, family);
      const udp = { protocol: PROTO.udp, flags: 5 | FLAG.inactive, state: 0 };
      send(
        full(4000, local(2000, { shift: 0xfffffff0, serverIsn: 501 })),
        full(4001, local(2001, { shift: 77 })),
        full(4000, local(2000), udp),
      );
      expectSameEntries();
      // The client's address rides in what comes before it acknowledged data, and not after it.
      client("tcp", 4000, "PA seq=10 ack=501 len=3");
      client("tcp", 4000, "A seq=13 ack=600");
      server("tcp", 2000, "A seq=600 ack=3 opts=0101050a0000000100000009");
      client("tcp", 4001, "A seq=10 ack=501");
      client("udp", 4000, "len=9");
      server("udp", 2000, "len=9");
      // New ones find their own ports.
      for (let i = 0; i < 5; i++) client("tcp", 5000 + i, "S seq=1");
      expectSameEntries();
      // The same local end again: an ending one changes nothing, a new one takes it.
      send(full(4002, local(2001), { flags: 5 | FLAG.inactive, state: 4 }));
      server("tcp", 2001, "A seq=600 ack=87");
      send(full(4002, local(2001, { shift: 3 })), full(4003, local(2000), udp));
      client("tcp", 4002, "A seq=10 ack=501");
      server("tcp", 2001, "A seq=600 ack=13");
      server("udp", 2000, "len=9");
      // The same client from another local end.
      send(full(4002, local(2007)));
      server("tcp", 2007, "A seq=600 ack=13");
      send(full(4002, local(2007), { flags: 5 | FLAG.inactive, state: 4 }));
      expectSameEntries();
      // Of no use: without a local end, or with one and another method.
      const before = twins.programConnections().length;
      send(
        full(4100, local(0)),
        entry({ flags: 5, clientPort: 4101 }, family),
        full(4102, local(3000), { flags: 0 }),
      );
      expect(twins.programConnections()).toHaveLength(before);
    },
  );

  test.each([4, 6] as const)(
    "templates of SIP calls over IPv%i: calls keep the servers that another director chose",
    (family) => {
      const id: ServiceId = { ...idOf(family, "udp"), port: 5060 } as ServiceId;
      twins.addService(serviceSpec(id, { scheduler: "rr", persistent: true, timeoutS: 300, engine: "sip" }));
      for (const last of [11, 12])
        twins.addDestination(id, destination(`${SERVER[family]}${last}`, { family, port: 5060 }));
      const call = (text: string, server: number, change: Partial<SyncEntry> = {}): SyncEntry =>
        entry(
          {
            ...{ protocol: PROTO.udp, flags: FLAG.template | FLAG.inactive, state: 0, clientPort: 0 },
            ...{ virtualPort: 5060, destinationPort: 5060, timeoutS: 300 },
            ...{ destination: bytes(`${SERVER[family]}${server}`) },
            engine: { name: "sip", data: Buffer.from(text, "latin1") },
            ...change,
          },
          family,
        );
      const at = (address: string, port: number): string =>
        `${family === 6 ? `[${address}]` : address}:${port}`;
      const ask = (port: number, text: string): void => {
        const message = `INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: ${text}\r\n\r\n`;
        show(
          `udp ${at(`${CLIENT[family]}2`, port)} > ${at(VIP[family], 5060)} hex=${Buffer.from(message, "latin1").toString("hex")}`,
          "in",
        );
      };
      const long = `${"x".repeat(200)}@${"y".repeat(54)}`;
      send(call("a@host", 12), call("b@host", 12), call("c@host", 12), call(long, 12), call("d@host", 13));
      expect([twins.elements("calls"), twins.elements("call_ids")]).toEqual([5, 5]);
      expectSameEntries();
      for (const [i, text] of ["a@host", "b@host", "new@host", long, "c@host", "other@host"].entries())
        ask(5000 + i, text);
      // Again: what is known stays one; an engine that nobody has is left out.
      send(
        call("a@host", 12, { timeoutS: 200 }),
        call("e@host", 11, { engine: { name: "other", data: bytes("1.2.3.4") } }),
      );
      expect(twins.elements("calls")).toBe(7);
      twins.addDestination(id, destination(`${SERVER[family]}13`, { family, port: 5060 }));
      twins.bindStrays();
      ask(5100, "d@host");
      expectSameEntries();
      twins.wait(700_000, true);
      expect([twins.elements("calls"), twins.elements("call_ids")]).toEqual([0, 0]);
      expect(twins.programConnections()).toEqual([]);
    },
  );
});
