/** Servers that go and come back under their connections, settings that change meanwhile, and a table of a million. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CONN, CONN_FLAG, PHASE, STATE } from "../../src/planes/ebpf/layout.ts";
import { Maps } from "../../src/planes/ebpf/maps.ts";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { machineRoot } from "../../src/sys/bpf/machine-root.ts";
import { EngineNetwork } from "./engine-network.ts";

const missing = existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built";
if (missing) console.log(`tests of hostile use of the eBPF plane are left out: ${missing}`);

async function until(what: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error("it did not come true within 30 s");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

describe.skipIf(missing)("rules that change under live connections", () => {
  const net = new EngineNetwork("h", "ebpf");
  beforeAll(async () => {
    await net.up();
    net.ip("director", "addr add 10.1.0.100/32 dev eth0");
    await net.ipvsadm("-A -t 10.1.0.100:80 -s wlc");
    await net.ipvsadm("-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m");
  });
  afterAll(() => net.down());
  /** `count` connections that ask ten times a second: "whole" after `times` answers each, "broken" when one breaks. */
  const talk = (count: number, times: number): Promise<string> =>
    net.run(
      "client",
      process.execPath,
      "-e",
      `let open = ${count};
       const done = (word) => { console.log(word); process.exit(0); };
       for (let i = 0; i < ${count}; i++) {
         const s = require("node:net").connect(80, "10.1.0.100");
         let n = 0;
         const ask = () => s.write("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
         s.on("connect", ask).on("error", () => done("broken")).on("data", () => {
           if (++n === ${times}) { if (--open === 0) done("whole"); } else setTimeout(ask, 100);
         });
         setTimeout(() => done("broken"), 100 * ${times} + 8000);
       }`,
    );
  const active = async (): Promise<number> =>
    Number(/10\.2\.0\.11:8080\s+Masq\s+\d+\s+(\d+)/.exec(await net.ipvsadm("-Ln"))?.[1] ?? -1);

  test("a server that is removed keeps its connections, and has them again when it is back", async () => {
    const talking = talk(5, 30);
    await until(async () => (await active()) === 5);
    await net.ipvsadm("-d -t 10.1.0.100:80 -r 10.2.0.11:8080");
    expect((await net.ipvsadm("-Lnc")).match(/ESTABLISHED/g)).toHaveLength(5);
    await net.ipvsadm("-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 3 -x 4 -y 2");
    expect(await active()).toBe(5);
    // Over its threshold: nobody new gets in, those who are there go on.
    await expect(net.get("http://10.1.0.100/")).rejects.toThrow();
    await net.ipvsadm("-e -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 1");
    expect(await net.get("http://10.1.0.100/")).toEqual(["server1 10.1.0.2"]);
    expect((await talking).trim()).toBe("whole");
  });

  test("-Z under traffic starts counters and rates from nothing", async () => {
    const talking = talk(2, 80);
    await until(async () => /^TCP +10\.1\.0\.100:80 +\S+ +[1-9]/m.test(await net.ipvsadm("-Ln --rate")));
    await net.ipvsadm("-Z -t 10.1.0.100:80");
    const [, conns] = /^TCP +10\.1\.0\.100:80 +(\d+)/m.exec(await net.ipvsadm("-Ln --stats"))!;
    expect(Number(conns)).toBeLessThanOrEqual(2);
    const rate = /^TCP +10\.1\.0\.100:80 +(\d+) +(\d+)/m.exec(await net.ipvsadm("-Ln --rate"))!;
    expect(Number(rate[2])).toBeLessThan(60);
    expect((await talking).trim()).toBe("whole");
  });

  test("timeouts that are set count for the next packet of a connection", async () => {
    await net.ipvsadm("--set 33 0 0");
    const talking = talk(1, 20);
    await until(async () => / 00:3[0-3] +ESTABLISHED/.test(await net.ipvsadm("-Lnc")));
    await net.ipvsadm("--set 900 120 300");
    await until(async () => / 1[45]:\d\d +ESTABLISHED/.test(await net.ipvsadm("-Lnc")));
    expect((await talking).trim()).toBe("whole");
  });

  test("with expire_nodest_conn the connections of a removed server end", async () => {
    await net.run("director", "lvsd", "settings", "expire_nodest_conn=1");
    const talking = talk(3, 100);
    await until(async () => (await active()) >= 3);
    await net.ipvsadm("-d -t 10.1.0.100:80 -r 10.2.0.11:8080");
    expect((await talking).trim()).toBe("broken");
    await until(async () => !(await net.ipvsadm("-Lnc")).includes("ESTABLISHED"));
    await net.run("director", "lvsd", "settings", "expire_nodest_conn=0");
  });
});

describe.skipIf(missing)("a table of a million connections", () => {
  const run = mkdtempSync(join(tmpdir(), "lvsd-million-"));
  const space = `lv${process.pid}mio`;
  const COUNT = 1_000_000;
  const env = {
    ...process.env,
    NODE_EXTRA_CA_CERTS: "",
    LVSD_PLANE: "ebpf",
    LVSD_RUN_DIR: run,
    LVSD_EBPF_CONNECTIONS: String(1 << 20),
  };
  const ipvsadm = (line: string, ...node: string[]) =>
    spawnSync(
      "ip",
      ["netns", "exec", space, process.execPath, ...node, "dist/ipvsadm.cjs", ...line.split(" ")],
      { encoding: "latin1", env, maxBuffer: 1 << 30 },
    );
  afterAll(() => {
    execFileSync("ip", ["netns", "del", space]);
    removeBpffs(`${run}/bpf`);
    rmSync(run, { recursive: true, force: true });
  });

  test("is listed in seconds, in memory that does not grow with it", { timeout: 120_000 }, () => {
    execFileSync("ip", ["netns", "add", space]);
    expect(ipvsadm("-A -t 10.0.0.1:80 -s rr").stderr).toBe("");
    const [cookie] = readdirSync(`${machineRoot()}${run}/bpf`).filter((name) => /^\d+$/.test(name));
    const maps = new Maps(`${machineRoot()}${run}/bpf/${cookie}/maps`);
    const { bytes, view } = maps.array("slab");
    const until = process.hrtime.bigint() + 600_000_000_000n;
    for (let slot = 1; slot <= COUNT; slot++) {
      const at = slot * CONN.size;
      view.setUint32(at + CONN.at.ctl, (CONN_FLAG.noOutput << 16) | (7 << 8) | PHASE.live, true);
      view.setBigUint64(at + CONN.at.expires, until, true);
      bytes[at + CONN.at.protocol] = 6;
      bytes[at + CONN.at.family] = bytes[at + CONN.at.dest_family] = 4;
      view.setUint16(at + CONN.at.client_port, 1024 + (slot & 0x7fff));
      view.setUint32(at + CONN.at.client, 0x0b000000 + (slot >> 5));
    }
    view.setUint32(CONN.size + CONN.at.virtual, 0x0a000001);
    maps.array("state").view.setUint32(STATE.at.fresh, COUNT + 1, true);
    maps.close();
    const began = performance.now();
    const { stdout, stderr, status } = ipvsadm("-Lnc", "--max-old-space-size=96");
    const seconds = (performance.now() - began) / 1000;
    expect([status, stderr]).toEqual([0, ""]);
    let rows = 0;
    for (let at = stdout.indexOf("\nTCP"); at >= 0; at = stdout.indexOf("\nTCP", at + 1)) rows++;
    expect(rows).toBe(COUNT);
    console.log(`a million connections are listed in ${seconds.toFixed(1)} s`);
    expect(seconds).toBeLessThan(60);
  });
});
