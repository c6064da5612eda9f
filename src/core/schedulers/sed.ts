/**
 * Shortest expected delay: the least (active + 1) / weight.
 * @module
 */
import { expectedDelay, weightedLeast } from "./least.ts";
import type { SchedulerKind } from "./scheduler.ts";

/** Shortest expected delay. */
export const sed: SchedulerKind = {
  name: "sed",
  create: (service) => ({ pick: () => weightedLeast(service.destinations, expectedDelay) }),
};
