import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { alive, removePid, writePid } from "./pidfile.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-pid-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a pid file is written with its folder, and removed only by the process it names", () => {
  const path = join(folder, "run/x.pid");
  writePid(path, 4711);
  expect(readFileSync(path, "utf8")).toBe("4711\n");
  removePid(path, 1);
  expect(existsSync(path)).toBe(true);
  removePid(path, 4711);
  expect(existsSync(path)).toBe(false);
});

test("alive() takes a zombie for dead", async () => {
  const path = join(folder, "x.pid");
  // A shell that starts a child, says its number, and never looks after it.
  const parent = spawn("sh", ["-c", "sleep 0.2 & echo $!; exec sleep 30"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    const pid = await new Promise<string>((resolve) => parent.stdout.once("data", (d) => resolve(String(d))));
    writeFileSync(path, pid);
    for (let i = 0; i < 200 && alive(path) !== undefined; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(existsSync(`/proc/${pid.trim()}`)).toBe(true);
    expect(alive(path)).toBeUndefined();
  } finally {
    parent.kill("SIGKILL");
  }
});

test("alive() tells a living process from a stale file, garbage, and ourselves", () => {
  const path = join(folder, "x.pid");
  expect(alive(path)).toBeUndefined();
  writeFileSync(path, `${process.ppid}\n`);
  expect(alive(path)).toBe(process.ppid);
  writeFileSync(path, "4194303\n"); // the largest there can be
  expect(alive(path)).toBeUndefined();
  writeFileSync(path, "no number");
  expect(alive(path)).toBeUndefined();
  writeFileSync(path, `${process.pid}`);
  expect(alive(path)).toBeUndefined();
});
