/** What is less usual on the eBPF plane: packets too long for their way, marked packets for the director itself, neighbours without routes. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { EngineNetwork, type HostName } from "./engine-network.ts";

const missing = existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built";
if (missing) console.log(`tests of the eBPF plane's odd packets are left out: ${missing}`);

/** Sends datagrams back, the length of what is sent and the length of what came before them; ends with the first short one. */
const ECHO = `
const s = require("node:dgram").createSocket("udp4");
s.on("message", (m, from) => s.send(m, from.port, from.address, () => m.length < 8 && process.exit()));
s.bind(5354, process.argv[1]);
setTimeout(() => process.exit(1), 20000);
`;
/** Sends datagrams of these lengths, the next one when the one before is back; tells which came back. */
const ASK = `
const s = require("node:dgram").createSocket("udp4");
const [to, ...lengths] = process.argv.slice(1), back = [];
const next = () => {
  if (lengths.length === 0) { console.log(back.join(" ")); process.exit(); }
  s.send(Buffer.alloc(Number(lengths.shift())), 5354, to);
  timer = setTimeout(next, 3000);
};
let timer;
s.on("message", (m) => { back.push(m.length); clearTimeout(timer); next(); });
next();
`;
const WEB = `
const web = require("node:http").createServer((q, r) => r.end("director " + q.socket.remoteAddress, () => {
  if (q.url === "/end") process.exit();
}));
web.listen(80, "0.0.0.0");
setTimeout(() => process.exit(1), 20000);
`;

