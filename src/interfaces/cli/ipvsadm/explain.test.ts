import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readCase, runHere } from "../../../../test/golden/run-case.ts";
import { CASES, freshPlane, goldenNames } from "../../../../test/golden/surroundings.ts";

it("--explain adds one line under every error of the golden cases and changes neither the first nor the status", async () => {
  let explained = 0;
  for (const name of readdirSync(CASES).filter((n) => n.endsWith(".sh") && !n.startsWith("restore"))) {
    const plane = freshPlane();
    for (const { line } of readCase(readFileSync(new URL(name, CASES), "utf8"))) {
      if (!line.startsWith("ipvsadm -")) continue;
      const run = (text: string) => runHere(text, "", goldenNames(), async () => plane);
      const terse = await run(line);
      if (terse.status === 0) continue;
      // Behind "--", and where the last option lacks its argument, the word would not be read as an option.
      const [, ...rest] = line.split(" ");
      if (terse.stderr.includes("missing argument") || terse.stderr.startsWith("Try") || rest.includes("--"))
        continue;
      const long = await run(`${line} --explain`);
      expect(long.status, line).toBe(terse.status);
      expect(long.stderr.startsWith(terse.stderr), line).toBe(true);
      expect(long.stderr.slice(terse.stderr.length), line).toMatch(/^ {2}\S.*\n$/);
      explained++;
    }
  }
  expect(explained).toBeGreaterThan(150);
});
