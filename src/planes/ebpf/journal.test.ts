import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { serviceSpec } from "../../core/table.ts";
import { Journal } from "./journal.ts";
import type { Operation } from "./operation.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-journal-"));
  path = join(folder, "rules");
});
afterEach(() => rmSync(folder, { recursive: true }));

const journal = (cookie = "1"): Journal => new Journal(path, "boot", cookie);
const add = (id: number): Operation => ({
  op: "addService",
  id,
  spec: serviceSpec({ kind: "fwmark", family: 4, fwmark: id }),
});

test("says what was added, and whether the maps have it", () => {
  const j = journal();
  expect(j.read()).toBeUndefined();
  j.rewrite([], true);
  j.append([add(1), add(2)]);
  expect(journal().read()).toEqual({ operations: [add(1), add(2)], applied: false });
  j.applied();
  expect(journal().read()).toEqual({ operations: [add(1), add(2)], applied: true });
});

test("a line that was not written to its end never happened", () => {
  journal().rewrite([add(1)], true);
  const { size } = statSync(path);
  appendFileSync(path, '{"op":"addServ');
  expect(journal().read()).toEqual({ operations: [add(1)], applied: true });
  expect(statSync(path).size).toBe(size);
});

test("a line that nobody wrote is named, with the way out", () => {
  journal().rewrite([add(1)], true);
  appendFileSync(path, "garbage\n");
  expect(() => journal().read()).toThrow(`${path}:4: this line is no rule; "lvsd planes reset" removes`);
});

test("another namespace's or another boot's file is not read", () => {
  journal("1").rewrite([add(1)], true);
  expect(journal("2").read()).toBeUndefined();
  expect(new Journal(path, "another boot", "1").read()).toBeUndefined();
});

test("knows when somebody else wrote", () => {
  const [mine, other] = [journal(), journal()];
  mine.rewrite([], true);
  expect(mine.current).toBe(true);
  other.read();
  other.append([add(1)]);
  expect(mine.current).toBe(false);
  mine.read();
  expect(mine.current).toBe(true);
  other.rewrite([], true);
  expect(mine.current).toBe(false);
  for (const j of [mine, other]) j.close();
});

test("knows that somebody else wrote as much, in whatever file", () => {
  const [mine, other] = [journal(), journal()];
  mine.rewrite([add(1)], true);
  // Inode numbers come back when nobody has the file open.
  for (let i = 0; i < 20; i++) {
    other.rewrite([add(2)], true);
    expect(mine.current).toBe(false);
  }
  for (const look of [() => mine.glance(), () => mine.read()]) {
    other.read();
    const { size } = other;
    other.append([add(3)]);
    look();
    other.undo(size);
    other.read();
    other.append([add(4)]);
    expect(mine.current).toBe(false);
    other.undo(size);
  }
  // What is torn was no line: it may end as another one.
  const { size } = statSync(path);
  appendFileSync(path, '{"op":');
  mine.glance();
  other.read();
  appendFileSync(path, "123456");
  expect(statSync(path).size).toBe(size + 6);
  expect(mine.current).toBe(false);
  for (const j of [mine, other]) j.close();
});

test("takes back what could not be done", () => {
  const j = journal();
  j.rewrite([add(1)], true);
  const { size } = j;
  const before = readFileSync(path, "utf8");
  j.append([add(2)]);
  j.undo(size);
  expect(readFileSync(path, "utf8")).toBe(before);
});

test.runIf(process.getuid?.() === 0)("leaves nothing of a change that a full disk takes a part of", () => {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8k", "lvsd-test", folder]);
  try {
    const j = journal();
    j.rewrite([add(1)], true);
    // Its first lines would fit.
    const change = Array.from({ length: 100 }, (_, i) => add(2 + i));
    expect(() => j.append(change)).toThrow(/ENOSPC/);
    expect(j.current).toBe(true);
    expect(journal().read()).toEqual({ operations: [add(1)], applied: true });
    j.append([add(2)]);
    expect(journal().read()).toEqual({ operations: [add(1), add(2)], applied: false });
    j.close();
  } finally {
    execFileSync("umount", ["-l", folder]);
  }
});
