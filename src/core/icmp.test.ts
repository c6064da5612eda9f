import { expect, describe as group, test } from "vitest";
import { DirectorBed, service, VIP, VIP6 } from "../testkit/director-bed.ts";

const WEB = service("tcp", VIP, 80);
const WEB6 = service("tcp", VIP6, 80);
const DNS = service("udp", VIP, 53);
const RS = "10.2.0.13";
const RS6 = "2001:db8:2::13";
const CLIENT = "10.1.0.2:4000";
const CLIENT6 = "[2001:db8:1::2]:4000";
const SYN = `tcp ${CLIENT} > ${VIP}:80 S`;
const ROUTER = "10.1.9.9";

const nat = (): DirectorBed => {
  const bed = new DirectorBed().add(WEB).to(WEB, RS, { port: 8080 });
  bed.in(SYN);
  return bed;
};
const stats = (bed: DirectorBed): number[] => {
  const { inPackets, inBytes, outPackets, outBytes } = bed.director.table.find(WEB).destinations[0].meter;
  return [inPackets, inBytes, outPackets, outBytes];
};

group("an error about a reply, from the client's side", () => {
  test("by NAT is about what the server sent, and counted in", () => {
    const bed = nat();
    expect(
      bed.in(`icmp ${ROUTER} > ${VIP} frag-needed mtu=1280 [ tcp ${VIP}:80 > ${CLIENT} A df seq=5 ]`),
    ).toEqual(
      [
        `${RS} < icmp ${ROUTER} > ${RS} frag-needed mtu=1280 [ tcp ${RS}:8080 > ${CLIENT} A seq=5 ttl=64 df csum=`,
      ].map((text) => expect.stringContaining(text)),
    );
    expect(stats(bed)).toEqual([2, 108, 0, 0]);
  });

  test("may quote as little as the ports", () => {
    const bed = nat();
    expect(
      bed.in(`icmp ${ROUTER} > ${VIP} unreach-host [ tcp ${VIP}:80 > ${CLIENT} A trunc=28 ]`),
    ).toHaveLength(1);
    expect(bed.in(`icmp ${ROUTER} > ${VIP} unreach-host [ tcp ${VIP}:80 > ${CLIENT} A trunc=23 ]`)).toEqual([
      "accept",
    ]);
  });

  test("is passed on unchanged by DR, and inside a tunnel by TUN", () => {
    const note = `icmp ${ROUTER} > ${VIP} time-exceeded [ tcp ${VIP}:80 > ${CLIENT} A ]`;
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { method: "dr" });
    bed.in(SYN);
    expect(bed.in(note)).toEqual([`${RS} < ${note.replace("A ]", "A ttl=64 ]")}`]);
    const tun = new DirectorBed().add(WEB).to(WEB, RS, { method: "tun" });
    tun.in(SYN);
    expect(tun.in(note)).toEqual([`${RS} < ipip 10.2.0.1 > ${RS} [ ${note.replace("A ]", "A ttl=64 ]")} ]`]);
  });

  test("by full-NAT goes from the local address", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { method: "fullnat", port: 8080 });
    bed.in(SYN);
    const port = bed.director.connections.localPort(1);
    const [sent] = bed.in(`icmp ${ROUTER} > ${VIP} unreach-host [ tcp ${VIP}:80 > ${CLIENT} A ]`);
    expect(sent).toContain(
      `${RS} < icmp 10.2.0.1 > ${RS} unreach-host [ tcp ${RS}:8080 > 10.2.0.1:${port} A`,
    );
  });

  test("with a wrong checksum is dropped where it would be translated, and passed on where not", () => {
    for (const method of ["nat", "dr"] as const) {
      const bed = new DirectorBed().add(WEB).to(WEB, RS, { method });
      bed.in(SYN);
      const sent = bed.in(`icmp ${ROUTER} > ${VIP} unreach-host csum=0x1 [ tcp ${VIP}:80 > ${CLIENT} A ]`);
      expect(sent.length).toBe(method === "nat" ? 0 : 1);
    }
  });

  test("does not renew the connection", () => {
    const bed = nat();
    bed.wait(50);
    bed.in(`icmp ${ROUTER} > ${VIP} unreach-host [ tcp ${VIP}:80 > ${CLIENT} A ]`);
    bed.wait(11);
    expect(bed.states).toEqual([]);
  });

  test("is left to the local stack while a backup stands back", () => {
    const bed = nat();
    bed.director.change({ backup_only: 1 });
    bed.director.table.daemons.has = (state) => state === "backup";
    expect(bed.in(`icmp ${ROUTER} > ${VIP} unreach-host [ tcp ${VIP}:80 > ${CLIENT} A ]`)).toEqual([
      "accept",
    ]);
  });
});

