/**
 * Our codecs against Wireshark's dissectors: what we write, tshark must find right; what a kernel sends, both must read alike.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as arp from "./arp.ts";
import { pseudo4, pseudo6 } from "./checksum.ts";
import * as ethernet from "./ethernet.ts";
import * as gre from "./gre.ts";
import * as gue from "./gue.ts";
import * as icmp from "./icmp.ts";
import * as icmpv6 from "./icmpv6.ts";
import * as ipip from "./ipip.ts";
import * as ipv4 from "./ipv4.ts";
import * as ipv6 from "./ipv6.ts";
import * as ndp from "./ndp.ts";
import * as pcap from "./pcap.ts";
import * as sctp from "./sctp.ts";
import * as tcp from "./tcp.ts";
import * as udp from "./udp.ts";

const has = (tool: string) => spawnSync("which", [tool]).status === 0;
const missing = ["tshark", "tcpdump", "ip", "ethtool"].filter((tool) => !has(tool));
const writes = !missing.includes("tshark");
const reason =
  missing.length > 0 ? `needs ${missing.join(", ")}` : process.getuid?.() === 0 ? "" : "needs root";
if (reason !== "" && !process.env["CI"]) console.warn(`tshark.test.ts: skips what ${reason}`);

const CHECKS = [
  "ip.checksum.status",
  "tcp.checksum.status",
  "udp.checksum.status",
  "sctp.checksum.status",
  "icmp.checksum.status",
  "icmpv6.checksum.status",
];
const VERIFY = [
  "ip.check_checksum:TRUE",
  "tcp.check_checksum:TRUE",
  "udp.check_checksum:TRUE",
  "sctp.checksum:CRC 32c",
];

/** One row of fields a packet; several values of a field are separated by commas. */
function dissect(file: string, fields: readonly string[]): Record<string, string>[] {
  const options = VERIFY.flatMap((o) => ["-o", o]);
  const wanted = fields.flatMap((f) => ["-e", f]);
  const args = ["-n", "-r", file, ...options, "-T", "fields", "-E", "separator=|", ...wanted];
  const out = execFileSync("tshark", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return out
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => Object.fromEntries(line.split("|").map((value, i) => [fields[i], value])));
}

const CLIENT4 = "192.0.2.1";
const SERVER4 = "198.51.100.2";
const CLIENT6 = "2001:db8::1";
const SERVER6 = "2001:db8::2";
const MAC = { dst: "02:00:00:00:00:0b", src: "02:00:00:00:00:0a" };

/** Lets `write` fill a buffer and keeps what it wrote. */
function bytesOf(write: (v: DataView) => number): Uint8Array {
  const bytes = new Uint8Array(2048);
  return bytes.slice(0, write(new DataView(bytes.buffer)));
}

function copyTo(v: DataView, at: number, bytes: Uint8Array): void {
  new Uint8Array(v.buffer).set(bytes, at);
}

function frame(type: number, payload: Uint8Array, tags: readonly ethernet.VlanTag[] = []): Uint8Array {
  return bytesOf((v) => {
    const at = ethernet.emit({ ...MAC, tags, type }, v, 0);
    copyTo(v, at, payload);
    return at + payload.length;
  });
}

type L4 = (v: DataView, at: number, pseudo: (length: number) => number) => number;

/** An IPv4 packet around what `l4` writes; `l4` returns its length. */
function packet4(protocol: number, l4: L4, options: readonly ipv4.Ipv4Option[] = []): Uint8Array {
  return bytesOf((v) => {
    const ip = {
      tos: 0,
      id: 7,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol,
      src: CLIENT4,
      dst: SERVER4,
      options,
    };
    const at = ipv4.emit({ ...ip, payloadLen: 0 }, v, 0);
    const payloadLen = l4(v, at, (length) => pseudo4(v, 0, protocol, length));
    ipv4.emit({ ...ip, payloadLen }, v, 0);
    return at + payloadLen;
  });
}

