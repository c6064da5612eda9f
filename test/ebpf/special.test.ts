/**
 * Packets that random traffic meets too rarely, one by one, against the model; and what the programs do differently on purpose.
 */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DestinationSpec, IPIP, type Tunnel } from "../../src/core/destination.ts";
import type { ServiceId, ServiceSpec } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { DROP, TRACE, VERDICT } from "../../src/planes/ebpf/layout.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { Twins, type Way } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

const address = (protocol: "tcp" | "udp" | "sctp", vip: string, port: number): ServiceId => ({
  kind: "address",
  family: vip.includes(":") ? 6 : 4,
  protocol,
  address: vip,
  port,
});
const VIP = "10.9.0.1";
const VIP6 = "2001:db8:9::1";
const TCP = address("tcp", VIP, 80);
const UDP = address("udp", VIP, 53);
const GUE: Tunnel = { type: "gue", port: 6080, checksum: "csum" };
const GRE: Tunnel = { type: "gre", port: 0, checksum: "csum" };

describe.runIf(root)("the programs, packet by packet", { timeout: 60_000 }, () => {
  let twins: Twins;
  beforeEach(() => {
    twins = new Twins([VIP, VIP6, "10.1.0.1", "10.2.0.1", "2001:db8:2::1"]);
  }, 60_000);
  afterEach(() => twins?.close());

  const serve = (id: ServiceId, spec: Partial<DestinationSpec>, change: Partial<ServiceSpec> = {}): void => {
    twins.addService(serviceSpec(id, { scheduler: "rr", ...change }));
    twins.addDestination(id, destination(spec.address ?? "10.2.0.11", spec));
  };
  /** Shows packets; both sides must agree on each. Returns the programs' verdict about the last one. */
  const both = (...notes: string[]): number => {
    for (const note of notes) {
      const way: Way = note.startsWith("<") ? "through" : "in";
      const text = note.replace(/^< /, "");
      const difference = twins.show(buildPacket(parseNote(text)), way);
      expect(difference && `${note}\n${difference}`).toBeUndefined();
      expect(twins.compareTables()).toEqual([]);
    }
    return twins.maps.array("trace").view.getUint32(TRACE.at.verdict, true);
  };

  for (const tunnel of [IPIP, GUE, GRE]) {
    test(`an ICMP error about a ${tunnel.type} packet becomes one about the packet inside`, () => {
      serve(TCP, { method: "tun", tunnel });
      const inner = "tcp 10.1.0.2:4000 > 10.9.0.1:80 A seq=2 df len=100";
      const outer = {
        ipip: "ipip 10.2.0.1 > 10.2.0.11",
        gre: "gre 10.2.0.1 > 10.2.0.11",
        gue: "gue 10.2.0.1:40000 > 10.2.0.11:6080",
      };
      both("tcp 10.1.0.2:4000 > 10.9.0.1:80 S seq=1 ttl=64");
      const error = `icmp 192.0.2.9 > 10.2.0.1 WHAT ttl=60 [ ${outer[tunnel.type]} df ttl=9 [ ${inner} ] ]`;
      expect(both(error.replace("WHAT", "unreach-host"))).toBe(VERDICT.answer);
      expect(both(error.replace("WHAT", "frag-needed mtu=1000"))).toBe(VERDICT.answer);
      // From now on the path is known to be narrow.
      expect(both("tcp 10.1.0.2:4000 > 10.9.0.1:80 A seq=2 df len=960 ttl=64")).toBe(VERDICT.answer);
      expect(both("tcp 10.1.0.2:4000 > 10.9.0.1:80 A seq=2 df len=900 ttl=64")).toBe(VERDICT.send);
      twins.wait(601_000);
      expect(both("tcp 10.1.0.2:4000 > 10.9.0.1:80 S seq=2 df len=960 ttl=64")).toBe(VERDICT.send);
    });
  }

  test("of what an ICMP error quotes counts what is there, not what its length field says", () => {
    serve(TCP, { port: 8080 });
    serve(address("tcp", VIP6, 80), { address: "2001:db8:2::11", port: 8080 });
    both("tcp 10.1.0.2:4000 > 10.9.0.1:80 S seq=1 ttl=64");
    both("tcp [2001:db8:1::2]:4000 > [2001:db8:9::1]:80 S seq=1 ttl=64");
    for (const short of ["iplen=21", "iplen=40", "iplen=1500"]) {
      const error = `icmp 10.1.0.2 > 10.9.0.1 unreach-port ttl=64 [ tcp 10.9.0.1:80 > 10.1.0.2:4000 A len=9 ${short} ]`;
      expect(both(error)).toBe(VERDICT.send);
    }
    const error6 = "icmp 2001:db8:1::2 > 2001:db8:9::1 unreach-port ttl=64";
    const quote6 = "tcp [2001:db8:9::1]:80 > [2001:db8:1::2]:4000 A len=9 iplen=41";
    expect(both(`${error6} [ ${quote6} ]`)).toBe(VERDICT.send);
  });

  test("tunnels carry either family over either family, checksums right at odd lengths", () => {
    for (const [n, tunnel] of [IPIP, GUE, GRE].entries()) {
      for (const [vip, client] of [
        [VIP, "10.1.0.2:4000"],
        [VIP6, "[2001:db8:1::2]:4000"],
      ] as const) {
        for (const [m, rip] of ["10.2.0.11", "2001:db8:2::11"].entries()) {
          const id = address("udp", vip, 1000 + 10 * n + m);
          serve(id, { address: rip, method: "tun", tunnel, port: 0 });
          const to = vip === VIP ? `${VIP}:${1000 + 10 * n + m}` : `[${VIP6}]:${1000 + 10 * n + m}`;
          for (const length of [0, 1, 33, 254, 511])
            expect(both(`udp ${client} > ${to} len=${length} ttl=64 tos=0xb9`)).toBe(VERDICT.send);
        }
      }
    }
  });

  test("with nat_icmp_send a reply of no connection is answered by port unreachable", () => {
    serve(TCP, { port: 8080 });
    const stray = "< tcp 10.2.0.11:8080 > 10.1.0.2:4000 A seq=1 ttl=64";
    expect(both(stray)).toBe(VERDICT.accept);
    twins.settings({ nat_icmp_send: 1 });
    expect(both(stray)).toBe(VERDICT.answer);
    expect(both(stray.replace(" A ", " R "))).toBe(VERDICT.accept);
    expect(both(stray.replace("8080", "8081"))).toBe(VERDICT.accept);
  });

  test("with schedule_icmp an error opens the connection that it would belong to", () => {
    serve(TCP, { port: 8080 });
    serve(UDP, { address: "10.2.0.12", method: "tun", port: 53 });
    twins.settings({ schedule_icmp: 1 });
    const error = "icmp 10.1.0.2 > 10.9.0.1 unreach-port ttl=64 [";
    expect(both(`${error} tcp 10.9.0.1:80 > 10.1.0.2:4000 A len=9 ]`)).toBe(VERDICT.send);
    // The outer header says "do not fragment" when the inner one does.
    const whole = error.replace(" [", " df [");
    expect(both(`${whole} udp 10.9.0.1:53 > 10.1.0.2:4000 len=9 ]`)).toBe(VERDICT.send);
    expect(both(`${error} udp 10.9.0.1:54 > 10.1.0.2:4000 len=9 ]`)).toBe(VERDICT.accept);
    expect(both("tcp 10.1.0.2:4000 > 10.9.0.1:80 A seq=2 ttl=64")).toBe(VERDICT.send);
    expect(twins.programConnections()).toHaveLength(2);
  });

  test("a real server on the director itself gets NAT packets rewritten, DR packets as they are", () => {
    serve(TCP, { address: "10.1.0.1", port: 8080 });
    serve(UDP, { address: "10.1.0.1", method: "dr", port: 53 });
    expect(both("tcp 10.1.0.2:4000 > 10.9.0.1:80 S seq=1 ttl=1")).toBe(VERDICT.local);
    expect(both("udp 10.1.0.2:4000 > 10.9.0.1:53 len=5 ttl=64")).toBe(VERDICT.accept);
  });

  test("what came from the wire reaches no loopback address, and loopback sources do not leave", () => {
    serve(TCP, { address: "127.0.0.1", port: 8080 });
    serve(UDP, {});
    expect(both("tcp 10.1.0.2:4000 > 10.9.0.1:80 S seq=1 ttl=64")).toBe(VERDICT.drop);
    expect(both("udp 127.0.0.1:4000 > 10.9.0.1:53 len=1 ttl=64")).toBe(VERDICT.drop);
  });

  test("one-packet scheduling leaves nothing behind but counters, and the template", () => {
    serve(UDP, { port: 5353, upper: 1 }, { onePacket: true });
    for (let i = 0; i < 3; i++)
      expect(both("udp 10.1.0.2:4000 > 10.9.0.1:53 len=5 ttl=64")).toBe(VERDICT.send);
    expect(twins.programConnections()).toEqual([]);
    twins.editService(serviceSpec(UDP, { scheduler: "rr", onePacket: true, persistent: true, timeoutS: 77 }));
    both("udp 10.1.0.2:4000 > 10.9.0.1:53 len=5 ttl=64", "udp 10.1.0.2:4000 > 10.9.0.1:53 len=5 ttl=64");
    expect(twins.programConnections()).toHaveLength(1);
  });

  test("a connection that XDP made for a packet and passed on is not taken for an old one", () => {
    twins.close();
    twins = new Twins([VIP, VIP6, "10.1.0.1", "10.2.0.1", "2001:db8:2::1"], true);
    twins.settings({ expire_nodest_conn: 1 });
    serve(TCP, { port: 8080 }, { persistent: true, timeoutS: 77 });
    both("tcp 10.1.0.2:4000 > 10.9.0.1:80 S seq=1 ttl=64");
    // Quiesced: its template still leads to it.
    twins.editDestination(TCP, destination("10.2.0.11", { port: 8080, weight: 0 }));
    expect(both("tcp 10.1.0.2:4001 > 10.9.0.1:80 S seq=1 ttl=1")).toBe(VERDICT.answer);
    expect(twins.programConnections()).toHaveLength(3);
  });

  test("a datagram that ends in the TCP header is no segment, whatever follows it in the frame", () => {
    twins.close();
    twins = new Twins([VIP, VIP6, "10.1.0.1", "10.2.0.1", "2001:db8:2::1"], true);
    serve(address("tcp", VIP6, 80), { address: "2001:db8:2::11", port: 8080 });
    const segment = "tcp [2001:db8:1::2]:4000 > [2001:db8:9::1]:80";
    both(`${segment} S seq=1 ttl=64`);
    both(`${segment} A seq=2 len=9 ttl=64`);
    const { fronted } = twins;
    expect(fronted).toBeGreaterThan(0);
    const short = buildPacket(parseNote(`${segment} A seq=2 len=9 ttl=64`));
    new DataView(short.buffer).setUint16(4, 12);
    expect(twins.show(short, "in")).toBeUndefined();
    expect(twins.fronted).toBe(fronted);
    expect(twins.compareTables()).toEqual([]);
  });

  test("with cache_bypass nothing goes past a service that is for many", () => {
    twins.addService(serviceSpec({ kind: "fwmark", family: 4, fwmark: 7 }, { scheduler: "rr" }));
    twins.settings({ cache_bypass: 1 });
    const shown = (target: string) =>
      twins.show(buildPacket(parseNote(`udp 10.1.0.2:4000 > ${target}:53 len=5 ttl=64`)), "in", 7);
    for (const target of ["198.51.100.7", "229.9.0.1", "255.255.255.255"])
      expect(shown(target)).toBeUndefined();
    expect(twins.programConnections()).toHaveLength(1);
  });

  test("AH and ESP follow the ISAKMP connection of their ends", () => {
    serve(address("udp", VIP, 500), { method: "dr", port: 500 });
    const esp = "ip 10.1.0.2 > 10.9.0.1 proto=50 len=40 ttl=64";
    expect(both(esp)).toBe(VERDICT.accept);
    both("udp 10.1.0.2:500 > 10.9.0.1:500 len=40 ttl=64");
    expect(both(esp)).toBe(VERDICT.send);
  });

  test("errors are answered 1000 a second at most, 50 at once", () => {
    twins.addService(serviceSpec(TCP, { scheduler: "rr" }));
    for (let i = 0; i < 60; i++)
      expect(both(`tcp 10.1.0.2:${4000 + i} > 10.9.0.1:80 S seq=1 ttl=64`)).toBe(VERDICT.answer);
  });

  test("fragments behind the first follow it by its ports; earlier ones are the stack's affair", () => {
    serve(UDP, { port: 5353 });
    const whole = "udp 10.1.0.2:4000 > 10.9.0.1:53 len=2000 id=7 ttl=64";
    const part = (cut: string) => buildPacket(parseNote(`${whole} ${cut}`));
    expect(twins.showPrograms(part("cut=1480-2008"))).toBe(VERDICT.accept);
    expect(twins.showPrograms(part("cut=0-1480"))).toBe(VERDICT.send);
    expect(twins.showPrograms(part("cut=1480-2008"))).toBe(VERDICT.send);
    expect(twins.programConnections()).toHaveLength(1);
  });

  test("a full table drops new connections, counts them, and keeps the old", () => {
    serve(UDP, {});
    for (let port = 1; port <= 4095; port++)
      expect(twins.showPrograms(buildPacket(parseNote(`udp 10.1.0.2:${port} > 10.9.0.1:53 len=1`)))).not.toBe(
        VERDICT.drop,
      );
    const count = twins.programConnections().length;
    expect(count).toBeGreaterThan(4080);
    let verdict = 0;
    for (let port = 5000; port < 5020; port++)
      verdict = twins.showPrograms(buildPacket(parseNote(`udp 10.1.0.2:${port} > 10.9.0.1:53 len=1`)));
    expect([verdict, twins.reason]).toEqual([VERDICT.drop, DROP.tableFull]);
    expect(twins.showPrograms(buildPacket(parseNote("udp 10.1.0.2:30 > 10.9.0.1:53 len=1")))).toBe(
      VERDICT.send,
    );
    twins.wait(301_000, true);
    expect(twins.programConnections()).toEqual([]);
    expect(twins.showPrograms(buildPacket(parseNote("udp 10.1.0.2:5001 > 10.9.0.1:53 len=1")))).toBe(
      VERDICT.send,
    );
  });
});
