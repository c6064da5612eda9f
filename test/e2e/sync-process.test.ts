/** The sync process of the eBPF plane as commands meet it: gone, and there but silent. */
import { execFile, execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CONFIG } from "../../src/planes/ebpf/layout.ts";
import { Maps } from "../../src/planes/ebpf/maps.ts";
import { until } from "./daemon-bed.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");
const bin = join(process.cwd(), "dist/bin");

describe.skipIf(!root)("the sync process", () => {
  const folder = mkdtempSync(join(tmpdir(), "lvsd-sync-process-"));
  const name = `lv${process.pid}proc`;
  const env = {
    ...process.env,
    NODE_EXTRA_CA_CERTS: "",
    NODE_OPTIONS: "",
    LVSD_RUN_DIR: folder,
    LVSD_SYNC_KEY: join(folder, "key"),
    LVSD_PLANE: "ebpf",
    PATH: `${bin}:${process.env["PATH"]}`,
  };
  const run = (line: string): Promise<{ stdout: string; stderr: string }> =>
    promisify(execFile)("ip", ["netns", "exec", name, ...line.split(" ")], { env, timeout: 30_000 });
  const pids = (): number[] =>
    execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" })
      .split("\n")
      .filter(Boolean)
      .map(Number)
      .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("lvsd-sync"));
  /** Its number, once it is there. */
  const pid = async (): Promise<number> =>
    (await until(
      "the sync process",
      async () => pids(),
      (found) => found.length === 1,
    ))![0]!;

  beforeAll(async () => {
    execFileSync("ip", ["netns", "add", name]);
    execFileSync("ip", ["-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]);
    execFileSync("ip", ["-n", name, "addr", "add", "10.3.0.3/24", "dev", "eth0"]);
    for (const end of ["eth0", "eth1"]) execFileSync("ip", ["-n", name, "link", "set", end, "up"]);
    await run("ipvsadm --start-daemon master --mcast-interface eth0 --syncid 9");
  }, 60_000);

  afterAll(async () => {
    await run("lvsd planes reset").catch(() => "");
    execFileSync("ip", ["netns", "del", name]);
    if (existsSync(join(folder, "bpf"))) execFileSync("umount", [join(folder, "bpf")]);
    rmSync(folder, { recursive: true, force: true });
  });

  const all = ["ipvsadm -A -t 10.9.0.1:80", "ipvsadm -L", "lvsd settings sync_refresh_period=0"];
  test.each(["ipvsadm -C", ...(process.env["LVSD_E2E"] === "all" ? all : [])])(
    "was killed: %s has it come back",
    async (command) => {
      const before = await pid();
      process.kill(before, "SIGKILL");
      await until(
        "it is gone",
        async () => existsSync(`/proc/${before}`),
        (there) => !there,
      );
      await run(command);
      expect(await pid()).not.toBe(before);
    },
  );

  test("finds its program, also when the command that was to load it was killed", async () => {
    await pid();
    const [cookie] = readdirSync(join(folder, "bpf")).filter((entry) => /^\d+$/.test(entry));
    const program = join(folder, "bpf", cookie!, "programs/lvsd_synced");
    rmSync(program);
    await run("ipvsadm -L");
    expect(existsSync(program)).toBe(true);
  });

  test("stands still: commands do their work without it, and say what is wrong", async () => {
    const silent = await pid();
    process.kill(silent, "SIGSTOP");
    const complaint = `the sync process, ${silent}, does not answer: connections are not synchronised`;
    const from = performance.now();
    const { stdout, stderr } = await run("ipvsadm -L --daemon");
    expect(performance.now() - from).toBeLessThan(5000);
    expect(stdout).toContain("master sync daemon (mcast=eth0, syncid=9");
    expect(stderr).toMatch(new RegExp(`^ipvsadm: ${complaint} \\(kill -CONT ${silent} .*\\)\\n$`));
    expect((await run("ipvsadm -A -t 10.9.0.1:83")).stderr).toContain(complaint);
    expect((await run("lvsd sync status")).stdout).toContain(complaint);
    process.kill(silent, "SIGCONT");
    await until(
      "it answers again",
      () => run("ipvsadm -Ln"),
      (said) => said.stderr === "",
    );
    expect(pids()).toEqual([silent]);
  });

  test("makes room for that of another version, which was put in the place of its own files", async () => {
    const files = join(folder, "files");
    cpSync("dist", join(files, "dist"), { recursive: true });
    symlinkSync(resolve("node_modules"), join(files, "node_modules"));
    const list = `${process.execPath} ${join(files, "dist/ipvsadm.cjs")} -L`;
    process.kill(await pid(), "SIGKILL");
    await until(
      "it is gone",
      async () => pids().length,
      (left) => left === 0,
    );
    await run(list);
    const before = await pid();
    appendFileSync(join(files, "dist/lvsd.bpf.o"), "another version");
    await run(list);
    await until(
      "the other one",
      async () => pids(),
      (found) => found.length === 1 && found[0] !== before,
    );
  });

  test("was killed while it waited for connections: the wait ends with its daemon", async () => {
    await run("ipvsadm -A -t 10.9.0.1:82");
    const [cookie] = readdirSync(join(folder, "bpf")).filter((entry) => /^\d+$/.test(entry));
    const maps = new Maps(join(folder, "bpf", cookie!, "maps"));
    const { view } = maps.array("config");
    process.kill(await pid(), "SIGKILL");
    view.setUint32(CONFIG.at.awaiting, 1, true);
    await run("ipvsadm --stop-daemon master");
    expect(view.getUint32(CONFIG.at.awaiting, true)).toBe(0);
    maps.close();
  });
});