/** The same for IPv6. */
function packet6(protocol: number, l4: L4, extensions: readonly ipv6.Extension[] = []): Uint8Array {
  return bytesOf((v) => {
    const ip = {
      trafficClass: 0xb8,
      flowLabel: 0x12345,
      hopLimit: 255,
      src: CLIENT6,
      dst: SERVER6,
      extensions,
      protocol,
    };
    const at = ipv6.emit({ ...ip, payloadLen: 0 }, v, 0);
    const payloadLen = l4(v, at, (length) => pseudo6(v, 0, protocol, length));
    ipv6.emit({ ...ip, payloadLen }, v, 0);
    return at + payloadLen;
  });
}

const DATA = new TextEncoder().encode("hello");

const tcpSyn: L4 = (v, at, pseudo) => {
  const options = [
    { kind: "mss", size: 1460 },
    { kind: "sackPermitted" },
    { kind: "timestamps", value: 1, echo: 2 },
    { kind: "nop" },
    { kind: "windowScale", shift: 7 },
  ] as const;
  const fixed = { srcPort: 40000, dstPort: 8080, seq: 0xfffffff0, ack: 0, window: 64240, urgent: 0 };
  const syn = { ...fixed, flags: tcp.FLAG.syn, options, payloadLen: 0 };
  return tcp.emit(syn, v, at, pseudo(tcp.byteLength(syn)));
};

const udpHello =
  (dstPort = 9999, withChecksum = true): L4 =>
  (v, at, pseudo) => {
    const length = udp.HEADER_LEN + DATA.length;
    copyTo(v, at + udp.HEADER_LEN, DATA);
    udp.emit(
      { srcPort: 40001, dstPort, payloadLen: DATA.length },
      v,
      at,
      withChecksum ? pseudo(length) : undefined,
    );
    return length;
  };

const sctpInit: L4 = (v, at) => {
  const value = new Uint8Array(16);
  new DataView(value.buffer).setUint32(0, 0xcafe0001); // initiate tag
  new DataView(value.buffer).setUint32(4, 65536); // window
  new DataView(value.buffer).setUint32(8, 0x000a000a); // streams
  const chunks = [{ type: sctp.CHUNK.init, flags: 0, value }];
  return sctp.emit({ srcPort: 40002, dstPort: 2905, verificationTag: 0, chunks }, v, at);
};

const quoting4 =
  (message: icmp.Icmp, body: Uint8Array): L4 =>
  (v, at) => {
    copyTo(v, at + icmp.HEADER_LEN, body);
    icmp.emit({ ...message, bodyLen: body.length }, v, at);
    return icmp.HEADER_LEN + body.length;
  };

const quoting6 =
  (message: icmpv6.Icmpv6, body: Uint8Array): L4 =>
  (v, at, pseudo) => {
    copyTo(v, at + icmpv6.HEADER_LEN, body);
    icmpv6.emit({ ...message, bodyLen: body.length }, v, at, pseudo(icmpv6.HEADER_LEN + body.length));
    return icmpv6.HEADER_LEN + body.length;
  };

const raw =
  (inner: Uint8Array): L4 =>
  (v, at) => {
    copyTo(v, at, inner);
    return inner.length;
  };

const inGre =
  (inner: Uint8Array, protocol: number): L4 =>
  (v, at) => {
    const header = { protocol, checksum: true, key: undefined, sequence: undefined };
    const length = gre.byteLength(header) + inner.length;
    copyTo(v, at + gre.byteLength(header), inner);
    gre.emit(header, v, at, at + length);
    return length;
  };

const inGue =
  (inner: Uint8Array, protocol: number): L4 =>
  (v, at, pseudo) => {
    const gueAt = at + udp.HEADER_LEN;
    const header = gue.emit({ control: false, protocol, remoteChecksum: undefined }, v, gueAt);
    copyTo(v, gueAt + header, inner);
    const payloadLen = header + inner.length;
    udp.emit({ srcPort: 40003, dstPort: 6080, payloadLen }, v, at, pseudo(udp.HEADER_LEN + payloadLen));
    return udp.HEADER_LEN + payloadLen;
  };

const neighbor =
  (message: ndp.Ndp): L4 =>
  (v, at, pseudo) =>
    ndp.emit(message, v, at, pseudo(ndp.byteLength(message)));

