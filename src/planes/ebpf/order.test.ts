import fc from "fast-check";
import { expect, test } from "vitest";
import { Runs } from "./order.ts";

test("a changed list gets entries that no list has, and not those it had just before", () => {
  const runs = new Runs(10);
  const first = runs.find(3)!;
  runs.set(1, first);
  const second = runs.find(4)!;
  expect(second).toEqual({ at: 3, count: 4 });
  runs.set(1, second);
  expect(runs.find(3)).toEqual({ at: 7, count: 3 });
});

test("runs never overlap, and everything that fits is found", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ owner: fc.nat(5), count: fc.nat(7) }), { maxLength: 60 }),
      fc.nat(40),
      (changes, start) => {
        const runs = new Runs(40, start);
        for (const { owner, count } of changes) {
          const run = runs.find(count);
          if (!run) {
            // Six runs of at most seven leave a gap of seven only by luck.
            expect(count).toBeGreaterThan(0);
            continue;
          }
          expect(run.at + run.count).toBeLessThanOrEqual(40);
          for (let other = 0; other <= 5; other++) {
            const live = runs.get(other);
            if (live && run.count > 0)
              expect(live.at >= run.at + run.count || run.at >= live.at + live.count).toBe(true);
          }
          runs.set(owner, run);
        }
      },
    ),
  );
});
