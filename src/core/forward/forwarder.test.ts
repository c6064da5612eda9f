import { expect, describe as group, test } from "vitest";
import { DirectorBed, service, VIP, VIP6 } from "../../testkit/director-bed.ts";
import { buildPacket } from "../../testkit/packet-build.ts";
import { describePacket } from "../../testkit/packet-compare.ts";
import { parseNote } from "../../testkit/packet-notation.ts";
import type { Tunnel } from "../destination.ts";

const WEB = service("tcp", VIP, 80);
const WEB6 = service("tcp", VIP6, 80);
const DNS = service("udp", VIP, 53);
const RS = "10.2.0.13";
const RS6 = "2001:db8:2::13";
const SYN = `tcp 10.1.0.2:4000 > ${VIP}:80 S`;
const SYN6 = `tcp [2001:db8:1::2]:4000 > [${VIP6}]:80 S`;

const tunnel = (
  type: Tunnel["type"],
  checksum: Tunnel["checksum"] = "none",
): { method: "tun"; tunnel: Tunnel } => ({
  method: "tun",
  tunnel: { type, checksum, port: type === "gue" ? 6080 : 0 },
});

/** A packet with the TTL it left with, as an error quotes it: 548 bytes of it. */
const quoted = (note: string): string => describePacket(buildPacket(parseNote(`${note} trunc=548`, 63)));

group("NAT", () => {
  test("changes address and port of both directions and leaves TOS, id, options and DF alone", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { port: 8080 });
    expect(bed.in(`${SYN} tos=0x2e id=77 df ipopt=01010100 opts=020405b4`)).toEqual([
      `${RS} < tcp 10.1.0.2:4000 > ${RS}:8080 S opts=020405b4 tos=0x2e id=77 df ipopt=01010100`,
    ]);
    expect(bed.through(`tcp ${RS}:8080 > 10.1.0.2:4000 SA tos=0x10 id=9 len=3`)).toEqual([
      `accept tcp ${VIP}:80 > 10.1.0.2:4000 SA ttl=64 tos=0x10 id=9 len=3`,
    ]);
  });

  test("a destination port of 0 keeps the port of the service", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { port: 0 });
    expect(bed.in(SYN)).toEqual([`${RS} < tcp 10.1.0.2:4000 > ${RS}:80 S`]);
  });

  test("a wrong transport checksum stays wrong: translation does not hide what was damaged before", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { port: 8080 });
    expect(bed.in(`${SYN} csum=0x1`)[0]).toMatch(/csum=0x/);
  });

  test("an SCTP packet gets a new CRC32c when its port changes, and keeps even a wrong one when not", () => {
    const id = service("sctp", VIP, 9);
    const bed = new DirectorBed().add(id).to(id, RS, { port: 99 }).to(id, "10.2.0.14", { port: 9 });
    expect(bed.in(`sctp 10.1.0.2:5 > ${VIP}:9 INIT:00 tag=7 csum=0x5`)).toEqual([
      `10.2.0.14 < sctp 10.1.0.2:5 > 10.2.0.14:9 INIT:00 tag=7 csum=0x5`,
    ]);
    expect(bed.in(`sctp 10.1.0.2:6 > ${VIP}:9 INIT:00 tag=7`)).toEqual([
      `${RS} < sctp 10.1.0.2:6 > ${RS}:99 INIT:00 tag=7`,
    ]);
  });

  test("a datagram that came in fragments leaves whole, translated", () => {
    const bed = new DirectorBed().add(DNS).to(DNS, RS, { port: 53 });
    const note = `udp 10.1.0.2:5 > ${VIP}:53 id=7 len=2000`;
    expect(bed.in(`${note} cut=800-`)).toEqual([]);
    expect(bed.in(`${note} cut=0-800`)).toEqual([`${RS} < udp 10.1.0.2:5 > ${RS}:53 id=7 len=2000`]);
  });

  test("IPv6 fragments leave as long as they came, translated, whatever stands before the transport header", () => {
    const id = service("udp", VIP6, 53);
    const bed = new DirectorBed().add(id).to(id, RS6, { port: 53 });
    const note = `udp [2001:db8:1::2]:5 > [${VIP6}]:53 fragid=7 len=1600`;
    expect(bed.in(`${note} cut=1000-`)).toEqual([]);
    const sent = bed.in(`${note} cut=0-1000`);
    expect(sent.length).toBe(2);
    expect(sent[1]).toMatch(/frag=1000 fragid=7/);
    expect(sent.every((line) => line.includes(`> ${RS6}`) || line.includes(`> [${RS6}]`))).toBe(true);
  });

  test("bytes behind the packet do not travel on", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS);
    expect(bed.in(`${SYN} iplen=40 len=6 csum=0x1`)[0]).not.toMatch(/iplen|len=/);
  });

  test("with nat_icmp_send a server's stray packet is answered, but not its RST", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS);
    expect(bed.through(`tcp ${RS}:80 > 10.1.0.2:4000 A`)).toEqual(["accept"]);
    bed.director.change({ nat_icmp_send: 1 });
    expect(bed.through(`tcp ${RS}:80 > 10.1.0.2:4000 A`)).toEqual([
      `${RS} < icmp 10.2.0.1 > ${RS} unreach-port ttl=64 tos=0xc0 [ tcp ${RS}:80 > 10.1.0.2:4000 A ttl=64 ]`,
    ]);
    expect(bed.through(`tcp ${RS}:80 > 10.1.0.2:4000 R`)).toEqual(["accept"]);
    expect(bed.through(`tcp ${RS}:81 > 10.1.0.2:4000 A`)).toEqual(["accept"]);
  });
});

