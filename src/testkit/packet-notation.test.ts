import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildPacket, unhex } from "./packet-build.ts";
import { expectPacket, isExpected } from "./packet-compare.ts";
import { parseNote, printNote } from "./packet-notation.ts";
import { readPacket } from "./packet-read.ts";

const bytes = (text: string): Uint8Array => buildPacket(parseNote(text));
const hex = (text: string): string => Buffer.from(bytes(text)).toString("hex");

describe("packet notation", () => {
  it("an IPv4 header is the one of the textbook example, checksum b861", () => {
    expect(hex("udp 192.168.0.1:1 > 192.168.0.199:2 df len=87").slice(0, 40)).toBe(
      "45000073000040004011b861c0a80001c0a800c7",
    );
  });

  const samples = [
    "tcp 10.1.0.2:40001 > 10.1.0.100:80 SA seq=9 ack=2 win=512 opts=020405b4 ttl=64 data=\"GET / HTTP/1.0\\r\\n\"",
    "tcp [2001:db8:1::2]:1 > [2001:db8:1::100]:80 FPA seq=1 ttl=1 tos=0x2e flow=0x12345 len=30 phase=4",
    "udp 10.1.0.2:5000 > 10.1.0.100:53 ttl=64 id=7 df ipopt=94040000 len=20 csum=0",
    "udp 10.1.0.2:5000 > 10.1.0.100:53 ttl=64 hex=00ff csum=0xbeef",
    "udp [2001:db8:1::2]:1 > [2001:db8:1::100]:53 ttl=64 hbh=050200000100 dstopt=010400000000 len=8",
    "sctp 10.1.0.2:1 > 10.1.0.100:99 INIT:0000000100001000 DATA/3:0102030405 tag=5 ttl=64",
    "icmp 10.1.0.2 > 10.1.0.100 echo eid=3 eseq=4 ttl=64 len=56",
    "icmp 10.1.0.100 > 10.1.0.2 frag-needed mtu=1400 ttl=64 tos=0xc0 [ tcp 10.1.0.2:1 > 10.1.0.100:80 A ttl=63 df len=100 csum=0x1234 ]",
    "icmp 2001:db8:1::100 > 2001:db8:1::2 too-big mtu=1280 ttl=64 [ udp [2001:db8:1::2]:1 > [2001:db8:1::100]:80 ttl=63 len=9 ]",
    "icmp 10.1.0.2 > 10.1.0.100 12/0 rest=0x5000000 ttl=64 [ udp 10.1.0.100:53 > 10.1.0.2:1 ttl=64 len=3 ]",
    "ipip 10.2.0.1 > 10.2.0.11 ttl=63 tos=0x10 [ tcp 10.1.0.2:1 > 10.1.0.100:80 S ttl=63 tos=0x10 ]",
    "ipip 10.2.0.1 > 10.2.0.11 ttl=63 [ tcp [2001:db8:1::2]:1 > [2001:db8:1::100]:80 S ttl=63 ]",
    "ipip 2001:db8:2::1 > 2001:db8:2::b ttl=63 [ tcp 10.1.0.2:1 > 10.1.0.100:80 S ttl=63 ]",
    "gre 10.2.0.1 > 10.2.0.11 csum ttl=63 [ udp 10.1.0.2:1 > 10.1.0.100:80 ttl=63 ]",
    "gre 10.2.0.1 > 10.2.0.11 ttl=63 [ udp [2001:db8:1::2]:1 > [2001:db8:1::100]:80 ttl=63 ]",
    "gue 10.2.0.1:40000 > 10.2.0.11:6080 ttl=63 csum=0 [ tcp 10.1.0.2:1 > 10.1.0.100:80 S ttl=63 ]",
    "gue 10.2.0.1:40000 > 10.2.0.11:6080 gue=020400018000000000100018 ttl=63 [ tcp 10.1.0.2:1 > 10.1.0.100:80 S ttl=63 ]",
    "ip 10.1.0.2 > 10.1.0.100 proto=50 ttl=64 hex=000000010000000200",
    "ip 10.1.0.2 > 10.1.0.100 proto=17 ttl=64 id=9 mf frag=1480 len=40 phase=2",
    "ip 2001:db8:1::2 > 2001:db8:1::100 proto=17 ttl=64 frag=1448 fragid=99 len=40",
    "raw hex=0102",
  ]; // biome-ignore format: one a line
  it.each(samples)("reads back what it wrote: %s", (sample) => {
    expect(printNote(readPacket(bytes(sample)))).toBe(sample);
  });

  it("readPacket() loses nothing of arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x45, 0x46, 0x60, 0), (any, first) => {
        any[0] = first;
        expect(buildPacket(readPacket(any))).toEqual(any);
      }),
    );
  });

  it("readPacket() loses nothing of a packet in which one byte was changed", () => {
    fc.assert(
      fc.property(fc.constantFrom(...samples), fc.nat(), fc.nat(255), (sample, place, value) => {
        const packet = bytes(sample);
        packet[place % packet.length] = value;
        expect(buildPacket(readPacket(packet))).toEqual(packet);
      }),
    );
  });

  it("cut= makes fragments that together are the datagram", () => {
    const whole = bytes("udp 10.1.0.2:1 > 10.1.0.100:53 id=5 len=2000");
    const first = bytes("udp 10.1.0.2:1 > 10.1.0.100:53 id=5 len=2000 cut=0-1480");
    const second = bytes("udp 10.1.0.2:1 > 10.1.0.100:53 id=5 len=2000 cut=1480-");
    expect(Buffer.concat([first.subarray(20), second.subarray(20)])).toEqual(Buffer.from(whole.subarray(20)));
    expect(printNote(readPacket(second))).toBe(
      "ip 10.1.0.2 > 10.1.0.100 proto=17 ttl=64 id=5 frag=1480 len=528 phase=16",
    );
  });

  it("an expectation sees a wrong checksum, a wrong TTL and a changed payload byte", () => {
    const expected = expectPacket('udp 10.1.0.2:1 > 10.2.0.11:53 data="hello"');
    expect(isExpected(expected, bytes('udp 10.1.0.2:1 > 10.2.0.11:53 ttl=63 data="hello"'))).toBe(true);
    expect(isExpected(expected, bytes('udp 10.1.0.2:1 > 10.2.0.11:53 ttl=62 data="hello"'))).toBe(false);
    expect(isExpected(expected, bytes('udp 10.1.0.2:1 > 10.2.0.11:53 ttl=63 data="hallo"'))).toBe(false);
    expect(isExpected(expected, bytes('udp 10.1.0.2:1 > 10.2.0.11:53 ttl=63 data="hello" csum=0x1111'))).toBe(
      false,
    );
  });

  it("* leaves open what it stands for, on every layer, and nothing else", () => {
    const expected = expectPacket(
      "gue 10.2.0.1:* > 10.2.0.11:6080 [ udp 10.1.0.2:1 > 10.1.0.100:53 csum=* ]",
    );
    const actual = (inner: string) =>
      bytes(`gue 10.2.0.1:777 > 10.2.0.11:6080 ttl=63 id=5 [ udp 10.1.0.2:1 > ${inner} ]`);
    expect(isExpected(expected, actual("10.1.0.100:53 ttl=63 csum=0x1111"))).toBe(true);
    expect(isExpected(expected, actual("10.1.0.100:54 ttl=63"))).toBe(false);
  });

  it("unhex() refuses half bytes", () => {
    expect(() => unhex("012")).toThrow("not a row of bytes");
  });
});
