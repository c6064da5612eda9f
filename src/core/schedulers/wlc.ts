/**
 * Weighted least connection, ipvsadm's default: the least overhead for its weight.
 * @module
 */
import { weightedLeast } from "./least.ts";
import { overhead, type SchedulerKind } from "./scheduler.ts";

/** Weighted least connection. */
export const wlc: SchedulerKind = {
  name: "wlc",
  create: (service) => ({ pick: () => weightedLeast(service.destinations, overhead) }),
};