const P = ipv4.PROTOCOL;
const TYPE = ethernet.TYPE;
const syn4 = packet4(P.tcp, tcpSyn);
const syn6 = packet6(P.tcp, tcpSyn);
const hello4 = packet4(P.udp, udpHello());
const hello6 = packet6(P.udp, udpHello());
const vlan = { priority: 3, dropEligible: false } as const;
const hopByHop = { kind: "hopByHop", data: Uint8Array.of(5, 2, 0, 0, 1, 0) } as const;

/** What we write, and what tshark must say of it. */
const CASES: readonly (readonly [string, Uint8Array, Record<string, string>])[] = [
  [
    "a TCP SYN with options",
    frame(TYPE.ipv4, syn4),
    {
      "ip.checksum.status": "1",
      "tcp.checksum.status": "1",
      "tcp.seq_raw": "4294967280",
      "tcp.options.mss_val": "1460",
      "tcp.options.wscale.shift": "7",
      "tcp.options.timestamp.tsval": "1",
      "tcp.options.timestamp.tsecr": "2",
      "tcp.flags": "0x0002",
    },
  ],
  [
    "a TCP SYN over IPv6",
    frame(TYPE.ipv6, syn6),
    { "tcp.checksum.status": "1", "ipv6.flow": "0x012345", "ipv6.tclass": "0x000000b8", "ipv6.src": CLIENT6 },
  ],
  [
    "a UDP datagram",
    frame(TYPE.ipv4, hello4),
    { "udp.checksum.status": "1", "udp.dstport": "9999", "udp.length": "13" },
  ],
  [
    "a UDP datagram over IPv6",
    frame(TYPE.ipv6, hello6),
    { "udp.checksum.status": "1", "udp.dstport": "9999" },
  ],
  [
    "a UDP datagram without checksum",
    frame(TYPE.ipv4, packet4(P.udp, udpHello(9999, false))),
    { "udp.checksum.status": "3" },
  ],
  [
    "an SCTP INIT",
    frame(TYPE.ipv4, packet4(P.sctp, sctpInit)),
    { "sctp.checksum.status": "1", "sctp.chunk_type": "1", "sctp.init_initiate_tag": "0xcafe0001" },
  ],
  ["an SCTP INIT over IPv6", frame(TYPE.ipv6, packet6(P.sctp, sctpInit)), { "sctp.checksum.status": "1" }],
  [
    "an ICMP echo",
    frame(TYPE.ipv4, packet4(P.icmp, quoting4({ kind: "echo", id: 5, sequence: 6, bodyLen: 0 }, DATA))),
    { "icmp.checksum.status": "1", "icmp.type": "8", "icmp.ident": "5", "icmp.seq": "6" },
  ],
  [
    "fragmentation needed, quoting a SYN",
    frame(
      TYPE.ipv4,
      packet4(P.icmp, quoting4({ kind: "unreachable", code: 4, mtu: 1400, bodyLen: 0 }, syn4)),
    ),
    { "icmp.checksum.status": "1", "icmp.code": "4", "icmp.mtu": "1400", "tcp.dstport": "8080" },
  ],
  [
    "packet too big, quoting a SYN",
    frame(TYPE.ipv6, packet6(P.icmpv6, quoting6({ kind: "packetTooBig", mtu: 1280, bodyLen: 0 }, syn6))),
    { "icmpv6.checksum.status": "1", "icmpv6.type": "2", "icmpv6.mtu": "1280", "tcp.dstport": "8080" },
  ],
  [
    "an ICMPv6 echo behind a hop-by-hop header",
    frame(
      TYPE.ipv6,
      packet6(P.icmpv6, quoting6({ kind: "echo", id: 5, sequence: 6, bodyLen: 0 }, DATA), [hopByHop]),
    ),
    { "icmpv6.checksum.status": "1", "icmpv6.echo.identifier": "0x0005" },
  ],
  [
    "a record-route option",
    frame(TYPE.ipv4, packet4(P.udp, udpHello(), [{ type: 7, data: new Uint8Array(9).fill(4, 0, 1) }])),
    { "ip.checksum.status": "1", "ip.hdr_len": "32", "udp.checksum.status": "1" },
  ],
  [
    "IPv4 in IPv4",
    frame(TYPE.ipv4, packet4(ipip.protocolFor(4), raw(syn4))),
    { "ip.proto": "4,6", "ip.checksum.status": "1,1", "tcp.checksum.status": "1" },
  ],
  [
    "IPv6 in IPv4",
    frame(TYPE.ipv4, packet4(ipip.protocolFor(6), raw(syn6))),
    { "ip.proto": "41", "tcp.checksum.status": "1" },
  ],
  [
    "IPv6 in IPv6",
    frame(TYPE.ipv6, packet6(ipip.protocolFor(6), raw(hello6))),
    { "ipv6.nxt": "41,17", "udp.checksum.status": "1" },
  ],
  [
    "GRE with a checksum around IPv4",
    frame(TYPE.ipv4, packet4(P.gre, inGre(syn4, TYPE.ipv4))),
    { "gre.proto": "0x0800", "gre.flags.checksum": "1", "ip.proto": "47,6", "tcp.checksum.status": "1" },
  ],
  [
    "GRE with a checksum around IPv6",
    frame(TYPE.ipv4, packet4(P.gre, inGre(hello6, TYPE.ipv6))),
    { "gre.proto": "0x86dd", "udp.checksum.status": "1" },
  ],
  [
    "GUE around IPv4",
    frame(TYPE.ipv4, packet4(P.udp, inGue(syn4, P.ipip))),
    { "udp.checksum.status": "1", "udp.payload": `00040000${Buffer.from(syn4).toString("hex")}` },
  ],
  [
    "one VLAN tag",
    frame(TYPE.ipv4, hello4, [{ ...vlan, tpid: TYPE.vlan, id: 5 }]),
    { "vlan.id": "5", "vlan.priority": "3", "udp.checksum.status": "1" },
  ],
  [
    "a service and a customer tag",
    frame(TYPE.ipv4, hello4, [
      { ...vlan, tpid: TYPE.serviceVlan, id: 100 },
      { ...vlan, tpid: TYPE.vlan, id: 5 },
    ]),
    { "ieee8021ad.id": "100", "vlan.id": "5", "udp.checksum.status": "1" },
  ],
  [
    "an ARP request",
    frame(
      TYPE.arp,
      bytesOf((v) => {
        const question = { operation: 1, targetMac: "00:00:00:00:00:00", targetIp: SERVER4 };
        arp.emit({ ...question, senderMac: MAC.src, senderIp: CLIENT4 }, v, 0);
        return arp.LEN;
      }),
    ),
    {
      "arp.opcode": "1",
      "arp.src.proto_ipv4": CLIENT4,
      "arp.dst.proto_ipv4": SERVER4,
      "arp.src.hw_mac": MAC.src,
    },
  ],
  [
    "a neighbour solicitation",
    frame(
      TYPE.ipv6,
      packet6(
        P.icmpv6,
        neighbor({
          kind: "neighborSolicitation",
          target: SERVER6,
          options: [{ kind: "sourceLinkLayer", mac: MAC.src }],
        }),
      ),
    ),
    { "icmpv6.checksum.status": "1", "icmpv6.nd.ns.target_address": SERVER6, "icmpv6.opt.linkaddr": MAC.src },
  ],
  [
    "a neighbour advertisement",
    frame(
      TYPE.ipv6,
      packet6(
        P.icmpv6,
        neighbor({
          kind: "neighborAdvertisement",
          target: SERVER6,
          router: true,
          solicited: false,
          override: true,
          options: [{ kind: "targetLinkLayer", mac: MAC.src }],
        }),
      ),
    ),
    {
      "icmpv6.checksum.status": "1",
      "icmpv6.nd.na.flag.r": "1",
      "icmpv6.nd.na.flag.s": "0",
      "icmpv6.nd.na.flag.o": "1",
    },
  ],
  [
    "a router advertisement with a prefix and an MTU",
    frame(
      TYPE.ipv6,
      packet6(
        P.icmpv6,
        neighbor({
          kind: "routerAdvertisement",
          hopLimit: 64,
          managed: true,
          otherConfiguration: false,
          lifetime: 1800,
          reachableMs: 30000,
          retransmitMs: 1000,
          options: [
            { kind: "mtu", mtu: 1400 },
            {
              kind: "prefix",
              prefix: "2001:db8:5::",
              length: 64,
              onLink: true,
              autonomous: false,
              validLifetime: 600,
              preferredLifetime: 300,
            },
          ],
        }),
      ),
    ),
    {
      "icmpv6.checksum.status": "1",
      "icmpv6.nd.ra.router_lifetime": "1800",
      "icmpv6.nd.ra.flag.m": "1",
      "icmpv6.opt.mtu": "1400",
      "icmpv6.opt.prefix": "2001:db8:5::",
      "icmpv6.opt.prefix.length": "64",
    },
  ],
];

