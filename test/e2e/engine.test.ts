import { readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineNetwork } from "./engine-network.ts";

const root = process.getuid?.() === 0;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.skipIf(!root)("the engine plane forwards real packets", () => {
  const net = new EngineNetwork("a");
  beforeAll(async () => void (await net.up()));
  afterAll(() => net.down());

  const status = async (): Promise<Record<string, number>> =>
    (await net.request("status"))["value"] as Record<string, number>;

  test("by NAT, with the port changed, to both servers in turn, VIP there before the service", async () => {
    net.ip("director", "addr add 10.1.0.100/32 dev eth0");
    await net.ipvsadm("-A -t 10.1.0.100:80 -s rr");
    for (const n of [1, 2]) await net.ipvsadm(`-a -t 10.1.0.100:80 -r 10.2.0.1${n}:8080 -m`);
    const answers = await net.get("http://10.1.0.100/", 4);
    expect(answers.sort()).toEqual([
      "server1 10.1.0.2",
      "server1 10.1.0.2",
      "server2 10.1.0.2",
      "server2 10.1.0.2",
    ]);
    expect((await net.get("http://10.1.0.100/big"))[0]!.length).toBe(8 << 20);
  });

  test("and to clients on the director itself", async () => {
    const answers = await net.get("http://10.1.0.100/", 2, "director");
    expect(answers.map((a) => a.split(" ")[0]).sort()).toEqual(["server1", "server2"]);
  });

  test("by direct routing, the reply not passing the director, VIP there after the service", async () => {
    await net.ipvsadm("-A -t 10.2.0.100:80 -s rr");
    for (const n of [1, 2]) {
      const server = n === 1 ? "server1" : "server2";
      await net.run(
        server,
        "sysctl",
        "-qw",
        "net.ipv4.conf.all.arp_ignore=1",
        "net.ipv4.conf.all.arp_announce=2",
      );
      net.ip(server, "addr add 10.2.0.100/32 dev lo");
      await net.ipvsadm(`-a -t 10.2.0.100:80 -r 10.2.0.1${n} -g`);
    }
    net.ip("director", "addr add 10.2.0.100/32 dev eth1");
    const before = await status();
    const answers = await net.get("http://10.2.0.100/", 2);
    expect(answers.sort()).toEqual(["server1 10.2.0.2", "server2 10.2.0.2"]);
    await net.get("http://10.2.0.100/big");
    const after = await status();
    // Everything the director saw it took over; replies would have been accepted or modified.
    expect(after["dropped"]! - before["dropped"]!).toBeGreaterThan(10);
    expect(after["modified"]).toBe(before["modified"]);
  });

  test("by full-NAT, servers seeing an address of the director", async () => {
    await net.ipvsadm("-A -t 10.1.0.100:81 -s rr");
    for (const n of [1, 2]) await net.ipvsadm(`-a -t 10.1.0.100:81 -r 10.2.0.1${n}:8080 --fullnat`);
    expect((await net.get("http://10.1.0.100:81/", 2)).sort()).toEqual([
      "server1 10.2.0.1",
      "server2 10.2.0.1",
    ]);
    expect((await net.get("http://10.1.0.100:81/big"))[0]!.length).toBe(8 << 20);
  });

  test("of UDP, also datagrams that come and go in fragments", async () => {
    await net.ipvsadm("-A -u 10.1.0.100:5353 -s rr");
    for (const n of [1, 2]) await net.ipvsadm(`-a -u 10.1.0.100:5353 -r 10.2.0.1${n}:5353 -m`);
    const answers = [await net.askUdp("10.1.0.100", 7), await net.askUdp("10.1.0.100", 7)];
    expect(answers.sort()).toEqual(["server1 7", "server2 7"]);
    expect(await net.askUdp("10.1.0.100", 6000)).toMatch(/^server[12] 6000$/);
  });

  test("of IPv6", async () => {
    net.ip("director", "addr add 2001:db8:1::100/128 dev eth0 nodad");
    await net.ipvsadm("-A -t [2001:db8:1::100]:80 -s rr");
    for (const n of [1, 2]) await net.ipvsadm(`-a -t [2001:db8:1::100]:80 -r [2001:db8:2::1${n}]:8080 -m`);
    const answers = await net.get("http://[2001:db8:1::100]/", 2);
    expect(answers.sort()).toEqual(["server1 2001:db8:1::2", "server2 2001:db8:1::2"]);
    expect((await net.get("http://[2001:db8:1::100]/big"))[0]!.length).toBe(8 << 20);
  });

  test("by the mark that iptables gave them", async () => {
    net.ip("director", "addr add 10.1.0.102/32 dev eth0");
    const mark =
      "-t mangle -A PREROUTING -d 10.1.0.102 -p tcp -m multiport --dports 80,443 -j MARK --set-mark 7";
    await net.run("director", "iptables", ...mark.split(" "));
    await net.ipvsadm("-A -f 7 -s rr");
    for (const n of [1, 2]) await net.ipvsadm(`-a -f 7 -r 10.2.0.1${n}:8080 -m`);
    const answers = [
      ...(await net.get("http://10.1.0.102:80/")),
      ...(await net.get("http://10.1.0.102:443/")),
    ];
    expect(answers.sort()).toEqual(["server1 10.1.0.2", "server2 10.1.0.2"]);
  });

  test("for a VIP that is on no interface, once told to answer for it", async () => {
    for (const vip of ["10.1.0.150", "2001:db8:1::150"]) {
      const host = vip.includes(":") ? `[${vip}]` : vip;
      const server = vip.includes(":") ? "[2001:db8:2::11]" : "10.2.0.11";
      await net.ipvsadm(`-A -t ${host}:80 -s rr`);
      await net.ipvsadm(`-a -t ${host}:80 -r ${server}:8080 -m`);
      await expect(net.run("client", "curl", "-s", "-m", "1", `http://${host}/`)).rejects.toThrow();
      expect(await net.request("announce", vip, "eth0")).toEqual({ id: 1 });
      expect((await net.get(`http://${host}/`))[0]).toMatch(/^server1/);
      await net.request("withdraw", vip);
      expect(await net.run("director", "ip", "route", "show", "table", "local")).not.toContain("10.1.0.150");
    }
  });

  test("and leaves other traffic alone: it is not even looked at", async () => {
    net.ip("client", "route add 10.3.0.0/24 via 10.1.0.1");
    net.ip("server2", "addr add 10.3.0.1/24 dev lo");
    net.ip("director", "route add 10.3.0.0/24 via 10.2.0.13");
    net.ip("server2", "addr add 10.2.0.13/24 dev eth0");
    await sleep(200);
    const before = await status();
    expect(await net.get("http://10.3.0.1:8080/")).toEqual(["server2 10.1.0.2"]);
    expect((await status())["packets"]).toBe(before["packets"]);
  });

  test("whatever is sent to its socket, and with hundreds of clients", async () => {
    const path = `${net.runDirectory}/${readdirSync(net.runDirectory).find((f) => f.endsWith(".sock"))}`;
    const sockets = Array.from({ length: 300 }, () => connect(path).on("error", () => undefined));
    await sleep(100);
    for (const [i, s] of sockets.entries()) {
      if (i % 3 === 0) s.write(Buffer.from([0xff, 0, 0x80, 10, 123, 10]));
      else if (i % 3 === 1) s.write('{"id":1,"method":"addService","args":[null]}\n{"id":');
      else s.write('[]\n{"id":2,"method":"constructor","args":[]}\n"x"\n');
    }
    for (let i = 0; i < 6; i++) sockets[0]!.write("x".repeat(1 << 20));
    await sleep(300);
    expect((await net.get("http://10.1.0.100/"))[0]).toMatch(/^server[12]/);
    for (const s of sockets) s.destroy();
    expect(await net.ipvsadm("-Ln")).toContain("TCP  10.1.0.100:80 rr");
  });

  test("restores ten thousand lines in seconds", async () => {
    const lines = ["-A -t 10.1.0.100:99 -s wlc"];
    for (let i = 0; i < 10_000; i++)
      lines.push(`-a -t 10.1.0.100:99 -r 10.9.${i >> 8}.${i & 255}:80 -m -w 1`);
    const began = performance.now();
    writeFileSync(`${net.runDirectory}/rules`, `${lines.join("\n")}\n`);
    await net.run("director", "sh", "-c", `ipvsadm -R < ${net.runDirectory}/rules`);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await net.ipvsadm("-Ln")).split("\n").length).toBeGreaterThan(10_000);
    await net.ipvsadm("-D -t 10.1.0.100:99");
  });
});