group("DR", () => {
  test("changes nothing but the TTL, and recognises the reply if it passes", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { method: "dr", port: 8080 });
    expect(bed.in(`${SYN} id=5`)).toEqual([`${RS} < ${SYN} id=5`]);
    expect(bed.through(`tcp ${VIP}:80 > 10.1.0.2:4000 SA`)).toEqual(["accept"]);
    expect(bed.director.table.find(WEB).destinations[0].meter.outPackets).toBe(1);
  });

  test("IPv6 hop limit 1 is answered with time exceeded", () => {
    const bed = new DirectorBed().add(WEB6).to(WEB6, RS6, { method: "dr" });
    expect(bed.in(`${SYN6} ttl=1`)).toEqual([
      `2001:db8:1::2 < icmp ${VIP6} > 2001:db8:1::2 time-exceeded ttl=64 [ ${SYN6} ttl=1 ]`,
    ]);
  });

  test("what is too big is told the MTU and quoted with the TTL it had left; without DF it is sent all the same", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { method: "dr" });
    bed.host.mtu = 1000;
    expect(bed.in(`${SYN} df len=961`)).toEqual([
      `10.1.0.2 < icmp ${VIP} > 10.1.0.2 frag-needed mtu=1000 ttl=64 tos=0xc0 [ ${quoted(`${SYN} df len=961`)} ]`,
    ]);
    expect(bed.in(`${SYN} df len=960`)).toHaveLength(1);
    expect(bed.in(`${SYN} len=961`)).toEqual([`${RS} < ${SYN} len=961`]);
  });
});

