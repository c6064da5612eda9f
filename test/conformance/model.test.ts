/** Every scenario on the model: the director, a simulated host and the commands, all in this process. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { ModelStage } from "../../src/testkit/model-stage.ts";
import { play } from "../../src/testkit/play.ts";
import { scenarioFiles } from "../../src/testkit/run-scenarios.ts";
import { parseScenarios, usesLocal } from "../../src/testkit/scenario.ts";

for (const file of scenarioFiles()) {
  describe(basename(file, ".txt"), () => {
    for (const scenario of parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8"))) {
      const reason = scenario.tags.get("kernel-only");
      it.skipIf(reason !== undefined)(scenario.title, async () => {
        const failures = await play(scenario, new ModelStage({ local: usesLocal(scenario) }));
        expect(failures.join("\n")).toBe("");
      });
    }
  });
}
