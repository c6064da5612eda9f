/**
 * Weighted overflow: the heaviest usable destination until its active connections exceed its weight, then the next heaviest.
 * @module
 */
import { heaviest } from "./heaviest.ts";
import type { SchedulerKind } from "./scheduler.ts";

/** Weighted overflow. */
export const ovf: SchedulerKind = {
  name: "ovf",
  create: (service) => ({ pick: () => heaviest(service.destinations, true) }),
};
