import { expect, test } from "vitest";
import { Latest } from "./latest.ts";

test("a later undertaking about a thing, and its end, end the former; those about other things go on", () => {
  const latest = new Latest();
  const [a, b] = [latest.begin("VI_1"), latest.begin("VI_2")];
  expect([a(), b()]).toEqual([false, false]);
  const again = latest.begin("VI_1");
  expect([a(), again(), b()]).toEqual([true, false, false]);
  latest.end("VI_2");
  expect([again(), b()]).toEqual([false, true]);
});