group("an error about a request, from the server's side", () => {
  test("comes from the VIP whoever sent it, is about what the client sent, and counted out", () => {
    const bed = nat();
    expect(bed.through(`icmp 10.2.0.99 > 10.1.0.2 unreach-port [ tcp ${CLIENT} > ${RS}:8080 S ]`)).toEqual([
      expect.stringContaining(
        `accept icmp ${VIP} > 10.1.0.2 unreach-port ttl=64 [ tcp ${CLIENT} > ${VIP}:80 S`,
      ),
    ]);
    expect(stats(bed)).toEqual([1, 40, 1, 68]);
  });

  test("by full-NAT is sent on to the client, with its own sequence number", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, { method: "fullnat", port: 8080 });
    bed.in(`${SYN} seq=77`);
    const { connections } = bed.director;
    const seq = (77 + connections.sequenceDelta(1)) >>> 0;
    const port = connections.localPort(1);
    expect(
      bed.in(`icmp ${RS} > 10.2.0.1 unreach-port [ tcp 10.2.0.1:${port} > ${RS}:8080 S seq=${seq} ]`),
    ).toEqual([
      expect.stringContaining(
        `10.1.0.2 < icmp ${VIP} > 10.1.0.2 unreach-port [ tcp ${CLIENT} > ${VIP}:80 S seq=77 `,
      ),
    ]);
  });
});

group("IPv6", () => {
  test("errors are translated in both directions, pseudo header and all", () => {
    const bed = new DirectorBed().add(WEB6).to(WEB6, RS6, { port: 8080 });
    bed.in(`tcp ${CLIENT6} > [${VIP6}]:80 S`);
    expect(
      bed.in(`icmp 2001:db8:1::9 > ${VIP6} too-big mtu=1280 [ tcp [${VIP6}]:80 > ${CLIENT6} A len=9 ]`),
    ).toEqual([
      expect.stringContaining(
        `${RS6} < icmp 2001:db8:1::9 > ${RS6} too-big mtu=1280 [ tcp [${RS6}]:8080 > ${CLIENT6} A ttl=64 len=9`,
      ),
    ]);
    expect(
      bed.through(`icmp ${RS6} > 2001:db8:1::2 unreach-port [ tcp ${CLIENT6} > [${RS6}]:8080 S ]`),
    ).toEqual([
      expect.stringContaining(
        `accept icmp ${VIP6} > 2001:db8:1::2 unreach-port ttl=64 [ tcp ${CLIENT6} > [${VIP6}]:80 S`,
      ),
    ]);
  });

  test("informational messages pass, and with a wrong checksum errors are dropped", () => {
    const bed = new DirectorBed().add(WEB6).to(WEB6, RS6);
    bed.in(`tcp ${CLIENT6} > [${VIP6}]:80 S`);
    expect(bed.in(`icmp 2001:db8:1::2 > ${VIP6} echo eid=1`)).toEqual(["accept"]);
    expect(
      bed.in(`icmp 2001:db8:1::9 > ${VIP6} too-big mtu=1280 csum=0x1 [ tcp [${VIP6}]:80 > ${CLIENT6} A ]`),
    ).toEqual([]);
  });
});

group("what is not about a connection", () => {
  test.each([
    ["echo eid=1 eseq=1", ""],
    ["5/1", `tcp ${VIP}:80 > ${CLIENT} A`],
    ["12/0", `tcp ${VIP}:80 > ${CLIENT} A`],
    ["unreach-port", `tcp ${VIP}:81 > ${CLIENT} A`],
    ["unreach-port", `ip ${VIP} > 10.1.0.2 proto=99 len=20`],
    ["unreach-port", `icmp ${VIP} > 10.1.0.2 echo`],
  ])("%s of [ %s ] goes to the local stack", (message, inner) => {
    const bed = nat();
    expect(bed.in(`icmp ${ROUTER} > ${VIP} ${message}${inner && ` [ ${inner} ]`}`)).toEqual(["accept"]);
  });

  test("with schedule_icmp opens a connection of three seconds for the quoted ends", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS);
    const note = `icmp ${ROUTER} > ${VIP} unreach-host [ tcp ${VIP}:80 > ${CLIENT} A ]`;
    expect(bed.in(note)).toEqual(["accept"]);
    bed.director.change({ schedule_icmp: 1 });
    expect(bed.in(note)[0]).toContain(
      `${RS} < icmp ${ROUTER} > ${RS} unreach-host [ tcp ${RS}:80 > ${CLIENT} A`,
    );
    expect(bed.states).toEqual(["NONE"]);
    bed.wait(3.2);
    expect(bed.states).toEqual([]);
  });

  test("a connection scheduled for one packet of one-packet scheduling leaves no count behind", () => {
    const bed = new DirectorBed().add(DNS, { onePacket: true }).to(DNS, RS, { port: 53 });
    bed.director.change({ schedule_icmp: 1 });
    expect(bed.in(`icmp ${ROUTER} > ${VIP} unreach-host [ udp ${VIP}:53 > ${CLIENT} ]`)).toHaveLength(1);
    expect(bed.director.table.find(DNS).destinations[0].inactive).toBe(0);
  });

  test("without a destination a scheduled error is dropped in silence", () => {
    const bed = new DirectorBed().add(WEB);
    bed.director.change({ schedule_icmp: 1 });
    expect(bed.in(`icmp ${ROUTER} > ${VIP} unreach-host [ tcp ${VIP}:80 > ${CLIENT} A ]`)).toEqual([]);
  });
});

