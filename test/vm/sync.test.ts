/**
 * Connection synchronisation between the kernel's ip_vs and the engine, in a virtual machine, either of them as the master, in both
 * protocol versions. Part of `npm run test:kernel`.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { obstacle, ROOT, runInGuest } from "./guest.ts";
import type { Case, Driven, Synchronised, Task } from "./sync-player.ts";

const reason =
  process.env["LVSD_KERNEL"] === "all" ? obstacle() : "it takes four minutes; npm run test:kernel plays it";
if (reason) console.log(`synchronisation with the kernel is left out: ${reason}`);

const cases: readonly Case[] = [
  { master: "kernel", backup: "engine", version: 1 },
  { master: "engine", backup: "kernel", version: 1 },
  { master: "kernel", backup: "engine", version: 0 },
  { master: "engine", backup: "kernel", version: 0 },
];

describe.skipIf(reason !== "")("connection synchronisation with the kernel's ip_vs", () => {
  const outcomes = new Map<string, Synchronised>();
  let daemons: readonly string[] = [];
  beforeAll(async () => {
    const entry = join(import.meta.dirname, "sync-player.ts");
    const task: Task = { dist: join(ROOT, "dist"), cases };
    const hear = (told: Synchronised | Driven): void => {
      if ("daemons" in told) daemons = told.daemons;
      else outcomes.set(told.name, told);
    };
    await runInGuest<Synchronised | Driven>(entry, [task], hear, 600);
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

  it("a kernel leaves out what is announced of full-NAT, and takes what stands behind it", () => {
    const { mixed } = outcomes.get("engine kernel 1")!;
    expect(mixed).toMatch(/ESTABLISHED 10\.1\.0\.2:43001/);
    expect(mixed).not.toContain(":43000");
  });

  it("lvs_sync_daemon drives the kernel's own daemons: each role has one, with every option", () => {
    const options = "sync daemon (mcast=eth0, syncid=7, maxlen=1000, group=224.0.0.99, port=9999, ttl=3)";
    const backup = `backup ${options.replace("1000", "1024")}`;
    // A backup that became master goes on for three seconds; at the very start nothing runs yet.
    const roles = daemons.filter((text) => text !== "" && !text.includes("\n"));
    expect(roles, daemons.join(" | ")).toEqual([backup, `master ${options}`, backup, `master ${options}`]);
    expect(daemons.at(-1)).toBe("");
  });
});
