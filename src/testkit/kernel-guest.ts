/**
 * Runs inside the virtual machine: plays scenarios on the kernel's ip_vs, each in a network namespace of its own, and prints
 * a line of JSON for each, behind `@@ `. Arguments: a file with a list of scenario files and the tag that a scenario must
 * have ("" for all); of each, what is not for the kernel is left out.
 * @module
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { play } from "./play.ts";
import { parseScenarios, type Scenario } from "./scenario.ts";
import { TunStage, writeSysctl } from "./tun-stage.ts";

const { files, tag, only } = JSON.parse(readFileSync(process.argv[2], "utf8")) as {
  files: string[];
  tag: string;
  only: string;
};

function usesLocal(scenario: Scenario): boolean {
  return scenario.steps.some(
    (step) => step.kind === "packet" && (step.side === "local" || step.outputs.some((o) => o.side === "local")),
  );
}

async function playOnKernel(scenario: Scenario): Promise<string[]> {
  let stage: TunStage | undefined;
  try {
    stage = new TunStage({
      ipvsadm: ["/usr/sbin/ipvsadm"],
      setting: (name, value) => writeSysctl(`net.ipv4.vs.${name}`, value),
      synchronous: true,
      local: usesLocal(scenario),
    });
    return await play(scenario, stage);
  } catch (error) {
    return [String((error as Error).stack)];
  } finally {
    stage?.close();
  }
}

const scenarios = files
  .flatMap((file) => parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")))
  .filter((s) => (tag === "" || s.tags.has(tag)) && !s.tags.has("model-only"))
  .filter((s) => only === "" || `${s.topic}: ${s.title}`.includes(only));

try {
  writeSysctl("net.ipv4.icmp_msgs_per_sec", "1000000");
  writeSysctl("net.ipv4.icmp_msgs_burst", "1000000");
} catch {
  // older kernels have one limit only
}
for (const { topic, title, line, ...rest } of scenarios) {
  const started = Date.now();
  const failures = await playOnKernel({ topic, title, line, ...rest });
  console.log(`@@ ${JSON.stringify({ topic, title, line, failures, ms: Date.now() - started })}`);
}
console.log("@@ done");
