import { expect, test } from "vitest";
import { Complaints } from "./complaints.ts";

test("the same complaint is told once a minute", () => {
  const c = new Complaints();
  expect([0, 59_999, 60_000, 60_001].map((at) => c.admit("a", at))).toEqual(["yes", "no", "yes", "no"]);
});

test("a flood of different ones ends in one line, and the next minute has its own", () => {
  const c = new Complaints();
  const told = Array.from({ length: 5000 }, (_, i) => c.admit(`sender ${i}`, i));
  expect(told.filter((t) => t === "yes")).toHaveLength(99);
  expect(told.filter((t) => t === "last")).toHaveLength(1);
  expect(c.admit("another", 61_000)).toBe("yes");
});
