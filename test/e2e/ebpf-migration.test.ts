/**
 * A version of lvsd whose maps have another shape takes over from this one, and this one from it: built here from the sources, with
 * fields before, between and behind the others.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { machineRoot } from "../../src/sys/bpf/machine-root.ts";
import { EngineNetwork } from "./engine-network.ts";

const missing = existsSync("dist/lvsd-ebpf.cjs")
  ? (ebpfMissing() ?? (spawnSync("clang", ["--version"]).error ? "there is no clang" : undefined))
  : "dist/ is not built";
if (missing) console.log(`tests of maps of another shape are left out: ${missing}`);

/** Struct, field, and what comes before it. */
const MORE: readonly (readonly [before: RegExp, added: string])[] = [
  [/ctl: \["u64", "generation/, 'before: ["u64", "test"],\n  '],
  [/virtual_port: \["be16", "65535/, 'between: [["u8", 16], "test"],\n  '],
  [/weight: \["u32", "user space: 0 = quiesced/, 'spare: [["u32", 4], "test"],\n  '],
  [/spilled: \["u64", "references/, 'spare: [["u64", 8], "test"],\n  '],
  [/fresh: \["u32", "slots below/, 'spare_before: ["u64", "test"],\n  '],
  [/seen: \[\["u64", 5\], "BPF/, 'spare: ["u64", "test"],\n    '],
];

async function until(what: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 120_000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error("it did not come true within two minutes");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Lists the services; ends itself before the step of that number. */
const KILLED = `
const { ebpfPlane } = require(process.argv[1]);
let left = Number(process.argv[2]);
const plane = ebpfPlane({ onStep: () => { if (left-- === 0) process.kill(process.pid, "SIGKILL"); } });
plane.services().then(() => plane.close());
`;

/** Another version, in a folder of its own: its commands. */
function buildOther(folder: string): string {
  for (const name of ["src", "bpf", "scripts", "package.json", "tsconfig.json"])
    cpSync(name, join(folder, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  const layout = join(folder, "src/planes/ebpf/layout.ts");
  let text = readFileSync(layout, "utf8");
  for (const [before, added] of MORE) {
    expect(text).toMatch(before);
    text = text.replace(before, (found) => added + found);
  }
  writeFileSync(layout, text);
  for (const script of ["build-bpf.mjs", "build.mjs"])
    execFileSync(process.execPath, [join(folder, "scripts", script), "--quiet"], {
      cwd: folder,
      stdio: "pipe",
    });
  return join(folder, "dist/ipvsadm.cjs");
}

describe.skipIf(missing)("a version whose maps have another shape", { timeout: 300_000 }, () => {
  const net = new EngineNetwork("m", "ebpf");
  const folder = mkdtempSync(join(tmpdir(), "lvsd-other-"));
  let other = "";
  beforeAll(async () => {
    other = buildOther(folder);
    await net.up();
    net.ip("director", "addr add 10.1.0.100/32 dev eth0");
  }, 300_000);
  afterAll(async () => {
    for (const child of running) child.kill("SIGKILL");
    await net.down();
    rmSync(folder, { recursive: true, force: true });
  });
  const otherIpvsadm = (line: string) => net.run("director", process.execPath, other, ...line.split(" "));
  const image = (): string => {
    const [cookie] = readdirSync(`${machineRoot()}${net.runDirectory}/bpf`).filter((name) =>
      /^\d+$/.test(name),
    );
    return readdirSync(`${machineRoot()}${net.runDirectory}/bpf/${cookie}`).find((name) =>
      name.startsWith("image-"),
    )!;
  };
  const running = new Set<ChildProcess>();
  /** Runs a program on the client until it is told to stop, by the end of its input; what it prints. Rejects when it fails. */
  const start = (program: string): (() => Promise<string>) => {
    const command = ["netns", "exec", net.name("client"), process.execPath, "-e", program];
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: "", NODE_OPTIONS: "" };
    const child = spawn("ip", command, { env, stdio: ["pipe", "pipe", "inherit"] });
    running.add(child);
    let printed = "";
    child.stdout.on("data", (text) => {
      printed += text;
    });
    const ended = new Promise<string>((resolve, reject) => {
      child.once("close", (code) =>
        code === 0 ? resolve(printed) : reject(new Error(`failed: ${printed}`)),
      );
    }).finally(() => running.delete(child));
    ended.catch(() => undefined);
    return () => {
      child.stdin.end();
      return ended;
    };
  };
  /** Asks over 20 connections that stay open, until it is told to stop; fails when one breaks. */
  const talk = (port: number) =>
    start(
      `let stop = false, open = 20;
       process.stdin.on("end", () => { stop = true; }).resume();
       for (let i = 0; i < 20; i++) {
         const s = require("node:net").connect(${port}, "10.1.0.100");
         const ask = () => s.write("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
         s.on("connect", ask).on("data", () => {
           if (!stop) { setTimeout(ask, 100); return; }
           s.removeAllListeners("close"); s.end();
           if (--open === 0) process.exit(0);
         });
         s.on("error", (error) => console.log(error.message));
         s.on("close", () => process.exit(1));
       }`,
    );
  /** Requests on connections of their own, one after the other, until it is told to stop; their number, and that of those that failed. */
  const hammer = () =>
    start(
      `const http = require("node:http");
       let stop = false, asked = 0, failed = 0;
       process.stdin.on("end", () => { stop = true; }).resume();
       const next = () => {
         if (stop) { console.log(asked + " " + failed); process.exit(); }
         asked++;
         const again = () => setTimeout(next, 30);
         http.get("http://10.1.0.100/", { agent: false }, (r) => r.resume().on("end", again))
           .on("error", () => { failed++; again(); });
       };
       next();`,
    );
  const established = async (): Promise<number> =>
    (await net.ipvsadm("-Lnc")).split("\n").filter((row) => row.includes("ESTABLISHED")).length;
  /** Counts by server, and connections in the table. */
  const counts = (list: string) =>
    [...list.matchAll(/10\.2\.0\.1\d:8080\s+Masq\s+\d+\s+(\d+)\s+(\d+)/g)].map(
      ([, a, i]) => Number(a) + Number(i),
    );

  test("takes over with every connection, template and counter, under traffic, and gives back", async () => {
    await net.ipvsadm("-A -t 10.1.0.100:80 -s rr");
    await net.ipvsadm("-A -t 10.1.0.100:81 -s wlc -p 300");
    for (const port of [80, 81]) {
      for (const n of [1, 2]) await net.ipvsadm(`-a -t 10.1.0.100:${port} -r 10.2.0.1${n}:8080 -m`);
    }
    await net.get("http://10.1.0.100/", 5);
    await net.get("http://10.1.0.100:81/", 3);
    const rules = await net.ipvsadm("-Sn");
    const before = image();
    const talking = [talk(80), talk(81)];
    const hammering = hammer();
    const open = (list: string): number =>
      list.split("\n").filter((row) => row.includes("ESTABLISHED") && row.includes("10.1.0.100:81")).length;
    await until(async () => open(await net.ipvsadm("-Lnc")) === 20);
    expect(await otherIpvsadm("-Sn")).toBe(rules);
    expect(image()).not.toBe(before);
    const rows = await otherIpvsadm("-Lnc");
    expect(open(rows)).toBe(20);
    expect(rows).toMatch(/TCP\s+0\d:\d\d\s+(NONE|ASSURED)\s+10\.1\.0\.2:0\s+10\.1\.0\.100:81/);
    expect(await net.ipvsadm("-Sn")).toBe(rules);
    expect(image()).toBe(before);
    // Both commands again, while connections begin and end.
    for (let i = 0; i < 2; i++) {
      await otherIpvsadm("-Sn");
      await net.ipvsadm("-Sn");
    }
    for (const stop of talking) await stop();
    const [asked, failed] = (await hammering()).split(" ").map(Number);
    expect(failed).toBe(0);
    expect(asked).toBeGreaterThan(20);
    // 5 requests and those of the hammer, and 20 connections that stayed open; 3 and 20 on the other. They show after two seconds.
    const wanted = [`:80 +${25 + asked!} `, ":81 +23 "].map(
      (end) => new RegExp(`^TCP +10\\.1\\.0\\.100${end}`, "m"),
    );
    await until(async () => {
      const statistics = await net.ipvsadm("-Ln --stats");
      return wanted.every((one) => one.test(statistics));
    });
  });

  test("leaves counts that are those of the connections in the table", async () => {
    const talking = talk(80);
    await until(async () => (await established()) === 20);
    await otherIpvsadm("-Ln");
    for (const list of [otherIpvsadm, (line: string) => net.ipvsadm(line)]) {
      // Some may end between the two; what is miscounted stays so.
      await until(async () => {
        const rows = (await list("-Lnc")).split("\n").filter((row) => / 10\.1\.0\.2:[1-9]/.test(row));
        const counted = counts(await list("-Ln")).reduce((a, b) => a + b, 0);
        return counted === rows.length && counted >= 20;
      });
    }
    await talking();
  });

  test("that is killed at any step of taking over leaves what the next command of either puts right", async () => {
    const killAt = async (step: number): Promise<boolean> =>
      net
        .run("director", process.execPath, "-e", KILLED, join(folder, "dist/lvsd-ebpf.cjs"), String(step))
        .then(
          () => true,
          () => false,
        );
    const rules = await net.ipvsadm("-Sn");
    const talking = talk(80);
    await until(async () => (await established()) === 20);
    let steps = 0;
    while (!(await killAt(steps))) {
      if (steps % 2) expect(await otherIpvsadm("-Sn")).toBe(rules);
      expect(await net.ipvsadm("-Sn")).toBe(rules);
      steps++;
    }
    // stage, copy, change programs, catch up, end move, and three renames
    expect(steps).toBeGreaterThanOrEqual(8);
    await talking();
    expect(await net.ipvsadm("-Sn")).toBe(rules);
  });

  test("keeps the table usable: new connections take free slots, ended ones leave", async () => {
    expect(await net.get("http://10.1.0.100/", 4)).toHaveLength(4);
    await net.ipvsadm("-C");
    expect(readdirSync(`${machineRoot()}${net.runDirectory}/bpf`).filter((name) => /^\d/.test(name))).toEqual(
      [],
    );
  });
});
