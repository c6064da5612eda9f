import fc from "fast-check";
import { expect, describe as group, test } from "vitest";
import { DirectorBed, service, VIP, VIP6 } from "../testkit/director-bed.ts";
import { buildPacket } from "../testkit/packet-build.ts";
import { parseNote } from "../testkit/packet-notation.ts";
import { Flow } from "./flow.ts";
import { Packet } from "./packet.ts";

const read = (note: string, quoted = false): Flow | undefined => {
  const bytes = buildPacket(parseNote(note));
  const flow = new Flow();
  return flow.read(new DataView(bytes.buffer), 0, bytes.length, quoted) ? flow : undefined;
};

group("reading", () => {
  test("finds the ends behind options and extension headers", () => {
    expect(read("tcp 10.1.0.2:1 > 10.9.0.1:2 S ipopt=01010101")).toMatchObject({
      l4: 24,
      sourcePort: 1,
      targetPort: 2,
      truncated: false,
    });
    expect(read("udp [2001:db8::1]:1 > [2001:db8::2]:2 hbh=000000000000 dstopt=000000000000")).toMatchObject({
      l4: 56,
      protocol: 17,
      sourcePort: 1,
      fragment: false,
    });
  });

  test("a later fragment has no ports; an atomic IPv6 fragment is none", () => {
    expect(read("udp 10.1.0.2:1 > 10.9.0.1:2 len=100 cut=80-")).toMatchObject({
      fragment: true,
      fragmentOffset: 80,
      sourcePort: 0,
    });
    expect(read("udp [2001:db8::1]:1 > [2001:db8::2]:2 fragid=1 len=9")).toMatchObject({
      fragment: false,
      fragmentAt: 40,
      sourcePort: 1,
    });
  });

  test("a length beyond the bytes is unsound, but natural in a quotation", () => {
    const note = "tcp 10.1.0.2:1 > 10.9.0.1:2 S len=100 trunc=24";
    expect(read(note)).toBeUndefined();
    expect(read(note, true)).toMatchObject({ truncated: false, sourcePort: 1, end: 24 });
    expect(read(note.replace("24", "23"), true)).toMatchObject({ truncated: true, sourcePort: 0 });
  });
});

/** Seeds of garbage: packets that the director does something with. */
const SEEDS = [
  `tcp 10.1.0.2:4000 > ${VIP}:80 S opts=020405b4 len=30`,
  `tcp 10.1.0.2:4001 > ${VIP}:80 A seq=2 ack=501 len=30`,
  `tcp 10.2.0.13:80 > 10.1.0.2:4000 SA seq=500`,
  `tcp 10.1.0.2:4000 > ${VIP}:21 PA data="PORT 10,1,0,2,9,9\\r\\n"`,
  `tcp 10.2.0.13:21 > 10.1.0.2:4000 PA data="227 (10,2,0,13,9,9)\\r\\n"`,
  `udp 10.1.0.2:4000 > ${VIP}:5060 data="INVITE\\r\\nCall-ID: a\\r\\n"`,
  `udp 10.1.0.2:4000 > ${VIP}:5060 len=300 id=3 cut=0-160`,
  `udp 10.1.0.2:4000 > ${VIP}:5060 len=300 id=3 cut=160-`,
  `sctp 10.1.0.2:4000 > ${VIP}:9 INIT:00 DATA:0102`,
  `ip 10.1.0.2 > ${VIP} proto=50 len=20`,
  `icmp 10.1.9.9 > ${VIP} frag-needed mtu=1280 [ tcp ${VIP}:80 > 10.1.0.2:4000 A ]`,
  `icmp 10.2.0.9 > 10.1.0.2 unreach-host [ tcp 10.1.0.2:4000 > 10.2.0.13:80 A ]`,
  `icmp 10.2.0.9 > 10.2.0.1 frag-needed mtu=1280 [ ipip 10.2.0.1 > 10.2.0.14 [ tcp 10.1.0.2:4001 > ${VIP}:80 A ] ]`,
  `icmp 10.2.0.9 > 10.2.0.1 unreach-host [ gue 10.2.0.1:9 > 10.2.0.15:6080 [ tcp 10.1.0.2:4001 > ${VIP}:80 A ] ]`,
  `tcp [2001:db8:1::2]:4000 > [${VIP6}]:80 S hbh=000000000000`,
  `udp [2001:db8:1::2]:4000 > [${VIP6}]:80 fragid=7 len=100 cut=0-80`,
  `udp [2001:db8:1::2]:4000 > [${VIP6}]:80 fragid=7 len=100 cut=80-`,
  `icmp 2001:db8::9 > ${VIP6} too-big mtu=1280 [ tcp [${VIP6}]:80 > [2001:db8:1::2]:4000 A ]`,
].map((note) => buildPacket(parseNote(note)));

