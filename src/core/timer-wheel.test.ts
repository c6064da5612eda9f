import fc from "fast-check";
import { expect, test } from "vitest";
import { TimerWheel } from "./timer-wheel.ts";

test("timers fire once, not early, and at most a tick late, however they are started, moved and cancelled", () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("start" as const),
      timer: fc.integer({ min: 1, max: 9 }),
      ms: fc.nat(2_000_000),
    }),
    fc.record({
      kind: fc.constant("cancel" as const),
      timer: fc.integer({ min: 1, max: 9 }),
      ms: fc.constant(0),
    }),
    fc.record({
      kind: fc.constant("now" as const),
      timer: fc.integer({ min: 1, max: 9 }),
      ms: fc.constant(0),
    }),
    fc.record({ kind: fc.constant("wait" as const), timer: fc.constant(0), ms: fc.nat(1_000_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const wheel = new TimerWheel(0, 10);
      const due = new Map<number, number>();
      let now = 0;
      for (const s of steps) {
        if (s.kind === "start") {
          wheel.start(s.timer, now + s.ms);
          due.set(s.timer, now + s.ms);
        } else if (s.kind === "cancel") {
          wheel.cancel(s.timer);
          due.delete(s.timer);
        } else if (s.kind === "now") {
          wheel.startNow(s.timer, now);
          due.set(s.timer, now);
        } else now += s.ms;
        wheel.advance(now, (timer) => {
          expect(due.get(timer)).toBeLessThanOrEqual(now);
          due.delete(timer);
        });
        for (const at of due.values()) expect(at).toBeGreaterThan(now - 100);
      }
    }),
  );
});

test("a callback may cancel what is due at the same moment, and start itself anew", () => {
  const wheel = new TimerWheel(0, 10);
  for (const timer of [1, 2, 3]) wheel.start(timer, 1000);
  const fired: number[] = [];
  const handler = (timer: number): void => {
    fired.push(timer);
    wheel.cancel(1);
    wheel.cancel(2);
    if (fired.length === 1) wheel.start(timer, 5000);
  };
  wheel.advance(1000, handler);
  expect(fired).toEqual([3]);
  wheel.advance(5000, handler);
  expect(fired).toEqual([3, 3]);
});