describe.skipIf(missing)("the eBPF plane", () => {
  const net = new EngineNetwork("o", "ebpf");
  beforeAll(async () => {
    await net.up();
    net.ip("director", "addr add 10.1.0.100/32 dev lo");
    await net.ipvsadm("-A -u 10.1.0.100:5354 -s rr");
  });
  afterAll(() => net.down());

  const listening = async (host: HostName, port: number): Promise<void> => {
    const end = Date.now() + 10_000;
    while (!(await net.run(host, "ss", "-Hlntu")).includes(`:${port} `)) {
      if (Date.now() > end) throw new Error(`nobody listens at ${host}:${port}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  /** What comes back of datagrams of these lengths. */
  const echo = async (address: string, ...lengths: number[]): Promise<string> => {
    const server = net.run("server1", process.execPath, "-e", ECHO, address);
    await listening("server1", 5354);
    const back = await net.run(
      "client",
      process.execPath,
      "-e",
      ASK,
      "10.1.0.100",
      ...lengths.map(String),
      "1",
    );
    await server;
    return back.trim();
  };

  test("has the stack cut what is too long by NAT, replies and requests, also under connection tracking", async () => {
    for (const host of ["client", "director"] as const) net.ip(host, "link set eth0 mtu 1300");
    await net.ipvsadm("-a -u 10.1.0.100:5354 -r 10.2.0.11 -m");
    // Fragments of 1500 bytes on the servers' side, the last of which is short.
    expect(await echo("10.2.0.11", 6000, 20)).toBe("6000 20 1");
    // Connection tracking lets fragments go on only when it has all.
    for (const line of [
      "add table ip watch",
      "add chain ip watch seen { type filter hook prerouting priority 0; }",
      "add rule ip watch seen ct state new counter",
    ])
      await net.run("director", "nft", line);
    expect(await echo("10.2.0.11", 6000, 20)).toBe("6000 20 1");
    for (const host of ["client", "director"] as const) net.ip(host, "link set eth0 mtu 1500");
    net.ip("director", "link set eth1 mtu 1300");
    net.ip("server1", "link set eth0 mtu 1300");
    expect(await echo("10.2.0.11", 6000, 20), "requests").toBe("6000 20 1");
    net.ip("director", "link set eth1 mtu 1500");
    net.ip("server1", "link set eth0 mtu 1500");
    await net.run("director", "nft", "delete", "table", "ip", "watch");
    await net.ipvsadm("-d -u 10.1.0.100:5354 -r 10.2.0.11");
  });

  test("has the stack cut what gets too long by its tunnel, with right checksums", async () => {
    net.ip("server1", "route add 10.1.0.2 via 10.2.0.2");
    await net.run("server1", "lvsd", "realserver", "tun", "10.1.0.100");
    for (const kind of ["", " --tun-type gre --tun-csum", " --tun-type gue --tun-port 6080"]) {
      await net.ipvsadm(`-a -u 10.1.0.100:5354 -r 10.2.0.11 -i${kind}`);
      expect(await echo("10.1.0.100", 6000, 20), kind).toBe("6000 20 1");
      await net.ipvsadm("-d -u 10.1.0.100:5354 -r 10.2.0.11");
    }
    // Without a checksum of the outer datagram, as is the rule for tunnels.
    const outside = "[2001:db8:2::11]:5354";
    await net.ipvsadm(`-a -u 10.1.0.100:5354 -r ${outside} -i --tun-type gue --tun-port 6080`);
    expect(await echo("10.1.0.100", 20), "GUE over IPv6").toBe("20 1");
    await net.ipvsadm(`-d -u 10.1.0.100:5354 -r ${outside}`);
    await net.run("server1", "lvsd", "realserver", "tun", "10.1.0.100", "--undo");
  });

  test("tells a client of direct routing what fits, since nobody can cut for it", async () => {
    await net.run("server1", "lvsd", "realserver", "dr", "10.1.0.100");
    const links = [
      ["director", "eth1"],
      ["server1", "eth0"],
      ["client", "lan"],
    ] as const;
    for (const [host, device] of links) net.ip(host, `link set ${device} mtu 1400`);
    await net.ipvsadm("-a -u 10.1.0.100:5354 -r 10.2.0.11 -g");
    expect(await echo("10.1.0.100", 1450, 1451, 6000)).toBe("1451 6000 1");
    for (const [host, device] of links) net.ip(host, `link set ${device} mtu 1500`);
    await net.ipvsadm("-d -u 10.1.0.100:5354 -r 10.2.0.11");
    await net.run("server1", "lvsd", "realserver", "dr", "10.1.0.100", "--undo");
  });

  test("brings marked packets to servers on the director itself, once", async () => {
    const web = net.run("director", process.execPath, "-e", WEB);
    await listening("director", 80);
    await net.run(
      "director",
      "iptables",
      ..."-t mangle -A PREROUTING -d 10.1.0.100 -j MARK --set-mark 9".split(" "),
    );
    await net.ipvsadm("-A -f 9 -s rr");
    for (const server of ["127.0.0.1 -g", "10.2.0.1 -m"]) {
      await net.ipvsadm(`-a -f 9 -r ${server}`);
      expect(await net.get("http://10.1.0.100/")).toEqual(["director 10.1.0.2"]);
      if (server.endsWith("-g")) {
        const end = Date.now() + 10_000;
        const stats = async () => /^FWM +9 +1 +(\d+) /m.exec(await net.ipvsadm("-Ln --stats"))?.[1];
        while (!(await stats()) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 200));
        // SYN, ACK, request, ACKs, FIN: a packet that went round would count for thousands.
        expect(Number(await stats())).toBeLessThan(10);
      }
      await net.ipvsadm(`-d -f 9 -r ${server.split(" ")[0]}`);
    }
    // A new connection passes the packet filter first.
    await net.run("director", "iptables", ..."-A INPUT -s 10.1.0.2 -j DROP".split(" "));
    await net.ipvsadm("-a -f 9 -r 10.2.0.11:8080 -m");
    await expect(net.run("client", "curl", "-sS", "-m", "1", "http://10.1.0.100/")).rejects.toThrow(/\(28\)/);
    await net.run("director", "iptables", "-F", "INPUT");
    await net.ipvsadm("-D -f 9");
    await net.get("http://10.1.0.100/end");
    await web;
  });

  test("counts for a service what it counts for its servers, in every listing", async () => {
    await net.ipvsadm("-A -t 10.1.0.100:82 -s rr");
    await net.ipvsadm("-a -t 10.1.0.100:82 -r 10.2.0.11:8080 --fullnat");
    await net.get("http://10.1.0.100:82/", 3);
    const end = Date.now() + 10_000;
    let counts: string[] = [];
    while (counts[0] !== "3" && counts[1] !== "3" && Date.now() < end) {
      const list = await net.ipvsadm("-Ln --stats -t 10.1.0.100:82");
      counts = [...list.matchAll(/:(?:82|8080) +(\d+) /g)].map(([, n]) => n!);
    }
    expect(counts).toEqual(["3", "3"]);
  });

  test("goes on after net.ipv4.ip_forward was written, at the next listing, and tells before", async () => {
    await net.ipvsadm("-A -t 10.1.0.100:81 -s rr");
    await net.ipvsadm("-a -t 10.1.0.100:81 -r 10.2.0.11:8080 -m");
    net.ip("server1", "route del 10.1.0.2 via 10.2.0.2");
    await net.run("director", "sysctl", "-qw", "net.ipv4.ip_forward=0");
    expect(await net.run("director", "lvsd", "planes")).toMatch(
      /packets do not go on: net\.ipv4\.conf\.lo\.forwarding/,
    );
    await net.ipvsadm("-Ln");
    expect(await net.run("director", "lvsd", "planes")).not.toContain("do not go on");
    expect(await net.get("http://10.1.0.100:81/")).toEqual(["server1 10.1.0.2"]);
  });

  test("answers clients of which only the link-local address is known", async () => {
    net.ip("director", "addr add 2001:db8:1::100/128 dev eth0 nodad");
    net.ip("client", "addr del 2001:db8:1::2/64 dev eth0");
    net.ip("client", "-6 route add 2001:db8:1::/64 dev eth0");
    await net.ipvsadm("-A -t [2001:db8:1::100]:80 -s rr");
    await expect(net.get("http://[2001:db8:1::100]/")).rejects.toThrow(/\(7\)/);
  });
});
