import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { lvsd, removeLabs, root, runLvsd } from "./lab-console.ts";

afterAll(() => removeLabs());

describe("lvsd install", () => {
  let prefix: string;
  beforeEach(() => {
    prefix = mkdtempSync(join(tmpdir(), "lvsd-install-"));
  });
  afterEach(() => rmSync(prefix, { recursive: true, force: true }));

  test("links every command, a second time finds them, and uninstall removes exactly them", async () => {
    const folder = join(prefix, "sbin");
    expect((await runLvsd("install", "--prefix", prefix)).status).toBe(0);
    const names = readdirSync(folder);
    expect(names).toContain("lvsd");
    expect(readlinkSync(join(folder, "lvsd"))).toBe(lvsd);
    expect(execFileSync(join(folder, "lvsd"), ["lab"], { encoding: "utf8" })).toContain(
      "NAT: requests and replies",
    );
    expect((await runLvsd("install", "--prefix", prefix)).text).toContain("lvsd is there already");
    writeFileSync(join(folder, "another"), "");
    expect((await runLvsd("uninstall", "--prefix", prefix)).status).toBe(0);
    expect(readdirSync(folder)).toEqual(["another"]);
  });

  test("leaves alone a file that it did not make, and says so", async () => {
    await runLvsd("install", "--prefix", prefix);
    await runLvsd("uninstall", "--prefix", prefix);
    const path = join(prefix, "sbin/lvsd");
    writeFileSync(path, "mine");
    const { status, text } = await runLvsd("install", "--prefix", prefix);
    expect(status).toBe(1);
    expect(text).toContain(`${path} exists and is not ours: left as it is`);
    await runLvsd("uninstall", "--prefix", prefix);
    expect(readdirSync(join(prefix, "sbin"))).toEqual(["lvsd"]);
  });
});

describe("scripts/setup", () => {
  const setup = (...words: string[]) =>
    execFileSync("bash", ["scripts/setup", ...words], { cwd: root, encoding: "utf8" });

  test("costs less than a second and says nothing when nothing is to do", () => {
    setup("start");
    const from = Date.now();
    expect(setup("start")).toBe(process.getuid!() === 0 ? "" : expect.stringContaining("not root"));
    expect(Date.now() - from).toBeLessThan(1000);
  });

  test("refuses an unknown purpose with the names of those there are", () => {
    expect(() => setup("stard")).toThrow(/unknown purpose "stard"; known: start kernel test bench/);
  });
});

test("a command line that is wrong says what is wrong", async () => {
  expect((await runLvsd("lap")).text).toContain("unknown command 'lap'");
  expect((await runLvsd("lab", "nat", "--trace", "some")).text).toContain('the depth is nothing or "all"');
  expect((await runLvsd("lab", "nat", "--prefix", "../x")).text).toContain("A prefix is a-z and 0-9");
  expect((await runLvsd("realserver", "tun", "192.0.2.1", "--type", "vxlan")).text).toContain(
    "ipip, gre, gue",
  );
});
