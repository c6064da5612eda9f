import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { survivesGarbage, u8, u16, u32, viewOf, viewOfBytes } from "../testkit/wire.ts";
import { parseAddress } from "./address.ts";
import { pseudo4 } from "./checksum.ts";
import * as ipv4 from "./ipv4.ts";
import * as pcap from "./pcap.ts";
import * as sync from "./sync.ts";
import * as udp from "./udp.ts";

const bytes = (text: string): Uint8Array => parseAddress(text)!.bytes;

/** What the kernel's master sent: an established NAT connection. */
const NEWER = `0005002c 01010000 00060024 00000000 0001 791d 0050 1f90 00000000 00000384
  0a010002 0a090001 0a02000b`;
const ESTABLISHED: sync.SyncEntry = {
  family: 4,
  protocol: 6,
  flags: 0,
  state: 1,
  clientPort: 31005,
  virtualPort: 80,
  destinationPort: 8080,
  fwmark: 0,
  timeoutS: 900,
  client: bytes("10.1.0.2"),
  virtual: bytes("10.9.0.1"),
  destination: bytes("10.2.0.11"),
};
/** A master with sync_version 0. */
const OLDER = "0105001c 0006 791b 0050 1f90 0a010002 0a090001 0a02000b 0000 0001";

const read = (hex: string): sync.SyncMessage | undefined => {
  const v = viewOf(hex);
  return sync.parse(v, 0, v.byteLength);
};

test("parse() reads what a kernel with sync_version 1 sent, and SyncWriter writes those bytes", () => {
  expect(read(NEWER)).toEqual({ version: 1, syncId: 5, entries: [ESTABLISHED], skipped: 0 });
  const writer = new sync.SyncWriter(1, 5, 1472);
  expect(writer.add({ ...ESTABLISHED, flags: 0x40 })).toBe(true);
  expect(viewOfBytes(writer.take())).toEqual(viewOf(NEWER));
});

test("parse() reads what a kernel with sync_version 0 sent, and SyncWriter writes those bytes", () => {
  const entry = { ...ESTABLISHED, clientPort: 31003, timeoutS: undefined };
  expect(read(OLDER)).toEqual({ version: 0, syncId: 5, entries: [entry], skipped: 0 });
  const writer = new sync.SyncWriter(0, 5, 1472);
  writer.add(entry);
  expect(viewOfBytes(writer.take())).toEqual(viewOf(OLDER));
});

const SIX: sync.SyncEntry = {
  ...ESTABLISHED,
  family: 6,
  flags: 0x83,
  destinationPort: 80,
  client: bytes("2001:db8:1::2"),
  virtual: bytes("2001:db8:9::1"),
  destination: bytes("2001:db8:2::11"),
};
const SEQUENCE = [
  { initial: 0x01020304, delta: 5, previousDelta: 6 },
  { initial: 0x0708090a, delta: 0xfffffffd, previousDelta: 0x0c },
] as const;
const NUMBERS = "01020304 00000005 00000006 0708090a fffffffd 0000000c";
const LITTLE_NUMBERS = "04030201 05000000 06000000 0a090807 fdffffff 0c000000";

// By the layout of `struct ip_vs_sync_v6`, `ip_vs_sync_conn_options` and `ip_vs_sync_v4`: the first kernels of each version wrote these.
test.each<[string, 0 | 1, sync.SyncEntry, string]>([
  [
    "IPv6, by direct routing",
    1,
    SIX,
    `00050050 01010000 01060048 00000083 0001 791d 0050 0050 00000000 00000384
     20010db8000100000000000000000002 20010db8000900000000000000000001 20010db8000200000000000000000011`,
  ],
  [
    "sequence numbers of both directions, in network order",
    1,
    { ...ESTABLISHED, flags: 0x600, sequence: SEQUENCE },
    `00050046 01010000 0006003e 00000600 0001 791d 0050 1f90 00000000 00000384
     0a010002 0a090001 0a02000b 0118 ${NUMBERS}`,
  ],
  [
    "a template with the data of its persistence engine",
    1,
    {
      ...ESTABLISHED,
      protocol: 17,
      flags: 0x1100,
      clientPort: 0,
      engine: { name: "sip", data: Uint8Array.of(0x61, 0x40) },
    },
    `00050035 01010000 0011002d 00001100 0001 0000 0050 1f90 00000000 00000384
     0a010002 0a090001 0a02000b 0202 6140 0303 736970`,
  ],
  [
    "the local end of a full-NAT connection",
    1,
    {
      ...ESTABLISHED,
      flags: 5,
      local: { address: bytes("10.2.0.1"), port: 1025, shift: 0xfffffff0, serverIsn: 501 },
    },
    `0005003e 01010000 00060036 00000005 0001 791d 0050 1f90 00000000 00000384
     0a010002 0a090001 0a02000b 3f10 0401 0001 fffffff0 000001f5 0a020001`,
  ],
  [
    "a template of a fwmark service",
    1,
    {
      ...ESTABLISHED,
      protocol: 0,
      flags: 0x1083,
      clientPort: 0,
      virtualPort: 0,
      destinationPort: 0,
      fwmark: 7,
      timeoutS: 360,
    },
    `0005002c 01010000 00000024 00001083 0001 0000 0000 0000 00000007 00000168
     0a010002 0a090001 0a02000b`,
  ],
  [
    "version 0 with sequence numbers, in the order of the host",
    0,
    { ...ESTABLISHED, flags: 0x600, timeoutS: undefined, sequence: SEQUENCE },
    `01050034 0006 791d 0050 1f90 0a010002 0a090001 0a02000b 0600 0001 ${LITTLE_NUMBERS}`,
  ],
])("bytes and value: %s", (_, version, entry, hex) => {
  expect(read(hex)).toEqual({ version, syncId: 5, entries: [entry], skipped: 0 });
  const writer = new sync.SyncWriter(version, 5, 1472);
  expect(writer.add(entry)).toBe(true);
  expect(viewOfBytes(writer.take())).toEqual(viewOf(hex));
});

