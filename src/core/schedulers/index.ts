/**
 * The schedulers by name. "none" is not among them: a service without a scheduler is the table's affair.
 * @module
 */
import { rr } from "./rr.ts";
import type { SchedulerKind } from "./scheduler.ts";

/** Every scheduler, in the order of `ipvsadm --help`. */
export const SCHEDULERS: readonly SchedulerKind[] = [rr];

const BY_NAME = new Map(SCHEDULERS.map((kind) => [kind.name, kind]));

/** The scheduler that `ipvsadm -s NAME` means, or undefined. */
export const schedulerByName = (name: string): SchedulerKind | undefined => BY_NAME.get(name);
