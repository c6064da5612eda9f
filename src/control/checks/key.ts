/**
 * A name for what a check asks: equal specs have equal keys, so that one probe serves every service that a server is in.
 * @module
 */
import type { CheckSpec } from "./check.ts";

/** The spec as JSON with its fields in order; fields that are undefined count as absent. */
export const checkKey = (spec: CheckSpec): string => JSON.stringify(ordered(spec));

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(fields.map(([name, field]) => [name, ordered(field)]));
}
