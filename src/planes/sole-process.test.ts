import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { becomeSole, removeRemains, soleProcess } from "./sole-process.ts";

const folder = mkdtempSync(join(tmpdir(), "lvsd-sole-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("what a killed process left goes, and nothing of one that runs", async () => {
  const [lock, socket, log] = ["lock", "sock", "log"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  removeRemains({ lock, socket }, [log]);
  for (const path of [lock, socket, log]) writeFileSync(path, "");
  removeRemains({ lock, socket }, [log]);
  expect([lock, socket, log].map(existsSync)).toEqual([false, false, false]);

  // The lock is this process's until it ends.
  expect(soleProcess({ lock, socket })).toBeUndefined();
  expect(await becomeSole({ lock, socket })).toBe(true);
  expect(soleProcess({ lock, socket })).toBe(process.pid);
  writeFileSync(log, "");
  removeRemains({ lock, socket }, [log]);
  expect([lock, log].map(existsSync)).toEqual([true, true]);
});
