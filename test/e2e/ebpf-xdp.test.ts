/**
 * XDP in front of TC, asked for on veth pairs, which need more than network cards do: senders finish checksums themselves (tx
 * offload off), receivers of redirected frames poll (GRO on).
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { EngineNetwork, type HostName } from "./engine-network.ts";

const missing = existsSync("dist/lvsd-ebpf.cjs")
  ? (ebpfMissing() ?? (spawnSync("ethtool", ["--version"]).error ? "there is no ethtool" : undefined))
  : "dist/ is not built";
if (missing) console.log(`tests of XDP on the eBPF plane are left out: ${missing}`);

describe.skipIf(missing)("XDP on interfaces that were asked for", () => {
  const net = new EngineNetwork("x", "ebpf");
  const ethtool = (host: HostName, line: string) => net.run(host, "ethtool", "-K", ...line.split(" "));
  const asking = (wish: string, line: string) =>
    net.run("director", "env", `LVSD_XDP=${wish}`, "ipvsadm", ...line.split(" "));
  const redirected = async (): Promise<number> => {
    const statistics = await net.run("director", "ethtool", "-S", "eth0");
    return [...statistics.matchAll(/rx_queue_\d+_xdp_redirect: (\d+)/g)].reduce(
      (n, [, m]) => n + Number(m),
      0,
    );
  };
  beforeAll(async () => {
    await net.up();
    await ethtool("client", "eth0 tx off gro on");
    for (const host of ["server1", "server2"] as const) await ethtool(host, "eth0 tx off");
    // Only this port: what it joined on the servers' ports would lose its checksums again.
    await ethtool("switch", "to-director gro on");
    net.ip("director", "addr add 10.1.0.100/32 dev eth0");
  });
  afterAll(() => net.down());

  test("forwards requests and replies by NAT before the stack sees them", async () => {
    await asking("eth0,eth1", "-A -t 10.1.0.100:80 -s rr");
    for (const n of [1, 2]) await net.ipvsadm(`-a -t 10.1.0.100:80 -r 10.2.0.1${n}:8080 -m`);
    const before = await redirected();
    expect((await net.get("http://10.1.0.100/", 4)).sort()).toEqual([
      "server1 10.1.0.2",
      "server1 10.1.0.2",
      "server2 10.1.0.2",
      "server2 10.1.0.2",
    ]);
    expect((await net.get("http://10.1.0.100/big"))[0]!.length).toBe(8 << 20);
    expect(await redirected()).toBeGreaterThan(before);
    expect((await net.ipvsadm("-Lnc")).match(/ TIME_WAIT /g)).toHaveLength(5);
  });

  test("stays with commands that do not speak of it, and lvsd planes shows it", async () => {
    await net.ipvsadm("-e -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 2");
    const planes = await net.run("director", "lvsd", "planes");
    expect(planes).toMatch(
      /it is in this namespace, on lo \(TC\), .*eth0 \(XDP and TC\), eth1 \(XDP and TC\)/,
    );
  });

  test("goes with LVSD_XDP=no, also before a listing, connections going on by TC", async () => {
    await asking("no", "-Ln");
    const before = await redirected();
    expect(await net.get("http://10.1.0.100/", 2)).toHaveLength(2);
    expect(await redirected()).toBe(before);
    expect(await net.run("director", "lvsd", "planes")).not.toContain("XDP and TC");
  });

  test.each([
    ["eth7", /there is no such interface here/],
    ["lo", /no Ethernet header/],
  ])("on %s is refused, and the rule with it", async (name, why) => {
    const refused = asking(name, "-A -t 10.1.0.100:81 -s rr");
    await expect(refused).rejects.toThrow(why);
    expect(await net.ipvsadm("-Ln")).not.toContain("10.1.0.100:81");
  });

  test("that a driver does not take is refused in the kernel's words", async () => {
    net.ip("client", "link set eth0 mtu 9000");
    await expect(asking("eth0", "-A -t 10.1.0.100:81 -s rr")).rejects.toThrow(
      /Peer MTU is too large to set XDP/,
    );
    expect(await net.ipvsadm("-Ln")).not.toContain("10.1.0.100:81");
    expect(await net.get("http://10.1.0.100/", 1)).toHaveLength(1);
  });
});
