import { expect, test } from "vitest";
import { onSignalNumber } from "./signals.ts";

const REAL_TIME_2 = 36;

test("a signal without a name is caught by its number", async () => {
  const caught = new Promise<boolean>((resolve) => {
    expect(onSignalNumber(REAL_TIME_2, () => resolve(true))).toBe(true);
    setTimeout(() => resolve(false), 5000);
  });
  process.kill(process.pid, REAL_TIME_2);
  expect(await caught).toBe(true);
});