/** A director with one of everything. */
function everything(): DirectorBed {
  const bed = new DirectorBed();
  const web = service("tcp", VIP, 80);
  const ftp = service("tcp", VIP, 21);
  const sip = service("udp", VIP, 5060);
  const sctp = service("sctp", VIP, 9);
  bed.add(web).to(web, "10.2.0.13").to(web, "10.2.0.16", { method: "fullnat" });
  bed.to(web, "10.2.0.14", { method: "tun" });
  bed.to(web, "10.2.0.15", { method: "tun", tunnel: { type: "gue", port: 6080, checksum: "csum" } });
  bed.add(ftp).to(ftp, "10.2.0.13", { port: 21 }).add(sctp).to(sctp, "10.2.0.13", { port: 99 });
  bed.add(sip, { persistent: true, timeoutS: 60, engine: "sip" }).to(sip, "10.2.0.13", { port: 5060 });
  for (const protocol of ["tcp", "udp"] as const) {
    const id = service(protocol, VIP6, 80);
    bed.add(id).to(id, "2001:db8:2::13", { method: protocol === "tcp" ? "fullnat" : "nat" });
  }
  bed.director.change({ schedule_icmp: 1, nat_icmp_send: 1, sloppy_tcp: 1, sloppy_sctp: 1 });
  return bed;
}

group("garbage", () => {
  const damage = fc.record({
    seed: fc.nat(SEEDS.length - 1),
    /** Places where bytes change, early ones more often: that is where headers are. */
    changes: fc.array(fc.tuple(fc.oneof(fc.nat(60), fc.nat(400)), fc.nat(255)), { maxLength: 3 }),
    cut: fc.option(fc.nat(120), { freq: 3 }),
    hook: fc.constantFrom("localIn" as const, "forward" as const, "localOut" as const),
  });

  type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

  /** Everything that became of the packets; `filler` lies before and behind each of them in its buffer. */
  function play(steps: readonly Damage[], filler: number): string[] {
    const bed = everything();
    const told: string[] = [];
    for (const { seed, changes, cut, hook } of steps) {
      const bytes = SEEDS[seed].slice();
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const p = new Packet(128 + bytes.length + 128);
      p.bytes.fill(filler);
      p.load(bytes.subarray(0, cut ?? bytes.length));
      told.push(bed.director[hook](p, bed.now), Buffer.from(p.copy()).toString("hex"));
      for (const { bytes: sent } of bed.host.sent.splice(0)) {
        const said = sent[0] >> 4 === 4 ? (sent[2] << 8) | sent[3] : ((sent[4] << 8) | sent[5]) + 40;
        expect(said).toBe(sent.length);
        told.push(Buffer.from(sent).toString("hex"));
      }
    }
    for (let i = 0; i < 8; i++) bed.wait(300);
    expect(bed.director.connections.count).toBe(0);
    for (const s of bed.director.table.services())
      for (const d of s.destinations) expect([d.active, d.inactive, d.persistent]).toEqual([0, 0, 0]);
    return told;
  }

  test("never throws, leaves nothing behind, and what lies around a packet never matters", () => {
    fc.assert(
      fc.property(fc.array(damage, { minLength: 5, maxLength: 60 }), (steps) => {
        expect(play(steps, 0xff)).toEqual(play(steps, 0));
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});
