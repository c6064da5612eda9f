/** Scenarios tagged {engine} on the eBPF plane: real interfaces, the BPF programs, the built commands. */
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ebpfMissing } from "../../src/planes/ebpf/probe.ts";
import { type Outcome, runOnEbpf, scenarioFiles } from "../../src/testkit/run-scenarios.ts";
import { parseScenarios } from "../../src/testkit/scenario.ts";
import { canUseTun } from "../../src/testkit/tun-stage.ts";

/** What this plane does otherwise, by a part of the title, and why; docs/ebpf.md tells users. */
const OTHERWISE: readonly (readonly [title: string, why: string])[] = [
  ["a fragmented request is joined", "fragments go on one by one"],
  ["a fragmented reply is translated whole", "fragments go on one by one"],
  ["IPv6 fragments are joined", "fragments go on one by one"],
  ["a firewall mark wins over address and port", "addresses are looked at before netfilter marks the packet"],
  ["a service on a VIP that is not local sees nothing", "packets are looked at before they are routed"],
];

const chosen = scenarioFiles()
  .flatMap((file) => parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")))
  .filter((s) => s.tags.has("engine") && !s.tags.has("kernel-only"));

const missing = !canUseTun()
  ? "they need root and TUN devices"
  : existsSync("dist/lvsd-ebpf.cjs")
    ? ebpfMissing()
    : "dist/ is not built";
if (missing) console.log(`scenarios on the eBPF plane are left out: ${missing}`);

describe.skipIf(missing)("the eBPF plane", () => {
  const outcomes = new Map<string, Outcome>();
  beforeAll(async () => {
    await runOnEbpf({ tag: "engine" }, (outcome) =>
      outcomes.set(`${outcome.topic}:${outcome.line}`, outcome),
    );
  }, 600_000);

  for (const { topic, title, line } of chosen) {
    const why = OTHERWISE.find(([part]) => title.includes(part))?.[1];
    if (why) console.log(`left out on the eBPF plane: ${topic}: ${title}: ${why}`);
    it.skipIf(why)(`${topic}: ${title}`, () => {
      expect(outcomes.get(`${topic}:${line}`)?.failures.join("\n")).toBe("");
    });
  }
});
