/**
 * Scenarios on the kernel's own ip_vs, in a virtual machine: those tagged {quick}, or with LVSD_KERNEL=all (`npm run
 * test:kernel`) every one.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Outcome, runOnKernel, scenarioFiles } from "../../src/testkit/run-scenarios.ts";
import { parseScenarios, type Scenario } from "../../src/testkit/scenario.ts";

const tag = process.env["LVSD_KERNEL"] === "all" ? "" : "quick";

/** Why there can be no virtual machine here, or "". */
function obstacle(): string {
  if (process.getuid?.() !== 0) return "needs root";
  if (process.arch !== "x64") return `the guest is x86_64, this machine is ${process.arch}`;
  const qemu = spawnSync("qemu-system-x86_64", ["--version"]);
  return qemu.error ? "needs qemu-system-x86_64 (Debian package qemu-system-x86)" : "";
}

const reason = obstacle();
if (reason) console.log(`scenarios on the kernel's ip_vs are left out: ${reason}`);

const chosen: Scenario[] = scenarioFiles()
  .flatMap((file) => parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")))
  .filter((s) => (tag === "" || s.tags.has(tag)) && !s.tags.has("model-only"));

describe.skipIf(reason !== "")("the kernel's ip_vs", () => {
  const outcomes = new Map<string, Outcome>();
  beforeAll(async () => {
    await runOnKernel({ tag }, (outcome) => outcomes.set(`${outcome.topic}:${outcome.line}`, outcome));
  }, 1_200_000);

  for (const { topic, title, line } of chosen) {
    it(`${topic}: ${title}`, () => {
      expect(outcomes.get(`${topic}:${line}`)?.failures.join("\n")).toBe("");
    });
  }
});
