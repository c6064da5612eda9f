import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CheckSpec, Verdict } from "../checks/check.ts";
import type { CheckTiming } from "../wanted.ts";
import { type CheckLife, newLife, retime, step } from "./check-life.ts";

const TIMING: CheckTiming = {
  delayLoopMs: 6000,
  retry: 2,
  delayBeforeRetryMs: 1000,
  warmupMs: 6000,
  firstFailureCounts: true,
};
const TARGET = { target: { family: 4, address: "10.0.1.1", port: 80 }, timeoutMs: 5000 } as const;
const TCP: CheckSpec = { ...TARGET, kind: "tcp" };
const HTTP: CheckSpec = {
  ...TARGET,
  kind: "http",
  tls: false,
  version: "1.0",
  method: "GET",
  urls: [{ path: "/", statusCodes: [] }],
};
const MISC: CheckSpec = { ...TARGET, kind: "misc", command: ["/bin/true"], dynamic: false };

const GOOD: Verdict = { ok: true, detail: "connected", latencyMs: 1 };
const BAD: Verdict = { ok: false, detail: "connection refused", latencyMs: 1 };

/** Runs a check like a clock would, with one verdict after the other; tells what became of it, with times in seconds. */
function transcript(
  spec: CheckSpec,
  verdicts: readonly Verdict[],
  change: Partial<CheckTiming> = {},
  tookMs = 0,
) {
  let life = newLife(spec, { ...TIMING, ...change });
  const said: string[] = [];
  let now = 0;
  for (const verdict of verdicts) {
    const startedAt = now;
    now += tookMs;
    const [next, actions] = step(life, { kind: "verdict", verdict, startedAt }, now);
    life = next;
    for (const action of actions) {
      if (action.kind === "turned") said.push(`${now / 1000}: ${action.to} after ${action.retries} retries`);
      if (action.kind === "failure") said.push(`${now / 1000}: failure ${action.count} of ${action.limit}`);
      if (action.kind === "run") now = action.at;
    }
  }
  return { said, nextAt: now / 1000, life };
}

describe("a check", () => {
  test("first runs a second after its activation, and a random part of the warm-up", () => {
    const life = newLife(TCP, TIMING);
    const at = (random: number) => step(life, { kind: "activated", random, firstDelayMs: 1000 }, 500)[1];
    expect(at(0)).toEqual([{ kind: "run", at: 1500 }]);
    expect(at(0.5)).toEqual([{ kind: "run", at: 4500 }]);
  });

  test("with retry 2 fails at t, t + 1, t + 2 and is down at t + 2; one success brings it up at once", () => {
    const { said, nextAt } = transcript(TCP, [GOOD, BAD, BAD, BAD, GOOD]);
    expect(said).toEqual([
      "0: ok after 0 retries",
      "6: failure 1 of 3",
      "7: failure 2 of 3",
      "8: failed after 2 retries",
      "14: ok after 0 retries",
    ]);
    expect(nextAt).toBe(20);
  });

  test("that fails its very first run is down without retries", () => {
    expect(transcript(TCP, [BAD]).said).toEqual(["0: failed after 0 retries"]);
  });

  test("may be told to forgive its first failure as any other", () => {
    expect(transcript(TCP, [BAD, BAD, BAD], { firstFailureCounts: false }).said).toEqual([
      "0: failure 1 of 3",
      "1: failure 2 of 3",
      "2: failed after 2 retries",
    ]);
  });

  test("with retry 0 is down with the first failure", () => {
    expect(transcript(TCP, [GOOD, BAD], { retry: 0 }).said).toEqual([
      "0: ok after 0 retries",
      "6: failed after 0 retries",
    ]);
  });

  test("forgets failures when a success comes between", () => {
    expect(
      transcript(TCP, [GOOD, BAD, BAD, GOOD, BAD, BAD, GOOD]).said.filter((s) => /failed/.test(s)),
    ).toEqual([]);
  });

  test("that is final counts at once", () => {
    expect(transcript(TCP, [GOOD, { ...BAD, final: true }]).said).toEqual([
      "0: ok after 0 retries",
      "6: failed after 0 retries",
    ]);
  });

  test("by tcp goes on in rounds of retries while down, then waits the whole loop", () => {
    // Down at 0; the loop; two retries a second apart; the loop.
    const times = [1, 2, 3, 4, 5].map((n) => transcript(TCP, new Array(n).fill(BAD)).nextAt);
    expect(times).toEqual([6, 7, 8, 14, 15]);
  });

  test("by http waits the longer of the two pauses while down", () => {
    expect(transcript(HTTP, [BAD]).nextAt).toBe(6);
    expect(transcript(HTTP, [BAD, BAD], { delayBeforeRetryMs: 9000 }).nextAt).toBe(18);
  });

  test("waits as long as it is told to while down", () => {
    expect(transcript(TCP, [BAD, BAD, BAD], { downDelayMs: 500 }).nextAt).toBe(1.5);
  });

  test("by a program is timed from start to start, and starts at once when it is late", () => {
    expect(transcript(MISC, [GOOD, GOOD], {}, 2000).nextAt).toBe(12);
    expect(transcript(MISC, [GOOD, GOOD], {}, 9000).nextAt).toBe(18);
    expect(transcript(TCP, [GOOD, GOOD], {}, 2000).nextAt).toBe(16);
  });

  test("of several urls is up once all of them have passed, each after the pause unless recovery is fast", () => {
    const part = { ...GOOD, partial: true };
    expect(transcript(HTTP, [BAD, part, part, GOOD]).said).toEqual([
      "0: failed after 0 retries",
      "18: ok after 0 retries",
    ]);
    const fast: CheckSpec = { ...HTTP, fastRecovery: true } as CheckSpec;
    expect(transcript(fast, [BAD, part, part, GOOD]).said).toEqual([
      "0: failed after 0 retries",
      "6: ok after 0 retries",
    ]);
  });

  test("keeps what it found under another timing", () => {
    const { life } = transcript(TCP, [BAD]);
    expect(retime(life, { ...TIMING, retry: 0 }).result).toBe("failed");
  });
});

test("step() keeps to its books whatever the verdicts are", () => {
  const verdict = fc.record({ ok: fc.boolean(), partial: fc.boolean(), final: fc.boolean() });
  const timing = fc.record({
    retry: fc.nat(4),
    firstFailureCounts: fc.boolean(),
    delayLoopMs: fc.integer({ min: 1, max: 9000 }),
    delayBeforeRetryMs: fc.nat(9000),
  });
  fc.assert(
    fc.property(fc.constantFrom(TCP, HTTP, MISC), timing, fc.array(verdict), (spec, change, verdicts) => {
      let life: CheckLife = newLife(spec, { ...TIMING, ...change });
      let bad = 0;
      for (const [i, v] of verdicts.entries()) {
        const before = life.result;
        const [next, actions] = step(life, { kind: "verdict", verdict: { ...GOOD, ...v }, startedAt: i }, i);
        life = next;
        bad = v.ok ? 0 : bad + 1;
        // The oracle: ok after a whole success, failed after enough failures in a row.
        const enough = v.final || (i === 0 && change.firstFailureCounts) || bad > change.retry;
        const expected = v.ok
          ? v.partial
            ? before
            : "ok"
          : before === "failed" || enough
            ? "failed"
            : before;
        expect(life.result).toBe(expected);
        expect(actions.some((a) => a.kind === "turned")).toBe(before !== life.result);
        expect(actions.filter((a) => a.kind === "run")).toHaveLength(1);
      }
    }),
  );
});
