/**
 * Weighted failover: the heaviest usable destination gets everything.
 * @module
 */
import { heaviest } from "./heaviest.ts";
import type { SchedulerKind } from "./scheduler.ts";

/** Weighted failover. */
export const fo: SchedulerKind = {
  name: "fo",
  create: (service) => ({ pick: () => heaviest(service.destinations, false) }),
};