const HEAD = "0006 0024 00000000 0001 791d 0050 1f90 00000000 00000384 0a010002 0a090001 0a02000b";
const entryWith = (options: string): string => {
  const size = 0x24 + viewOf(options).byteLength;
  return HEAD.replace("0024", size.toString(16).padStart(4, "0")) + options;
};
const message = (...entries: string[]): string => {
  let body = "";
  for (const e of entries) {
    const hex = e.replace(/\s/g, "");
    body = body.padEnd(Math.ceil(body.length / 8) * 8, "0") + hex;
  }
  const size = (8 + body.length / 2).toString(16).padStart(4, "0");
  return `0000${size}${entries.length.toString(16).padStart(2, "0")}010000${body}`;
};

describe("options", () => {
  test("are aligned: an entry of odd length is followed by zeros, and the next one is found", () => {
    const odd = entryWith("02 03 616263 03 03 736970");
    const got = read(message(odd, HEAD))!;
    expect(got.entries).toHaveLength(2);
    expect(got.entries[0].engine).toEqual({ name: "sip", data: Uint8Array.of(0x61, 0x62, 0x63) });
    expect(got.entries[1].clientPort).toBe(31005);
  });
  test("that nobody knows drop the entry, unless they say that they may be skipped", () => {
    expect(read(message(entryWith("07 01 00"), HEAD))).toMatchObject({
      skipped: 1,
      entries: [{ protocol: 6 }],
    });
    expect(read(message(entryWith("47 01 00"), HEAD))).toMatchObject({ skipped: 0, entries: [{}, {}] });
    // Somebody else's of the same number.
    expect(read(message(entryWith("3f 04 00000000"), HEAD))).toMatchObject({ skipped: 1, entries: [{}] });
  });
  test.each([
    ["of length 0", entryWith("02 00")],
    ["longer than the entry", entryWith("02 09 61")],
    ["that stand twice", entryWith("02 01 61 02 01 61")],
    ["with a sequence of another length", entryWith("01 04 00000000")],
    ["with an engine name over 16 bytes", entryWith(`02 01 61 03 11 ${"61".repeat(17)}`)],
  ])("%s drop the whole message", (_, entry) => expect(read(message(HEAD, entry))).toBeUndefined());
});

test.each([
  ["a size that is not that of the payload", NEWER.replace("002c", "0030")],
  ["more entries than there are", NEWER.replace("01010000", "02010000")],
  ["an entry version that does not exist", NEWER.replace("00060024", "00061024")],
  ["an entry shorter than its addresses", NEWER.replace("00060024", "00060020")],
  ["an entry type that does not exist", NEWER.replace("00060024", "02060024")],
])("parse() drops a message with %s", (_, hex) => expect(read(hex)).toBeUndefined());

test("parse() survives garbage", () => {
  for (const sample of [NEWER, OLDER, message(entryWith("02 03 616263 03 03 736970"), HEAD)]) {
    survivesGarbage(sync.parse, sample);
  }
});

const sequence = fc.record({ initial: u32, delta: u32, previousDelta: u32 });
const entry = fc
  .record({
    six: fc.boolean(),
    protocol: u8,
    flags: u32.map((n) => n & ~(0x40 | sync.SEQUENCE_FLAGS)),
    state: u16,
    clientPort: u16,
    virtualPort: u16,
    destinationPort: u16,
    fwmark: u32,
    timeoutS: u32,
    addresses: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    sequence: fc.option(fc.tuple(sequence, sequence), { nil: undefined }),
    data: fc.option(fc.uint8Array({ minLength: 1, maxLength: 255 }), { nil: undefined }),
    local: fc.option(fc.record({ port: u16, shift: u32, serverIsn: fc.option(u32, { nil: undefined }) }), {
      nil: undefined,
    }),
  })
  .map(({ six, addresses, data, local, ...e }): sync.SyncEntry => {
    const address = (i: number) => addresses.slice(16 * i, 16 * i + (six ? 16 : 4));
    return {
      ...e,
      family: six ? 6 : 4,
      flags: (e.flags | (e.sequence ? sync.SEQUENCE_FLAGS : 0)) >>> 0,
      client: address(0),
      virtual: address(1),
      destination: address(2),
      engine: data && { name: "sip", data },
      local: local && { ...local, address: address(3) },
    };
  });

