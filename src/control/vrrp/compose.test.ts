/**
 * Our adverts and announcements as Wireshark's dissectors read them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { virtualAddress, vrrpInstance } from "../../testkit/vrrp-spec.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as pcap from "../../wire/pcap.ts";
import { Composer } from "./compose.ts";
import { announcement } from "./frames.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 10);
const has = spawnSync("which", ["tshark"]).status === 0;

function advert(over: Partial<VrrpInstanceSpec>, priority = 150): Uint8Array {
  const spec = vrrpInstance(over);
  const [src, dst] = spec.family === 4 ? ["192.0.2.1", spec.group] : ["fe80::1", spec.group];
  const packet = new Composer(spec).packet(src, dst, priority);
  const frame = new Uint8Array(ethernet.HEADER_LEN + packet.length);
  const type = spec.family === 4 ? ethernet.TYPE.ipv4 : ethernet.TYPE.ipv6;
  ethernet.emit(
    { dst: "01:00:5e:00:00:12", src: "02:00:00:00:00:0a", tags: [], type },
    new DataView(frame.buffer),
    0,
  );
  frame.set(packet, ethernet.HEADER_LEN);
  return frame;
}

/** What we write, and what tshark must say of it. */
const CASES: readonly (readonly [string, Uint8Array, Record<string, string>])[] = [
  [
    "version 2",
    advert({ advertIntMs: 3000 }),
    {
      "vrrp.version": "2",
      "vrrp.prio": "150",
      "vrrp.adver_int": "3",
      "vrrp.ip_addr": "192.0.2.100",
      "ip.ttl": "255",
      "ip.id": "0x0001",
    },
  ],
  [
    "a password",
    advert({ auth: { type: "pass", password: "1111" } }),
    { "vrrp.auth_type": "1", "vrrp.auth_string": "1111" },
  ],
  [
    "an authentication header",
    advert({ auth: { type: "ah", password: "secret" } }),
    { "ip.proto": "51", "ah.spi": "0xc0000201", "ah.sequence": "1", "vrrp.auth_type": "2" },
  ],
  ["resigning", advert({}, 0), { "vrrp.prio": "0" }],
  [
    "version 3",
    advert({
      version: 3,
      advertIntMs: 40950,
      addresses: [virtualAddress("192.0.2.100"), virtualAddress("192.0.2.101")],
    }),
    {
      "vrrp.version": "3",
      "vrrp.short_adver_int": "4095",
      "vrrp.addr_count": "2",
      "vrrp.ip_addr": "192.0.2.100,192.0.2.101",
    },
  ],
  [
    "version 3 over IPv6",
    advert({ family: 6, advertIntMs: 10 }),
    {
      "vrrp.short_adver_int": "1",
      "vrrp.ipv6_addr": "fe80::5:1,2001:db8::100",
      "ipv6.hlim": "255",
      "ipv6.tclass": "0x000000c0",
    },
  ],
  [
    "a gratuitous ARP",
    announcement("192.0.2.100", MAC, false),
    {
      "arp.opcode": "1",
      "arp.isgratuitous": "1",
      "arp.src.proto_ipv4": "192.0.2.100",
      "arp.src.hw_mac": "02:00:00:00:00:0a",
    },
  ],
  [
    "an unsolicited neighbour advertisement",
    announcement("2001:db8::100", MAC, true),
    {
      "ipv6.src": "2001:db8::100",
      "ipv6.dst": "ff02::1",
      "icmpv6.nd.na.flag.r": "1",
      "icmpv6.nd.na.flag.s": "0",
      "icmpv6.nd.na.flag.o": "1",
      "icmpv6.checksum.status": "1",
    },
  ],
];

describe.skipIf(!has)("tshark on what we send", () => {
  const directory = mkdtempSync(join(tmpdir(), `lv${process.pid}s-`));
  afterAll(() => rmSync(directory, { recursive: true }));
  const fields = [
    "_ws.malformed",
    "_ws.expert.message",
    "vrrp.checksum.status",
    ...new Set(CASES.flatMap((c) => Object.keys(c[2]))),
  ];
  let rows: Record<string, string>[] = [];
  beforeAll(() => {
    const header = {
      littleEndian: false,
      nanoseconds: true,
      snaplen: 65535,
      linktype: pcap.LINKTYPE.ethernet,
    };
    const records = CASES.map(([, data], i) =>
      pcap.emitRecord(header, { seconds: 1e9, nanoseconds: i, originalLength: data.length, data }),
    );
    const file = join(directory, "ours.pcap");
    writeFileSync(file, Buffer.concat([pcap.emitHeader(header), ...records]));
    const args = ["-n", "-r", file, "-T", "fields", "-E", "separator=|", ...fields.flatMap((f) => ["-e", f])];
    const out = execFileSync("tshark", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    rows = out
      .replace(/\n$/, "")
      .split("\n")
      .map((line) => Object.fromEntries(line.split("|").map((value, i) => [fields[i], value])));
  });

  test.each(CASES.map((c, i) => [c[0], i] as const))("finds nothing wrong with %s", (_, i) => {
    const row = rows[i];
    expect(row["_ws.malformed"]).toBe("");
    expect(row["_ws.expert.message"]).not.toMatch(/checksum|incorrect|illegal|malformed|bogus|truncated/i);
    expect(row["vrrp.checksum.status"]).not.toBe("0");
    expect(Object.fromEntries(Object.keys(CASES[i][2]).map((key) => [key, row[key]]))).toEqual(CASES[i][2]);
  });
});
