import { expect, test } from "vitest";
import { Meter } from "./meter.ts";

test("rates are the mean of the last five seconds", () => {
  const meter = new Meter();
  expect(meter.rates).toEqual({ messagesPerS: 0, bytesPerS: 0 });
  for (let s = 0; s < 20; s++) meter.sample(s * 1000, s < 10 ? 0 : (s - 9) * 3, s < 10 ? 0 : (s - 9) * 4000);
  expect(meter.rates).toEqual({ messagesPerS: 3, bytesPerS: 4000 });
  for (let s = 20; s < 30; s++) meter.sample(s * 1000, 30, 40_000);
  expect(meter.rates).toEqual({ messagesPerS: 0, bytesPerS: 0 });
});
