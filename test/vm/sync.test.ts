/**
 * Connection synchronisation between the kernel's ip_vs and the engine, in a virtual machine, either of them as the master, in both
 * protocol versions. Part of `npm run test:kernel`.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { obstacle, ROOT, runInGuest } from "./guest.ts";
import type { Case, Task, Told } from "./sync-player.ts";

const reason =
  process.env["LVSD_KERNEL"] === "all" ? obstacle() : "it takes three minutes; npm run test:kernel plays it";
if (reason) console.log(`synchronisation with the kernel is left out: ${reason}`);

const cases: readonly Case[] = [
  { master: "kernel", backup: "engine", version: 1 },
  { master: "engine", backup: "kernel", version: 1 },
  { master: "kernel", backup: "engine", version: 0 },
  { master: "engine", backup: "kernel", version: 0 },
];

describe.skipIf(reason !== "")("connection synchronisation with the kernel's ip_vs", () => {
  const outcomes = new Map<string, Told>();
  beforeAll(async () => {
    const entry = join(import.meta.dirname, "sync-player.ts");
    const task: Task = { dist: join(ROOT, "dist"), cases };
    await runInGuest<Told>(entry, [task], (told) => outcomes.set(told.name, told), 600);
  }, 900_000);

  for (const { master, backup, version } of cases) {
    it(`version ${version}: the ${backup} has what the ${master} announces, open and after the end`, () => {
      const told = outcomes.get(`${master} ${backup} ${version}`)!;
      expect(told.open.backup).toBe(told.open.master);
      expect(told.open.master.match(/ESTABLISHED 10\.1\.0\.2:4100\d/g)).toHaveLength(4);
      expect(told.open.master).toMatch(/UDP mm:ss\s+UDP\s+10\.1\.0\.2:42000/);
      expect(told.open.master).toMatch(/ASSURED\s+10\.1\.0\.2:0/);
      if (version === 1) {
        expect(told.open.master.match(/ESTABLISHED \[?fd01::2\]?:4100[45]/g)).toHaveLength(2);
        expect(told.open.master).toMatch(/10\.1\.0\.2:0 .*\bsip\b.*f81d4fae@example\.org/);
      }
      expect(told.closed.backup).toBe(told.closed.master);
      expect(told.closed.master).not.toContain("ESTABLISHED");
    });
  }
});
