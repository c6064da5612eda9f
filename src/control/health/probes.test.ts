import { describe, expect, test } from "vitest";
import { FakeClock, settled } from "../../testkit/fake-clock.ts";
import { TIMING } from "../../testkit/supervisor-bed.ts";
import type { CheckSpec, Verdict } from "../checks/check.ts";
import { type ProbeReport, Probes } from "./probes.ts";

const spec = (address: string): CheckSpec => ({
  kind: "tcp",
  target: { family: 4, address, port: 80 },
  timeoutMs: 5000,
});
const A = spec("10.0.1.1");
const BAD: Verdict = { ok: false, detail: "refused", latencyMs: 0 };
const GOOD: Verdict = { ok: true, detail: "connected", latencyMs: 0 };

/** Checks that answer as the test says, at once or when the test lets them. */
class Bed {
  readonly clock = new FakeClock();
  answer = (): Promise<Verdict> => Promise.resolve(GOOD);
  readonly signals: AbortSignal[] = [];
  open = 0;
  readonly probes = new Probes({
    clock: this.clock,
    random: () => 0,
    checkKey: (s) => JSON.stringify(s),
    createChecker: () => {
      this.open++;
      return {
        check: (signal) => {
          this.signals.push(signal);
          return this.answer();
        },
        close: () => {
          this.open--;
        },
      };
    },
  });
  subscribe(timing = TIMING, suspended = false, check = A) {
    const reports: ProbeReport[] = [];
    const subscription = this.probes.subscribe(check, timing, suspended, (r) => reports.push(r));
    return { reports, subscription };
  }
}

describe("probes", () => {
  test("check once for all who ask for the same, and tell each of them", async () => {
    const bed = new Bed();
    const one = bed.subscribe();
    const two = bed.subscribe();
    const other = bed.subscribe(TIMING, false, spec("10.0.1.2"));
    await bed.clock.pass(1000);
    expect(bed.signals).toHaveLength(2);
    expect([one, two, other].map((s) => s.reports.length)).toEqual([1, 1, 1]);
    one.subscription.close();
    await bed.clock.pass(6000);
    expect([one, two].map((s) => s.reports.length)).toEqual([1, 2]);
    two.subscription.close();
    other.subscription.close();
    expect(bed.open).toBe(0);
    expect(bed.clock.waiting).toBe(0);
    expect(bed.probes.count()).toEqual({ distinct: 0, entries: 0, running: 0 });
  });

  test("rest only when everybody rests", async () => {
    const bed = new Bed();
    const one = bed.subscribe();
    const two = bed.subscribe(TIMING, true);
    await bed.clock.pass(1000);
    expect([one, two].map((s) => s.reports.length)).toEqual([1, 0]);
    one.subscription.suspend();
    await bed.clock.pass(60_000);
    expect(bed.signals).toHaveLength(1);
    two.subscription.resume();
    await bed.clock.pass(1000);
    expect(two.reports).toHaveLength(1);
    expect(two.subscription.status()).toMatchObject({ state: "ok", suspended: false, detail: "connected" });
  });

  test("end a check that nobody waits for any more, and hear no more of it", async () => {
    const bed = new Bed();
    let finish: (v: Verdict) => void = () => {};
    bed.answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const { subscription, reports } = bed.subscribe();
    await bed.clock.pass(1000);
    expect(bed.probes.count().running).toBe(1);
    subscription.close();
    expect(bed.signals[0].aborted).toBe(true);
    finish(BAD);
    await settled();
    expect(reports).toEqual([]);
    expect(bed.clock.waiting).toBe(0);
  });

  test("never run two checks of one target at a time", async () => {
    const bed = new Bed();
    bed.answer = () => new Promise(() => {});
    bed.subscribe();
    await bed.clock.pass(100_000);
    expect(bed.signals).toHaveLength(1);
  });

  test("under another timing know what they knew", async () => {
    const bed = new Bed();
    bed.answer = () => Promise.resolve(BAD);
    const { subscription, reports } = bed.subscribe();
    await bed.clock.pass(1000);
    subscription.retime({ ...TIMING, delayLoopMs: 60_000 });
    expect(subscription).toMatchObject({ result: "failed", last: BAD });
    bed.answer = () => Promise.resolve(GOOD);
    await bed.clock.pass(1000);
    expect(reports.map((r) => r.turned)).toEqual(["failed", "ok"]);
    expect(bed.open).toBe(1);
  });
});
