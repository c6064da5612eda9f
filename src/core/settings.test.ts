import { expect, test } from "vitest";
import { checkSetting, DEFAULT_SETTINGS, isSetting, type Settings } from "./settings.ts";

test("every default is a value that the setting takes", () => {
  for (const [name, value] of Object.entries(DEFAULT_SETTINGS) as [keyof Settings, number | string][]) {
    expect(checkSetting(name, value)).toBe(value);
    expect(isSetting(name)).toBe(true);
  }
  expect(isSetting("nosuch")).toBe(false);
});

test("a flag takes any number and becomes 0 or 1", () => {
  expect([
    checkSetting("conntrack", 7),
    checkSetting("conntrack", "0"),
    checkSetting("sloppy_tcp", -1),
  ]).toEqual([1, 0, 1]);
});

test.each<[keyof Settings, number | string, RegExp]>([
  ["drop_entry", 4, /drop_entry = 4: expects 0\.\.3/],
  ["sync_ports", 3, /power of two/],
  ["sync_threshold", "5 5", /threshold must be less than period/],
  ["sync_threshold", "5", /two numbers/],
  ["amemthresh", "many", /whole number/],
  ["sync_retries", 1.5, /whole number/],
])("%s = %s is refused", (name, value, message) => {
  expect(() => checkSetting(name, value)).toThrow(message);
});

test("sync_threshold takes a period of 0", () => {
  expect(checkSetting("sync_threshold", " 3  0 ")).toBe("3 0");
});