const directory = mkdtempSync(join(tmpdir(), `lv${process.pid}w-`));
afterAll(() => rmSync(directory, { recursive: true }));

describe.skipIf(!writes && !process.env["CI"])("tshark on what we write", () => {
  const fields = [
    ...new Set([
      "_ws.malformed",
      "_ws.expert.message",
      ...CHECKS,
      ...CASES.flatMap((c) => Object.keys(c[2])),
    ]),
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
    writeFileSync(join(directory, "ours.pcap"), Buffer.concat([pcap.emitHeader(header), ...records]));
    rows = dissect(join(directory, "ours.pcap"), fields);
  });

  test("it reads every record", () => {
    expect(rows).toHaveLength(CASES.length);
  });

  test.each(CASES.map((c, i) => [c[0], i] as const))("finds nothing wrong with %s", (_, i) => {
    const row = rows[i];
    expect(row["_ws.malformed"]).toBe("");
    expect(row["_ws.expert.message"]).not.toMatch(
      /bad checksum|incorrect|illegal|malformed|bogus|truncated/i,
    );
    for (const check of CHECKS) expect(row[check].split(","), check).not.toContain("0");
    expect(Object.fromEntries(Object.keys(CASES[i][2]).map((key) => [key, row[key]]))).toEqual(CASES[i][2]);
  });
});

