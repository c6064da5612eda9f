/**
 * `lvsd lab failover`: the client of a pair of directors is hardly disturbed, whatever happens to the master.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { PREFIX, removeLabs, runLvsd } from "./lab-console.ts";

const ready = process.getuid?.() === 0;

afterAll(() => removeLabs(`${PREFIX}f`, `${PREFIX}s`));

test.skipIf(!ready)(
  "failover: a stopped master, a lost one, and one that is back cost the client less than seconds",
  async () => {
    const links = execFileSync("ip", ["-br", "link"], { encoding: "utf8" });
    const { status, text } = await runLvsd("lab", "failover", "--prefix", `${PREFIX}f`);
    expect(status, text).toBe(0);
    const gaps = [...text.matchAll(/^(\d+) answers, at most ([\d.]+) s apart$/gm)];
    expect(gaps).toHaveLength(5);
    for (const [line, answers, seconds] of gaps) {
      expect(Number(answers), line).toBeGreaterThan(1);
      expect(Number(seconds), line).toBeLessThan(5);
    }
    expect(text).toContain("192.168.80.101 resigned");
    expect(text).toContain("no advert from 192.168.80.101");
    expect(
      (existsSync("/run/netns") ? readdirSync("/run/netns") : []).filter((n) => n.startsWith(`${PREFIX}f`)),
    ).toEqual([]);
    expect(execFileSync("ip", ["-br", "link"], { encoding: "utf8" })).toBe(links);
  },
);

test.skipIf(!ready)(
  "failover --sync: a download outlives the death of its director and its return",
  async () => {
    const { status, text } = await runLvsd("lab", "failover", "--sync", "--prefix", `${PREFIX}s`);
    expect(status, text).toBe(0);
    expect(text).toMatch(/ESTABLISHED +192\.168\.80\.10:\d+ +192\.168\.80\.200:80/m);
    expect(text).toMatch(
      /the whole connection table of 192\.168\.80\.104 is here: [1-9]\d* connections?, after/,
    );
    expect(text).toContain("curl ended with status 0\n");
    expect(text).toMatch(/^20000000 bytes$/m);
    const pauses = [...text.matchAll(/^longest pause ([\d.]+) s$/gm)].map(([, s]) => Number(s));
    expect(pauses).toHaveLength(2);
    for (const seconds of pauses) {
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThan(10);
    }
  },
);
