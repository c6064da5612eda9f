import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { knownMissing } from "./verdict.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-verdict-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([undefined, "no libbpf"])("what was found out once (%s) is not tried again", async (missing) => {
  let tries = 0;
  const find = async (): Promise<string | undefined> => {
    tries++;
    return missing;
  };
  expect(await knownMissing(folder, find)).toBe(missing);
  expect(await knownMissing(folder, find)).toBe(missing);
  expect(tries).toBe(1);
});

test("where nothing can be written down it is tried every time", async () => {
  let tries = 0;
  for (let i = 0; i < 2; i++) await knownMissing("/dev/null/nowhere", async () => void tries++);
  expect(tries).toBe(2);
});

test("another boot, kernel or privilege asks anew", async () => {
  const { writeFileSync } = await import("node:fs");
  writeFileSync(join(folder, "ebpf-works.json"), JSON.stringify({ when: "another time" }));
  expect(await knownMissing(folder, async () => "now it is missing")).toBe("now it is missing");
});

test("that it does not work is tried again after a while, that it works is not", async () => {
  const aged = (): void => utimesSync(join(folder, "ebpf-works.json"), 0, 0);
  expect(await knownMissing(folder, async () => "no memory")).toBe("no memory");
  aged();
  expect(await knownMissing(folder, async () => undefined)).toBeUndefined();
  aged();
  expect(await knownMissing(folder, async () => "not asked")).toBeUndefined();
});