const A = `lv${process.pid}wa`;
const B = `lv${process.pid}wb`;
const run = (command: string) => execFileSync("sh", ["-ec", command], { stdio: ["ignore", "pipe", "pipe"] });

/** Traffic for the capture: TCP, and UDP to a closed port (an ICMP error comes back), in both families. */
const TRAFFIC = `
const [net, dgram] = [require("node:net"), require("node:dgram")];
for (const [kind, address] of [["udp4", "192.0.2.2"], ["udp6", "2001:db8::2"]]) {
  const u = dgram.createSocket(kind);
  u.send("udp!x", 9999, address, () => u.close());
  net.connect(9998, address).on("error", () => {});
}
`;

describe.skipIf(reason !== "" && !process.env["CI"])("we and tshark on a kernel's packets", () => {
  const file = join(directory, "kernel.pcap");
  beforeAll(async () => {
    run(`ip netns add ${A}; ip netns add ${B}
      ip link add va netns ${A} type veth peer name vb netns ${B}
      ip -n ${A} addr add 192.0.2.1/24 dev va; ip -n ${B} addr add 192.0.2.2/24 dev vb
      ip -n ${A} addr add 2001:db8::1/64 dev va nodad; ip -n ${B} addr add 2001:db8::2/64 dev vb nodad
      ip -n ${A} link set va up; ip -n ${B} link set vb up
      ip netns exec ${A} ethtool -K va tx off; ip netns exec ${B} ethtool -K vb tx off`);
    const dump = spawn("ip", [
      "netns",
      "exec",
      B,
      "tcpdump",
      "--immediate-mode",
      "-Z",
      "root",
      "-U",
      "-i",
      "vb",
      "-w",
      file,
    ]);
    const ended = new Promise<void>((resolve) => dump.once("exit", () => resolve()));
    try {
      await new Promise<void>((resolve) => {
        dump.stderr.on("data", (text: Buffer) => text.includes("listening") && resolve());
        dump.once("exit", () => resolve());
      });
      execFileSync("ip", ["netns", "exec", A, process.execPath, "-e", TRAFFIC]);
      await new Promise((resolve) => setTimeout(resolve, 300));
    } finally {
      dump.kill("SIGINT");
      await ended;
    }
  }, 30_000);
  afterAll(() => {
    for (const name of [A, B]) spawnSync("ip", ["netns", "del", name]);
  });

  test("both read the same fields, and every checksum is right", () => {
    const bytes = new Uint8Array(readFileSync(file));
    const header = pcap.parseHeader(bytes)!;
    const rows = dissect(file, [
      "eth.type",
      "ip.src",
      "ipv6.dst",
      "tcp.seq_raw",
      "tcp.flags",
      "udp.dstport",
      "arp.opcode",
      "icmp.code",
      "icmpv6.type",
    ]);
    const seen = new Set<string>();
    const ours = [...pcap.records(bytes, header)].map((record) => {
      const fields = Object.fromEntries(Object.keys(rows[0]).map((key) => [key, ""]));
      describePacket(record.data, fields, seen);
      return fields;
    });
    expect(ours).toEqual(rows);
    for (const kind of ["arp", "tcp4", "tcp6", "udp4", "udp6", "icmp", "icmpv6"])
      expect(seen).toContain(kind);
  });
});

