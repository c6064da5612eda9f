import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addressOf } from "../../src/sys/libc.ts";
import { inNetns, namedNetns } from "../../src/sys/netns.ts";
import { PacketSocket, RawSender } from "../../src/sys/rawsocket.ts";
import { toWords } from "../../src/wire/address.ts";
import { pseudo4 } from "../../src/wire/checksum.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as gre from "../../src/wire/gre.ts";
import * as gue from "../../src/wire/gue.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as tcp from "../../src/wire/tcp.ts";
import * as udp from "../../src/wire/udp.ts";

const lvsd = join(import.meta.dirname, "../../dist/lvsd.cjs");
const [CLIENT, SERVER] = [`lv${process.pid}xcl`, `lv${process.pid}xrs`];
const [CIP, RIP, VIP] = ["192.0.2.1", "192.0.2.2", "203.0.113.80"];

const run = mkdtempSync(join(tmpdir(), "lvsd-realserver-"));
process.env["LVSD_RUN_DIR"] = run;

const ip = (...words: string[]) => execFileSync("ip", words, { encoding: "utf8" });
const on = (host: string, ...words: string[]) => ip("netns", "exec", host, ...words);
const onServer = (...words: string[]) => on(SERVER, process.execPath, lvsd, "realserver", ...words);

const header = (protocol: number, src: string, dst: string, payloadLen: number): ipv4.Ipv4 => ({
  tos: 0,
  id: 0x4242,
  dontFragment: false,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 64,
  protocol,
  src,
  dst,
  options: [],
  payloadLen,
});

/** A SYN from CIP:port to VIP:80, written at `at`. Returns where it ends. */
function emitSyn(v: DataView, at: number, port: number): number {
  ipv4.emit(header(6, CIP, VIP, 20), v, at);
  const syn = { srcPort: port, dstPort: 80, seq: 77, ack: 0, flags: tcp.FLAG.syn, window: 1000, urgent: 0 };
  tcp.emit({ ...syn, options: [], payloadLen: 0 }, v, at + 20, pseudo4(v, at, 6, 20));
  return at + 40;
}

/** The SYN as a director of a TUN service sends it. */
const WRAPPED = {
  ipip(v: DataView, port: number): number {
    const end = emitSyn(v, 20, port);
    ipv4.emit(header(4, CIP, RIP, end - 20), v, 0);
    return end;
  },
  gre(v: DataView, port: number): number {
    const end = emitSyn(v, 28, port);
    ipv4.emit(header(47, CIP, RIP, end - 20), v, 0);
    gre.emit({ protocol: 0x0800, checksum: true, key: undefined, sequence: undefined }, v, 20, end);
    return end;
  },
  gue(v: DataView, port: number): number {
    const end = emitSyn(v, 32, port);
    ipv4.emit(header(17, CIP, RIP, end - 20), v, 0);
    gue.emit({ control: false, protocol: 4, remoteChecksum: undefined }, v, 28);
    udp.emit({ srcPort: 50000, dstPort: 6080, payloadLen: end - 28 }, v, 20, pseudo4(v, 0, 17, end - 20));
    return end;
  },
};

/** Flags of the first segment that arrives at the client from VIP:80 for `port`; -1 when none does in time. */
async function answerTo(type: keyof typeof WRAPPED, port: number): Promise<number> {
  const bytes = new Uint8Array(new ArrayBuffer(200));
  const length = WRAPPED[type](new DataView(bytes.buffer), port);
  const [sender, eavesdropper] = inNetns(
    namedNetns(CLIENT),
    () => [new RawSender(4), new PacketSocket(0)] as const,
  );
  const frame = new Uint8Array(new ArrayBuffer(2048));
  const v = new DataView(frame.buffer);
  try {
    return await new Promise<number>((resolve) => {
      setTimeout(() => resolve(-1), 3000).unref();
      eavesdropper.onReadable(() => {
        for (let n = eavesdropper.read(frame); n > 0; n = eavesdropper.read(frame)) {
          const at = ethernet.payloadAt(v, 0, n);
          if (at < 0 || !ipv4.valid(v, at, n) || ipv4.protocol(v, at) !== 6) continue;
          const segment = at + ipv4.headerLen(v, at);
          if (ipv4.parse(v, at, n)!.src === VIP && tcp.dstPort(v, segment) === port)
            resolve(tcp.flags(v, segment));
        }
      });
      expect(sender.send(addressOf(bytes), length, toWords(RIP), 0)).toBe(0);
    });
  } finally {
    eavesdropper.close();
    sender.close();
  }
}