test("parse() undoes SyncWriter, for as many entries as fit", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), u8, (entries, syncId) => {
      const writer = new sync.SyncWriter(1, syncId, 1472);
      const fit = entries.filter((e) => writer.add(e));
      const out = writer.take();
      expect(out.length).toBeLessThanOrEqual(1472);
      expect(sync.parse(viewOfBytes(out), 0, out.length)).toEqual({
        version: 1,
        syncId,
        entries: fit,
        skipped: 0,
      });
    }),
  );
});

test.each([
  [1, NEWER],
  [0, OLDER],
] as const)("a message of version %i has room for one entry, however short it is to be", (version, hex) => {
  const writer = new sync.SyncWriter(version, 5, 1);
  const [entry] = read(hex)!.entries;
  expect(writer.add(entry!)).toBe(true);
  expect(writer.add(entry!)).toBe(false);
  expect(viewOfBytes(writer.take())).toEqual(viewOf(hex));
});

test("a message counts at most 255 entries", () => {
  const writer = new sync.SyncWriter(1, 0, 65_000);
  for (let i = 0; i < sync.MAX_ENTRIES; i++) expect(writer.add(ESTABLISHED)).toBe(true);
  expect(writer.add(ESTABLISHED)).toBe(false);
});

const tshark = spawnSync("which", ["tshark"]).status === 0;
test.skipIf(!tshark)("tshark's dissector reads our messages alike (needs tshark)", () => {
  const directory = mkdtempSync(join(tmpdir(), "lvsd-sync-"));
  try {
    const writer = new sync.SyncWriter(1, 7, 1472);
    writer.add(ESTABLISHED);
    writer.add({ ...ESTABLISHED, state: 7, flags: 0x103, clientPort: 1, fwmark: 9 });
    const more = new sync.SyncWriter(1, 9, 1472);
    more.add(SIX);
    more.add({ ...ESTABLISHED, flags: 0x600, timeoutS: 77, sequence: SEQUENCE });
    const older = new sync.SyncWriter(0, 8, 1472);
    older.add({ ...ESTABLISHED, state: 7, flags: 0x600, sequence: SEQUENCE });
    const file = join(directory, "sync.pcap");
    writeFileSync(file, capture([writer.take(), older.take(), more.take()]));
    const fields = [
      "ipvs.syncid",
      "ipvs.conncount",
      "ipvs.cport",
      "ipvs.vport",
      "ipvs.dport",
      "ipvs.caddr",
      "ipvs.state",
      "ipvs.caddr6",
      "ipvs.fwmark",
      "ipvs.timeout",
      "ipvs.in_seq.initial",
      "ipvs.out_seq.delta",
    ];
    const out = execFileSync(
      "tshark",
      [
        "-n",
        "-r",
        file,
        "-d",
        "udp.port==8848,ipvs",
        "-T",
        "fields",
        "-E",
        "separator=|",
        ...fields.flatMap((f) => ["-e", f]),
      ],
      { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
    );
    expect(out.trim().split("\n")).toEqual([
      "7|2|31005,1|80,80|8080,8080|10.1.0.2,10.1.0.2|0x0001,0x0007||0x00000000,0x00000009|900,900||",
      // It takes the host's order of bytes for the network's, knows no options of version 1, and reads nothing right behind one.
      "8|1|31005|80|8080|10.1.0.2|0x0007||||0x04030201|0xfdffffff",
      "9|2|31005,31005|80,80|80,8080|10.1.0.2|0x0001,0x0001|2001:db8:1::2|0x00000000,0x00000000|900,77||",
    ]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

/** A capture with these payloads as UDP packets to the default group. */
function capture(payloads: readonly Uint8Array[]): Uint8Array {
  const header = { linktype: pcap.LINKTYPE.raw, snaplen: 65535, nanoseconds: false, littleEndian: true };
  const parts = [pcap.emitHeader(header)];
  for (const payload of payloads) {
    const packet = new Uint8Array(28 + payload.length);
    const v = viewOfBytes(packet);
    ipv4.emit(
      {
        tos: 0,
        id: 1,
        dontFragment: false,
        moreFragments: false,
        fragmentOffset: 0,
        ttl: 1,
        protocol: 17,
        src: "10.0.0.1",
        dst: sync.DEFAULT_GROUP,
        options: [],
        payloadLen: 8 + payload.length,
      },
      v,
      0,
    );
    packet.set(payload, 28);
    udp.emit(
      { srcPort: 40000, dstPort: 8848, payloadLen: payload.length },
      v,
      20,
      pseudo4(v, 0, 17, 8 + payload.length),
    );
    parts.push(
      pcap.emitRecord(header, { seconds: 0, nanoseconds: 0, originalLength: packet.length, data: packet }),
    );
  }
  return Buffer.concat(parts);
}