describe.skipIf(!root)("the engine's life", () => {
  const net = new EngineNetwork("b");
  beforeAll(async () => void (await net.up()));
  afterAll(() => net.down());

  const pid = async (): Promise<number> => ((await net.request("status"))["value"] as { pid: number }).pid;
  const gone = async (process: number): Promise<void> => {
    for (let i = 0; i < 100 && readdirSync("/proc").includes(String(process)); i++) await sleep(50);
    expect(readdirSync("/proc")).not.toContain(String(process));
  };

  test("a listing starts none and shows an empty table", async () => {
    expect((await net.ipvsadm("-Ln")).split("\n").filter((l) => /TCP|UDP/.test(l))).toEqual([]);
    expect(readdirSync(net.runDirectory)).toEqual([]);
  });

  test("two commands that start it at the same moment end with one that has both their rules", async () => {
    net.ip("director", "addr add 10.1.0.100/32 dev eth0");
    await Promise.all([80, 81, 82].map((port) => net.ipvsadm(`-A -t 10.1.0.100:${port} -s rr`)));
    expect((await net.ipvsadm("-Ln")).match(/10\.1\.0\.100:8[012]/g)).toHaveLength(3);
    await net.ipvsadm("-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m");
    await net.ipvsadm("-a -t 10.1.0.100:80 -r 10.2.0.12:8080 -m");
  });

  test("nft flush ruleset does not touch it", async () => {
    await net.run("director", "nft", "flush", "ruleset");
    expect((await net.get("http://10.1.0.100/", 2)).map((a) => a.split(" ")[0]).sort()).toEqual([
      "server1",
      "server2",
    ]);
  });

  test("killed, it leaves nothing in the kernel; the next command brings its rules back, in their order", async () => {
    expect(await net.request("announce", "10.1.0.160", "eth0")).toEqual({ id: 1 });
    const before = await net.ipvsadm("-Sn");
    await sleep(300);
    const engine = await pid();
    process.kill(engine, "SIGKILL");
    await gone(engine);
    expect(await net.run("director", "nft", "list", "tables")).not.toContain("lvsd");
    expect(await net.ipvsadm("-Sn")).toBe(before);
    expect(await pid()).not.toBe(engine);
    expect((await net.request("status"))["value"]).toMatchObject({
      announced: [{ address: "10.1.0.160", interface: "eth0" }],
    });
    expect((await net.get("http://10.1.0.100/"))[0]).toMatch(/^server/);
    expect(await net.run("director", "sh", "-c", `cat ${net.runDirectory}/*.log`)).toContain(
      "connections of the former engine",
    );
  });

  test("it ends by itself when the table is empty and no connection is left, and its files go", async () => {
    const engine = await pid();
    await net.ipvsadm("-C");
    await sleep(1500);
    // The connection of the last test is still in TIME_WAIT: it stays.
    expect(await pid()).toBe(engine);
    await net.request("stop");
    await gone(engine);
    await net.ipvsadm("-A -t 10.1.0.100:80 -s rr");
    const next = await pid();
    await net.ipvsadm("-C");
    await gone(next);
    expect(readdirSync(net.runDirectory)).toEqual([]);
    expect(await net.run("director", "nft", "list", "tables")).not.toContain("lvsd");
  });
});