describe.skipIf(process.getuid!() !== 0)("a real server set up by one command", () => {
  beforeAll(async () => {
    expect(existsSync(lvsd), "dist/lvsd.cjs is built").toBe(true);
    ip("netns", "add", CLIENT);
    ip("netns", "add", SERVER);
    ip("link", "add", "eth0", "netns", CLIENT, "type", "veth", "peer", "name", "eth0", "netns", SERVER);
    for (const [host, address] of [
      [CLIENT, CIP],
      [SERVER, RIP],
    ] as const) {
      ip("-n", host, "link", "set", "lo", "up");
      ip("-n", host, "addr", "add", `${address}/24`, "dev", "eth0");
      ip("-n", host, "link", "set", "eth0", "up");
    }
    const web = JSON.stringify({ name: "rs", address: RIP, http: 80 });
    const child = spawn("ip", ["netns", "exec", SERVER, process.execPath, lvsd, "lab-server", web]);
    await once(child.stdout, "data");
  });

  afterAll(() => {
    for (const host of [CLIENT, SERVER]) {
      try {
        for (const pid of ip("netns", "pids", host).split("\n").filter(Boolean))
          process.kill(Number(pid), "SIGKILL");
        ip("netns", "del", host);
      } catch {
        // Never made, or gone already.
      }
    }
    rmSync(run, { recursive: true, force: true });
  });

  test("tun: unwraps IPIP, GRE and GUE, and answers the client straight, from the VIP", async () => {
    // Of a decapsulator that was killed in a namespace that is gone, and of one in another container.
    const pidns = statSync("/proc/self/ns/pid").ino;
    const dead = { pid: process.pid, device: "tunl0" };
    writeFileSync(join(run, "decapsulator-1.json"), JSON.stringify({ ...dead, pidns }));
    writeFileSync(join(run, "decapsulator-2.json"), JSON.stringify({ ...dead, pidns: pidns + 1 }));
    expect(onServer("tun", VIP)).toContain(`ip addr add ${VIP}/32 dev tunl0`);
    const synAck = tcp.FLAG.syn | tcp.FLAG.ack;
    expect(await answerTo("ipip", 4001), "ipip").toBe(synAck);
    expect(await answerTo("gre", 4002), "gre").toBe(synAck);
    expect(await answerTo("gue", 4003), "gue").toBe(synAck);
    const notes = readdirSync(run).filter((name) => name.startsWith("decapsulator-"));
    expect(notes.sort()).toEqual([
      "decapsulator-2.json",
      expect.stringMatching(/^decapsulator-\d{3,}\.json$/),
    ]);
  });

  test("tun: a second VIP joins the same tunnel's end; --undo of the last one removes it", () => {
    onServer("tun", "203.0.113.81");
    expect(ip("-n", SERVER, "-br", "addr")).toMatch(/tunl0 .*203\.0\.113\.80\/32 203\.0\.113\.81\/32/);
    onServer("tun", VIP, "--undo");
    expect(ip("-n", SERVER, "-br", "addr")).toMatch(/tunl0 .*203\.0\.113\.81\/32/);
    onServer("tun", "203.0.113.81", "--undo");
    expect(ip("-n", SERVER, "-br", "addr")).not.toContain("203.0.113");
  });

  test("--undo of the last VIP, of whichever way, sets the host's sysctls back to what they were", () => {
    const names = ["arp_ignore", "arp_announce", "rp_filter"].map((name) => `net.ipv4.conf.all.${name}`);
    const shown = () => on(SERVER, "sysctl", "-n", ...names);
    on(SERVER, "sysctl", "-qw", `${names[0]}=2`, `${names[2]}=2`);
    const before = shown();
    onServer("tun", VIP);
    onServer("dr", "203.0.113.81");
    expect(shown()).toBe("1\n2\n0\n");
    onServer("tun", VIP, "--undo");
    expect(shown(), "the other VIP needs them still").toBe("1\n2\n0\n");
    onServer("dr", "203.0.113.81", "--undo");
    expect(shown()).toBe(before);
    on(SERVER, "sysctl", "-qw", `${names[0]}=0`, `${names[2]}=0`);
  });

  test("commands at the same time do not forget each other's VIPs", async () => {
    const arp = () => on(SERVER, "sysctl", "-n", "net.ipv4.conf.all.arp_ignore");
    const before = arp();
    const vips = ["203.0.113.82", "203.0.113.83", "203.0.113.84", "203.0.113.85"];
    const together = (way: string, ...more: string[]) =>
      Promise.all(
        vips.map((vip) => {
          const words = ["netns", "exec", SERVER, process.execPath, lvsd, "realserver", way, vip, ...more];
          return promisify(execFile)("ip", words);
        }),
      );
    await together("dr");
    for (const vip of vips.slice(1)) onServer("dr", vip, "--undo");
    expect(arp(), "the first one needs it still").toBe("1\n");
    await together("dr", "--undo");
    expect(arp()).toBe(before);
    // One of them starts the decapsulator, one ends it.
    await together("tun");
    const shown = ip("-n", SERVER, "-br", "addr", "show", "dev", "tunl0");
    for (const vip of vips) expect(shown).toContain(`${vip}/32`);
    await together("tun", "--undo");
    expect(ip("-n", SERVER, "-br", "link")).not.toContain("tunl0");
    expect(arp()).toBe(before);
  });

  test("dr: the VIP lies on lo and is silent; --undo takes both back", () => {
    const arp = () =>
      on(SERVER, "sysctl", "-n", "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce");
    const answers = () => {
      ip("-n", CLIENT, "neigh", "flush", "all");
      ip("-n", CLIENT, "route", "replace", `${VIP}/32`, "dev", "eth0");
      try {
        return on(CLIENT, "curl", "-sm", "2", `http://${VIP}/`);
      } catch {
        return "silence";
      }
    };
    onServer("dr", VIP);
    expect(ip("-n", SERVER, "-br", "addr", "show", "lo")).toContain(`${VIP}/32`);
    expect(arp()).toBe("1\n2\n");
    expect(answers()).toBe("silence");
    on(SERVER, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0", "net.ipv4.conf.lo.arp_ignore=0");
    expect(answers(), "without the switches it would answer").toContain("rs 192.0.2.2 answers");
    onServer("dr", VIP, "--undo");
    expect(ip("-n", SERVER, "-br", "addr", "show", "lo")).not.toContain(VIP);
    expect(arp()).toBe("0\n0\n");
  });

  test("an address that is none is refused by name", () => {
    expect(() => onServer("dr", "192.0.2.300")).toThrow(/192\.0\.2\.300.*no IP address/);
  });
});
