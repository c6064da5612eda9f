import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { machineRoot } from "../../sys/bpf/machine-root.ts";
import { pathsOf } from "./paths.ts";

const folder = mkdtempSync(join(tmpdir(), "lvsd-paths-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a folder behind a link is the one that it leads to, also before it is made", () => {
  mkdirSync(`${folder}/run`);
  symlinkSync(`${folder}/run`, `${folder}/var-run`);
  const paths = pathsOf("7", `${folder}/var-run/lvsd`);
  expect(paths.mount).toBe(`${folder}/run/lvsd/bpf`);
  expect(paths.pins).toBe(`${machineRoot()}${folder}/run/lvsd/bpf/7`);
});
