/**
 * The nearest known word, for messages about unknown ones.
 * @module
 */

/** Edits that turn one word into another: insert, delete, replace, swap of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(row[j - 1] + 1, last[j] + 1, last[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, before[j - 2] + 1);
      }
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length];
}

/** The known word that is nearest to a misspelt one; undefined when none is near (a third of its letters, at least one). */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  const lower = word.toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.floor(Math.min(word.length, 24) / 3)) + 0.5;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) > least) continue;
    const distance = editDistance(lower.slice(0, 64), candidate.toLowerCase());
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}
