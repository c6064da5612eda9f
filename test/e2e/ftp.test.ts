/** Real FTP clients and servers through the FTP helper: active and passive, both families, many transfers over one control connection. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { BIG, FtpBed, NAMES, VSFTPD } from "./ftp-bed.ts";

const missing = existsSync(VSFTPD)
  ? existsSync("dist/lvsd-ebpf.cjs")
    ? ebpfMissing()
    : "dist/ is not built"
  : "vsftpd is not installed";
if (missing) console.log(`tests of FTP on the eBPF plane are left out: ${missing}`);

/** Longer than the servers' addresses: lines that name it grow. */
const VIP = "10.1.0.100";
const VIP6 = "2001:db8:1::100";

describe.skipIf(missing)("FTP through the eBPF plane", () => {
  const bed = new FtpBed("f", "ebpf");
  const { net } = bed;
  beforeAll(async () => {
    await bed.up();
    net.ip("director", `addr add ${VIP}/32 dev eth0`);
    net.ip("director", `addr add ${VIP6}/128 dev eth0 nodad`);
    for (const [vip, rip] of [
      [VIP, "10.2.0.1"],
      [`[${VIP6}]`, "2001:db8:2::1"],
    ]) {
      await net.ipvsadm(`-A -t ${vip}:21 -s rr -p 100`);
      for (const n of [1, 2]) await net.ipvsadm(`-a -t ${vip}:21 -r ${rip}${n} -m`);
    }
  });
  afterAll(() => bed.down());

  // Few, as curl may take a second for a passive transfer after the first, also without a director.
  test.each([
    ["PASV", VIP, 2, ["--disable-epsv"]],
    ["EPSV", VIP, 3, []],
    ["PORT", VIP, 12, ["--ftp-port", "-", "--disable-eprt"]],
    ["EPRT", VIP, 12, ["--ftp-port", "-"]],
    ["EPSV", `[${VIP6}]`, 3, []],
    ["EPRT", `[${VIP6}]`, 12, ["--ftp-port", "-"]],
  ])("by %s of %s, one transfer after the other", async (_, vip, count, options) => {
    const names = NAMES.slice(0, count);
    const files = await bed.fetch("client", vip, [...names, "big", "", ...names], ...options);
    const expected = names.map((name) => `this is ${name}`);
    // The directory has a data connection too.
    expect(files.splice(count + 1, 1)[0]).toContain(NAMES[11]);
    expect(files).toEqual([...expected, BIG, ...expected]);
  });

  test("data connections are listed, from their own ports", async () => {
    const rows = (await net.ipvsadm("-Lnc")).split("\n");
    expect(
      rows.filter((row) => /10\.1\.0\.2:\d+\s+10\.1\.0\.100:20\s+10\.2\.0\.1[12]:20\b/.test(row)).length,
    ).toBeGreaterThan(NAMES.length);
    expect(
      rows.some((row) => /\s10\.1\.0\.2:\d+\s+10\.1\.0\.100:(\d{4,5})\s+10\.2\.0\.1[12]:\1\s*$/.test(row)),
    ).toBe(true);
  });

  test("for clients on the director itself", async () => {
    const files = await bed.fetch("director", VIP, ["big", NAMES[0]!], "--disable-epsv");
    expect(files).toEqual([BIG, `this is ${NAMES[0]}`]);
  });
});
