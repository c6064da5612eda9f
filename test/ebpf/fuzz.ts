/**
 * `npm run fuzz`: the BPF programs against the model, a million packets and more. A seed is a world of rules, packets and pauses;
 * what differs is told with its seed, and the run goes on with the next one.
 *
 *     npm run fuzz [-- --seeds=1-100] [--packets=5000]
 *
 * Options: seeds to run (resume with the first one that is missing; replay with `--seeds=57`) and packets of each, per family.
 */
import { play, twinsFor } from "./chaos.ts";

const SEEDS = "1-100";
const PACKETS = 5000;

/** Value of `--name=value`. */
const option = (name: string, otherwise: string): string =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;

/** First and last seed. */
function range(text: string): [number, number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (!match) throw new Error(`--seeds=${text}: expects a number or FIRST-LAST`);
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

function main(): void {
  const [first, last] = range(option("seeds", SEEDS));
  const packets = Number(option("packets", String(PACKETS)));
  const from = Date.now();
  let shown = 0;
  const differences: string[] = [];
  for (let seed = first; seed <= last; seed++) {
    for (const family of [4, 6] as const) {
      const twins = twinsFor(seed);
      try {
        play(twins, family, seed, packets);
      } catch (error) {
        differences.push(`IPv${family}, ${(error as Error).message}`);
        console.log(differences.at(-1));
      } finally {
        shown += twins.shown;
        twins.close();
      }
    }
    const seconds = Math.round((Date.now() - from) / 1000);
    console.log(`seed ${seed}: ${shown} packets, ${differences.length} differences, ${seconds} s`);
  }
  process.exitCode = differences.length > 0 ? 1 : 0;
}

main();
