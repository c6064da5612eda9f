/**
 * A day against the model, and an hour of the sweeper's ticks. `npm run soak` goes on with more seeds and hours.
 */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { playHours, twinsFor } from "./chaos.ts";
import { sweepHours } from "./sweeper.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

test.runIf(root)(
  "in 24 hours connections end as in the model, in all states, and none is left",
  () => {
    const twins = twinsFor(1);
    try {
      playHours(twins, 4, 1, 24);
    } finally {
      twins.close();
    }
  },
  60_000,
);

test.runIf(root)(
  "in an hour of ticks no connection ends before its time, or two seconds after it",
  () => {
    expect(sweepHours(1, 1).faults).toEqual([]);
  },
  60_000,
);
