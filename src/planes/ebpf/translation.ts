/**
 * Elements of one layout → elements of another: fields that both have, by their names.
 * @module
 */
import type { BtfStruct } from "../../wire/btf.ts";
import type { Struct } from "./struct.ts";

/** Runs of bytes to copy: where from, where to, how many. */
export interface Translation {
  /** Bytes of an element before, and after. */
  readonly from: number;
  readonly to: number;
  readonly runs: readonly (readonly [from: number, to: number, length: number])[];
}

/** How elements that look like `old` become elements of `next`. A field that grew or shrank keeps its low bytes. */
export function translation(old: BtfStruct, next: Struct): Translation {
  const runs: [number, number, number][] = [];
  const before = [...old.members].map(([name, at]) => ({ name, at })).sort((a, b) => a.at - b.at);
  const after = Object.entries(next.at).sort((a, b) => a[1] - b[1]);
  for (const [i, [name, to]] of after.entries()) {
    const k = before.findIndex((field) => field.name === name);
    if (k < 0) continue;
    const from = before[k]!.at;
    const length = Math.min((before[k + 1]?.at ?? old.size) - from, (after[i + 1]?.[1] ?? next.size) - to);
    const last = runs.at(-1);
    if (last && last[0] + last[2] === from && last[1] + last[2] === to) last[2] += length;
    else runs.push([from, to, length]);
  }
  return { from: old.size, to: next.size, runs };
}

/** Translates one element. */
export function translate(
  { runs }: Translation,
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
): void {
  for (const [a, b, length] of runs) {
    for (let i = 0; i < length; i++) target[to + b + i] = source[from + a + i]!;
  }
}

/** Whether two layouts have the same fields at the same places. */
export const sameLayout = (old: BtfStruct | undefined, next: BtfStruct | undefined): boolean =>
  old !== undefined &&
  next !== undefined &&
  old.size === next.size &&
  old.members.size === next.members.size &&
  [...next.members].every(([name, at]) => old.members.get(name) === at);
