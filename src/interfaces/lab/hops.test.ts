import fc from "fast-check";
import { expect, test } from "vitest";
import * as ethernet from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as pcap from "../../wire/pcap.ts";
import * as tcp from "../../wire/tcp.ts";
import { describe, type Hop, hopsOf, journeys, telling } from "./hops.ts";

const MACS = { client: "02:00:c0:00:02:01", director: "02:00:c0:00:02:02" };
const HEADER: pcap.PcapHeader = { littleEndian: true, nanoseconds: true, snaplen: 65535, linktype: 1 };

const ipHeader = (protocol: number, src: string, dst: string, payloadLen: number): ipv4.Ipv4 => ({
  tos: 0,
  id: 1,
  dontFragment: true,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 64,
  protocol,
  src,
  dst,
  options: [],
  payloadLen,
});

/** A TCP segment from 192.0.2.1:4711 to 192.0.2.80:80, in IPIP headers when asked, as an Ethernet frame. */
function frame(flags: number, payload: string, tunnel?: readonly [string, string]): Uint8Array {
  const bytes = new Uint8Array(54 + (tunnel ? 20 : 0) + payload.length);
  const v = new DataView(bytes.buffer);
  let at = ethernet.emit({ dst: MACS.director, src: MACS.client, tags: [], type: 0x0800 }, v, 0);
  if (tunnel) at += ipv4.emit(ipHeader(4, ...tunnel, 40 + payload.length), v, at);
  at += ipv4.emit(ipHeader(6, "192.0.2.1", "192.0.2.80", 20 + payload.length), v, at);
  bytes.set(new TextEncoder().encode(payload), at + 20);
  const header = { srcPort: 4711, dstPort: 80, seq: 1, ack: 0, flags, window: 1000, urgent: 0, options: [] };
  tcp.emit({ ...header, payloadLen: payload.length }, v, at, 0);
  return bytes;
}

function file(...frames: readonly Uint8Array[]): Uint8Array {
  const parts = [
    pcap.emitHeader(HEADER),
    ...frames.map((data, index) =>
      pcap.emitRecord(HEADER, { seconds: 5, nanoseconds: index, originalLength: data.length, data }),
    ),
  ];
  return Buffer.concat(parts);
}

test("hopsOf() tells MACs, addresses, direction and what the packet is", () => {
  const capture = file(frame(tcp.FLAG.syn, ""), frame(tcp.FLAG.ack, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  const hops = hopsOf({ host: "client", device: "eth0", mac: MACS.client }, capture);
  expect(hops.map(({ kind, direction, flow }) => [kind, direction, flow])).toEqual([
    ["SYN", "out", "192.0.2.1:4711 → 192.0.2.80:80"],
    ["GET / HTTP/1.1", "out", "192.0.2.1:4711 → 192.0.2.80:80"],
  ]);
  expect(hops[0]).toMatchObject({
    macs: { from: MACS.client, to: MACS.director },
    ttl: 64,
    reply: false,
    outer: [],
  });
  const [arriving] = hopsOf({ host: "director", device: "eth0", mac: MACS.director }, capture);
  expect(arriving!.direction).toBe("in");
});

test("hopsOf() shows the outer header of a tunnel and the packet inside", () => {
  const capture = file(frame(tcp.FLAG.syn, "", ["10.0.0.254", "10.0.0.1"]));
  const [hop] = hopsOf({ host: "director", device: "eth1", mac: MACS.client }, capture);
  expect(hop).toMatchObject({
    outer: ["ipip 10.0.0.254 → 10.0.0.1"],
    flow: "192.0.2.1:4711 → 192.0.2.80:80",
    kind: "SYN",
  });
});

test("hopsOf() leaves out frames of other stations, as a flooding switch delivers them", () => {
  const capture = file(frame(tcp.FLAG.syn, ""));
  expect(hopsOf({ host: "rs1", device: "eth0", mac: "02:00:c0:00:02:03" }, capture)).toEqual([]);
});

test("hopsOf() never throws on garbage", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(1, 101), (data, linktype) => {
      const header = { ...HEADER, linktype };
      const record = { seconds: 1, nanoseconds: 1, originalLength: data.length, data };
      hopsOf(
        { host: "a", device: "b", mac: undefined },
        Buffer.concat([pcap.emitHeader(header), pcap.emitRecord(header, record)]),
      );
    }),
  );
});

const hop = (time: number, host: string, kind: string, reply = false): Hop => ({
  time: BigInt(time),
  host,
  device: "eth0",
  direction: "in",
  macs: undefined,
  outer: [],
  flow: "a → b",
  ttl: 64,
  kind,
  reply,
});

test("journeys() gathers a packet's hops in the order of time, and takes a second visit for a second packet", () => {
  const told = journeys([
    hop(3, "rs1", "SYN"),
    hop(1, "client", "SYN"),
    hop(2, "director", "SYN"),
    hop(4, "client", "ACK"),
    hop(5, "client", "ACK"),
  ]);
  expect(told.map(({ kind, hops }) => [kind, hops.map((each) => each.host)])).toEqual([
    ["SYN", ["client", "director", "rs1"]],
    ["ACK", ["client"]],
    ["ACK", ["client"]],
  ]);
});

test("telling() keeps the first packet of each kind and leaves bare acknowledgements and goodbyes out", () => {
  const all = journeys(
    ["SYN", "ACK", "GET / HTTP/1.1", "FIN+ACK"]
      .map((kind, index) => hop(index, "client", kind))
      .concat(
        hop(9, "client", "HTTP/1.1 200 OK", true),
        hop(10, "client", "20 bytes", true),
        hop(11, "client", "30 bytes", true),
      ),
  );
  expect(telling(all).map(({ kind }) => kind)).toEqual([
    "SYN",
    "GET / HTTP/1.1",
    "HTTP/1.1 200 OK",
    "20 bytes",
  ]);
});

test("describe() gives a line to each hop, with the time since the start", () => {
  const [journey] = journeys([hop(1_000, "client", "SYN"), hop(51_000, "rs1", "SYN")]);
  const lines = describe(journey!, 1_000n);
  expect(lines).toHaveLength(3);
  expect(lines[2]).toContain("50 µs");
});
