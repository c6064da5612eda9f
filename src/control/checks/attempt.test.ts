import { describe, expect, it } from "vitest";
import { type Attempt, attempt, CheckFailure, type Outcome, spell } from "./attempt.ts";

const never = new AbortController().signal;
const good: Outcome = { ok: true, detail: "good" };
const later = (ms: number): Promise<Outcome> => new Promise((resolve) => setTimeout(resolve, ms, good));

describe("attempt()", () => {
  it("gives the outcome with its latency, and cleans up", async () => {
    let cleaned = 0;
    const verdict = await attempt(5000, never, (run) => {
      run.onEnd(() => cleaned++);
      return later(30);
    });
    expect(verdict).toMatchObject(good);
    expect(verdict.latencyMs).toBeGreaterThan(25);
    expect(cleaned).toBe(1);
  });

  it("turns a failure into a verdict, whether thrown at once or later", async () => {
    const fail = (): Outcome => {
      throw new CheckFailure("status", "status 500");
    };
    const wanted = { ok: false, reason: "status", detail: "status 500" };
    expect(await attempt(5000, never, fail as unknown as () => Promise<Outcome>)).toMatchObject(wanted);
    expect(await attempt(5000, never, () => later(5).then(fail))).toMatchObject(wanted);
  });

  it("rejects for a bug, and cleans up even then", async () => {
    let cleaned = 0;
    const buggy = attempt(5000, never, async (run) => {
      run.onEnd(() => cleaned++);
      throw new TypeError("x is not a function");
    });
    await expect(buggy).rejects.toThrow("x is not a function");
    expect(cleaned).toBe(1);
  });

  it("ends when its time is up, says what was waited for, and overlooks what comes later", async () => {
    let kept: Attempt | undefined;
    const verdict = await attempt(60, never, async (run) => {
      kept = run;
      run.phase = "counting";
      await later(150);
      throw new TypeError("late");
    });
    expect(verdict).toMatchObject({
      ok: false,
      reason: "timeout",
      detail: "timeout after 60 ms while counting",
    });
    let cleaned = 0;
    kept?.onEnd(() => cleaned++);
    expect(cleaned).toBe(1); // registered after the end: at once
    await later(150);
  });

  it("does not blame the server for time in which this process was held up", async () => {
    const checking = attempt(200, never, () => later(250));
    const until = performance.now() + 700;
    while (performance.now() < until);
    expect(await checking).toMatchObject({ ok: true });
  });

  it("ends with any of a thousand that share a signal", async () => {
    const stop = new AbortController();
    const all = Array.from({ length: 1000 }, () =>
      attempt(60_000, stop.signal, () => new Promise<Outcome>(() => {})),
    );
    stop.abort();
    for (const verdict of await Promise.all(all))
      expect(verdict).toMatchObject({ ok: false, reason: "aborted" });
  });
});

it("spell() writes times for people", () => {
  expect([spell(250), spell(1000), spell(2500), spell(60_000)]).toEqual(["250 ms", "1 s", "2.5 s", "60 s"]);
});
