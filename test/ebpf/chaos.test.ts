/**
 * The BPF programs against the model while the rules change under the traffic.
 */
import { existsSync } from "node:fs";
import { afterEach, describe, test } from "vitest";
import { OWN, play } from "./chaos.ts";
import { Twins } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

/** Seeds of the runs; `npm run fuzz` has more. */
const SEEDS = process.env["LVSD_FUZZ_SEEDS"]
  ? Array.from({ length: Number(process.env["LVSD_FUZZ_SEEDS"]) }, (_, i) => i + 1)
  : [1, 2];

/** Packets of a run. */
const PACKETS = Number(process.env["LVSD_FUZZ_PACKETS"] ?? 1000);

describe.runIf(root)("the programs follow the model while rules change", () => {
  let twins: Twins | undefined;
  afterEach(() => {
    twins?.close();
    twins = undefined;
  });

  for (const family of [4, 6] as const) {
    for (const seed of SEEDS) {
      test(
        `IPv${family}, seed ${seed}`,
        () => {
          twins = new Twins(OWN, seed % 4 > 1);
          play(twins, family, seed, PACKETS);
        },
        120_000 + 10 * PACKETS,
      );
    }
  }
});
