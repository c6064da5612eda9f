/**
 * Times as people read them in tables.
 * @module
 */

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** `93784000` as `1d2h`: the two largest units. */
export function age(ms: number): string {
  const words: string[] = [];
  let rest = Math.max(0, ms);
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0 || words.length > 0) words.push(count > 0 ? `${count}${unit}` : "");
    if (words.length === 2) break;
  }
  return words.join("") || "0s";
}

/** `2026-11-21 07:08:09`, local time. */
export function moment(at: number): string {
  const d = new Date(at);
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return `${date} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** `1234567` as `1.2M`. */
export function short(n: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (n >= size) return `${(n / size).toFixed(n >= 10 * size ? 0 : 1)}${unit}`;
  }
  return String(Math.round(n));
}
