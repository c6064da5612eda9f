import fc from "fast-check";
import { expect, test } from "vitest";
import { buildPacket } from "../testkit/packet-build.ts";
import { parseNote } from "../testkit/packet-notation.ts";
import { udpPacket } from "../testkit/segments.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { Flow } from "./flow.ts";
import { Reassembler, split6 } from "./fragments.ts";
import { Packet } from "./packet.ts";

/** IPv4 fragments of a packet, payload cut at the given multiples of 8. */
function cut4(whole: Uint8Array, size: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 20; at < whole.length; at += size) {
    const body = whole.subarray(at, Math.min(at + size, whole.length));
    const part = new Uint8Array(20 + body.length);
    part.set(whole.subarray(0, 20));
    part.set(body, 20);
    const v = new DataView(part.buffer);
    v.setUint16(2, part.length);
    v.setUint16(6, ((at - 20) >> 3) | (at + size < whole.length ? 0x2000 : 0));
    ipv4.setChecksum(v, 0);
    parts.push(part);
  }
  return parts;
}

function feed(r: Reassembler, parts: Uint8Array[], now = 0): Uint8Array | undefined {
  for (const part of parts) {
    const p = new Packet().load(part);
    const flow = new Flow();
    if (flow.read(p.view, p.at, p.end) && r.add(p, flow, now)) return p.copy();
  }
  return undefined;
}

const shuffle = <T>(list: T[], order: number[]): T[] =>
  list
    .map((x, i) => [order[i] ?? 0, x] as const)
    .sort((a, b) => a[0] - b[0])
    .map(([, x]) => x);

test("fragments in any order, also repeated, become the packet they came from", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 9, max: 600 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer(), { minLength: 80, maxLength: 80 }),
      (length, eights, order) => {
        const whole = udpPacket("10.1.0.2:1", "10.9.0.1:2", {
          payload: Uint8Array.from({ length }, (_, i) => i),
        }).copy();
        const parts = cut4(whole, eights * 8);
        fc.pre(parts.length > 1);
        const r = new Reassembler();
        const twice = [parts[0], ...shuffle(parts, order)];
        expect(feed(r, twice)).toEqual(whole);
        expect(r.pending).toBe(0);
      },
    ),
  );
});

test("overlapping fragments spoil the packet", () => {
  const whole = udpPacket("10.1.0.2:1", "10.9.0.1:2", { payload: "x".repeat(100) }).copy();
  const [first, second, ...rest] = cut4(whole, 32);
  const shifted = second.slice();
  new DataView(shifted.buffer).setUint16(6, 0x2000 | 3);
  expect(feed(new Reassembler(), [first, shifted, second, ...rest])).toBeUndefined();
});

test("what does not complete in 30 s is forgotten", () => {
  const whole = udpPacket("10.1.0.2:1", "10.9.0.1:2", { payload: "x".repeat(100) }).copy();
  const [first, ...rest] = cut4(whole, 32);
  const r = new Reassembler();
  feed(r, [first], 0);
  expect(feed(r, rest, 31_000)).toBeUndefined();
  r.forget(100_000);
  expect(r.pending).toBe(0);
});

test("an IPv6 packet is cut into fragments of the size it came in, and those reassemble", () => {
  const p = udpPacket("[2001:db8::2]:1", "[2001:db8::1]:2", { payload: "y".repeat(3000) });
  const whole = p.copy();
  p.fragmentSize = 1280;
  p.fragmentId = 0xabcdef01;
  const flow = new Flow();
  flow.read(p.view, p.at, p.end);
  const parts: Uint8Array[] = [];
  split6(p, flow, (part) => parts.push(part.copy()));
  expect(parts.map((part) => part.length)).toEqual([1280, 1280, 592]);
  const r = new Reassembler();
  expect(feed(r, [parts[2], parts[0], parts[1]])).toEqual(whole);
});

const built = (note: string): Uint8Array => buildPacket(parseNote(note));

test("a last fragment that ends before others spoils the packet: no hole is ever filled with what lay there", () => {
  const part = (what: string): Uint8Array => built(`ip 10.1.0.2 > 10.9.0.1 proto=17 id=7 ${what}`);
  const parts = [part("mf len=8"), part("mf frag=24 len=8"), part("frag=16 len=0")];
  expect(feed(new Reassembler(), parts)).toBeUndefined();
  const twoEnds = [part("mf len=8"), part("frag=16 len=8"), part("frag=8 len=0"), part("mf frag=8 len=8")];
  expect(feed(new Reassembler(), twoEnds)).toBeUndefined();
});

test("destination options behind the fragment header, which only the first fragment shows, do not part the pieces", () => {
  // Destination options (next header UDP, 8 bytes of padding), then a datagram of 24 bytes.
  const note = `ip 2001:db8::2 > 2001:db8::1 proto=60 fragid=9 hex=1100010400000000${"00010002001800000102030405060708090a0b0c0d0e0f10"}`;
  const whole = feed(new Reassembler(), [built(`${note} cut=16-`), built(`${note} cut=0-16`)]);
  expect(whole).toEqual(built(note.replace(" fragid=9", "")));
});

test("many small fragments do not outgrow the memory that is set aside", () => {
  const r = new Reassembler();
  const part = built("ip 10.1.0.2 > 10.9.0.1 proto=17 mf len=8");
  for (let id = 0; id < 10_000; id++) {
    new DataView(part.buffer).setUint16(4, id);
    feed(r, [part]);
  }
  // 4 MiB at some 900 bytes each.
  expect(r.pending).toBeLessThan(5000);
  expect(r.pending).toBeGreaterThan(4000);
});
