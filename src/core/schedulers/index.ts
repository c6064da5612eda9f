/**
 * The schedulers by name. "none" is not among them: a service without a scheduler is the table's affair.
 * @module
 */
import { dh } from "./dh.ts";
import { fo } from "./fo.ts";
import { lblc } from "./lblc.ts";
import { lblcr } from "./lblcr.ts";
import { lc } from "./lc.ts";
import { mh } from "./mh.ts";
import { nq } from "./nq.ts";
import { ovf } from "./ovf.ts";
import { rr } from "./rr.ts";
import type { SchedulerKind } from "./scheduler.ts";
import { sed } from "./sed.ts";
import { sh } from "./sh.ts";
import { twos } from "./twos.ts";
import { wlc } from "./wlc.ts";
import { wrr } from "./wrr.ts";

/** Every scheduler. */
export const SCHEDULERS: readonly SchedulerKind[] = [
  rr,
  wrr,
  lc,
  wlc,
  lblc,
  lblcr,
  dh,
  sh,
  sed,
  nq,
  fo,
  ovf,
  mh,
  twos,
];

const BY_NAME = new Map(SCHEDULERS.map((kind) => [kind.name, kind]));

/** The scheduler that `ipvsadm -s NAME` means, or undefined. */
export const schedulerByName = (name: string): SchedulerKind | undefined => BY_NAME.get(name);
