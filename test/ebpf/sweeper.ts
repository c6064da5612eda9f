/**
 * Hours of the sweeper as the kernel's timer drives it, a share of the table every 20 ms: nothing may end before its time, and
 * nothing may stay much longer.
 * @module
 */
import { seeded } from "../../src/testkit/random.ts";
import { BED, type Entry, FloodBed } from "./flood-bed.ts";
import { Sender } from "./flood-worker.ts";

const SLOTS = 20_000;
const FLOWS = 16_000;
/** Most packets of a burst, and longest pause behind it, ms. */
const BURST = 400;
const PAUSE_MS = 20 * 60_000;
/** A round of the sweeper takes two seconds. */
const ROUND_MS = 2000;

/** @returns what was wrong, and how many checks there were */
export function sweepHours(hours: number, seed: number): { faults: readonly string[]; checks: number } {
  const random = seeded(seed);
  const bed = new FloodBed(SLOTS);
  try {
    const sender = new Sender({ targets: BED.targets, ingress: bed.ingress });
    for (const end = bed.now + hours * 3_600_000; bed.now < end && bed.faults.length === 0; ) {
      const packets = 1 + Math.floor(random() * BURST);
      bed.tallied([sender.obey({ kind: "mix", packets, flows: FLOWS, seed: Math.floor(random() * 1e9) })]);
      const before = new Map([...bed.entries()].map((entry) => [entry.name, entry]));
      const pause = Math.min(PAUSE_MS * random() ** 4, end - bed.now);
      for (const until = bed.now + pause; bed.now < until; ) bed.tick();
      compare(bed, before);
      bed.check();
    }
    bed.pass();
    bed.check();
    bed.checkEmpty();
    return bed;
  } finally {
    bed.close();
  }
}

/** What was there before a pause without packets, and what is there now. */
function compare(bed: FloodBed, before: ReadonlyMap<string, Entry>): void {
  bed.checks++;
  const after = new Map([...bed.entries()].map((entry) => [entry.name, entry]));
  for (const { name, due } of before.values()) {
    if (due > bed.now && !after.has(name))
      bed.faults.push(`${name} ended ${(due - bed.now) / 1000} s before its time`);
  }
  for (const { name, due, children } of after.values()) {
    if (!before.has(name)) bed.faults.push(`${name} came from nowhere`);
    // A template holds on while it has connections.
    if (due + ROUND_MS < bed.now && children === 0)
      bed.faults.push(`${name} is overdue for ${(bed.now - due) / 1000} s`);
  }
}
