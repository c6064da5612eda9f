/**
 * Times as people say them.
 * @module
 */

/** `90061 s` as `1 d 1 h 1 min 1 s`. */
export function duration(ms: number): string {
  let seconds = Math.floor(ms / 1000);
  const words: string[] = [];
  for (const [unit, size] of [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
  ] as const) {
    if (seconds >= size) words.push(`${Math.floor(seconds / size)} ${unit}`);
    seconds %= size;
  }
  return [...words, `${seconds} s`].join(" ");
}
