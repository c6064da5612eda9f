import { expect, describe as group, test } from "vitest";
import { seeded } from "../testkit/random.ts";
import { RecordingHost } from "../testkit/recording-host.ts";
import { describe, tcpPacket, udpPacket } from "../testkit/segments.ts";
import type { DestinationSpec, ForwardingMethod } from "./destination.ts";
import { IPIP } from "./destination.ts";
import { Director } from "./director.ts";
import type { Packet } from "./packet.ts";
import type { ServiceId, ServiceSpec } from "./service.ts";
import { serviceSpec } from "./table.ts";

const VIP = "10.9.0.1";
const WEB: ServiceId = { kind: "address", family: 4, protocol: "tcp", address: VIP, port: 80 };
const DNS: ServiceId = { kind: "address", family: 4, protocol: "udp", address: VIP, port: 53 };

function real(
  address: string,
  method: ForwardingMethod,
  change: Partial<DestinationSpec> = {},
): DestinationSpec {
  return { family: 4, address, port: 80, method, weight: 1, upper: 0, lower: 0, tunnel: IPIP, ...change };
}

class Bench {
  readonly host = new RecordingHost([VIP, "10.1.0.1", "10.2.0.1", "2001:db8::1"]);
  now = 0;
  readonly director = new Director({
    host: this.host,
    random: seeded(1),
    now: 0,
  });

  service(
    id: ServiceId,
    servers: DestinationSpec[],
    change: Partial<ServiceSpec> = { scheduler: "rr" },
  ): void {
    this.director.table.addService(serviceSpec(id, change));
    for (const server of servers) this.director.table.addDestination(id, server);
  }
  /** Verdict and what was sent, as text. */
  in(p: Packet): string[] {
    return this.result(this.director.localIn(p, this.now), p);
  }
  through(p: Packet): string[] {
    return this.result(this.director.forward(p, this.now), p);
  }
  private result(verdict: string, p: Packet): string[] {
    const sent = this.host.sent.splice(0).map((s) => `via ${s.via} ${describe(s.bytes)}`);
    return [p.modified ? `${verdict} ${describe(p.copy())}` : verdict, ...sent];
  }
  wait(ms: number): void {
    this.now += ms;
    this.director.advance(this.now);
  }
}

group("NAT", () => {
  test("a request is rewritten to the real server and its reply back to the VIP, ports and checksums included", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "nat", { port: 8080 })]);
    expect(b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S"))).toEqual([
      "drop",
      "via 10.2.0.11 tcp 10.1.0.2:40001 > 10.2.0.11:8080 S ttl=63",
    ]);
    expect(b.through(tcpPacket("10.2.0.11:8080", "10.1.0.2:40001", "SA"))).toEqual([
      "accept tcp 10.9.0.1:80 > 10.1.0.2:40001 SA ttl=64",
    ]);
    expect(b.director.tracker.stateName(1)).toBe("SYN_RECV");
    b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "A"));
    expect(b.director.tracker.stateName(1)).toBe("ESTABLISHED");
    const server = b.director.table.find(WEB).destinations[0];
    expect([server.active, server.inactive]).toEqual([1, 0]);
  });

  test("a datagram without a checksum gets one on both ways", () => {
    const b = new Bench();
    b.service(DNS, [real("10.2.0.11", "nat", { port: 53 })]);
    const [, sent] = [
      b.director.localIn(udpPacket("10.1.0.2:999", "10.9.0.1:53", { payload: "q", checksum: false }), 0),
      b.host.sent.splice(0)[0].bytes,
    ];
    expect(new DataView(sent.buffer).getUint16(26)).not.toBe(0);
    expect(describe(sent)).toBe("udp 10.1.0.2:999 > 10.2.0.11:53 ttl=63");
  });

  test("IPv6 is translated as IPv4 is", () => {
    const b = new Bench();
    const id: ServiceId = { kind: "address", family: 6, protocol: "tcp", address: "2001:db8::1", port: 80 };
    b.service(id, [real("2001:db8:2::11", "nat", { family: 6, port: 8080 })]);
    expect(b.in(tcpPacket("[2001:db8:1::2]:4000", "[2001:db8::1]:80", "S"))[1]).toBe(
      "via 2001:db8:2::11 tcp [2001:db8:1::2]:4000 > [2001:db8:2::11]:8080 S ttl=63",
    );
    expect(b.through(tcpPacket("[2001:db8:2::11]:8080", "[2001:db8:1::2]:4000", "SA"))[0]).toBe(
      "accept tcp [2001:db8::1]:80 > [2001:db8:1::2]:4000 SA ttl=64",
    );
  });
});

