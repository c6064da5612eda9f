import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddress } from "./address.ts";
import { fromHex, toHex } from "./hex.ts";
import {
  type Destination,
  emitDaemon,
  emitDestination,
  emitService,
  emitTimeouts,
  parseDaemon,
  parseDestination,
  parseInfo,
  parseService,
  parseTimeouts,
  type Service,
} from "./ipvs.ts";
import { Attributes, NetlinkWriter } from "./netlink.ts";

const family = fc.constantFrom<4 | 6>(4, 6);
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const word = fc.stringMatching(/^[a-z0-9-]{1,15}$/);
const addressOf = (f: 4 | 6): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => formatAddress(f, bytes));

const service: fc.Arbitrary<Service> = fc.tuple(family, fc.boolean()).chain(([f, marked]) =>
  fc.record({
    family: fc.constant(f),
    fwmark: marked ? fc.integer({ min: 1, max: 0xffffffff }) : fc.constant(0),
    protocol: marked ? fc.constant(0) : fc.constantFrom(6, 17, 132),
    address: marked ? fc.constant("") : addressOf(f),
    port: marked ? fc.constant(0) : u16,
    scheduler: word,
    flags: u32,
    timeoutS: u32,
    netmask: u32,
    engine: fc.oneof(fc.constant(""), word),
  }),
);

const destination: fc.Arbitrary<Destination> = family.chain((f) =>
  fc.record({
    family: fc.constant(f),
    address: addressOf(f),
    port: u16,
    method: fc.integer({ min: 0, max: 4 }),
    weight: u32,
    upper: u32,
    lower: u32,
    tunnelType: fc.integer({ min: 0, max: 2 }),
    tunnelPort: u16,
    tunnelFlags: fc.integer({ min: 0, max: 3 }),
  }),
);

const written = (write: (w: NetlinkWriter) => void): Attributes => {
  const w = new NetlinkWriter();
  write(w);
  return new Attributes(w.bytes.slice());
};

/** GET_SERVICE's answer of Linux 6.1 for TCP 10.9.0.5:80 rr, one-packet, without its counters. */
const ANSWER =
  "2c010100 06000100 02000000 06000200 06000000 14000300 0a090005 000000000000000000000000 06000400 00500000" +
  "06000600 72720000 0c000700 06000000 ffffffff 08000800 00000000 08000900 ffffffff";

describe("the IPVS family's attributes", () => {
  it("a service as Linux 6.1 dumps it is read", () => {
    const stats64 = `7c000c00 0c000100 0700000001000000 0c000200 0200000000000000 ${"00000000".repeat(25)}`;
    const bytes = fromHex(ANSWER + stats64);
    bytes[0] = bytes.length & 0xff;
    bytes[1] = bytes.length >> 8;
    expect(parseService(new Attributes(bytes))).toMatchObject({
      family: 4,
      fwmark: 0,
      protocol: 6,
      address: "10.9.0.5",
      port: 80,
      scheduler: "rr",
      flags: 6,
      timeoutS: 0,
      netmask: 0xffffffff,
      engine: "",
      stats: { conns: 2 ** 32 + 7, inPackets: 2, outBps: 0 },
    });
  });

  it("a service is written in the byte orders that the kernel expects", () => {
    const w = new NetlinkWriter();
    emitService(w, {
      family: 4,
      fwmark: 0,
      protocol: 6,
      address: "10.9.0.5",
      port: 80,
      scheduler: "rr",
      flags: 4,
      timeoutS: 300,
      netmask: 0xffffff00,
      engine: "",
    });
    expect(toHex(w.bytes)).toBe(
      "4800018006000100020000000600020006000000080003000a0900050600040000500000" +
        "07000600727200000c00070004000000ffffffff080008002c01000008000900ffffff00",
    );
  });

  it("a service read is the service written", () => {
    fc.assert(
      fc.property(service, (s) => {
        expect(parseService(written((w) => emitService(w, s)))).toMatchObject(s);
      }),
    );
  });

  it("a destination read is the destination written", () => {
    fc.assert(
      fc.property(destination, (d) => {
        expect(
          parseDestination(
            written((w) => emitDestination(w, d)),
            4,
          ),
        ).toMatchObject(d);
      }),
    );
  });

  it("a destination without a family has its service's", () => {
    const bare = (w: NetlinkWriter) =>
      w.nest(2, () => w.bytesAttr(1, new Uint8Array(16).fill(1)).be16(2, 80));
    expect(parseDestination(written(bare), 6)).toMatchObject({
      family: 6,
      address: "101:101:101:101:101:101:101:101",
      port: 80,
    });
  });

  it("a daemon read is the daemon written, and its defaults are left to the kernel", () => {
    const daemon = {
      state: 2,
      interface: "eth0",
      syncId: 7,
      maxLen: 1400,
      group: "ff02::51",
      port: 8849,
      ttl: 3,
    };
    expect(parseDaemon(written((w) => emitDaemon(w, daemon)))).toEqual(daemon);
    const bare = { ...daemon, maxLen: 0, group: "", port: 0, ttl: 0 };
    expect(
      written((w) => emitDaemon(w, bare))
        .nested(3)!
        .has(4),
    ).toBe(false);
    expect(parseDaemon(written((w) => emitDaemon(w, bare)))).toEqual(bare);
  });

  it("timeouts read are the timeouts written", () => {
    const timeouts = { tcp: 900, tcpFin: 120, udp: 300 };
    expect(parseTimeouts(written((w) => emitTimeouts(w, timeouts)))).toEqual(timeouts);
  });

  it("arbitrary bytes do not throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const answers = [
          new Attributes(noise),
          written((w) => w.bytesAttr(1, noise).bytesAttr(2, noise).bytesAttr(3, noise)),
        ];
        for (const a of answers) {
          parseService(a);
          parseDestination(a, 6);
          parseDaemon(a);
          parseTimeouts(a);
          parseInfo(a);
        }
      }),
    );
  });
});
