import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ProgramResult, ProgramSpec } from "./program.ts";
import { runAllowed, ScriptQueue, type ScriptReport } from "./queue.ts";

const fine: ProgramResult = {
  status: 0,
  signal: null,
  timedOut: false,
  aborted: false,
  output: "",
  latencyMs: 1,
};

/** A queue whose programs end when told to. */
function bed(policy = { enforce: false }) {
  const started: string[] = [];
  const specs: ProgramSpec[] = [];
  const ends = new Map<string, (result: ProgramResult) => void>();
  const reports: ScriptReport[] = [];
  const queue = new ScriptQueue({
    policy,
    report: (report) => reports.push(report),
    run: (spec, signal) =>
      new Promise((resolve) => {
        const name = spec.command.join(" ");
        started.push(name);
        specs.push(spec);
        ends.set(name, resolve);
        signal.addEventListener("abort", () => resolve({ ...fine, status: null, aborted: true }));
      }),
  });
  const end = async (name: string, result: Partial<ProgramResult> = {}): Promise<void> => {
    ends.get(name)!({ ...fine, ...result });
    await new Promise((resolve) => setImmediate(resolve));
  };
  const add = (about: string, name: string, ...args: string[]): void =>
    void queue.add(about, "notify", { command: [name] }, args);
  return { queue, started, specs, reports, end, add };
}

describe("ScriptQueue", () => {
  test("scripts about one thing wait for each other, those about another do not", async () => {
    const { add, started, end } = bed();
    add("A", "a1");
    add("A", "a2", "x");
    add("B", "b1");
    expect(started).toEqual(["a1", "b1"]);
    await end("a1");
    expect(started).toEqual(["a1", "b1", "a2 x"]);
  });

  test("a script that fails or runs out of time is reported and the next goes on", async () => {
    const { add, reports, end, started } = bed();
    add("A", "a1");
    add("A", "a2");
    add("A", "a3");
    await end("a1", { status: 3 });
    await end("a2", { status: null, signal: "SIGTERM", timedOut: true });
    expect(reports.map((r) => r.problem)).toEqual(["exit status 3", "ended after 60 s, its time limit"]);
    expect(started).toEqual(["a1", "a2", "a3"]);
  });

  test("no more than 32 run at one time, and all get their turn", async () => {
    const { add, started, end, queue } = bed();
    for (let i = 0; i < 100; i++) add(`A${i}`, `s${i}`);
    expect(started.length).toBe(32);
    for (let i = 0; i < 100; i++) await end(`s${i}`);
    expect(started.length).toBe(100);
    expect(queue.length).toBe(0);
  });

  test("the user of the script beats that of the configuration, and brings its own group", async () => {
    const { queue, specs } = bed();
    queue.policy = { enforce: false, user: "web", group: "adm" };
    void queue.add("A", "x", { command: ["a"] });
    void queue.add("B", "x", { command: ["b"], user: "me" });
    expect(specs.map(({ user, group }) => [user, group])).toEqual([
      ["web", "adm"],
      ["me", undefined],
    ]);
  });

  test("idle() tells whether all ended within the limit", async () => {
    const { queue, add, end } = bed();
    add("A", "a1");
    expect(await queue.idle(5)).toBe(false);
    const idle = queue.idle(10_000);
    await end("a1");
    expect(await idle).toBe(true);
  });

  test("close() ends what runs", async () => {
    const { queue, add, reports } = bed();
    add("A", "a1");
    queue.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(reports[0]!.problem).toBe("ended because the daemon stops");
  });
});

describe("runAllowed()", () => {
  const signal = new AbortController().signal;

  test("runs a program as the policy's user, and with the group named for it", async () => {
    const seen: ProgramSpec[] = [];
    const run = (spec: ProgramSpec) => {
      seen.push(spec);
      return Promise.resolve(fine);
    };
    const policy = { enforce: false, user: "web", group: "adm" };
    await runAllowed(policy, { command: ["x"] }, signal, run);
    await runAllowed(policy, { command: ["x"], group: "staff" }, signal, run);
    await runAllowed(policy, { command: ["x"], user: "me" }, signal, run);
    expect(seen.map(({ user, group }) => [user, group])).toEqual([
      ["web", "adm"],
      ["web", "staff"],
      ["me", undefined],
    ]);
  });

  test("does not run what others may change, and says which file that is", async () => {
    const folder = mkdtempSync(join(tmpdir(), "lvsd-queue-"));
    try {
      const script = join(folder, "script");
      writeFileSync(script, "#!/bin/sh\n");
      chmodSync(script, 0o777);
      const run = () => Promise.reject(new Error("it ran"));
      const result = await runAllowed({ enforce: true }, { command: [script] }, signal, run);
      // Whoever runs this test may not be root: then the file is theirs, which is no better.
      expect(result.failure).toMatch(/^not run: .* (is writable by everybody|belongs to user \d+)/);
      expect(result.status).toBeNull();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
