import { expect, describe as group, test } from "vitest";
import { DirectorBed, service, VIP, VIP6 } from "../../testkit/director-bed.ts";

const WEB = service("tcp", VIP, 80);
const WEB6 = service("tcp", VIP6, 80);
const DNS = service("udp", VIP, 53);
const RS = "10.2.0.13";
const RS6 = "2001:db8:2::13";
const CLIENT = "10.1.0.2:4000";
const CLIENT6 = "[2001:db8:1::2]:4000";
const FULLNAT = { method: "fullnat", port: 8080 } as const;

/** Local port, and the server's view of client sequence number 0, of the only connection. */
function chosen(bed: DirectorBed): { port: number; shift: number } {
  const { connections } = bed.director;
  return { port: connections.localPort(1), shift: connections.sequenceDelta(1) >>> 0 };
}
const u32 = (n: number): number => n >>> 0;
const hex = (n: number, bytes: number): string => n.toString(16).padStart(bytes * 2, "0");

group("TCP", () => {
  test("time stamps of a SYN become NOPs, and a retransmitted SYN looks the same", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, FULLNAT);
    const syn = `tcp ${CLIENT} > ${VIP}:80 S seq=9 opts=020405b40402080a0000000100000000`;
    const first = bed.in(syn);
    const { port, shift } = chosen(bed);
    expect(first).toEqual([
      `${RS} < tcp 10.2.0.1:${port} > ${RS}:8080 S seq=${u32(9 + shift)} opts=020405b4040201010101010101010101`,
    ]);
    expect(bed.in(syn)).toEqual(first);
  });

  test("the SYN+ACK offers room for the address, and its acknowledgement is in the client's numbers", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, FULLNAT);
    bed.in(`tcp ${CLIENT} > ${VIP}:80 S seq=9`);
    const { port, shift } = chosen(bed);
    expect(
      bed.in(`tcp ${RS}:8080 > 10.2.0.1:${port} SA seq=500 ack=${u32(10 + shift)} opts=020405b4`),
    ).toEqual([`10.1.0.2 < tcp ${VIP}:80 > ${CLIENT} SA seq=500 ack=10 opts=020405ac`]);
  });

  test("the address rides in what the client sends before it acknowledged data, and only there", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, FULLNAT);
    bed.in(`tcp ${CLIENT} > ${VIP}:80 S seq=9`);
    const { port, shift } = chosen(bed);
    bed.in(`tcp ${RS}:8080 > 10.2.0.1:${port} SA seq=500 ack=${u32(10 + shift)}`);
    const toa = `fe08${hex(4000, 2)}0a010002`;
    const left = `${RS} < tcp 10.2.0.1:${port} > ${RS}:8080`;
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 A seq=10 ack=501`)).toEqual([
      `${left} A seq=${u32(10 + shift)} ack=501 opts=${toa}`,
    ]);
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 PA seq=10 ack=501 opts=01010101 data="GET"`)).toEqual([
      `${left} PA seq=${u32(10 + shift)} ack=501 opts=${toa}01010101 data="GET"`,
    ]);
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 RA seq=13 ack=501`)).toEqual([
      `${left} RA seq=${u32(13 + shift)} ack=501`,
    ]);
    expect(bed.in(`tcp ${CLIENT} > ${VIP}:80 A seq=13 ack=600`)).toEqual([
      `${left} A seq=${u32(13 + shift)} ack=600`,
    ]);
  });

  test("no address where it does not fit: the MTU, the option space, the setting", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, FULLNAT);
    bed.in(`tcp ${CLIENT} > ${VIP}:80 S seq=9`);
    const { port, shift } = chosen(bed);
    bed.in(`tcp ${RS}:8080 > 10.2.0.1:${port} SA seq=500 ack=${u32(10 + shift)}`);
    const send = (more: string): string => bed.in(`tcp ${CLIENT} > ${VIP}:80 A seq=10 ack=501 ${more}`)[0];
    expect(send("len=1452")).toContain("opts=fe08");
    expect(send("len=1453")).not.toContain("opts=");
    expect(send(`opts=${"01".repeat(32)}`)).toContain("opts=fe08");
    expect(send(`opts=${"01".repeat(36)}`)).not.toContain("fe08");
    bed.director.change({ fullnat_toa: 0 });
    expect(send("")).not.toContain("opts=");
  });

  test("edges of selective acknowledgements come back in the client's numbers, at even and odd offsets", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, FULLNAT);
    bed.in(`tcp ${CLIENT} > ${VIP}:80 S seq=9`);
    const { port, shift } = chosen(bed);
    const sack = (from: number, to: number): string => `050a${hex(from, 4)}${hex(to, 4)}`;
    for (const [before, behind] of [
      ["0101", ""],
      ["01", "01"],
    ]) {
      const options = (by: number): string => before + sack(u32(100 + by), u32(200 + by)) + behind;
      expect(
        bed.in(`tcp ${RS}:8080 > 10.2.0.1:${port} A seq=501 ack=${u32(50 + shift)} opts=${options(shift)}`),
      ).toEqual([`10.1.0.2 < tcp ${VIP}:80 > ${CLIENT} A seq=501 ack=50 opts=${options(0)}`]);
    }
  });

  test("IPv6 carries 20 bytes of address, and its MSS is lowered by as much", () => {
    const bed = new DirectorBed().add(WEB6).to(WEB6, RS6, FULLNAT);
    bed.in(`tcp ${CLIENT6} > [${VIP6}]:80 S seq=9`);
    const { port, shift } = chosen(bed);
    expect(
      bed.in(`tcp [${RS6}]:8080 > [2001:db8:2::1]:${port} SA seq=500 ack=${u32(10 + shift)} opts=020405a0`),
    ).toEqual([`2001:db8:1::2 < tcp [${VIP6}]:80 > ${CLIENT6} SA seq=500 ack=10 opts=0204058c`]);
    expect(bed.in(`tcp ${CLIENT6} > [${VIP6}]:80 A seq=10 ack=501 len=3`)).toEqual([
      `${RS6} < tcp [2001:db8:2::1]:${port} > [${RS6}]:8080 A seq=${u32(10 + shift)} ack=501 ` +
        `opts=fe14${hex(4000, 2)}20010db8000100000000000000000002 len=3`,
    ]);
  });

  test("a segment whose data offset lies is translated and nothing else", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, FULLNAT);
    bed.in(`tcp ${CLIENT} > ${VIP}:80 S seq=9`);
    const packet = `raw hex=4500002800000000400600000a0100020a090001${"0fa0005000000009000000000f10ffff00000000"}`;
    expect(bed.in(packet)).toHaveLength(1);
  });
});

group("UDP", () => {
  test("goes out from the local address and comes back, without any option", () => {
    const bed = new DirectorBed().add(DNS).to(DNS, RS, { method: "fullnat", port: 53 });
    const sent = bed.in(`udp ${CLIENT} > ${VIP}:53 len=4`);
    const { port } = chosen(bed);
    expect(sent).toEqual([`${RS} < udp 10.2.0.1:${port} > ${RS}:53 len=4`]);
    expect(bed.in(`udp ${RS}:53 > 10.2.0.1:${port} len=9 csum=0`)).toEqual([
      `10.1.0.2 < udp ${VIP}:53 > ${CLIENT} len=9`,
    ]);
  });

  test("with one-packet scheduling the port is free again at once", () => {
    const bed = new DirectorBed(() => 0)
      .add(DNS, { onePacket: true })
      .to(DNS, RS, { method: "fullnat", port: 53 });
    for (let i = 0; i < 600; i++) expect(bed.in(`udp ${CLIENT} > ${VIP}:53`)).toHaveLength(1);
    expect(bed.director.table.find(DNS).destinations[0].inactive).toBe(0);
  });
});

group("local ports", () => {
  test("every connection to one server has its own, through every growth of the table", () => {
    const bed = new DirectorBed().add(WEB).to(WEB, RS, FULLNAT);
    const ports = new Set<string>();
    for (let i = 0; i < 1500; i++) {
      const [sent] = bed.in(`tcp 10.1.0.2:${2000 + i} > ${VIP}:80 S`);
      ports.add(/10\.2\.0\.1:(\d+) /.exec(sent)![1]);
    }
    expect(ports.size).toBe(1500);
    for (const port of ports) {
      expect(Number(port)).toBeGreaterThan(1024);
      // Where Linux takes ports for sockets of its own.
      expect(Number(port) >= 32768 && Number(port) < 61000).toBe(false);
    }
    expect(bed.in(`tcp ${RS}:8080 > 10.2.0.1:65534 SA`).length).toBeLessThanOrEqual(1);
  });

  test("local addresses take turns", () => {
    const bed = new DirectorBed().add(WEB, { localAddresses: ["10.2.0.5", "10.2.0.6"] }).to(WEB, RS, FULLNAT);
    const from = [1, 2, 3].map((n) => /tcp (\S+):/.exec(bed.in(`tcp 10.1.0.2:${n} > ${VIP}:80 S`)[0])![1]);
    expect(from).toEqual(["10.2.0.5", "10.2.0.6", "10.2.0.5"]);
  });

  test("when all that are tried are taken the packet is dropped and nothing is left behind", () => {
    // A die that always shows the same tries the same ports for every connection.
    const bed = new DirectorBed(() => 0).add(WEB).to(WEB, RS, FULLNAT);
    let opened = 0;
    while (bed.in(`tcp 10.1.0.2:${1000 + opened} > ${VIP}:80 S`).length === 1 && opened < 5000) opened++;
    expect(opened).toBe(256);
    const [server] = bed.director.table.find(WEB).destinations;
    expect(server.active + server.inactive).toBe(256);
    expect(bed.director.connections.count).toBe(256);
    expect(server.meter.conns).toBe(256);
    bed.wait(200);
    expect(bed.director.connections.count).toBe(0);
    expect(bed.in(`tcp 10.1.0.2:1 > ${VIP}:80 S`)).toHaveLength(1);
  });
});
