/**
 * How the VRRP parts of two configurations differ, in words.
 * @module
 */
import type { VrrpSpec } from "../../control/vrrp/spec.ts";

/** Places in the file are no difference. */
const text = (value: unknown): string => JSON.stringify(value, (key, v) => (key === "at" ? undefined : v));

function named<T extends { readonly name: string }>(
  what: string,
  from: readonly T[],
  to: readonly T[],
): string[] {
  const before = new Map(from.map((item) => [item.name, item]));
  const after = new Set(to.map((item) => item.name));
  const lines = to.flatMap((item) => {
    const old = before.get(item.name);
    if (!old) return [`add ${what} ${item.name}`];
    if (text(old) === text(item)) return [];
    const fields = Object.keys({ ...old, ...item }).filter(
      (key) => key !== "at" && text(old[key as keyof T]) !== text(item[key as keyof T]),
    );
    return [`change ${what} ${item.name}: ${fields.join(", ")}`];
  });
  return [
    ...lines,
    ...from.filter((item) => !after.has(item.name)).map((item) => `remove ${what} ${item.name}`),
  ];
}

/** One line for each difference. */
export function vrrpDifferences(from: VrrpSpec, to: VrrpSpec): string[] {
  const statics = (["staticAddresses", "staticRoutes", "staticRules"] as const).flatMap((key) =>
    text(from[key]) === text(to[key]) ? [] : [`change ${key.replace("static", "static ").toLowerCase()}`],
  );
  return [
    ...named("VRRP instance", from.instances, to.instances),
    ...named("VRRP sync group", from.groups, to.groups),
    ...named("track script", from.scripts, to.scripts),
    ...named("track file", from.files, to.files),
    ...named("track process", from.processes, to.processes),
    ...statics,
  ];
}
