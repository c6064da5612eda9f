/**
 * Sequences observed on Linux 6.1.192: SYNs that stay in SYN_RECV, destinations 10.2.0.11.. added in ascending order.
 */
import { describe, expect, test } from "vitest";
import { ip10, SchedulingBed } from "../../testkit/scheduling.ts";

const client = (i: number) => ({ clientFold: ip10(1, Math.floor(i / 7), ((37 * i) % 250) + 2) });

describe("sequences of the kernel", () => {
  test("rr goes on where it stood while destinations come, go and change", () => {
    const bed = new SchedulingBed("rr").add({ 11: 1, 12: 1, 13: 1 });
    expect(bed.take(7)).toBe("13 12 11 13 12 11 13");
    bed.add({ 14: 1 });
    expect(bed.take(5)).toBe("12 11 14 13 12");
    expect(bed.take(1)).toBe("11");
    bed.remove(11);
    expect(bed.take(4)).toBe("14 13 12 14");
    bed.edit(12, 7);
    expect(bed.take(4)).toBe("13 12 14 13");
  });

  test("wrr starts at level 1 when its weights were added one by one", () => {
    const bed = new SchedulingBed("wrr").add({ 11: 4, 12: 3, 13: 2 });
    expect(bed.take(21)).toBe("13 12 11 11 12 11 13 12 11 13 12 11 11 12 11 13 12 11 13 12 11");
    expect(new SchedulingBed("wrr").add({ 11: 4, 12: 2 }).take(9)).toBe("12 11 11 12 11 11 12 11 11");
  });

  test.each([
    ["wlc", { 11: 3, 12: 2, 13: 1 }, "13 12 11 11 12 11 13 12 11 11 12 11"],
    ["lc", { 11: 1, 12: 1, 13: 1 }, "13 12 11 13 12 11"],
    ["sed", { 11: 3, 12: 2, 13: 1 }, "11 12 11 13 12 11 11 12 11 13 12 11 11 12 11 13 12 11"],
    ["nq", { 11: 3, 12: 2, 13: 1 }, "13 12 11 11 12 11 11 12 11 13 12 11 11 12 11 13 12 11"],
    ["ovf", { 11: 1, 12: 2, 13: 3 }, "13 13 13 13 12 12 12 11 11 none none none"],
    ["fo", { 11: 1, 12: 2, 13: 2 }, "13 13 13 13"],
  ])("%s %j chooses %s", (scheduler, weights, sequence) => {
    expect(new SchedulingBed(scheduler).add(weights).take(sequence.split(" ").length)).toBe(sequence);
  });

  test("wlc counts inactive connections too", () => {
    expect(new SchedulingBed("wlc").add({ 11: 1, 12: 1 }).take(5, undefined, "inactive")).toBe(
      "12 11 12 11 12",
    );
  });

  test.each([
    ["sh", { 11: 1, 12: 1, 13: 1 }, "13 12 11 13 12 11 13 13 12 11 13 12"],
    ["sh", { 11: 3, 12: 2, 13: 1 }, "11 12 11 11 12 11 11 13 11 12 13 11"],
    ["mh", { 11: 1, 12: 1, 13: 1 }, "11 13 13 12 11 11 11 12 11 12 13 13"],
    ["mh", { 11: 3, 12: 2, 13: 1 }, "11 13 11 12 11 11 11 12 11 12 13 12"],
  ])("%s %j sends twelve clients to %s", (scheduler, weights, sequence) => {
    expect(new SchedulingBed(scheduler).add(weights).take(12, client)).toBe(sequence);
  });

  test("dh sends twelve destination addresses to the same ones as the kernel", () => {
    const bed = new SchedulingBed("dh").add({ 11: 1, 12: 1, 13: 1 });
    const target = (i: number) => ({ targetFold: ip10(50, 0, i + 1) });
    expect(bed.take(12, target)).toBe("12 13 12 13 12 11 12 11 13 11 13 11");
  });
});