group("TUN", () => {
  test("IPIP copies TOS and hop limit, and DF as pmtu_disc says", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, tunnel("ipip"));
    expect(bed.in(`${SYN} tos=0x2e df id=3`)).toEqual([
      `${RS} < ipip 10.2.0.1 > ${RS} tos=0x2e df [ ${SYN} tos=0x2e id=3 df ]`,
    ]);
    bed.director.change({ pmtu_disc: 0 });
    expect(bed.in(`${SYN} tos=0x2e df`)).toEqual([
      `${RS} < ipip 10.2.0.1 > ${RS} tos=0x2e [ ${SYN} tos=0x2e df ]`,
    ]);
  });

  test("the outer header of a captured SYN is what the kernel sent", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, tunnel("ipip"));
    const sent: Uint8Array[] = [];
    const { host } = bed;
    host.send = (p) => {
      sent.push(p.copy());
    };
    bed.in(`${SYN} tos=0x2e`);
    const hex = Buffer.from(sent[0]).toString("hex");
    // 45 2e, 60 bytes, id, no flags, TTL 63, protocol 4, checksum, 10.2.0.1, 10.2.0.13; inner TTL 63.
    expect(hex.slice(0, 8)).toBe("452e003c");
    expect(hex.slice(12, 20)).toBe("00003f04");
    expect(hex.slice(24, 40)).toBe("0a0200010a02000d");
    expect(sent[0][20 + 8]).toBe(0x3f);
  });

  test("congestion experienced inside becomes ECT(0) outside", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, tunnel("ipip"));
    expect(bed.in(`${SYN} tos=0x03`)).toEqual([`${RS} < ipip 10.2.0.1 > ${RS} tos=0x2 [ ${SYN} tos=0x3 ]`]);
  });

  test("GRE is four bytes, eight with a checksum", () => {
    const bed = new DirectorBed()
      .add(WEB)
      .to(WEB, RS, tunnel("gre"))
      .to(WEB, "10.2.0.14", tunnel("gre", "csum"));
    expect(bed.in(SYN)).toEqual([`10.2.0.14 < gre 10.2.0.1 > 10.2.0.14 csum [ ${SYN} ]`]);
    expect(bed.in(`tcp 10.1.0.2:4001 > ${VIP}:80 S`)).toEqual([
      `${RS} < gre 10.2.0.1 > ${RS} [ tcp 10.1.0.2:4001 > ${VIP}:80 S ]`,
    ]);
  });

  test("GUE has a UDP checksum when asked for, and one source port a flow", () => {
    const bed = new DirectorBed()
      .add(WEB)
      .to(WEB, RS, tunnel("gue"))
      .to(WEB, "10.2.0.14", tunnel("gue", "remcsum"));
    const port = /:(\d+) >/;
    const [first] = bed.in(SYN);
    expect(first.replace(port, ":P >")).toBe(`10.2.0.14 < gue 10.2.0.1:P > 10.2.0.14:6080 [ ${SYN} ]`);
    const [again] = bed.in(`tcp 10.1.0.2:4000 > ${VIP}:80 A`);
    expect(port.exec(again)![1]).toBe(port.exec(first)![1]);
    const [other] = bed.in(`tcp 10.1.0.2:4001 > ${VIP}:80 S`);
    expect(other).toContain(`> ${RS}:6080 csum=0 [`);
    expect(port.exec(other)![1]).not.toBe(port.exec(first)![1]);
  });

  test("families mix both ways, and DF is never set over an IPv6 packet", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS6, tunnel("ipip")).add(WEB6).to(WEB6, RS, tunnel("gre"));
    expect(bed.in(`${SYN} df`)).toEqual([`${RS6} < ipip 2001:db8:2::1 > ${RS6} [ ${SYN} df ]`]);
    expect(bed.in(SYN6)).toEqual([`${RS} < gre 10.2.0.1 > ${RS} [ ${SYN6} ]`]);
  });

  test.each([
    ["ipip", "none", RS, 1380],
    ["gre", "none", RS, 1376],
    ["gre", "csum", RS, 1372],
    ["gue", "none", RS, 1368],
    ["ipip", "none", RS6, 1360],
  ] as const)("over a 1400-byte link %s (checksum %s) to %s takes %d bytes", (type, checksum, rs, mtu) => {
    const bed = new DirectorBed().add(WEB).to(WEB, rs, tunnel(type, checksum));
    bed.host.mtu = 1400;
    expect(bed.in(`${SYN} df len=${mtu - 40}`)[0]).toContain(rs);
    expect(bed.in(`${SYN} df len=${mtu - 39}`)[0]).toContain(`frag-needed mtu=${mtu} `);
    bed.director.change({ pmtu_disc: 0 });
    expect(bed.in(`${SYN} df len=${mtu - 39}`)[0]).toContain(rs);
  });

  test.each([
    [RS6, 1360],
    [RS, 1380],
  ])("over a 1400-byte link IPv6 in a tunnel to %s takes %d bytes", (rs, mtu) => {
    const bed = new DirectorBed().add(WEB6).to(WEB6, rs, tunnel("ipip"));
    bed.host.mtu = 1400;
    expect(bed.in(`${SYN6} len=${mtu - 60}`)[0]).toContain(`${rs} < ipip`);
    expect(bed.in(`${SYN6} len=${mtu - 59}`)[0]).toContain(`too-big mtu=${mtu} `);
  });

  test("what would leave less room than the outer family's smallest MTU is dropped", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS6, tunnel("ipip"));
    bed.host.mtu = 1319;
    expect(bed.in(SYN)).toEqual([]);
    bed.host.mtu = 1320;
    bed.host.routeEpoch++;
    expect(bed.in(SYN)).toHaveLength(1);
  });
});

