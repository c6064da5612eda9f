import { expect, test } from "vitest";
import { EntryDropper, level, PacketDropper } from "./defence.ts";

test("modes 1 and 2 follow the memory and become each other; 0 is off and 3 is on", () => {
  expect(level(0, true)).toEqual({ on: false, mode: 0 });
  expect(level(1, false)).toEqual({ on: false, mode: 1 });
  expect(level(1, true)).toEqual({ on: true, mode: 2 });
  expect(level(2, true)).toEqual({ on: true, mode: 2 });
  expect(level(2, false)).toEqual({ on: false, mode: 1 });
  expect(level(3, false)).toEqual({ on: true, mode: 3 });
});

test("rate 3 drops one, passes two, drops one", () => {
  const dropper = new PacketDropper();
  dropper.setRate(3);
  const dropped = Array.from({ length: 7 }, () => dropper.shouldDrop());
  expect(dropped).toEqual([true, false, false, true, false, false, true]);
});

test("rate 1 drops all, rate 0 none, and setting the same rate again does not restart the count", () => {
  const dropper = new PacketDropper();
  expect(dropper.shouldDrop()).toBe(false);
  dropper.setRate(1);
  expect([dropper.shouldDrop(), dropper.shouldDrop()]).toEqual([true, true]);
  dropper.setRate(0);
  expect(dropper.shouldDrop()).toBe(false);
  dropper.setRate(2);
  expect(dropper.shouldDrop()).toBe(true);
  dropper.setRate(2);
  expect([dropper.shouldDrop(), dropper.shouldDrop()]).toEqual([false, true]);
});

test("of idle connections with n packets the first goes and then every n-th, each n counted alone", () => {
  const dropper = new EntryDropper();
  expect(Array.from({ length: 3 }, () => dropper.shouldDrop(60_000, 1))).toEqual([true, true, true]);
  const three = Array.from({ length: 7 }, (_, i) => {
    if (i === 2) dropper.shouldDrop(60_000, 4);
    return dropper.shouldDrop(90_000, 3);
  });
  expect(three).toEqual([true, false, false, true, false, false, true]);
});

test("a connection that was used within 60 s, or had no or more than 8 packets, stays", () => {
  const dropper = new EntryDropper();
  for (const [idle, packets] of [
    [59_999, 1],
    [600_000, 0],
    [600_000, 9],
    [600_000, 1e6],
  ] as const) {
    expect(dropper.shouldDrop(idle, packets)).toBe(false);
  }
  expect(dropper.shouldDrop(60_000, 8)).toBe(true);
});
