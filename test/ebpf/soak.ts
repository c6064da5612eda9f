/**
 * `npm run soak`: a day of timeouts. First against the model: sparse traffic of changing rules, with pauses in which connections end
 * in all their states. Then the sweeper alone, tick by tick.
 *
 *     npm run soak [-- --hours=24] [--seeds=1-4]
 */
import { playHours, twinsFor } from "./chaos.ts";
import { sweepHours } from "./sweeper.ts";

const option = (name: string, otherwise: string): string =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;

function main(): void {
  const hours = Number(option("hours", "24"));
  const [first, last] = option("seeds", "1-4").split("-").map(Number) as [number, number?];
  let wrong = 0;
  for (let seed = first; seed <= (last ?? first); seed++) {
    for (const family of [4, 6] as const) {
      const twins = twinsFor(seed);
      try {
        playHours(twins, family, seed, hours);
        console.log(`seed ${seed}, IPv${family}: ${hours} hours, ${twins.shown} packets, as the model`);
      } catch (error) {
        wrong++;
        console.log(`IPv${family}, ${(error as Error).message}`);
      } finally {
        twins.close();
      }
    }
    const { faults, checks } = sweepHours(hours, seed);
    wrong += faults.length;
    for (const fault of faults) console.log(`WRONG: ${fault}`);
    console.log(`seed ${seed}, sweeper: ${hours} hours, ${checks} checks, ${faults.length} wrong`);
  }
  process.exitCode = wrong > 0 ? 1 : 0;
}

main();
