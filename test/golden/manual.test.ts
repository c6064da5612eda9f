import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { OPTIONS } from "../../src/interfaces/cli/ipvsadm/grammar.ts";
import { helpText } from "../../src/interfaces/cli/ipvsadm/help.ts";

const folder = new URL("../../man/", import.meta.url);
const page = readFileSync(new URL("ipvsadm.8", folder), "utf8");

describe("the manual and the help", () => {
  for (const { long, short } of OPTIONS) {
    it(`name --${long}`, () => {
      expect(page).toMatch(new RegExp(`^\\.It Fl .*-${long}\\b`, "m"));
      expect(helpText("ipvsadm")).toMatch(new RegExp(`--${long}\\b`));
      for (const letter of short) {
        expect(page).toMatch(new RegExp(`^\\.It Fl ([A-Za-z0-9] , )*${letter} , .*-${long}\\b`, "m"));
        expect(helpText("ipvsadm")).toContain(`-${letter}, `);
      }
    });
  }

  it.skipIf(!existsSync("/usr/bin/mandoc"))("has no page that mandoc complains about", () => {
    for (const name of readdirSync(folder)) {
      const path = new URL(name, folder).pathname;
      expect(execFileSync("mandoc", ["-Tlint", "-W", "warning", path], { encoding: "utf8" })).toBe("");
    }
  });
});
