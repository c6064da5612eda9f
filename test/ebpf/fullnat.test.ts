/** What full-NAT does to TCP segments, in the programs as in the model: sequence numbers, time stamps, MSS, the address option. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ServiceId } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { CONN } from "../../src/planes/ebpf/layout.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { Twins } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

const OWN = ["10.9.0.1", "2001:db8:9::1", "10.1.0.1", "10.2.0.1", "2001:db8:2::1"];
const WORLDS = {
  4: { vip: "10.9.0.1", client: "10.1.0.2:4000", rs: "10.2.0.11", end: "10.9.0.1:80", local: "10.2.0.1" },
  6: {
    vip: "2001:db8:9::1",
    client: "[2001:db8:1::2]:4000",
    rs: "2001:db8:2::11",
    end: "[2001:db8:9::1]:80",
    local: "[2001:db8:2::1]",
  },
} as const;

describe.runIf(root).each([4, 6] as const)(
  "full-NAT of TCP over IPv%i, as the model",
  { timeout: 60_000 },
  (family) => {
    const world = WORLDS[family];
    const id: ServiceId = { kind: "address", family, protocol: "tcp", address: world.vip, port: 80 };
    let twins: Twins;
    beforeEach(() => {
      twins = new Twins(OWN);
      twins.addService(serviceSpec(id, { scheduler: "rr" }));
      twins.addDestination(id, destination(world.rs, { method: "fullnat", port: 80 }));
    }, 60_000);
    afterEach(() => twins?.close());

    const show = (note: string, way: "in" | "through"): void => {
      const difference = twins.show(buildPacket(parseNote(note)), way);
      expect(difference && `${note}\n${difference}`).toBeUndefined();
      expect([note, ...twins.compareTables()]).toEqual([note]);
    };
    const client = (body: string): void => show(`tcp ${world.client} > ${world.end} ${body}`, "in");
    const { port: portOf, delta: deltaOf } = {
      port: () => twins.maps.array("slab").view.getUint16(CONN.size + CONN.at.local_port),
      delta: () => twins.maps.array("slab").view.getUint32(CONN.size + CONN.at.seq_delta, true),
    };
    const server = (body: string): void => {
      const from = family === 4 ? `${world.rs}:80` : `[${world.rs}]:80`;
      show(`tcp ${from} > ${world.local}:${portOf()} ${body}`, "in");
    };

    test("the client's address goes with the handshake's ACK and data before an answer, if it fits", () => {
      client("S seq=9 opts=020405b4");
      expect(deltaOf()).not.toBe(0);
      // Once more: the same number.
      client("S seq=9 opts=020405b4");
      const isn = (deltaOf() + 10) >>> 0;
      server(`SA seq=500 ack=${isn} opts=020405b4`);
      client("A seq=10 ack=501");
      for (const length of [1, 255, 256, 257, 700, 1431, 1432, 1433, 1440, 1441, 1460, 3000])
        client(`PA seq=10 ack=501 len=${length}`);
      client("PA seq=10 ack=501 len=9 opts=0101080a0000000100000002");
      client(`PA seq=10 ack=501 len=9 opts=${"01".repeat(32)}`);
      client(`PA seq=10 ack=501 len=9 opts=${"01".repeat(20)}`);
      client(`PA seq=10 ack=501 len=9 opts=${"01".repeat(40)}`);
      client("FA seq=10 ack=501 len=9");
      client("R seq=10 ack=501");
      twins.mtu(800);
      client("PA seq=10 ack=501 len=750 df");
      client("PA seq=10 ack=501 len=730 df");
      client("A seq=10 ack=502 len=30");
    });

    test("time stamps of a SYN become no-operations, at even and odd places; the MSS of the answer leaves room", () => {
      const stamps = "080a0102030405060708";
      client(`S seq=9 opts=020405b4${stamps}0402`);
      client(`S seq=9 opts=01${stamps}01`);
      client(`S seq=9 opts=${stamps}0000`);
      const ack = (deltaOf() + 10) >>> 0;
      for (const mss of [
        "020405b4",
        "0102040005000000",
        "0204000700000000",
        "0103030702040218",
        "0203050000000000",
        "0004020405b40000",
      ])
        server(`SA seq=500 ack=${ack} opts=${mss}`);
      twins.settings({ fullnat_toa: 0 });
      server(`SA seq=500 ack=${ack} opts=020405b4`);
      client("A seq=10 ack=501");
    });

    test("replies and errors about requests lose a hop, too; the server is told of one that had no more", () => {
      client("S seq=9");
      const first = (deltaOf() + 10) >>> 0;
      for (const ttl of [64, 2, 1]) server(`SA seq=500 ack=${first} ttl=${ttl}`);
      const end = family === 4 ? `${world.rs}:80` : `[${world.rs}]:80`;
      const quoted = `tcp ${world.local}:${portOf()} > ${end} PA seq=${first} ack=501 trunc=${family === 4 ? 28 : 48}`;
      for (const ttl of [64, 2, 1])
        show(
          `icmp ${world.rs} > ${world.local.replace(/[[\]]/g, "")} ttl=${ttl} unreach-port [ ${quoted} ]`,
          "in",
        );
    });

    test("acknowledgements of the server, selective ones too, come back in the client's numbers", () => {
      client("S seq=4294967290");
      const first = (deltaOf() + 4294967291) >>> 0;
      server(`SA seq=500 ack=${first}`);
      const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, "0");
      server(`A seq=501 ack=${first} opts=0101050a${hex(first + 100)}${hex(first + 200)}`);
      server(`A seq=501 ack=${first} opts=050a${hex(first)}${hex(first + 7)}01050a${hex(1)}${hex(2)}000000`);
      server(
        `A seq=501 ack=${first} opts=01010522${[1, 2, 3, 4, 5, 6, 7, 8].map((n) => hex(first + n)).join("")}`,
      );
      server(`R seq=501 ack=0`);
      const quoted = `tcp ${world.local}:${portOf()} > ${family === 4 ? `${world.rs}:80` : `[${world.rs}]:80`} PA seq=${first} ack=501 trunc=${family === 4 ? 28 : 48}`;
      show(`icmp ${world.rs} > ${world.local.replace(/[[\]]/g, "")} unreach-port [ ${quoted} ]`, "in");
    });
  },
);