group("errors about tunnel packets", () => {
  const tun = (type: "ipip" | "gre" | "gue", checksum: "none" | "csum" = "none"): DirectorBed => {
    const bed = new DirectorBed()
      .add(WEB)
      .to(WEB, RS, { method: "tun", tunnel: { type, checksum, port: type === "gue" ? 6080 : 0 } });
    bed.in(SYN);
    return bed;
  };

  test.each([
    ["ipip", "none", `ipip 10.2.0.1 > ${RS}`],
    ["gre", "none", `gre 10.2.0.1 > ${RS}`],
    ["gre", "csum", `gre 10.2.0.1 > ${RS} csum`],
    ["gue", "none", `gue 10.2.0.1:999 > ${RS}:6080`],
  ] as const)("%s (%s): the client hears of its own packet from the VIP", (type, checksum, outer) => {
    const bed = tun(type, checksum);
    expect(bed.in(`icmp 10.2.0.77 > 10.2.0.1 unreach-host [ ${outer} [ ${SYN} ttl=63 ] ]`)).toEqual([
      `10.1.0.2 < icmp ${VIP} > 10.1.0.2 unreach-host ttl=64 tos=0xc0 [ ${SYN} ]`,
    ]);
  });

  test("frag-needed lags by one error, then the director itself tells the right MTU", () => {
    const bed = tun("ipip");
    const error = `icmp 10.2.0.77 > 10.2.0.1 frag-needed mtu=1300 [ ipip 10.2.0.1 > ${RS} df [ ${SYN} df len=500 ] ]`;
    expect(bed.in(error)[0]).toContain(`10.1.0.2 < icmp ${VIP} > 10.1.0.2 frag-needed mtu=1480 `);
    expect(bed.in(error)[0]).toContain("frag-needed mtu=1280 ");
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 A df len=1241`)[0]).toContain("frag-needed mtu=1280 ");
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 A df len=1240`)[0]).toContain(`${RS} < ipip`);
    bed.wait(601);
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 S df len=1241`)[0]).toContain(`${RS} < ipip`);
  });

  test("frag-needed about an inner packet without DF tells the client nothing", () => {
    expect(
      tun("ipip").in(`icmp 10.2.0.77 > 10.2.0.1 frag-needed mtu=1300 [ ipip 10.2.0.1 > ${RS} [ ${SYN} ] ]`),
    ).toEqual([]);
  });

  test("a reported MTU that no link has is not believed", () => {
    const bed = tun("ipip");
    bed.in(`icmp 10.2.0.77 > 10.2.0.1 frag-needed mtu=60 [ ipip 10.2.0.1 > ${RS} df [ ${SYN} df ] ]`);
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 A df len=492`)[0]).toContain(`${RS} < ipip`);
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 A df len=493`)[0]).toContain("frag-needed mtu=532 ");
  });

  test("what quotes too little, or another tunnel, goes to the local stack", () => {
    const bed = tun("ipip");
    expect(
      bed.in(`icmp 10.2.0.77 > 10.2.0.1 unreach-host [ ipip 10.2.0.1 > ${RS} trunc=28 [ ${SYN} ] ]`),
    ).toEqual(["accept"]);
    expect(bed.in(`icmp 10.2.0.77 > 10.2.0.1 unreach-host [ ipip 10.2.0.1 > 10.2.0.99 [ ${SYN} ] ]`)).toEqual(
      ["accept"],
    );
    expect(bed.in(`icmp 10.2.0.77 > 10.2.0.1 unreach-host [ gre 10.2.0.1 > ${RS} [ ${SYN} ] ]`)).toEqual([
      "accept",
    ]);
    expect(
      bed.in(
        `icmp 10.2.0.77 > 10.2.0.1 unreach-host [ ipip 10.2.0.1 > ${RS} [ tcp 10.1.0.2:9 > ${VIP}:80 S ] ]`,
      ),
    ).toEqual(["accept"]);
  });
});
