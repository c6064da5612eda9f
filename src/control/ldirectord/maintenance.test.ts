import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileNames, MaintenanceChecker } from "./maintenance.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-maintenance-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const signal = new AbortController().signal;
const checker = (address = "192.0.2.7", port = 80, name?: string, where = folder) => {
  const family = address.includes(":") ? (6 as const) : (4 as const);
  const spec = {
    kind: "maintenance",
    target: { family, address, port },
    timeoutMs: 1000,
    folder: where,
  } as const;
  return new MaintenanceChecker(spec, async () => name);
};

test("a server is named by its address or its names, with or without its port", () => {
  expect(fileNames({ family: 4, address: "192.0.2.7", port: 80 }, "web1.example.test")).toEqual([
    "192.0.2.7:80",
    "192.0.2.7",
    "web1.example.test:80",
    "web1.example.test",
    "web1:80",
    "web1",
  ]);
  expect(fileNames({ family: 6, address: "2001:db8::7", port: 80 }, undefined)).toEqual([
    "[2001:db8::7]:80",
    "[2001:db8::7]",
  ]);
});

test("a file takes the server down at once and finally, and its absence is no trouble", async () => {
  expect(await checker().check(signal)).toMatchObject({ ok: true });
  for (const file of ["192.0.2.7:80", "192.0.2.7", "web1", "web1.example.test:80"]) {
    writeFileSync(join(folder, file), "");
    const verdict = await checker("192.0.2.7", 80, "web1.example.test").check(signal);
    expect(verdict, file).toMatchObject({ ok: false, final: true });
    expect(verdict.detail).toContain(file);
    rmSync(join(folder, file));
    expect(await checker("192.0.2.7", 80, "web1.example.test").check(signal)).toMatchObject({ ok: true });
  }
});

test("other servers and other ports stay up", async () => {
  writeFileSync(join(folder, "192.0.2.7:81"), "");
  expect(await checker().check(signal)).toMatchObject({ ok: true });
  expect(await checker("192.0.2.70").check(signal)).toMatchObject({ ok: true });
});

test("a missing folder is an empty one", async () => {
  expect(await checker("192.0.2.7", 80, undefined, join(folder, "nothing")).check(signal)).toMatchObject({
    ok: true,
  });
});
