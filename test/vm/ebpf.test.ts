/**
 * The eBPF plane on the oldest kernel that it works on, 6.1, in the virtual machine: that its programs load there and choose and
 * forward as the model does (kernels before 6.7 verify loops differently), and that ipvsadm works there. With LVSD_KERNEL=all
 * (`npm run test:kernel`) every golden case and every scenario that this plane can play.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { scenarioFiles } from "../../src/testkit/run-scenarios.ts";
import { parseScenarios } from "../../src/testkit/scenario.ts";
import type { Task, Told } from "./ebpf-player.ts";
import { obstacle, ROOT, runInGuest } from "./guest.ts";

const all = process.env["LVSD_KERNEL"] === "all";
const CASES = join(ROOT, "test/golden/cases");
const QUICK_CASES = ["list-modes", "daemon-start-stop"];
/** Parts of titles. */
const QUICK_SCENARIOS = [
  "NAT rewrites address and port on the way in",
  "a persistent service makes a template",
  "PASV: the server's address in the answer",
];
/** What this plane does otherwise, by a part of the title; test/e2e/conformance-ebpf.test.ts says why. */
const OTHERWISE = [
  "a fragmented request is joined",
  "a fragmented reply is translated whole",
  "IPv6 fragments are joined",
  "a firewall mark wins over address and port",
  "a service on a VIP that is not local sees nothing",
  "a client on the director is balanced with NAT",
];

const scenarios = scenarioFiles()
  .flatMap((file) => parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")))
  .filter((s) => s.tags.has("engine") && !s.tags.has("kernel-only"))
  .filter(({ title }) => !OTHERWISE.some((part) => title.includes(part)))
  .filter(({ title }) => all || QUICK_SCENARIOS.some((part) => title.includes(part)));

const task: Task = {
  cases: CASES,
  golden: all
    ? readdirSync(CASES)
        .filter((name) => name.endsWith(".sh"))
        .map((name) => basename(name, ".sh"))
    : QUICK_CASES,
  files: scenarioFiles(),
  scenarios: scenarios.map(({ topic, line }) => `${topic}:${line}`),
  dist: join(ROOT, "dist"),
  choices: all ? 200 : 40,
  packets: all ? 400 : 0,
};

const reason = obstacle();
if (reason) console.log(`the eBPF plane's tests on kernel 6.1 are left out: ${reason}`);

describe.skipIf(reason !== "")("the eBPF plane on kernel 6.1", () => {
  const outcomes = new Map<string, Told>();
  beforeAll(async () => {
    const entry = join(import.meta.dirname, "ebpf-player.ts");
    await runInGuest<Told>(entry, [task], (told) => outcomes.set(`${told.kind} ${told.name}`, told), 3600);
    if (process.env["LVSD_TIMES"]) {
      for (const [what, { ms }] of outcomes) console.log(`${what}: ${ms} ms`);
    }
  }, 3_700_000);

  const ok = (which: string): void => {
    const outcome = outcomes.get(which);
    expect(outcome, `${which} was played`).toBeDefined();
    expect(outcome!.problems.join("\n")).toBe("");
  };

  it("loads its programs", () => ok("kernel loads the programs"));
  it("reads how much memory is left, for the automatic defence modes", () =>
    ok("kernel reads how much memory is left"));
  it("leaves alone what came out of a tunnel, with ignore_tunneled=1 only", () =>
    ok("kernel leaves alone what came out of a tunnel"));
  it("takes its filters off an interface that is a bridge's port now", () =>
    ok("kernel takes its filters off an interface that is a port now"));
  it("removes what a deleted namespace left", () => ok("kernel removes what a deleted namespace left"));
  for (const name of ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "sh", "dh", "mh", "lblc", "lblcr"])
    it(`chooses among 19 servers as the model does: ${name}`, () => ok(`scheduler ${name}`));
  if (task.packets > 0) {
    for (const family of ["IPv4", "IPv6"])
      for (const method of ["nat", "dr", "tun"])
        it(`does with random packets what the model does: ${family}, ${method}`, () =>
          ok(`method ${family}, ${method}`));
  }
  for (const name of task.golden)
    it(`answers byte for byte as ipvsadm 1.31 did: ${name}`, () => ok(`golden ${name}`));
  for (const { topic, title, line } of scenarios)
    it(`plays ${topic}: ${title}`, () => ok(`scenario ${topic}:${line}`));
});
