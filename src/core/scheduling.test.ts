import { expect, describe as group, test } from "vitest";
import { DirectorBed, destination, service, VIP, VIP6 } from "../testkit/director-bed.ts";
import type { ServiceId } from "./service.ts";

const WEB = service("tcp", VIP, 80);
const ANY = service("tcp", VIP, 0);
const FTP = service("tcp", VIP, 21);
const SIP = service("udp", VIP, 5060);
const MARK: ServiceId = { kind: "fwmark", family: 4, fwmark: 7 };
const A = "10.2.0.11";
const B = "10.2.0.12";
const PERSISTENT = { persistent: true, timeoutS: 100 } as const;

/** Where a packet was sent. */
const via = (sent: string[]): string => sent[0]?.split(" ")[0] ?? "nowhere";
const syn = (bed: DirectorBed, from: string, port = 80, mark = 0): string =>
  via(bed.in(`tcp ${from} > ${VIP}:${port} S`, mark));
/** Templates as "protocol client > virtual:port > destination port". */
function templates(bed: DirectorBed): string[] {
  const { connections } = bed.director;
  const all: string[] = [];
  connections.forEach((c) => {
    if (connections.clientPort(c) !== 0 || !(connections.flags(c) & 0x1000)) return;
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, "0");
    const ends = [connections.clientWord(c, 0), connections.virtualWord(c, 0)].map(hex);
    all.push(
      `${connections.protocol(c)} ${ends.join(" > ")}:${connections.virtualPort(c)} > ${connections.destinationPort(c)}`,
    );
  });
  return all;
}

group("who may be scheduled", () => {
  test("SYN with anything but RST opens; nothing else does, unless sloppy", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A);
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 SA`)).toHaveLength(1);
    expect(syn(bed, "10.1.0.2:2")).toBe(A);
    for (const flags of ["A", "F", "R", "SR", "-"])
      expect(bed.in(`tcp 10.1.0.2:9 > ${VIP}:80 ${flags}`)).toEqual(["accept"]);
    bed.director.change({ sloppy_tcp: 1 });
    expect(bed.in(`tcp 10.1.0.2:9 > ${VIP}:80 R`)).toEqual(["accept"]);
    expect(via(bed.in(`tcp 10.1.0.2:9 > ${VIP}:80 A`))).toBe(A);
    expect(bed.states.at(-1)).toBe("ESTABLISHED");
    bed.in(`tcp 10.1.0.2:10 > ${VIP}:80 F`);
    expect(bed.states.at(-1)).toBe("CLOSE");
  });

  test("an SCTP packet needs INIT as its first chunk, or when sloppy anything but ABORT", () => {
    const id = service("sctp", VIP, 9);
    const bed = new DirectorBed().add(id).to(id, A, { port: 9 });
    expect(via(bed.in(`sctp 10.1.0.2:1 > ${VIP}:9 INIT:00`))).toBe(A);
    expect(bed.in(`sctp 10.1.0.2:2 > ${VIP}:9 DATA:00`)).toEqual(["accept"]);
    expect(bed.in(`sctp 10.1.0.2:2 > ${VIP}:9`)).toEqual([]);
    bed.director.change({ sloppy_sctp: 1 });
    expect(bed.in(`sctp 10.1.0.2:3 > ${VIP}:9 ABORT`)).toEqual(["accept"]);
    expect(via(bed.in(`sctp 10.1.0.2:3 > ${VIP}:9 DATA:00`))).toBe(A);
  });

  test("an incomplete transport header is dropped, in both directions harmless", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A);
    expect(bed.in(`ip 10.1.0.2 > ${VIP} proto=6 hex=0001005000000000`)).toEqual([]);
    expect(bed.through(`ip ${A} > 10.1.0.2 proto=6 hex=0050000100000000`)).toEqual(["accept"]);
    expect(bed.director.connections.count).toBe(0);
  });

  test("a reply of a server on this host opens nothing on its way out", () => {
    const bed = new DirectorBed()
      .add(WEB)
      .to(WEB, A, { method: "dr" })
      .add(service("tcp", "10.1.0.1", 4000));
    bed.out(`tcp 10.1.0.1:4000 > ${VIP}:80 S`);
    expect(bed.out(`tcp ${VIP}:80 > 10.1.0.1:4000 SA`)).toEqual(["accept"]);
    expect(bed.director.connections.count).toBe(1);
  });

  test("drop_packet drops every third that would be scheduled, the first first, and none of known connections", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A);
    bed.director.change({ am_droprate: 3, drop_packet: 3 });
    const passed = [1, 2, 3, 4, 5, 6, 7].map((n) => bed.in(`tcp 10.1.0.2:${n} > ${VIP}:80 S`).length);
    expect(passed).toEqual([0, 1, 1, 0, 1, 1, 0]);
    for (let i = 0; i < 5; i++) expect(bed.in(`tcp 10.1.0.2:2 > ${VIP}:80 A`)).toHaveLength(1);
  });
});

group("which service", () => {
  test("a mark beats the address; its destination's port is used when it has one", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, A).add(MARK).to(MARK, B, { port: 0 });
    expect(syn(bed, "10.1.0.2:1")).toBe(A);
    expect(bed.in(`tcp 10.1.0.2:2 > ${VIP}:80 S`, 7)).toEqual([`${B} < tcp 10.1.0.2:2 > ${B}:80 S`]);
    expect(bed.in(`udp 10.1.0.2:2 > ${VIP}:99`, 7)).toEqual([`${B} < udp 10.1.0.2:2 > ${B}:99`]);
    bed.director.table.editDestination(MARK, destination(B, { port: 0, weight: 0 }));
    bed.to(MARK, A, { port: 8080 });
    expect(bed.in(`tcp 10.1.0.2:3 > ${VIP}:443 S`, 7)).toEqual([`${A} < tcp 10.1.0.2:3 > ${A}:8080 S`]);
  });

  test("port 0 without persistence refuses", () => {
    const bed = new DirectorBed().add(ANY).to(ANY, A, { port: 0 });
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 S`)[0]).toContain("unreach-port");
  });

  test("ports that could be FTP data belong to the port-21 service and pass when it is not persistent", () => {
    const bed = new DirectorBed().add(FTP).to(FTP, A, { port: 21 });
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:2000 S`)).toEqual(["accept"]);
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:500 S`)).toEqual(["accept"]);
  });
});

