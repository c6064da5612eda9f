/**
 * The BPF programs against the model while the rules change under the traffic. `npm run fuzz` goes on with more seeds and packets.
 */
import { existsSync } from "node:fs";
import { afterEach, describe, test } from "vitest";
import { play, twinsFor } from "./chaos.ts";
import type { Twins } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");
const PACKETS = 1000;

describe.runIf(root)("the programs follow the model while rules change", { timeout: 120_000 }, () => {
  let twins: Twins | undefined;
  afterEach(() => {
    twins?.close();
    twins = undefined;
  });

  for (const family of [4, 6] as const) {
    for (const seed of [1, 2]) {
      test(`IPv${family}, seed ${seed}`, () => {
        twins = twinsFor(seed);
        play(twins, family, seed, PACKETS);
      });
    }
  }
});