group("local nodes and boundaries", () => {
  test("DR to an own address is accepted as it is, TTL and all; NAT with another port is rewritten first", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, "10.1.0.1", { method: "dr", port: 9 });
    expect(bed.in(`${SYN} ttl=1`)).toEqual(["accept"]);
    const nat = new DirectorBed().add(WEB).to(WEB, "10.1.0.1", { port: 8080 });
    expect(nat.in(SYN)).toEqual(["accept tcp 10.1.0.2:4000 > 10.1.0.1:8080 S ttl=64"]);
    expect(nat.out("tcp 10.1.0.1:8080 > 10.1.0.2:4000 SA")).toEqual([
      `accept tcp ${VIP}:80 > 10.1.0.2:4000 SA ttl=64`,
    ]);
  });

  test("the stored method local accepts", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { method: "local" });
    expect(bed.in(SYN)).toEqual(["accept"]);
    expect(bed.states).toEqual(["SYN_RECV"]);
  });

  test.each(["nat", "fullnat"] as const)("%s from the wire to a loopback address is dropped", (method) => {
    const bed = new DirectorBed().add(WEB).to(WEB, "127.0.0.1", { method });
    expect(bed.in(SYN)).toEqual([]);
    expect(bed.out(`tcp 10.1.0.1:4000 > ${VIP}:80 S`)[0]).toMatch(/^accept tcp .* > 127\.0\.0\.1:80 S/);
  });

  test("a loopback source does not leave the machine", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS);
    expect(bed.out(`tcp 127.0.0.1:4000 > ${VIP}:80 S`)).toEqual([]);
  });

  test("without a route the client hears that the host is unreachable", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS);
    bed.host.route = () => undefined;
    expect(bed.in(SYN)[0]).toContain("unreach-host");
  });
});

group("IPsec", () => {
  test("ESP follows the ISAKMP connection of its ends both ways, and passes without one", () => {
    const id = service("udp", VIP, 500);
    const bed = new DirectorBed().add(id).to(id, RS, { port: 500 });
    expect(bed.in(`ip 10.1.0.2 > ${VIP} proto=50 hex=01020304`)).toEqual(["accept"]);
    bed.in(`udp 10.1.0.2:500 > ${VIP}:500 len=4`);
    expect(bed.in(`ip 10.1.0.2 > ${VIP} proto=50 hex=01020304`)).toEqual([
      `${RS} < ip 10.1.0.2 > ${RS} proto=50 hex=01020304`,
    ]);
    expect(bed.through(`ip ${RS} > 10.1.0.2 proto=50 hex=05`)).toEqual([
      `accept ip ${VIP} > 10.1.0.2 proto=50 ttl=64 hex=05`,
    ]);
  });
});
