import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HELP } from "../keepalived/help.ts";
import { daemonCommands } from "./daemon-commands.ts";

const page = (name: string): string =>
  readFileSync(new URL(`../../../../man/${name}`, import.meta.url), "utf8");

describe("lvsd(8)", () => {
  const text = page("lvsd.8");
  for (const command of daemonCommands(() => {})) {
    test(`describes ${command.name()} and each of its options`, () => {
      expect(text).toMatch(new RegExp(`^\\.Cm ${command.name()}\\b`, "m"));
      for (const { long } of command.options) expect(text).toMatch(new RegExp(`-${long!.slice(2)}\\b`));
    });
  }
});

test("keepalived(8) has an entry for every option of the help", () => {
  const text = page("keepalived.8");
  const options = [...HELP.matchAll(/^ {2}(?:-(\w), | {4})--([\w-]+)/gm)];
  expect(options.length).toBeGreaterThan(30);
  for (const [, letter, long] of options)
    expect(text).toMatch(new RegExp(`^\\.It Fl ${letter ? `${letter} , ` : ""}-${long}\\b`, "m"));
});
