/** Nobody names a plane: which one it is, that finding out costs a listing little, and what is said where it cannot do something. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { noEbpf } from "./planes.ts";

const root = process.getuid?.() === 0;
const missing = root ? noEbpf() : "it needs root";
if (missing) console.log(`tests of the default plane are left out: ${missing}`);

describe.skipIf(missing)("without a word about planes", () => {
  const run = mkdtempSync(join(tmpdir(), "lvsd-default-"));
  const space = `lv${process.pid}def`;
  const { LVSD_PLANE: _, ...rest } = process.env;
  const env: NodeJS.ProcessEnv = { ...rest, NODE_EXTRA_CA_CERTS: "", LVSD_RUN_DIR: run };
  const command = (name: string, line: string, more: NodeJS.ProcessEnv = {}, before: string[] = []) =>
    spawnSync(
      "ip",
      ["netns", "exec", space, ...before, process.execPath, `dist/${name}.cjs`, ...line.split(" ")],
      { encoding: "utf8", env: { ...env, ...more } },
    );
  const ipvsadm = (line: string, more?: NodeJS.ProcessEnv) => command("ipvsadm", line, more);
  const used = (): string =>
    (JSON.parse(command("lvsd", "planes --json").stdout) as { name: string; chosen: boolean }[]).find(
      ({ chosen }) => chosen,
    )!.name;

  beforeAll(() => void execFileSync("ip", ["netns", "add", space]));
  afterAll(() => {
    command("lvsd", "engine stop");
    command("lvsd", "planes reset");
    execFileSync("ip", ["netns", "del", space]);
    removeBpffs(`${run}/bpf`);
    rmSync(run, { recursive: true, force: true });
  });

  test("a listing where nobody made rules loads no plane, and makes nothing", () => {
    ipvsadm("-Ln"); // finds out what works here, once for all commands to come
    // A koffi that is not to be found: whoever loads it fails.
    const blind = { NODE_OPTIONS: `--require=${join(run, "blind.cjs")}` };
    execFileSync("sh", [
      "-c",
      `echo 'require("node:module")._load = ((load) => (name, ...rest) => { if (name === "koffi") throw new Error("koffi is loaded"); return load(name, ...rest); })(require("node:module")._load);' >${run}/blind.cjs`,
    ]);
    expect(ipvsadm("-A -t 10.0.0.9:80", blind).stderr).toContain("koffi is loaded");
    for (const line of ["-Ln", "-Ln --stats", "-Lnc", "-L --timeout", "-Sn", "-C", "-Z"])
      expect([line, ipvsadm(line, blind).stderr]).toEqual([line, ""]);
    expect(ipvsadm("-Ln", blind).stdout).toContain("IP Virtual Server version 1.2.1 (size=4096)");
    expect(ipvsadm("-D -t 10.0.0.9:80", blind).stderr).toBe("No such service\n");
    expect(readdirSync(run).sort()).toEqual(["blind.cjs", "ebpf-works.json"]);
    expect(used()).toBe("ebpf");
  });

  test("the first rule goes to the eBPF plane, and all that follow", () => {
    expect(ipvsadm("-A -t 10.0.0.1:80 -s rr").stderr).toBe("");
    expect(ipvsadm("-Sn", { LVSD_PLANE: "ebpf" }).stdout).toBe("-A -t 10.0.0.1:80 -s rr\n");
    expect(command("lvsd", "planes").stdout).toMatch(
      /^ebpf +works, used by default\n +it has rules in this network namespace$/m,
    );
    expect(ipvsadm("-Sn").stdout).toBe("-A -t 10.0.0.1:80 -s rr\n");
    expect(ipvsadm("-Sn", { LVSD_PLANE: "engine" }).stdout).toBe("");
  });

  test("what it cannot do is refused with the way to the engine, which works as it is told", () => {
    const { status, stderr } = command("lvsd", "settings conntrack=1");
    expect(status).not.toBe(0);
    const way =
      /to change over: (ipvsadm-save -n > rules; ipvsadm -C; LVSD_PLANE=engine ipvsadm-restore < rules)/;
    expect(stderr).toMatch(way);
    const [, words] = way.exec(stderr)!;
    const bin = join(process.cwd(), "dist/bin");
    execFileSync("ip", ["netns", "exec", space, "sh", "-ec", words!], {
      cwd: run,
      env: { ...env, PATH: `${bin}:${process.env["PATH"]}` },
    });
    expect(used()).toBe("engine");
    expect(ipvsadm("-Sn").stdout).toBe("-A -t 10.0.0.1:80 -s rr\n");
    expect(command("lvsd", "settings conntrack=1").stdout).toBe("conntrack = 1\n");
    expect(ipvsadm("-Sn", { LVSD_PLANE: "ebpf" }).stdout).toBe("");
    expect(existsSync(`${run}/bpf`)).toBe(true);
  });

  test("without rules the way is a word before the first command", () => {
    command("lvsd", "engine stop");
    expect(used()).toBe("ebpf");
    const { stderr } = command("lvsd", "settings conntrack=1");
    expect(stderr).toContain("give the first command here LVSD_PLANE=engine, and all use the engine plane");
    expect(command("lvsd", "settings conntrack=1", { LVSD_PLANE: "engine" }).status).toBe(0);
    expect(used()).toBe("engine");
    command("lvsd", "engine stop");
  });

  test("a daemon that runs hooks interfaces as they come", async () => {
    const file = join(run, "one.conf");
    writeFileSync(file, "virtual_server 10.0.0.3 80 {\nreal_server 10.0.0.4 80 {\n}\n}\n");
    const words = ["netns", "exec", space, process.execPath, "dist/lvsd.cjs", "run", "-f", file];
    const daemon = spawn("ip", words, { env, stdio: "ignore" });
    const ended = once(daemon, "exit");
    const shows = async (what: RegExp): Promise<void> => {
      for (const until = Date.now() + 20_000; ; await sleep(200)) {
        const { stdout } = command("lvsd", "planes");
        if (what.test(stdout)) return;
        expect(Date.now(), `${what} in ${stdout}`).toBeLessThan(until);
      }
    };
    try {
      await shows(/it is in this namespace, on lo \(TC\)$/m);
      execFileSync("ip", ["-n", space, "link", "add", "later", "type", "veth", "peer", "name", "latest"]);
      await shows(/it is in this namespace, .*\blater \(TC\)/);
      expect(command("lvsd", "planes").stdout).toMatch(/latest \(TC\)/);
    } finally {
      daemon.kill();
      await ended;
    }
    expect(ipvsadm("-Sn").stdout).toBe("");
  });

  test("who may not mount the file system for pins gets the engine", () => {
    const weak = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"];
    const elsewhere = mkdtempSync(join(tmpdir(), "lvsd-weak-"));
    try {
      const text = command("lvsd", "planes --json", { LVSD_RUN_DIR: elsewhere }, weak).stdout;
      const [ebpf] = JSON.parse(text) as { works: boolean; chosen: boolean; details: string[] }[];
      expect(ebpf).toMatchObject({ works: false, chosen: false });
      expect(ebpf!.details.join()).toContain("CAP_SYS_ADMIN");
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });
});