group("other methods", () => {
  test("DR leaves the packet as it is and sends it towards the real server", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "dr")]);
    expect(b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S"))).toEqual([
      "drop",
      "via 10.2.0.11 tcp 10.1.0.2:40001 > 10.9.0.1:80 S ttl=63",
    ]);
  });

  test("TUN puts an outer header before it", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "tun")]);
    b.director.localIn(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S"), 0);
    const [sent] = b.host.sent;
    expect(describe(sent.bytes)).toBe("ip 4 10.2.0.1 > 10.2.0.11 ttl=63");
    expect(describe(sent.bytes.subarray(20))).toBe("tcp 10.1.0.2:40001 > 10.9.0.1:80 S ttl=63");
  });

  test("full-NAT translates both ends, carries the client's address, and shifts sequence numbers both ways", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "fullnat", { port: 8080 })]);
    b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S", { seq: 1000 }));
    const c = b.director.connections;
    const port = c.localPort(1);
    const isn = (1000 + c.sequenceDelta(1)) >>> 0;
    const reply = b.in(tcpPacket("10.2.0.11:8080", `10.2.0.1:${port}`, "SA", { seq: 500, ack: isn + 1 }));
    expect(reply).toEqual(["drop", "via 10.1.0.2 tcp 10.9.0.1:80 > 10.1.0.2:40001 SA ttl=63"]);
    b.director.localIn(
      tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "A", { seq: 1001, ack: 501, payload: "GET" }),
      0,
    );
    const [sent] = b.host.sent.splice(0);
    expect(describe(sent.bytes)).toBe(`tcp 10.2.0.1:${port} > 10.2.0.11:8080 A ttl=63`);
    const v = new DataView(sent.bytes.buffer);
    expect(v.getUint32(24)).toBe((isn + 1) >>> 0);
    // TOA: kind 254, 8 bytes, port, address.
    expect([...sent.bytes.subarray(40, 48)]).toEqual([254, 8, 40001 >> 8, 40001 & 255, 10, 1, 0, 2]);
    expect(new TextDecoder().decode(sent.bytes.subarray(48))).toBe("GET");
    // Later segments acknowledge data: no option any more.
    b.director.localIn(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "A", { seq: 1004, ack: 600 }), 0);
    expect(b.host.sent[0].bytes.length).toBe(40);
  });
});

group("refusals", () => {
  test("a service without a usable destination answers port unreachable from the VIP", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "nat", { weight: 0 })]);
    expect(b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S"))).toEqual([
      "drop",
      "via 10.1.0.2 ip 1 10.9.0.1 > 10.1.0.2 ttl=64",
    ]);
  });

  test("what opens no connection goes to the local stack", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "nat")]);
    expect(b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "A"))).toEqual(["accept"]);
    expect(b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:81", "S"))).toEqual(["accept"]);
    expect(b.in(tcpPacket("10.1.0.2:20", "10.9.0.1:80", "S"))).toEqual(["accept"]);
  });

  test("TTL 1 is answered with time exceeded, not forwarded", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "dr")]);
    b.director.localIn(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S", { ttl: 1 }), 0);
    expect([...b.host.sent[0].bytes.subarray(20, 22)]).toEqual([11, 0]);
    expect(b.host.sent.length).toBe(1);
  });

  test("a packet of a removed server is dropped in silence, and flows again when the server returns", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "nat")]);
    b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S"));
    b.director.table.removeDestination(WEB, real("10.2.0.11", "nat"));
    expect(b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "A"))).toEqual(["drop"]);
    b.director.table.addDestination(WEB, real("10.2.0.11", "nat"));
    expect(b.in(tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "A"))[1]).toMatch(/^via 10.2.0.11/);
    expect(b.director.table.find(WEB).destinations[0].active).toBe(1);
  });

  test("garbage never throws, whatever the hook", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "nat")]);
    const next = seeded(7);
    const random = (n: number): number => Math.floor(next() * n);
    for (let i = 0; i < 20_000; i++) {
      const p = tcpPacket("10.1.0.2:40001", "10.9.0.1:80", "S", { payload: "x".repeat(random(60)) });
      for (let n = random(6); n >= 0; n--) p.bytes[p.at + random(p.length)] = random(256);
      if (random(4) === 0) p.end = p.at + random(p.length);
      const hook = random(3);
      if (hook === 0) b.director.localIn(p, i);
      else if (hook === 1) b.director.forward(p, i);
      else b.director.localOut(p, i);
    }
  });
});

