import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { CheckSpec, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

const folder = mkdtempSync(join(tmpdir(), "lvsd-checks-"));
afterAll(() => rmSync(folder, { recursive: true }));
const target = { family: 4, address: "192.0.2.1", port: 80 } as const;
const ask = (spec: CheckSpec): Promise<Verdict> => createChecker(spec).check(new AbortController().signal);

describe("a misc check", () => {
  const run = (text: string, dynamic = false, timeoutMs = 10_000): Promise<Verdict> =>
    ask({ kind: "misc", target, timeoutMs, dynamic, command: ["/bin/sh", "-c", text] });

  it("takes status 0 for good and any other for a failure", async () => {
    expect(await run("exit 0")).toMatchObject({ ok: true, detail: "exited with status 0" });
    expect(await run("exit 1")).toMatchObject({
      ok: false,
      reason: "program",
      detail: "exited with status 1",
    });
    expect(await run("exit 12")).toMatchObject({ ok: false });
  });

  it("when dynamic takes status 2..255 for a weight", async () => {
    expect(await run("exit 12", true)).toMatchObject({ ok: true, weight: { kind: "absolute", value: 10 } });
    expect(await run("exit 2", true)).toMatchObject({ ok: true, weight: { kind: "absolute", value: 0 } });
    expect(await run("exit 255", true)).toMatchObject({ ok: true, weight: { kind: "absolute", value: 253 } });
    expect(await run("exit 1", true)).toMatchObject({ ok: false });
    expect((await run("exit 0", true)).weight).toBeUndefined();
  });

  it("fails at a signal, a time limit, and a program that is not there", async () => {
    expect(await run("kill -KILL $$")).toMatchObject({ ok: false, detail: "ended by SIGKILL" });
    expect(await run("exec sleep 60", false, 200)).toMatchObject({
      ok: false,
      reason: "timeout",
      detail: "timed out after 200 ms",
    });
    expect(
      await ask({ kind: "misc", target, timeoutMs: 1000, dynamic: false, command: ["/nowhere/x"] }),
    ).toMatchObject({
      ok: false,
      detail: "/nowhere/x: no such file",
    });
  });
});

describe("a file check", () => {
  const path = join(folder, "track");
  const read = (text: string | undefined, weight: number, reverse = false): Promise<Verdict> => {
    if (text === undefined) rmSync(path, { force: true });
    else writeFileSync(path, text);
    return ask({ kind: "file", target, timeoutMs: 1000, path, weight, reverse });
  };

  it("adds value times weight, negated when reversed", async () => {
    expect(await read("7\n", 2)).toMatchObject({ ok: true, weight: { kind: "add", value: 14 } });
    expect(await read("-6", 2)).toMatchObject({ ok: true, weight: { kind: "add", value: -12 } });
    expect(await read("7", 2, true)).toMatchObject({ ok: true, weight: { kind: "add", value: -14 } });
  });

  it("without weight is down at any value but 0", async () => {
    expect(await read("0", 0)).toMatchObject({ ok: true });
    expect(await read("1", 0)).toMatchObject({ ok: false });
    expect(await read("1", 0, true)).toMatchObject({ ok: true });
    expect(await read("0", 0, true)).toMatchObject({ ok: false });
  });

  it("takes a file that is absent, or no number, for 0", async () => {
    expect(await read(undefined, 3)).toMatchObject({ ok: true, weight: { kind: "add", value: 0 } });
    expect(await read("words", 3)).toMatchObject({ ok: true, weight: { kind: "add", value: 0 } });
  });
});

describe("the kinds without a question", () => {
  const always = (up: boolean): CheckSpec => ({ kind: "always", up, target, timeoutMs: 1000 });
  it("on and off are what they say", async () => {
    expect(await ask(always(true))).toMatchObject({ ok: true });
    expect(await ask(always(false))).toMatchObject({ ok: false });
  });

  it("hybrid asks thoroughly once, then cheaply N times, and thoroughly after any failure", async () => {
    const asked = join(folder, "asked");
    const state = join(folder, "state");
    writeFileSync(asked, "");
    const part = (name: string): CheckSpec => ({
      kind: "misc",
      target,
      timeoutMs: 10_000,
      dynamic: false,
      command: ["/bin/sh", "-c", `printf ${name} >> ${asked}; test "$(cat ${state})" != ${name}`],
    });
    const checker = createChecker({
      kind: "hybrid",
      target,
      timeoutMs: 1,
      full: part("F"),
      cheap: part("c"),
      count: 2,
    });
    const rounds = async (broken: string, n: number): Promise<string> => {
      writeFileSync(state, broken);
      writeFileSync(asked, "");
      for (let i = 0; i < n; i++) await checker.check(new AbortController().signal);
      return (await import("node:fs")).readFileSync(asked, "utf8");
    };
    expect(await rounds("none", 5)).toBe("FccFc");
    expect(await rounds("c", 3)).toBe("cFc");
    expect(await rounds("F", 3)).toBe("FFF");
    checker.close();
  });
});
