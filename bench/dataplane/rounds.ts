/**
 * Measurements that take turns: each round measures every case once, so that all meet the same machine, and a ratio is taken
 * within the round. What is told is the median over the rounds.
 * @module
 */

/** One thing that is measured. */
export interface Case {
  readonly name: string;
  /** Measures once: a cost, such as nanoseconds a packet. */
  readonly cost: () => number;
  /** Name of the case it is compared with. Nothing is reported of a case that is compared with none. */
  readonly against?: string;
  /** Whether the ratio is told as speed (higher is better, the default) or as cost. */
  readonly as?: "speed" | "cost";
  /** The ratio that it should have: at least that speed, or at most that cost. */
  readonly aim?: number;
  /** Other words for the other case. @default its name */
  readonly unit?: string;
}

/** How a cost is written. */
export type Write = (cost: number) => string;

/** What one case came to. */
export interface Result {
  readonly name: string;
  readonly cost: number;
  readonly ratio: number;
  readonly missed: boolean;
}

/** Rounds that differ by more than this factor are told. */
const RESTLESS = 1.5;

export const median = (list: readonly number[]): number => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted.length === 0 ? Number.NaN : (sorted[sorted.length >> 1] as number);
};

/** Measures all cases in turn, and prints a line of JSON for each that is compared with another. */
export function inRounds(cases: readonly Case[], rounds: number, write: Write): Result[] {
  const costs = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, cost } of cases) {
      try {
        costs.get(name)!.push(cost());
      } catch (error) {
        costs.get(name)!.push(Number.NaN);
        console.log(`${name}: ${(error as Error).message}`);
      }
    }
  }
  const results: Result[] = [];
  for (const { name, against, as, aim, unit } of cases) {
    if (against === undefined) continue;
    const own = costs.get(name)!;
    const other = costs.get(against)!;
    const ratios = own.map((cost, i) => (as === "cost" ? cost / other[i]! : other[i]! / cost));
    const valid = own.filter(Number.isFinite);
    const ratio = median(ratios.filter(Number.isFinite));
    const cost = median(valid);
    const missed = aim !== undefined && (Number.isNaN(ratio) || (as === "cost" ? ratio > aim : ratio < aim));
    const notes = [write(cost)];
    if (aim !== undefined)
      notes.push(`aim ${as === "cost" ? "at most" : ""} ${aim}: ${missed ? "MISSED" : "reached"}`);
    const spread = Math.max(...valid) / Math.min(...valid);
    if (spread > RESTLESS) notes.push(`rounds differ ${spread.toFixed(1)} times`);
    if (valid.length < own.length) notes.push(`${own.length - valid.length} of ${own.length} rounds failed`);
    const note = notes.join("; ").replace("  ", " ");
    const told = unit ?? (as === "cost" ? `x cost of ${against}` : `x ${against}`);
    console.log(JSON.stringify({ name, value: Number.isNaN(ratio) ? 0 : ratio, unit: told, note }));
    results.push({ name, cost, ratio, missed });
  }
  return results;
}
