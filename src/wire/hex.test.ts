import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex } from "./hex.ts";

test("fromHex() undoes toHex()", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fromHex(toHex(bytes))).toEqual(bytes);
    }),
  );
});

test("fromHex() takes spaces and capitals, and refuses half bytes", () => {
  expect(fromHex("0A ff\n00")).toEqual(Uint8Array.of(10, 255, 0));
  expect(() => fromHex("abc")).toThrow(RangeError);
  expect(() => fromHex("zz")).toThrow(RangeError);
});
