/** Scenarios tagged {engine} on the engine plane: real interfaces, the engine process, the built commands. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Outcome, runOnEngine, scenarioFiles } from "../../src/testkit/run-scenarios.ts";
import { parseScenarios } from "../../src/testkit/scenario.ts";
import { canUseTun } from "../../src/testkit/tun-stage.ts";

const chosen = scenarioFiles()
  .flatMap((file) => parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")))
  .filter((s) => s.tags.has("engine") && !s.tags.has("kernel-only"));

const possible = canUseTun();
if (!possible) console.log("scenarios on the engine plane are left out: they need root and TUN devices");

describe.skipIf(!possible)("the engine plane", () => {
  const outcomes = new Map<string, Outcome>();
  beforeAll(async () => {
    await runOnEngine({ tag: "engine" }, (outcome) =>
      outcomes.set(`${outcome.topic}:${outcome.line}`, outcome),
    );
  }, 600_000);

  for (const { topic, title, line } of chosen) {
    it(`${topic}: ${title}`, () => {
      expect(outcomes.get(`${topic}:${line}`)?.failures.join("\n")).toBe("");
    });
  }
});
