import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { vrrpInstance, vrrpSpec } from "../../testkit/vrrp-spec.ts";
import type { ProgramResult } from "../scripts/program.ts";
import type { TrackResult } from "./messages.ts";
import { type Run, remember, type ScriptMemory } from "./run-track-scripts.ts";
import type { TrackProcessSpec, TrackScriptSpec } from "./spec.ts";
import { createTrackers, type Trackers } from "./trackers.ts";
import { numberIn } from "./watch-track-files.ts";
import { matches } from "./watch-track-processes.ts";

const at = { file: "t", line: 1, column: 1 };
const script = (over: Partial<TrackScriptSpec> = {}): TrackScriptSpec => ({
  name: "chk",
  script: { command: ["/bin/true"] },
  intervalMs: 1000,
  timeoutMs: 0,
  weight: 0,
  reverse: false,
  rise: 1,
  fall: 1,
  at,
  ...over,
});
const track = (name: string) => ({ name, weight: 0, reverse: false });
const directory = mkdtempSync(join(tmpdir(), `lv${process.pid}t-`));
afterAll(() => rmSync(directory, { recursive: true }));

let trackers: Trackers | undefined;
afterEach(() => {
  trackers?.close();
  vi.useRealTimers();
});

test.each([
  ["the first result decides alone", "b", 3, 3, "b"],
  ["fall in a row", "gbbgbbb", 1, 3, "ggggggb"],
  ["rise in a row", "bggbggg", 3, 1, "bbbbbbg"],
])("rise and fall: %s", (_, results, rise, fall, expected) => {
  let memory: ScriptMemory = { good: undefined, streak: 0 };
  let seen = "";
  for (const r of results) {
    memory = remember(memory, r === "g", { rise, fall });
    seen += memory.good ? "g" : "b";
  }
  expect(seen).toBe(expected);
});

const result = (status: number | null, over: Partial<ProgramResult> = {}): ProgramResult => ({
  status,
  signal: null,
  timedOut: false,
  aborted: false,
  output: "",
  latencyMs: 1,
  ...over,
});

test("a script runs at once and then from start to start; a run that is still going is not joined by another", async () => {
  vi.useFakeTimers();
  const runs: { end: (r: ProgramResult) => void; timeoutMs: number | undefined }[] = [];
  const run: Run = ({ timeoutMs }) => new Promise((resolve) => runs.push({ end: resolve, timeoutMs }));
  const results: TrackResult[] = [];
  const log: string[] = [];
  trackers = createTrackers({ onResult: (r) => results.push(r), log: (t) => log.push(t), run });
  const spec = vrrpSpec([vrrpInstance({ trackScripts: [track("chk")] })], { scripts: [script()] });
  trackers.configure(spec);
  expect(runs).toHaveLength(1);
  expect(runs[0].timeoutMs).toBe(1000); // the interval
  await vi.advanceTimersByTimeAsync(1000);
  expect(runs).toHaveLength(1);
  expect(log).toEqual(["Script `chk` is still running - skipping run"]);
  runs[0].end(result(0));
  await vi.advanceTimersByTimeAsync(1000);
  expect(results).toEqual([{ kind: "track", item: "script", name: "chk", value: 1 }]);
  runs[1].end(result(3));
  await vi.advanceTimersByTimeAsync(1000);
  expect(results.at(-1)).toMatchObject({ value: 0 });
  expect(log.slice(1)).toEqual([
    "VRRP_Script(chk) succeeded",
    "Script `chk` now returning 3",
    "VRRP_Script(chk) failed (exited with status 3)",
  ]);
  runs[2].end(result(null, { timedOut: true }));
  await vi.advanceTimersByTimeAsync(1);
  expect(results).toHaveLength(2); // failed before, fails now
  expect(trackers.results()).toEqual([{ kind: "track", item: "script", name: "chk", value: 0 }]);
  // A reload with another weight lets it go on; another interval starts it anew.
  trackers.configure({ ...spec, scripts: [script({ weight: 20 })] });
  expect(runs).toHaveLength(3);
  trackers.configure({ ...spec, scripts: [script({ intervalMs: 500 })] });
  expect(runs).toHaveLength(4);
});

test("what nothing tracks is not run", () => {
  const run = vi.fn<Run>();
  trackers = createTrackers({ onResult: () => {}, log: () => {}, run });
  trackers.configure(vrrpSpec([vrrpInstance()], { scripts: [script()] }));
  expect(run).not.toHaveBeenCalled();
});

test("a real script's exit status is its result", async () => {
  const results: number[] = [];
  trackers = createTrackers({ onResult: (r) => results.push(r.value), log: () => {} });
  const scripts = [script({ name: "good" }), script({ name: "bad", script: { command: ["/bin/false"] } })];
  trackers.configure(vrrpSpec([vrrpInstance({ trackScripts: [track("good"), track("bad")] })], { scripts }));
  await vi.waitFor(() => expect(results.sort()).toEqual([0, 1]), 10_000);
});

test("a file is followed: made, changed, taken away", async () => {
  const path = join(directory, "number");
  const values: number[] = [];
  trackers = createTrackers({ onResult: (r) => values.push(r.value), log: () => {} });
  const file = { name: "f", path, weight: 1, init: { value: 5, overwrite: true }, at };
  trackers.configure(vrrpSpec([vrrpInstance({ trackFiles: [track("f")] })], { files: [file] }));
  expect(values).toEqual([5]);
  writeFileSync(path, "-7\n");
  await vi.waitFor(() => expect(values).toEqual([5, -7]), 10_000);
  rmSync(path);
  await vi.waitFor(() => expect(values).toEqual([5, -7, 0]), 10_000);
});

test("this very process is counted by its name", () => {
  const values: number[] = [];
  trackers = createTrackers({ onResult: (r) => values.push(r.value), log: () => {} });
  const base = { match: "name", weight: 0, quorum: 1, delayMs: 0, fullCommand: false, at } as const;
  const processes: TrackProcessSpec[] = [
    { ...base, name: "there", command: ["sh"], quorum: 0 },
    { ...base, name: "none", command: ["no-such-program"] },
  ];
  trackers.configure(
    vrrpSpec([vrrpInstance({ trackProcesses: [track("there"), track("none")] })], { processes }),
  );
  expect(values).toEqual([1, 0]);
});

test.each([
  ["42\n", 42],
  [" -3 words", -3],
  ["", 0],
  ["none", undefined],
])("the number in %j is %s", (text, value) => expect(numberIn(text)).toBe(value));

test.each([
  ["name", ["nginx"], true],
  ["name", ["/usr/sbin/nginx"], true],
  ["name", ["ngin"], false],
  ["exact", ["nginx", "-g", "daemon off;"], true],
  ["exact", ["nginx", "-g"], false],
  ["initial", ["nginx", "-g"], true],
  ["initial", ["nginx", "-c"], false],
  ["partial", ["nginx", "daemon"], true],
  ["partial", ["nginx", "demon"], false],
] as const)("track_process by %s: %j is nginx -g 'daemon off;': %s", (match, command, expected) => {
  const spec: TrackProcessSpec = {
    name: "p",
    command,
    match,
    weight: 1,
    quorum: 1,
    delayMs: 0,
    fullCommand: false,
    at,
  };
  expect(matches(spec, { name: "nginx", command: ["nginx", "-g", "daemon off;"] })).toBe(expected);
});
