import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { dataLines, writeDump } from "./dump.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-dump-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a dump is readable by its owner only and replaces a link in its way, not what the link names", () => {
  const precious = join(folder, "precious");
  writeFileSync(precious, "keep me");
  symlinkSync(precious, join(folder, "keepalived.stats"));
  const path = writeDump("stats", "numbers\n", folder);
  expect(readFileSync(path, "utf8")).toBe("numbers\n");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(precious, "utf8")).toBe("keep me");
});

test("dataLines() indents what is inside and leaves out places in the file", () => {
  expect(dataLines({ a: 1, at: { line: 1 }, b: { c: "x" }, d: [] })).toEqual([" a = 1", " b:", "   c = x"]);
});
