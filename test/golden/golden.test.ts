import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readCase, runHere, transcript } from "./run-case.ts";
import { CASES, freshPlane, goldenNames } from "./surroundings.ts";

const read = (name: string): string => readFileSync(new URL(name, CASES), "utf8");

describe("the commands answer byte for byte as ipvsadm 1.31 on Linux 6.1 did", () => {
  const cases = readdirSync(CASES).filter((name) => name.endsWith(".sh"));

  it("has all the recorded cases", () => {
    expect(cases.length).toBeGreaterThanOrEqual(57);
  });

  for (const name of cases) {
    it(`case ${name.slice(0, -3)}`, async () => {
      const plane = freshPlane();
      const names = goldenNames();
      let text = "";
      for (const step of readCase(read(name))) {
        text += transcript(step, await runHere(step.line, step.stdin, names, async () => plane));
      }
      expect(text).toBe(read(name.replace(/\.sh$/, ".out")));
    });
  }
});
