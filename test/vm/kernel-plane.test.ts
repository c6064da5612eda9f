/**
 * Our ipvsadm on the kernel plane, in a virtual machine: every golden case, and generated tables that each program writes and
 * both list. With LVSD_KERNEL=all (`npm run test:kernel`) more of both, and the scenarios set up with our ipvsadm.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Outcome as Played, runOnKernel, scenarioFiles } from "../../src/testkit/run-scenarios.ts";
import { parseScenarios } from "../../src/testkit/scenario.ts";
import { obstacle, ROOT, runInGuest } from "./guest.ts";
import type { Task, Told } from "./kernel-plane-player.ts";
import { tables } from "./tables.ts";

const all = process.env["LVSD_KERNEL"] === "all";
const seed = Number(process.env["SEED"] ?? 31);
const CASES = join(ROOT, "test/golden/cases");
const cases = readdirSync(CASES)
  .filter((name) => name.endsWith(".sh"))
  .map((name) => basename(name, ".sh"));

const task: Task = {
  cases: CASES,
  dist: join(ROOT, "dist"),
  here: cases,
  built: all ? cases : ["add-ipv6", "clear"],
  tables: tables(all ? 320 : 20, seed).map((rules, number) => ({ number, rules })),
  live: true,
};

const reason = obstacle();
if (reason) console.log(`the kernel plane's tests are left out: ${reason}`);

describe.skipIf(reason !== "")("our ipvsadm on the kernel plane", () => {
  const outcomes = new Map<string, Told>();
  beforeAll(async () => {
    const entry = join(import.meta.dirname, "kernel-plane-player.ts");
    await runInGuest<Told>(entry, [task], (told) => outcomes.set(`${told.kind} ${told.name}`, told), 1500);
  }, 1_800_000);

  const ok = (which: string): void => {
    const outcome = outcomes.get(which);
    expect(outcome, `${which} was played`).toBeDefined();
    expect(outcome!.got).toBe(outcome!.expected);
  };
  for (const name of task.here) {
    it(`answers byte for byte as ipvsadm 1.31 did: ${name}`, () => ok(`here ${name}`));
  }
  for (const name of task.built) {
    it(`answers so too as a built command that finds the plane by itself: ${name}`, () =>
      ok(`built ${name}`));
  }
  it("lists connections, templates and counters as Debian's does", () => ok("traffic "));
  it("reads and writes the settings of its namespace", () => ok("settings "));
  it(`writes and lists ${task.tables.length} generated tables as Debian's does (seed ${seed})`, () => {
    for (const { number, rules } of task.tables) {
      const outcome = outcomes.get(`table ${number}`);
      expect(outcome?.got, `table ${number}:\n${rules}`).toBe(outcome?.expected ?? "an outcome");
    }
  });
});

const scenarios = all
  ? scenarioFiles()
      .flatMap((file) => parseScenarios(basename(file, ".txt"), readFileSync(file, "utf8")))
      .filter((s) => !s.tags.has("model-only"))
  : [];

describe.skipIf(reason !== "" || scenarios.length === 0)(
  "the kernel's ip_vs with rules by our ipvsadm",
  () => {
    const outcomes = new Map<string, Played>();
    beforeAll(async () => {
      await runOnKernel({ tag: "", commands: "ours" }, (o) => outcomes.set(`${o.topic}:${o.line}`, o));
    }, 2_400_000);

    for (const { topic, title, line } of scenarios) {
      it(`${topic}: ${title}`, () => {
        expect(outcomes.get(`${topic}:${line}`)?.failures.join("\n")).toBe("");
      });
    }
  },
);
