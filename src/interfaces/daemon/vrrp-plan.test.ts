import { expect, test } from "vitest";
import { NO_VRRP, type VrrpInstanceSpec } from "../../control/vrrp/spec.ts";
import { vrrpDifferences } from "./vrrp-plan.ts";

const instance = (name: string, priority: number, line = 1) =>
  ({ name, priority, at: { file: "f", line, column: 1 } }) as VrrpInstanceSpec;

test("vrrpDifferences() names what comes, changes and goes; a line further down is no change", () => {
  const from = { ...NO_VRRP, instances: [instance("A", 100), instance("B", 100), instance("C", 1)] };
  const to = { ...NO_VRRP, instances: [instance("A", 100, 9), instance("B", 150), instance("D", 1)] };
  expect(vrrpDifferences(from, to)).toEqual([
    "change VRRP instance B: priority",
    "add VRRP instance D",
    "remove VRRP instance C",
  ]);
  expect(vrrpDifferences(from, from)).toEqual([]);
});