/** Fills in the fields as tshark prints them; a quoted packet's follow those of the quoting one. */
function describePacket(data: Uint8Array, fields: Record<string, string>, seen: Set<string>): void {
  const v = new DataView(data.slice().buffer);
  const eth = ethernet.parse(v, 0, v.byteLength)!;
  fields["eth.type"] = `0x${eth.type.toString(16).padStart(4, "0")}`;
  const at = ethernet.byteLength(eth);
  if (eth.type === TYPE.arp) {
    fields["arp.opcode"] = `${arp.parse(v, at, v.byteLength)!.operation}`;
    seen.add("arp");
  } else describeIp(v, at, v.byteLength, fields, seen, false);
}

function add(fields: Record<string, string>, key: string, value: string | number): void {
  fields[key] = fields[key] === "" ? `${value}` : `${fields[key]},${value}`;
}

function describeIp(
  v: DataView,
  at: number,
  end: number,
  fields: Record<string, string>,
  seen: Set<string>,
  quoted: boolean,
): void {
  const family = ipip.inside(v, at, end)!;
  const ip = family === 4 ? ipv4.parse(v, at, end)! : ipv6.parse(v, at, end)!;
  if (family === 4) add(fields, "ip.src", ip.src);
  else add(fields, "ipv6.dst", ip.dst);
  const l4 = at + ("trafficClass" in ip ? ipv6.byteLength(ip) : ipv4.byteLength(ip));
  const stop = l4 + ip.payloadLen;
  const pseudo = (family === 4 ? pseudo4 : pseudo6)(v, at, ip.protocol, ip.payloadLen);
  if (!quoted)
    seen.add(
      `${{ 6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6" }[ip.protocol]}${ip.protocol === 6 || ip.protocol === 17 ? family : ""}`,
    );
  if (family === 4) expect(ipv4.checksumOk(v, at)).toBe(true);
  if (ip.protocol === P.tcp) {
    const segment = tcp.parse(v, l4, stop)!;
    add(fields, "tcp.seq_raw", segment.seq);
    add(fields, "tcp.flags", `0x${segment.flags.toString(16).padStart(4, "0")}`);
    expect(tcp.checksumOk(v, l4, ip.payloadLen, pseudo)).toBe(true);
  } else if (ip.protocol === P.udp) {
    add(fields, "udp.dstport", udp.parse(v, l4, stop)!.dstPort);
    expect(udp.checksumOk(v, l4, pseudo)).toBe(true);
  } else if (ip.protocol === P.icmp) {
    add(fields, "icmp.code", icmp.code(v, l4));
    expect(icmp.checksumOk(v, l4, ip.payloadLen)).toBe(true);
    if (icmp.isError(icmp.type(v, l4))) describeIp(v, l4 + icmp.HEADER_LEN, stop, fields, seen, true);
  } else if (ip.protocol === P.icmpv6) {
    add(fields, "icmpv6.type", icmpv6.type(v, l4));
    expect(icmpv6.checksumOk(v, l4, ip.payloadLen, pseudo)).toBe(true);
    if (icmpv6.isError(icmpv6.type(v, l4))) describeIp(v, l4 + icmpv6.HEADER_LEN, stop, fields, seen, true);
  }
}
