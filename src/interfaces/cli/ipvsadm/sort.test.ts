import fc from "fast-check";
import { expect, it } from "vitest";
import { mergeSort, wrapped } from "./sort.ts";

it("mergeSort() sorts stably", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat())), (list) => {
      const byFirst = (a: [number, number], b: [number, number]) => a[0] - b[0];
      expect(mergeSort(list, byFirst)).toEqual([...list].sort(byFirst));
    }),
  );
});

it("values more than 2^31 apart compare the wrong way round", () => {
  expect(wrapped(0xc0a80001, 0x0a000001)).toBeLessThan(0); // 192.168.0.1 before 10.0.0.1
  expect(wrapped(0xffffffff, 0)).toBeLessThan(0);
  expect(wrapped(0x0a000002, 0x0a000001)).toBe(1);
});
