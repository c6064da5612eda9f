/** What the eBPF plane cannot do is refused, names who can, and changes nothing. */
import { execFileSync, spawnSync } from "node:child_process";
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
import { memoryPlaces } from "../../src/planes/ebpf/memory.ts";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { DEVIATIONS, REFUSALS } from "../../src/planes/ebpf/refusals.ts";
import { removeBpffs } from "../../src/sys/bpf/bpffs.ts";
import { machineRoot } from "../../src/sys/bpf/machine-root.ts";
import { section } from "../../src/wire/elf.ts";

const missing = existsSync("dist/lvsd-ebpf.cjs") ? ebpfMissing() : "dist/ is not built";
if (missing) console.log(`tests of what the eBPF plane refuses are left out: ${missing}`);

/** The object with a program that begins with r6 = r9, when r9 has no value. */
function spoilt(object: Buffer): Buffer {
  section(object, "tc")!.set([0xbf, 0x96, 0, 0, 0, 0, 0, 0]);
  return object;
}

describe.skipIf(missing)("the eBPF plane refuses", () => {
  const run = mkdtempSync(join(tmpdir(), "lvsd-refusals-"));
  const space = `lv${process.pid}no`;
  const env = {
    ...process.env,
    NODE_EXTRA_CA_CERTS: "",
    LVSD_PLANE: "ebpf",
    LVSD_RUN_DIR: run,
    LVSD_EBPF_SERVICES: "16",
    LVSD_EBPF_DESTINATIONS: "16",
  };
  const command = (name: string, line: string, input = "") =>
    spawnSync("ip", ["netns", "exec", space, process.execPath, `dist/${name}.cjs`, ...line.split(" ")], {
      encoding: "utf8",
      env,
      input,
    });
  const ipvsadm = (line: string, input = "") => command("ipvsadm", line, input);
  beforeAll(() => {
    execFileSync("ip", ["netns", "add", space]);
    execFileSync("ip", ["-n", space, "link", "set", "lo", "up"]);
  });
  afterAll(() => {
    execFileSync("ip", ["netns", "del", space]);
    removeBpffs(`${run}/bpf`);
    rmSync(run, { recursive: true, force: true });
  });

  test("sizes that are none", () => {
    const line = ["netns", "exec", space, process.execPath, "dist/ipvsadm.cjs", "-A", "-t", "10.0.0.1:80"];
    const { stderr, status } = spawnSync("ip", line, {
      encoding: "utf8",
      env: { ...env, LVSD_EBPF_CONNECTIONS: "many" },
    });
    expect([stderr, status]).toEqual([
      expect.stringMatching(/^LVSD_EBPF_CONNECTIONS=many: expects a whole number, 16\.\.\d+\n$/),
      255,
    ]);
    expect(ipvsadm("-Ln").stdout).not.toContain("10.0.0.1");
  });

  test("the setting conntrack=1", () => {
    const { status, stderr } = command("lvsd", "settings conntrack=1");
    expect(stderr).toMatch(/netfilter's connection tracking; the engine and the kernel plane have it/);
    expect(status).not.toBe(0);
  });

  test("automatic defence modes where the kernel does not tell how much memory is free, and only there", () => {
    const hidden = typeof memoryPlaces() === "string";
    const { stderr } = command("lvsd", "settings drop_entry=1 secure_tcp=2");
    if (hidden) expect(stderr).toMatch(/drop_entry=1 .*on this kernel: .*0 and 3 work, the engine/);
    else expect(stderr).toBe("");
    expect(command("lvsd", "settings drop_entry").stdout).toMatch(hidden ? /0\n/ : /[12]\n/);
    command("lvsd", "settings drop_entry=0 secure_tcp=0");
  });

  test("services and real servers that there is no room for, and goes on with those that are there", () => {
    const services = Array.from({ length: 15 }, (_, i) => `-A -t 10.0.0.1:${8000 + i} -s rr`);
    const servers = Array.from({ length: 15 }, (_, i) => `-a -t 10.0.0.1:8000 -r 10.0.1.${i + 1}:80 -m`);
    expect(ipvsadm("-R", `${[...services, ...servers].join("\n")}\n`).stderr).toBe("");
    const before = ipvsadm("-Sn").stdout;
    const why =
      /no memory: .*room for 15 .*(LVSD_EBPF_SERVICES|LVSD_EBPF_DESTINATIONS)=… .*the engine and the kernel plane/;
    for (const line of ["-A -t 10.0.0.1:9000 -s rr", "-a -t 10.0.0.1:8001 -r 10.0.1.99:80 -m"]) {
      const { status, stderr } = ipvsadm(line);
      expect(stderr).toMatch(why);
      expect(status).not.toBe(0);
      expect(ipvsadm("-Sn").stdout).toBe(before);
    }
    // One that was removed and comes back has its old place.
    expect(ipvsadm("-d -t 10.0.0.1:8000 -r 10.0.1.3:80").stderr).toBe("");
    expect(ipvsadm("-a -t 10.0.0.1:8001 -r 10.0.1.99:80 -m").stderr).toMatch(why);
    expect(ipvsadm("-a -t 10.0.0.1:8000 -r 10.0.1.3:80 -m").stderr).toBe("");
    ipvsadm("-C");
  });

  test.each([
    ["an object file that was cut off", (object: Buffer) => object.subarray(0, 5000)],
    ["a program that the verifier does not take", spoilt],
  ])("%s, and leaves nothing of the first rule", (_, broken) => {
    const folder = mkdtempSync(join(tmpdir(), "lvsd-broken-"));
    try {
      for (const name of ["ipvsadm.cjs", "lvsd-ebpf.cjs"]) cpSync(`dist/${name}`, join(folder, name));
      symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
      writeFileSync(join(folder, "lvsd.bpf.o"), broken(readFileSync("dist/lvsd.bpf.o")));
      const line = [join(folder, "ipvsadm.cjs"), "-A", "-t", "10.0.0.1:80"];
      const { status, stderr } = spawnSync("ip", ["netns", "exec", space, process.execPath, ...line], {
        encoding: "utf8",
        env,
      });
      expect(stderr).toMatch(/the eBPF plane cannot be set up here: .*LVSD_PLANE=engine/);
      expect(status).not.toBe(0);
      // Of no namespace anything, but the mount point and the lock of all.
      expect(readdirSync(run).filter((name) => /\d/.test(name))).toEqual([]);
      expect(readdirSync(`${machineRoot()}${run}/bpf`).filter((name) => /\d/.test(name))).toEqual([]);
      expect(ipvsadm("-Ln").stdout).not.toMatch(/10\.0\.0\.1/);
      // Settings that were there stay.
      expect(command("lvsd", "settings expire_nodest_conn=1").stderr).toBe("");
      spawnSync("ip", ["netns", "exec", space, process.execPath, ...line], { env });
      expect(command("lvsd", "settings expire_nodest_conn").stdout).toMatch(/1\n/);
      expect(ipvsadm("-A -t 10.0.0.1:80").stderr).toBe("");
      expect(command("lvsd", "planes reset").stderr).toBe("");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("services whose packets would find no route, where /proc/sys is read-only, as in a container", () => {
    const off = ["ipv4", "ipv6"].map((family) => `net.${family}.conf.lo.forwarding=0`);
    execFileSync("ip", ["netns", "exec", space, "sysctl", "-qw", ...off]);
    const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';
    const { LVSD_PLANE: _, ...unnamed } = env;
    const inContainer = (how: NodeJS.ProcessEnv, name: string, line: string) => {
      const words = [process.execPath, `dist/${name}.cjs`, ...line.split(" ")];
      const all = ["netns", "exec", space, "unshare", "-m", "sh", "-c", readOnly, "sh", ...words];
      return spawnSync("ip", all, { encoding: "utf8", env: how });
    };
    const why =
      /net\.ipv4\.conf\.lo\.forwarding=1 only, .*from outside: \/proc\/sys cannot be written here \(EROFS\)/;
    const { status, stderr } = inContainer(env, "ipvsadm", "-A -t 10.0.0.1:80");
    expect(stderr).toMatch(why);
    expect(stderr).toMatch(/the engine plane does without; .*LVSD_PLANE=engine/);
    expect(status).not.toBe(0);
    expect(ipvsadm("-Ln").stdout).not.toContain("10.0.0.1");
    // Who names no plane gets another one.
    const used = (of: { stdout: string }): string =>
      (JSON.parse(of.stdout) as { name: string; chosen: boolean }[]).find(({ chosen }) => chosen)!.name;
    expect(inContainer(unnamed, "lvsd", "planes").stdout).toMatch(/^ebpf +does not work here\n +routes/m);
    const words = [process.execPath, "dist/lvsd.cjs", "planes", "--json"];
    const outside = () =>
      spawnSync("ip", ["netns", "exec", space, ...words], { encoding: "utf8", env: unnamed });
    for (let i = 0; i < 2; i++)
      expect([used(outside()), used(inContainer(unnamed, "lvsd", "planes --json"))]).toEqual([
        "ebpf",
        expect.stringMatching(/engine|kernel/),
      ]);
    // Set from outside, all is well.
    execFileSync("ip", ["netns", "exec", space, "sysctl", "-qw", off[0]!.replace("=0", "=1")]);
    expect(inContainer(env, "ipvsadm", "-A -t 10.0.0.1:80").stderr).toBe("");
    expect(inContainer(env, "ipvsadm", "-A -t [2001:db8::1]:80").stderr).toMatch(/services of IPv6: .*ipv6/);
    expect(ipvsadm("-Sn").stdout).toBe("-A -t 10.0.0.1:80 -s wlc\n");
    ipvsadm("-C");
  });

  test("nothing that lvsd planes and the manual do not tell", () => {
    const shown = command("lvsd", "planes").stdout;
    for (const sentence of [...REFUSALS, ...DEVIATIONS]) expect(shown).toContain(sentence);
    for (const page of ["docs/ebpf.md", "docs/differences.md"]) {
      const text = readFileSync(page, "utf8");
      for (const word of [
        "SIP",
        "drop_entry",
        "conntrack",
        "ragments",
        "LBLC|lblc",
        "fits",
        "full",
        "iptables",
      ])
        expect(text).toMatch(new RegExp(word));
    }
  });
});
