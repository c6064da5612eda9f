/**
 * The FTP helper of the programs against the model: control lines good and bad, data connections, and the sequence numbers of what
 * follows, byte by byte.
 */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DestinationSpec } from "../../src/core/destination.ts";
import type { ServiceId, ServiceSpec } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { VERDICT } from "../../src/planes/ebpf/layout.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { seeded } from "../../src/testkit/random.ts";
import { Twins } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

const VIP = "10.9.0.1";
const VIP6 = "2001:db8:9::1";
const RS = "10.2.0.13";
const RS6 = "2001:db8:2::13";
const CLIENT = "10.1.0.2:4000";
const CLIENT6 = "[2001:db8:1::2]:4000";
const FTP: ServiceId = { kind: "address", family: 4, protocol: "tcp", address: VIP, port: 21 };
const FTP6: ServiceId = { ...FTP, family: 6, address: VIP6 };
const says = (text: string): string => `data=${JSON.stringify(text)}`;

describe.runIf(root).each([false, true])(
  "FTP by NAT, as the model (XDP first: %s)",
  { timeout: 60_000 },
  (xdp) => {
    let twins: Twins;
    beforeEach(() => {
      twins = new Twins([VIP, VIP6, "10.1.0.1", "10.2.0.1", "2001:db8:2::1"], xdp);
    }, 60_000);
    afterEach(() => twins?.close());

    const serve = (
      id: ServiceId,
      spec: Partial<DestinationSpec>,
      change: Partial<ServiceSpec> = {},
    ): void => {
      twins.addService(serviceSpec(id, { scheduler: "rr", ...change }));
      twins.addDestination(id, destination(spec.address ?? RS, { port: 21, ...spec }));
    };
    /** Shows a packet to both, which must agree on it and on all tables. */
    const show = (note: string, way: "in" | "through", mark = 0): void => {
      const difference = twins.show(buildPacket(parseNote(note)), way, mark);
      expect(difference && `${note}\n${difference}`).toBeUndefined();
      expect([note, ...twins.compareTables()]).toEqual([note]);
    };
    const client = (body: string, mark = 0): void => show(`tcp ${CLIENT} > ${VIP}:21 ${body}`, "in", mark);
    const server = (body: string): void => show(`tcp ${RS}:21 > ${CLIENT} ${body}`, "through");
    const client6 = (body: string): void => show(`tcp ${CLIENT6} > [${VIP6}]:21 ${body}`, "in");
    const server6 = (body: string): void => show(`tcp [${RS6}]:21 > ${CLIENT6} ${body}`, "through");
    const open = (): void => {
      client("S seq=9");
      server("SA seq=500 ack=10");
      client("A seq=10 ack=501");
    };
    const open6 = (): void => {
      client6("S seq=9");
      server6("SA seq=500 ack=10");
      client6("A seq=10 ack=501");
    };
    const count = (): number => twins.programConnections().length;

    test.each(["PORT 10,1,0,2,200,10\r\n", "EPRT |1|10.1.0.2|51210|\r\n"])("active, %j", (command) => {
      serve(FTP, {});
      open();
      client(`PA seq=10 ack=501 ${says(command)}`);
      expect(count()).toBe(2);
      // Once more changes nothing.
      client(`PA seq=10 ack=501 ${says(command)}`);
      expect(count()).toBe(2);
      show(`tcp ${RS}:20 > 10.1.0.2:51210 S seq=1`, "through");
      show(`tcp 10.1.0.2:51210 > ${VIP}:20 SA seq=7 ack=2`, "in");
      show(`tcp ${RS}:20 > 10.1.0.2:51210 FA seq=2 ack=8`, "through");
      twins.wait(130_000, true);
      expect(count()).toBe(1);
      twins.wait(1_000_000, true);
      expect(count()).toBe(0);
    });

    test("passive: 227 is rewritten, what follows is shifted both ways, shifts add up, errors speak of the server's numbers", () => {
      serve(FTP, {});
      open();
      client(`PA seq=10 ack=501 ${says("PASV\r\n")}`);
      const old = "227 Entering Passive Mode (10,2,0,13,200,10)\r\n";
      server(`PA seq=501 ack=16 ${says(old)}`);
      expect(count()).toBe(2);
      show(`tcp 10.1.0.2:4100 > ${VIP}:51210 S seq=1`, "in");
      expect(count()).toBe(2);
      show(`tcp ${RS}:51210 > 10.1.0.2:4100 SA seq=1 ack=2`, "through");
      // The way was for one connection.
      show(`tcp 10.1.0.2:4101 > ${VIP}:51210 S seq=1`, "in");
      server(`PA seq=501 ack=16 ${says(old)}`);
      const next = 501 + old.length;
      client(`A seq=16 ack=${next - 1}`);
      // 501: the answer itself is lost, what follows it came.
      for (const ack of [next - 1, 501]) {
        for (const start of [next - 1, next - 11, 0xfffffff0, 495]) {
          const edges = [start, start + 9].map((n) => n.toString(16).padStart(8, "0")).join("");
          client(`A seq=16 ack=${ack} opts=0101050a${edges}`);
          client(`A seq=16 ack=${ack} opts=01050a${edges}00`);
        }
      }
      server(`PA seq=${next} ack=16 ${says("150 Here it comes\r\n")}`);
      client(`PA seq=16 ack=${next - 1} ${says("PASV\r\n")}`);
      server(`PA seq=${next} ack=22 ${says("227 Entering Passive Mode (1,2,3,4,4,10)\r\n")}`);
      server(`PA seq=${next + 42} ack=22 ${says("150\r\n")}`);
      client(`A seq=22 ack=${next + 45}`);
      show(`icmp 10.1.9.9 > ${VIP} unreach-host [ tcp ${VIP}:21 > ${CLIENT} PA seq=${next} trunc=28 ]`, "in");
      show(`icmp 10.1.9.9 > ${VIP} unreach-host [ tcp ${VIP}:21 > ${CLIENT} PA seq=499 trunc=28 ]`, "in");
    });

    test("IPv6, active and passive", () => {
      serve(FTP6, { address: RS6 });
      open6();
      client6(`PA seq=10 ack=501 ${says("EPRT |2|2001:db8:1::2|51210|\r\n")}`);
      show(`tcp [${RS6}]:20 > [2001:db8:1::2]:51210 S seq=1`, "through");
      client6(`PA seq=50 ack=501 ${says("EPSV\r\n")}`);
      server6(`PA seq=501 ack=18 ${says("229 Entering Extended Passive Mode (|||51211|)\r\n")}`);
      show(`tcp [2001:db8:1::2]:4100 > [${VIP6}]:51211 S seq=1`, "in");
      show(`tcp [${RS6}]:51211 > [2001:db8:1::2]:4100 SA seq=1`, "through");
      expect(count()).toBe(3);
    });

    test("of a persistent service the data connection hangs on the control connection, that on the template", () => {
      serve(FTP, {}, { persistent: true, timeoutS: 60 });
      open();
      client(`PA seq=10 ack=501 ${says("EPSV 1\r\n")}`);
      server(`PA seq=501 ack=16 ${says("229 Ok (|||2000|)\r\n")}`);
      expect(count()).toBe(3);
      twins.wait(130_000);
      expect(count()).toBe(2);
      twins.wait(1_200_000, true);
      twins.wait(70_000);
      expect(count()).toBe(0);
    });

    test("also through services by mark and of any port; not by DR, not on other ports", () => {
      serve({ ...FTP, port: 0 }, { port: 0 }, { persistent: true, timeoutS: 100 });
      serve({ kind: "fwmark", family: 4, fwmark: 7 }, { port: 0, address: "10.2.0.14" });
      open();
      client(`PA seq=10 ack=501 ${says("PORT 10,1,0,2,200,10\r\n")}`);
      expect(count()).toBe(3);
      show("tcp 10.1.0.3:4000 > 10.9.0.2:21 S seq=1", "in", 7);
      show("tcp 10.2.0.14:21 > 10.1.0.3:4000 SA seq=1", "through");
      show("tcp 10.1.0.3:4000 > 10.9.0.2:21 A seq=1", "in", 7);
      show(`tcp 10.1.0.3:4000 > 10.9.0.2:21 A seq=1 ${says("PORT 10,1,0,3,200,10\r\n")}`, "in", 7);
      expect(count()).toBe(5);
    });

    test("a data connection whose server left goes as others do", () => {
      serve(FTP, {});
      open();
      client(`PA seq=10 ack=501 ${says("PASV\r\n")}`);
      for (const port of [10, 11]) server(`PA seq=501 ack=16 ${says(`227 (10,2,0,13,200,${port})\r\n`)}`);
      twins.removeDestination(FTP, { family: 4, address: RS, port: 21 });
      show(`tcp 10.1.0.2:4100 > ${VIP}:51210 S seq=1`, "in");
      expect(count()).toBe(3);
      // The sweeper of the programs ends such connections whenever it meets them.
      twins.settings({ expire_nodest_conn: 1 });
      twins.wait(100);
      expect(count()).toBe(0);
    });

    test("of a server that became full-NAT's meanwhile, data connections go by NAT", () => {
      serve(FTP, {});
      open();
      twins.editDestination(FTP, destination(RS, { port: 21, method: "fullnat" }));
      client(`PA seq=10 ack=501 ${says("PASV\r\n")}`);
      server(`PA seq=501 ack=16 ${says("227 (10,2,0,13,200,10)\r\n")}`);
      show(`tcp 10.1.0.2:4100 > ${VIP}:51210 S seq=1`, "in");
      show(`tcp ${RS}:51210 > 10.1.0.2:4100 SA seq=1 ack=2`, "through");
      client(`PA seq=16 ack=501 ${says("PORT 10,1,0,2,200,11\r\n")}`);
      show(`tcp ${RS}:20 > 10.1.0.2:51211 S seq=1`, "through");
      expect(count()).toBe(3);
    });

    const REQUESTS = [
      "PASV\r\n",
      "pasv\r\n",
      "NOOP\r\nPASV\r\n",
      "XPASV\r\n",
      "PASV \r\n",
      "PASV\n",
      "EPSV 2\r\n",
      "EPSV 1\r\n",
      "epsv\r\n",
      "EPSV 2\r\nEPSV\r\n",
      "EPSV 3\r\n",
      "EPSV ALL\r\n",
      "PORT 10,1,0,2,200,10\n",
      "PORT 10,1,0,2,0,0\r\n",
      "PORT 10,1,0,256,1,1\r\n",
      "PORT 10,1,0\r\n",
      "PORT 10,1,0,2,200,10,9\r\n",
      "PORT  10,1,0,2,200,10\r\n",
      "PORT 010,01,0,2,200,010\r\n",
      "port 1,2,3,4,5,6\r",
      "PORT 10,1,0,2,200,10",
      "PORT 0010,1,0,2,200,1\r\n",
      "PORT 10,1,0,2,,1\r\n",
      "EPRT |2|::1|9|\r\n",
      "EPRT |1|10.1.0.2|65535|\r\n",
      "EPRT |1|10.1.0.2|65536|\r\n",
      "EPRT |1|10.1.0.2|0|\r\n",
      "EPRT |1|10.1.0.02|9|\r\n",
      "EPRT |1|10.1.0|9|\r\n",
      "EPRT |1|10.1.0.2|9\r\n",
      "EPRT x1x10.1.0.2x9x\r\n",
      "EPRT |1|10.1.0.2|123456|\r\n",
      "EPRT |1||9|\r\n",
      "EPRT .1.10.1.0.2.900.\r\n",
      "EPRT |1|10.1.0.2|9|x\r\n",
      "EPRT |1|a.1.0.2|9|\r\n",
      "",
      "\r\n",
      "PO",
      "EPRT |1|\r\n",
      "EPRT |1|9|\r\n",
    ];
    const REPLIES = [
      "227 Entering Passive Mode (10,2,0,13,200,10)\r\n",
      "227 10,2,0,13,200,11\r\n",
      "227 =1,2,3,4,5,6\r\n",
      "227-x (10,2,0,13,200,12)\r\n",
      "227 a,1,2,3,4,5,6 10,2,0,13,200,12 7,7,7,7,7,7\r\n",
      "227 1,2,3 (10,2,0,13,200,13).\n",
      "227 (10,2,0,13,200,10)",
      "227 (10,2,0,256,1,1)\r\n",
      "227 (10,2,0,13,0,0)\r\n",
      "227 (1,2,3,4,5,6,7)\r\n",
      "227 nothing\r\n227 (1,2,3,4,5,6)\r\n",
      "227 (10,2,0,13,200,14)\r\n150 more lines\r\nand more\r\n",
      "227 (255,255,255,255,255,254)\r\n",
      "227 (1,1,1,1,1,1)\r\n",
      "227 (0001,1,1,1,1,1) 2,2,2,2,2,2\r\n",
      "229 Entering Extended Passive Mode (|||51210|)\r\n",
      "229 (||51210|)\r\n",
      "229 x (!!!1234!) y",
      "229 (|||0|)\r\n",
      "229 (|||70000|)\r\n",
      "229 (|||123456|)\r\n",
      "229 (((1(|||77|)\r\n",
      "229 no\r\n(|||51210|)\r\n",
      "229 (|||5a|) (|||5|)\r\n",
      "229 (||||5|)\r\n",
      "226 (|||5|)\r\n",
      "22",
      `227 ${"x".repeat(990)} (1,2,3,4,5,6)\r\n`,
      `227 ${"x".repeat(998)} (1,2,3,4,5,60)\r\n`,
      `227 (1,2,3,4,5,6)\r\n${"y".repeat(1300)}`,
    ];
    test("every line that a parser may trip over", () => {
      serve(FTP, {});
      open();
      let seq = 501;
      for (const request of REQUESTS) {
        client(`PA seq=10 ack=501 ${says(request)}`);
        client(`PA seq=10 ack=501 ${says("PASV\r\n")}`);
      }
      for (const reply of REPLIES) {
        server(`PA seq=${seq} ack=16 ${says(reply)}`);
        seq += reply.length;
        client(`A seq=16 ack=${seq - 20}`);
      }
      expect(count()).toBeGreaterThan(15);
    });

    const ADDRESSES = [
      "2001:db8:1::2",
      "::",
      "::1",
      "1::",
      "1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7::",
      "::2:3:4:5:6:7:8",
      "1:2:3:4::5:6:7:8",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7",
      ":1",
      "1:",
      "1:::2",
      "1::2::3",
      "::1.2.3.4",
      "1:2:3:4:5:6:1.2.3.4",
      "1:2:3:4:5:6:7:1.2.3.4",
      "::1.2.3",
      "::1.2.3.4:5",
      "::1.2.3.256",
      "::01.2.3.4",
      "::a.2.3.4",
      "12345::",
      "g::",
      "::FFFF:10.0.0.1",
      "1.2.3.4",
      "::1%eth0",
      ":",
      ":::",
      "fe80::1:2.3.4.5",
      "::1.2.3.4.5",
      `${"1:".repeat(40)}1`,
    ];
    test("every IPv6 address that EPRT may name", () => {
      serve(FTP6, { address: RS6 });
      open6();
      let port = 2000;
      for (const delimiter of ["|", ":", "!"])
        for (const address of ADDRESSES)
          client6(
            `PA seq=10 ack=501 ${says(`EPRT ${delimiter}2${delimiter}${address}${delimiter}${port++}${delimiter}\r\n`)}`,
          );
      expect(count()).toBeGreaterThan(30);
    });

    test("lines that chance mangled", () => {
      serve(FTP, {});
      open();
      const random = seeded(21);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
      const mangled = (line: string): string => {
        const at = Math.floor(random() * line.length);
        const by = random() < 0.3 ? pick(["0", "9", ",", "|", "\r\n", "(", " ", "7"]) : "";
        return random() < 0.4 ? line : line.slice(0, at) + by + line.slice(at + (random() < 0.5 ? 1 : 0));
      };
      let seq = 501;
      for (let i = 0; i < 250; i++) {
        if (random() < 0.5)
          client(`PA seq=10 ack=${seq - Math.floor(random() * 60)} ${says(mangled(pick(REQUESTS)))}`);
        else {
          const line = mangled(pick(REPLIES));
          const back = random() < 0.2 ? Math.floor(random() * 60) : 0;
          server(`PA seq=${(seq - back) >>> 0} ack=16 ${says(line)}`);
          if (back === 0) seq += line.length;
        }
      }
      expect(twins.maps.array("trace").view.getUint32(0, true)).toBe(VERDICT.send);
    }, 120_000);
  },
);