group("persistence", () => {
  const persistent = { scheduler: "rr", persistent: true, timeoutS: 100 };

  test("one client stays on one server while its template lives, which new connections renew", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "dr"), real("10.2.0.12", "dr")], persistent);
    const first = b.in(tcpPacket("10.1.0.2:1000", "10.9.0.1:80", "S"))[1].split(" ")[1];
    b.wait(90_000);
    expect(b.in(tcpPacket("10.1.0.2:1001", "10.9.0.1:80", "S"))[1]).toContain(`via ${first} `);
    b.wait(90_000);
    expect(b.in(tcpPacket("10.1.0.2:1002", "10.9.0.1:80", "S"))[1]).toContain(`via ${first} `);
    expect(b.in(tcpPacket("10.1.0.3:1002", "10.9.0.1:80", "S"))[1]).not.toContain(`via ${first} `);
    expect(b.director.table.find(WEB).destinations.map((d) => d.persistent)).toEqual([1, 1]);
  });

  test("a template goes when its time is up and its connections are gone", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "dr")], persistent);
    b.in(tcpPacket("10.1.0.2:1000", "10.9.0.1:80", "S"));
    b.wait(61_000);
    expect(b.director.connections.count).toBe(1);
    b.wait(40_000);
    expect(b.director.connections.count).toBe(0);
    expect(b.director.table.find(WEB).destinations[0].persistent).toBe(0);
  });
});

group("counting", () => {
  test("thresholds stop new connections at the upper and allow them below the lower one", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "dr", { upper: 4, lower: 2 })]);
    for (let i = 0; i < 4; i++)
      expect(b.in(tcpPacket(`10.1.0.2:${1000 + i}`, "10.9.0.1:80", "S"))[1]).toMatch(/tcp/);
    expect(b.in(tcpPacket("10.1.0.2:2000", "10.9.0.1:80", "S"))[1]).toMatch(/ip 1/);
    b.wait(61_000);
    expect(b.in(tcpPacket("10.1.0.2:2000", "10.9.0.1:80", "S"))[1]).toMatch(/tcp/);
  });

  test("readers see counters every two seconds, and nothing leaks when all connections are over", () => {
    const b = new Bench();
    b.service(WEB, [real("10.2.0.11", "nat")]);
    b.in(tcpPacket("10.1.0.2:1000", "10.9.0.1:80", "S"));
    expect(b.director.table.find(WEB).status().stats.inPackets).toBe(0);
    b.wait(2_000);
    expect(b.director.table.find(WEB).status().stats).toMatchObject({
      conns: 1,
      inPackets: 1,
      inBytes: 40,
      outPackets: 0,
    });
    b.wait(100_000);
    const [server] = b.director.table.find(WEB).destinations;
    expect([server.active, server.inactive, b.director.connections.count]).toEqual([0, 0, 0]);
  });

  test("one-packet scheduling leaves no connection", () => {
    const b = new Bench();
    b.service(DNS, [real("10.2.0.11", "dr", { port: 53 }), real("10.2.0.12", "dr", { port: 53 })], {
      scheduler: "rr",
      onePacket: true,
    });
    const vias = [1, 2, 3].map(() => b.in(udpPacket("10.1.0.2:999", "10.9.0.1:53"))[1].split(" ")[1]);
    expect(vias).toEqual(["10.2.0.12", "10.2.0.11", "10.2.0.12"]);
    expect(b.director.connections.count).toBe(0);
    expect(b.director.table.find(DNS).destinations.map((d) => d.inactive)).toEqual([0, 0]);
  });
});
