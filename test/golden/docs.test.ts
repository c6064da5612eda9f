import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { runHere } from "./run-case.ts";
import { freshPlane, goldenNames } from "./surroundings.ts";

const text = readFileSync(new URL("../../docs/ipvsadm.md", import.meta.url), "utf8");
const blocks = [...text.matchAll(/^```console\n(.*?)^```$/gms)].map((m) => m[1]);

it("docs/ipvsadm.md shows what really happens, from its first example to its last", async () => {
  const plane = freshPlane();
  const names = goldenNames();
  expect(blocks.length).toBeGreaterThan(5);
  for (const block of blocks) {
    let shown = "";
    for (const [, line, rules] of block.matchAll(/^\$ (.*)\n((?:^< .*\n)*)/gm)) {
      const stdin = rules.replace(/^< /gm, "");
      const { stdout, stderr } = await runHere(line, stdin, names, async () => plane);
      shown += `$ ${line}\n${rules}${stdout}${stderr}`;
    }
    expect(shown).toBe(block);
  }
});
