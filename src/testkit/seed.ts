/**
 * The seed of every property test: fixed, so that one commit gives one result on every machine;
 * `LVSD_SEED=random` (what `npm run fuzz` sets) or `LVSD_SEED=NUMBER` explores, and a failure prints the seed to repeat it.
 * Loaded by vitest before each test file.
 *
 * @module
 */
import fc from "fast-check";

const wanted = process.env.LVSD_SEED ?? "20261121";
fc.configureGlobal({ seed: wanted === "random" ? Date.now() | 0 : Number(wanted) | 0 });
