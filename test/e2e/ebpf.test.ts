import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { machineRoot } from "../../src/sys/bpf/machine-root.ts";
import { lockIfFree } from "../../src/sys/lock.ts";
import { EngineNetwork } from "./engine-network.ts";

const missing = existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built";
if (missing) console.log(`tests of the eBPF plane are left out: ${missing}`);

/** Waits until something holds. */
async function until(what: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error("it did not come true within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe.skipIf(missing)("the eBPF plane forwards real packets", () => {
  const net = new EngineNetwork("p", "ebpf");
  beforeAll(async () => void (await net.up()));
  afterAll(() => net.down());
  const pins = (): string[] =>
    existsSync(`${machineRoot()}${net.runDirectory}/bpf`)
      ? readdirSync(`${machineRoot()}${net.runDirectory}/bpf`).filter((name) => /^\d/.test(name))
      : [];

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

  test("and shows the connections, their counts and what they carried", async () => {
    const rows = (await net.ipvsadm("-Lnc")).split("\n").filter((row) => row.startsWith("TCP"));
    expect(rows).toHaveLength(5);
    for (const row of rows)
      expect(row).toMatch(/ TIME_WAIT\s+10\.1\.0\.2:\d+\s+10\.1\.0\.100:80\s+10\.2\.0\.1[12]:8080/);
    expect(await net.ipvsadm("-Ln")).toMatch(/10\.2\.0\.12:8080\s+Masq\s+1\s+0\s+[23]/);
    await until(async () => /^TCP +10\.1\.0\.100:80 +5 /m.test(await net.ipvsadm("-Ln --stats")));
    await net.ipvsadm("-Z");
    expect(await net.ipvsadm("-Ln --stats")).toMatch(/^TCP +10\.1\.0\.100:80 +0 +0 +0 +0 +0$/m);
  });

  test("and to clients on the director itself", async () => {
    const answers = await net.get("http://10.1.0.100/", 2, "director");
    expect(answers.map((a) => a.split(" ")[0]).sort()).toEqual(["server1", "server2"]);
  });

  test("by direct routing, the reply not passing the director, VIP there after the service", async () => {
    await net.ipvsadm("-A -t 10.2.0.100:80 -s rr");
    for (const n of [1, 2]) {
      const server = n === 1 ? "server1" : "server2";
      const quiet = ["net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"];
      await net.run(server, "sysctl", "-qw", ...quiet);
      net.ip(server, "addr add 10.2.0.100/32 dev lo");
      await net.ipvsadm(`-a -t 10.2.0.100:80 -r 10.2.0.1${n} -g`);
    }
    net.ip("director", "addr add 10.2.0.100/32 dev eth1");
    expect((await net.get("http://10.2.0.100/", 2)).sort()).toEqual(["server1 10.2.0.2", "server2 10.2.0.2"]);
    expect((await net.get("http://10.2.0.100/big"))[0]!.length).toBe(8 << 20);
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

  test("telling servers behind full-NAT of the client by a TCP option", async () => {
    const watch = "timeout 10 tcpdump -i eth0 -c 1 -nn -x -U -l tcp[20]=254 and tcp[21]=8";
    const seen = net.run("server1", ...watch.split(" "));
    await until(async () => /tcpdump/.test(await net.run("server1", "ss", "-0", "-ap")));
    await net.get("http://10.1.0.100:81/", 2);
    // Kind, length, port; 10.1.0.2.
    expect((await seen).replace(/\s|0x00\d0:/g, "")).toMatch(/fe08.{4}0a010002/);
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

  test("replies of NAT by the route of the virtual address, or with snat_reroute=0 by their own", async () => {
    // A client behind the network, and rules by which one of the two ways leads nowhere.
    net.ip("client", "addr add 10.8.0.2/32 dev lo");
    net.ip("director", "route add 10.8.0.2 via 10.1.0.2");
    net.ip("director", "route add blackhole 10.8.0.2 table 77");
    const ask = () =>
      net.run("client", ...`curl -sS -m 1 --interface 10.8.0.2 http://10.1.0.100/`.split(" ")).then(
        (answer) => answer.split(" ")[1],
        () => "silence",
      );
    const got: Record<string, string | undefined> = { "no rule": await ask() };
    for (const rule of ["from 10.1.0.100", "from 10.2.0.0/24 iif eth1"]) {
      net.ip("director", `rule add ${rule} lookup 77`);
      for (const setting of ["snat_reroute=1", "snat_reroute=0"]) {
        await net.run("director", "lvsd", "settings", setting);
        got[`${rule}, ${setting}`] = await ask();
      }
      net.ip("director", `rule del ${rule} lookup 77`);
    }
    await net.run("director", "lvsd", "settings", "snat_reroute=1");
    expect(got).toEqual({
      "no rule": "10.8.0.2",
      "from 10.1.0.100, snat_reroute=1": "silence",
      "from 10.1.0.100, snat_reroute=0": "10.8.0.2",
      "from 10.2.0.0/24 iif eth1, snat_reroute=1": "10.8.0.2",
      "from 10.2.0.0/24 iif eth1, snat_reroute=0": "silence",
    });
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
    expect((await net.get("http://10.1.0.102/big"))[0]!.length).toBe(8 << 20);
    // Marks come and go one by one, also where somebody took the table away.
    const restore = (...rules: string[]) =>
      net.run("director", "sh", "-c", `printf '%s\\n' "$@" | ipvsadm -R`, "sh", ...rules);
    // nft shows them with their bytes the other way round.
    const marks = async () =>
      [...(await net.run("director", "nft", "list", "table", "ip", "lvsd-marks")).matchAll(/0x(..)000000/g)]
        .map(([, byte]) => Number.parseInt(byte!, 16))
        .sort((a, b) => a - b);
    await restore("-A -f 8 -s rr", "-A -f 9 -s rr", "-D -f 8", "-A -f 10 -s rr");
    expect(await marks()).toEqual([7, 9, 10]);
    await net.run("director", "nft", "delete", "table", "ip", "lvsd-marks");
    await restore("-D -f 9", "-A -f 11 -s rr", "-D -f 10");
    expect(await marks()).toEqual([7, 11]);
    await restore("-D -f 7", "-D -f 11");
    expect(await net.run("director", "ip", "link")).not.toContain("lvsd0");
  });

  test.each(["sh", "dh", "mh", "lblc", "lblcr", "twos", "wrr", "wlc", "sed", "nq", "lc", "fo", "ovf"])(
    "with the scheduler %s",
    async (scheduler) => {
      await net.ipvsadm(`-A -t 10.1.0.100:82 -s ${scheduler}`);
      for (const n of [1, 2]) await net.ipvsadm(`-a -t 10.1.0.100:82 -r 10.2.0.1${n}:8080 -m`);
      expect((await net.get("http://10.1.0.100:82/"))[0]).toMatch(/^server[12] 10\.1\.0\.2$/);
      await net.ipvsadm("-D -t 10.1.0.100:82");
    },
  );

  test("keeps a client at its server while a service is persistent", async () => {
    await net.ipvsadm("-A -t 10.1.0.100:83 -s rr -p 100");
    for (const n of [1, 2]) await net.ipvsadm(`-a -t 10.1.0.100:83 -r 10.2.0.1${n}:8080 -m`);
    const answers = await net.get("http://10.1.0.100:83/", 4);
    expect(new Set(answers).size).toBe(1);
    expect(await net.ipvsadm("-Lnc")).toMatch(
      /TCP\s+0[01]:\d\d\s+(NONE|ASSURED)\s+10\.1\.0\.2:0\s+10\.1\.0\.100:83/,
    );
  });

  /** Asks twenty times over one connection, for two seconds; rejects when that breaks. */
  const talk = (): Promise<string> =>
    net.run(
      "client",
      process.execPath,
      "-e",
      `const s = require("node:net").connect(80, "10.1.0.100");
       let n = 0;
       const ask = () => s.write("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
       s.on("connect", ask).on("data", () => (++n === 20 ? process.exit(0) : setTimeout(ask, 100)));
       s.on("close", () => process.exit(1));`,
    );

  test("a connection that is open goes on while rules and processes come and go", async () => {
    const talking = talk();
    for (let i = 0; i < 4; i++) {
      await net.ipvsadm("-A -t 10.1.0.100:84 -s rr");
      await net.ipvsadm("-e -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 3");
      await net.ipvsadm("-D -t 10.1.0.100:84");
    }
    await talking;
  });

  test("and when another version of the programs takes over", async () => {
    const other = join(net.runDirectory, "other-version");
    mkdirSync(other);
    for (const name of ["ipvsadm.cjs", "lvsd-ebpf.cjs", "lvsd.bpf.o"])
      copyFileSync(join("dist/", name), join(other, name));
    // Another file, the same programs.
    appendFileSync(join(other, "lvsd.bpf.o"), "\0");
    const image = (): string =>
      readdirSync(`${machineRoot()}${net.runDirectory}/bpf/${pins()[0]}`).find((name) =>
        name.startsWith("image-"),
      )!;
    const before = image();
    const listed = await net.ipvsadm("-Sn");
    const talking = talk();
    const modules = `NODE_PATH=${resolve("node_modules")}`;
    await net.run("director", "env", modules, process.execPath, join(other, "ipvsadm.cjs"), "-Ln");
    expect(image()).not.toBe(before);
    await talking;
    expect(await net.ipvsadm("-Sn")).toBe(listed);
    expect(image()).toBe(before);
  });

  test("an interface that comes later is hooked by the next command, also by a listing", async () => {
    await net.ipvsadm("-A -t 10.9.0.1:80 -s rr");
    await net.ipvsadm("-a -t 10.9.0.1:80 -r 10.2.0.11:8080 -m");
    net.ip("client", `link add eth9 type veth peer name eth9 netns ${net.name("director")}`);
    net.ip("director", "addr add 10.9.0.1/24 dev eth9");
    net.ip("director", "link set eth9 up");
    net.ip("client", "addr add 10.9.0.2/24 dev eth9");
    net.ip("client", "link set eth9 up");
    net.ip("server1", "route add 10.9.0.0/24 via 10.2.0.1");
    expect(await net.run("director", "lvsd", "planes")).toMatch(/eth9 is not hooked: it came later/);
    await net.ipvsadm("-Ln");
    expect(await net.run("director", "lvsd", "planes")).toMatch(/it is in this namespace, .*eth9 \(TC\)/);
    expect(await net.get("http://10.9.0.1/")).toEqual(["server1 10.9.0.2"]);
  });

  test("two commands at a time do not get into each other's way", async () => {
    const adding = [1, 2, 3, 4].map(async (n) => {
      for (let i = 0; i < 5; i++) await net.ipvsadm(`-A -t 10.1.0.100:${2000 + 10 * n + i} -s rr`);
    });
    await Promise.all(adding);
    expect((await net.ipvsadm("-Ln")).match(/10\.1\.0\.100:20\d\d/g)).toHaveLength(20);
  });

  test("restores ten thousand lines in seconds", { timeout: 180_000 }, async () => {
    const lines = ["-A -t 10.1.0.100:99 -s rr"];
    for (let i = 0; i < 10_000; i++)
      lines.push(`-a -t 10.1.0.100:99 -r 10.3.${i >> 8}.${i & 255}:80 -m -w 1`);
    writeFileSync(`${net.runDirectory}/rules-to-restore`, `${lines.join("\n")}\n`);
    const began = performance.now();
    await net.run("director", "sh", "-c", `ipvsadm -R < ${net.runDirectory}/rules-to-restore`);
    expect(performance.now() - began).toBeLessThan(60_000);
    expect((await net.ipvsadm("-Ln")).split("\n").length).toBeGreaterThan(10_000);
    await net.ipvsadm("-D -t 10.1.0.100:99");
  });

  test.each(["ipvsadm -C", "lvsd planes reset"])(
    "and %s leaves no map, no program, no hook",
    async (command) => {
      await net.ipvsadm("-A -t 10.1.0.100:85 -s sh");
      await net.ipvsadm("-a -t 10.1.0.100:85 -r 10.2.0.11:8080 -m");
      await net.ipvsadm("-A -f 7 -s rr");
      expect(pins()).toHaveLength(1);
      // What the kernel has of it, by the pins.
      const folder = `${machineRoot()}${net.runDirectory}/bpf/${pins()[0]}`;
      const ids = (kind: "map" | "prog"): string[] =>
        readdirSync(folder, { recursive: true, encoding: "utf8" }).flatMap((name) => {
          const shown = spawnSync("bpftool", ["-j", kind, "show", "pinned", join(folder, name)]);
          return shown.status === 0 ? [String(JSON.parse(String(shown.stdout)).id)] : [];
        });
      const left = { map: ids("map"), prog: ids("prog") };
      expect(left.map.length).toBeGreaterThan(10);
      await net.run("director", ...command.split(" "));
      expect(pins()).toEqual([]);
      expect(readdirSync(net.runDirectory).filter((name) => name.includes("ebpf-"))).toEqual([]);
      expect(await net.run("director", "bpftool", "net")).not.toContain("lvsd");
      expect(await net.run("director", "nft", "list", "ruleset")).not.toContain("lvsd");
      // The kernel frees them a moment later.
      await until(async () =>
        (["map", "prog"] as const).every((kind) =>
          left[kind].every((id) => spawnSync("bpftool", [kind, "show", "id", id]).status !== 0),
        ),
      );
      await expect(net.get("http://10.1.0.100/")).rejects.toThrow();
    },
  );
});

describe.skipIf(missing)("the state of a namespace", () => {
  const run = join("/tmp", `lvsd-ebpf-${process.pid}`);
  const space = `lv${process.pid}gone`;
  const ip = (...words: string[]): void => void execFileSync("ip", words, { stdio: "pipe" });
  const ipvsadm = (name: string, line: string): string =>
    execFileSync("ip", ["netns", "exec", name, process.execPath, "dist/ipvsadm.cjs", ...line.split(" ")], {
      encoding: "utf8",
      env: { ...process.env, NODE_EXTRA_CA_CERTS: "", LVSD_PLANE: "ebpf", LVSD_RUN_DIR: run },
    });
  afterAll(() => {
    for (const name of [space, `${space}2`]) {
      try {
        ip("netns", "del", name);
      } catch {
        // It is gone.
      }
    }
    execFileSync("sh", ["-c", `umount ${run}/bpf; rm -rf ${run}`], { stdio: "pipe" });
  });

  test("goes with it: one of the same name starts empty, and the next installation removes what is left", async () => {
    ip("netns", "add", space);
    ipvsadm(space, "-A -t 10.0.0.1:80 -s rr");
    expect(ipvsadm(space, "-Ln")).toContain("10.0.0.1:80");
    const before = readdirSync(`${machineRoot()}${run}/bpf`).filter((name) => /^\d/.test(name));
    expect(before).toHaveLength(1);
    // Of a command that was killed, and of one that is at its first rule.
    for (const cookie of [1, 2]) writeFileSync(`${run}/ebpf-${cookie}.lock`, "");
    const unlock = lockIfFree(`${run}/ebpf-2.lock`)!;
    ip("netns", "del", space);
    ip("netns", "add", space);
    expect(ipvsadm(space, "-Ln")).not.toContain("10.0.0.1");
    // Namespaces are taken down in the background.
    await until(async () => {
      ipvsadm(space, "-A -t 10.0.0.2:80 -s rr");
      const gone = !readdirSync(`${machineRoot()}${run}/bpf`).includes(before[0]!);
      ipvsadm(space, "-C");
      return gone;
    });
    const locks = (): string[] => readdirSync(run).filter((name) => /^ebpf-\d+\.lock$/.test(name));
    expect(locks()).toEqual(["ebpf-2.lock"]);
    unlock();
  });
});