group("no destination", () => {
  test("cache_bypass sends packets of a marked service to where they wanted to go, unless that is here", () => {
    const bed = new DirectorBed().add(MARK);
    bed.director.change({ cache_bypass: 1 });
    expect(bed.in("tcp 10.1.0.2:1 > 10.77.0.1:80 S", 7)).toEqual([
      "10.77.0.1 < tcp 10.1.0.2:1 > 10.77.0.1:80 S",
    ]);
    expect(bed.in("tcp 10.1.0.2:1 > 10.77.0.1:80 A", 7)).toEqual([
      "10.77.0.1 < tcp 10.1.0.2:1 > 10.77.0.1:80 A",
    ]);
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 S`, 7)[0]).toContain("unreach-port");
    expect(bed.states).toEqual(["ESTABLISHED"]);
    expect(bed.director.table.total.conns).toBe(0);
    bed.wait(901);
    expect(bed.director.connections.count).toBe(0);
  });

  test("IPv6 clients hear it as ICMPv6", () => {
    const id = service("udp", VIP6, 53);
    const bed = new DirectorBed().add(id);
    expect(bed.in(`udp [2001:db8:1::2]:5 > [${VIP6}]:53 len=3`)).toEqual([
      `2001:db8:1::2 < icmp ${VIP6} > 2001:db8:1::2 unreach-port ttl=64 [ udp [2001:db8:1::2]:5 > [${VIP6}]:53 ttl=64 len=3 ]`,
    ]);
    expect(bed.in(`udp [::]:5 > [${VIP6}]:53 len=3`)).toEqual([]);
  });
});

group("persistence", () => {
  test("of one port: the template names it, and the destination's", () => {
    const bed = new DirectorBed()
      .add(WEB, { ...PERSISTENT, netmask: 0xffffff00 })
      .to(WEB, A, { port: 8080 })
      .to(WEB, B);
    const first = syn(bed, "10.1.0.2:1");
    expect(syn(bed, "10.1.0.77:1")).toBe(first);
    expect(syn(bed, "10.1.1.2:1")).not.toBe(first);
    expect(templates(bed)).toEqual(["6 0a010000 > 0a090001:80 > 80", "6 0a010100 > 0a090001:80 > 8080"]);
  });

  test("of port 0 and of FTP: all ports of the VIP follow one template", () => {
    const bed = new DirectorBed().add(ANY, PERSISTENT).to(ANY, A, { port: 0 }).to(ANY, B, { port: 0 });
    expect([80, 443, 7].map((port) => syn(bed, "10.1.0.2:1", port))).toEqual([B, B, B]);
    expect(templates(bed)).toEqual(["6 0a010002 > 0a090001:0 > 0"]);
    const ftp = new DirectorBed().add(FTP, PERSISTENT).to(FTP, A, { port: 21 }).to(FTP, B, { port: 21 });
    expect([21, 20, 2000].map((port) => syn(ftp, "10.1.0.2:1", port))).toEqual([B, B, B]);
    expect(ftp.in(`tcp 10.1.0.2:1 > ${VIP}:500 S`)).toEqual(["accept"]);
    expect(templates(ftp)).toEqual(["6 0a010002 > 0a090001:0 > 0"]);
  });

  test("of a mark: one template for all addresses, ports and protocols, and the destination's port is ignored", () => {
    const bed = new DirectorBed()
      .add(MARK, PERSISTENT)
      .to(MARK, A, { port: 8080 })
      .to(MARK, B, { port: 8080 });
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 S`, 7)).toEqual([`${B} < tcp 10.1.0.2:1 > ${B}:80 S`]);
    expect(bed.in("udp 10.1.0.2:1 > 10.1.0.1:53", 7)).toEqual([`${B} < udp 10.1.0.2:1 > ${B}:53`]);
    expect(templates(bed)).toEqual(["0 0a010002 > 00000007:0 > 0"]);
  });

  test("IPv6 granularity is a prefix", () => {
    const id = service("tcp", VIP6, 80);
    const bed = new DirectorBed().add(id, { ...PERSISTENT, netmask: 64 });
    bed.to(id, "2001:db8:2::11").to(id, "2001:db8:2::12");
    const from = (client: string): string => via(bed.in(`tcp [${client}]:9 > [${VIP6}]:80 S`));
    const first = from("2001:db8:1::2");
    expect(from("2001:db8:1::ffff:1")).toBe(first);
    expect(from("2001:db8:1:1::2")).not.toBe(first);
  });

  test("leads to a quiesced or overloaded server, until expire_quiescent_template says no", () => {
    const bed = new DirectorBed().add(WEB, PERSISTENT).to(WEB, A).to(WEB, B, { upper: 1 });
    expect([1, 2].map((port) => syn(bed, `10.1.0.2:${port}`))).toEqual([B, B]);
    bed.director.table.editDestination(WEB, destination(B, { weight: 0 }));
    expect(syn(bed, "10.1.0.2:3")).toBe(B);
    bed.director.change({ expire_quiescent_template: 1 });
    expect(syn(bed, "10.1.0.2:4")).toBe(A);
    // The old template stays under a name that nothing has, and dies with its connections.
    expect(templates(bed).sort()).toEqual([
      "6 0a010002 > 0a090001:65535 > 65535",
      "6 0a010002 > 0a090001:80 > 80",
    ]);
    expect(bed.director.table.find(WEB).destinations.map((d) => d.persistent)).toEqual([1, 1]);
    for (let i = 0; i < 6; i++) bed.wait(61);
    expect(bed.director.connections.count).toBe(0);
  });

  test("does not survive the removal of its server", () => {
    const bed = new DirectorBed().add(WEB, PERSISTENT).to(WEB, A).to(WEB, B);
    expect(syn(bed, "10.1.0.2:1")).toBe(B);
    bed.director.table.removeDestination(WEB, destination(B));
    expect(syn(bed, "10.1.0.2:2")).toBe(A);
  });

  test("a template kept by its connections is kept a minute at a time from then on", () => {
    const bed = new DirectorBed().add(WEB, { persistent: true, timeoutS: 10 }).to(WEB, A);
    syn(bed, "10.1.0.2:1");
    bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 A`);
    bed.wait(10.2);
    expect(bed.director.connections.timeoutMs(1)).toBe(60_000);
    expect(bed.director.tracker.stateName(1)).toBe("ASSURED");
  });

  test("with one-packet scheduling each datagram is a connection of a moment, counted at the template", () => {
    const id = service("udp", VIP, 53);
    const bed = new DirectorBed().add(id, { ...PERSISTENT, onePacket: true }).to(id, A, { port: 53 });
    for (let i = 0; i < 3; i++) bed.in(`udp 10.1.0.2:1 > ${VIP}:53`);
    expect(bed.states).toEqual(["NONE"]);
    expect(bed.director.connections.inPackets(1)).toBe(3);
    expect(bed.director.table.find(id).destinations[0].inactive).toBe(0);
  });
});

group("the SIP engine", () => {
  const sip = (call: string): string =>
    `data=${JSON.stringify(`INVITE sip:x SIP/2.0\r\nCall-ID: ${call}\r\n\r\n`)}`;
  const bedOf = (onePacket: boolean): DirectorBed =>
    new DirectorBed()
      .add(SIP, { ...PERSISTENT, engine: "sip", onePacket })
      .to(SIP, A, { port: 5060 })
      .to(SIP, B, { port: 5060 });

  test("keeps a call on one server, and lets a client's calls go to different ones", () => {
    const bed = bedOf(true);
    const call = (id: string): string => via(bed.in(`udp 10.1.0.2:5060 > ${VIP}:5060 ${sip(id)}`));
    expect([call("one@x"), call("two@x"), call("one@x"), call("two@x")]).toEqual([B, A, B, A]);
    expect(bed.director.table.find(SIP).destinations.map((d) => d.persistent)).toEqual([1, 1]);
  });

  test("drops what has no Call-ID, and what is not UDP", () => {
    expect(bedOf(true).in(`udp 10.1.0.2:5060 > ${VIP}:5060 len=40`)).toEqual([]);
    const bed = new DirectorBed().add(MARK, { ...PERSISTENT, engine: "sip" }).to(MARK, A);
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:5060 S`, 7)).toEqual([]);
    expect(bed.director.connections.count).toBe(0);
  });

  test.each([true, false])(
    "a call that a server begins comes from the VIP and its answers reach that server (one-packet %s)",
    (onePacket) => {
      const bed = bedOf(onePacket);
      expect(bed.through(`udp ${A}:5060 > 10.1.0.2:5060 ${sip("mine@x")}`)).toEqual([
        `accept udp ${VIP}:5060 > 10.1.0.2:5060 ttl=64 ${sip("mine@x")}`,
      ]);
      expect(via(bed.in(`udp 10.1.0.2:5060 > ${VIP}:5060 ${sip("mine@x")}`))).toBe(A);
      expect(bed.director.table.find(SIP).destinations.map((d) => d.inactive)).toEqual([
        0,
        onePacket ? 0 : 1,
      ]);
    },
  );

  test("a server takes a call over from the one its template names", () => {
    const bed = bedOf(true);
    expect(via(bed.in(`udp 10.1.0.2:5060 > ${VIP}:5060 ${sip("c@x")}`))).toBe(B);
    bed.through(`udp ${A}:5060 > 10.1.0.2:5060 ${sip("c@x")}`);
    expect(via(bed.in(`udp 10.1.0.2:5060 > ${VIP}:5060 ${sip("c@x")}`))).toBe(A);
  });
});
