import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Memory } from "../../control/supervision.ts";
import { readMemory, writeMemory } from "./memory-file.ts";

const folder = mkdtempSync(join(tmpdir(), "lvsd-memory-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("what a daemon left is its successor's, but no daemon's of another namespace with the same file", () => {
  const path = join(folder, "daemon-1.state.json");
  const nothing = { holds: [], virtualServers: [] };
  const memory: Memory = { holds: [], virtualServers: [{ name: "10.0.0.1:80", ids: [], servers: [] }] };
  expect(readMemory(path, "7")).toEqual(nothing);
  writeMemory(path, memory, "7");
  expect(readMemory(path, "7")).toEqual(memory);
  expect(readMemory(path, "8")).toEqual(nothing);
  writeFileSync(path, '{"netns":"7","mem');
  expect(readMemory(path, "7")).toEqual(nothing);
});
