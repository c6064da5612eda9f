/**
 * Scheduler flags: names of the three bits.
 * @module
 */
import { usage } from "./failure.ts";

const GENERIC = ["flag-1", "flag-2", "flag-3"] as const;
/** sh and mh name the first two bits themselves and have no name for the third. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  sh: ["sh-fallback", "sh-port"],
  mh: ["mh-fallback", "mh-port"],
};

/** Reads a comma-separated list of flags. compat: ipvsadm 1.31 looks at the first 127 bytes. */
export function readFlags(list: string, scheduler: string): number {
  let bits = 0;
  for (const name of list.slice(0, 127).split(",")) {
    if (name === "") continue;
    const reason = { kind: "flag", word: name, scheduler } as const;
    const generic = (GENERIC as readonly string[]).indexOf(name);
    const owner = Object.keys(OWN).find((s) => OWN[s].includes(name));
    if (generic < 0 && owner === undefined) throw usage(`invalid scheduler flag \`${name}'`, reason);
    if (owner !== undefined && owner !== scheduler) {
      throw usage(`incompatible scheduler flag \`${name}'`, reason);
    }
    bits |= 1 << (owner === undefined ? generic : OWN[owner].indexOf(name));
  }
  return bits;
}

/** Names of the bits that are set, separated by commas. compat: "" for flag-3 of sh and mh alone. */
export function flagNames(bits: number, scheduler: string): string {
  return (OWN[scheduler] ?? GENERIC).filter((_, bit) => bits & (1 << bit)).join(",");
}

/** Like {@link flagNames}, but so that every bit can be read back. */
export function restorableFlags(bits: number): string {
  return GENERIC.filter((_, bit) => bits & (1 << bit)).join(",");
}
