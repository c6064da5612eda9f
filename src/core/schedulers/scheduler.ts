/**
 * The interface behind which every scheduler lives. A new scheduler is one file that exports a {@link SchedulerKind} and one
 * line in `index.ts`.
 * @module
 */
import type { Settings } from "../settings.ts";

/** What a scheduler sees of a live destination. */
export interface Candidate {
  /** RIP as one number, unsigned: IPv4 in host order; IPv6 the exclusive or of its four 32-bit words. */
  readonly fold: number;
  readonly port: number;
  /** 0 = quiesced. */
  readonly weight: number;
  /** The last weight that was not 0 (0 when there never was one). */
  readonly lastWeight: number;
  readonly active: number;
  readonly inactive: number;
  /** The upper threshold was reached and the lower one not yet undercut. */
  readonly overloaded: boolean;
  /** False once removed from its service (caches may still hold it). */
  readonly available: boolean;
}

/** The service a scheduler works for. The array is the live one: newest first, changed by the table. */
export interface Candidates<D extends Candidate = Candidate> {
  readonly destinations: readonly D[];
  /** Bits of `SCHED_FLAG` (service.ts). */
  readonly schedFlags: number;
}

/** The packet that wants a destination. One object is used again and again: copy what must outlive the call. */
export interface Request {
  /** Client address as one number, unsigned, folded as in {@link Candidate.fold}. */
  readonly clientFold: number;
  /** Client port; 0 for protocols without ports. */
  readonly clientPort: number;
  /** The packet's destination address as one number, folded as in {@link Candidate.fold}. */
  readonly targetFold: number;
  /** The packet's destination address, a value equal exactly for equal addresses (number for IPv4, text for IPv6). */
  readonly targetKey: number | string;
  /** Milliseconds, monotonic. */
  readonly now: number;
}

/** What a scheduler may ask of its surroundings. */
export interface SchedulerEnv {
  /** Uniform in [0, 1). */
  random(): number;
  /** Live settings (lblc_expiration ...). */
  readonly settings: Readonly<Settings>;
}

/** A scheduler at work for one service. */
export interface Scheduler<D extends Candidate = Candidate> {
  /** Chooses a destination, or none. */
  pick(request: Request): D | undefined;
  /** The destination list changed; called after the list holds the new order (a removed one is gone from it already). */
  added?(destination: D): void;
  /** `index` is where the destination stood in the list before. */
  removed?(destination: D, index: number): void;
  /** Weight or thresholds of a destination changed. */
  edited?(destination: D): void;
  /** Called once a minute or so, for cache upkeep. */
  tick?(now: number): void;
}

/** A scheduler by name. */
export interface SchedulerKind {
  /** As `ipvsadm -s` takes it. */
  readonly name: string;
  /**
   * Makes a scheduler for a service whose destination list may already be filled.
   * @throws TableError EINVAL when the list cannot be served (mh: more destinations than slots).
   */
  create<D extends Candidate>(service: Candidates<D>, env: SchedulerEnv): Scheduler<D>;
  /** Refuses a destination list that the scheduler cannot serve; called before the change is made. @throws TableError EINVAL */
  check?(destinations: number): void;
}

/** May get new connections: not overloaded and not quiesced. */
export const usable = (d: Candidate): boolean => !d.overloaded && d.weight > 0;

/** How an active connection weighs against an inactive one: 256 x active + (active + inactive), as Linux 6.1 counts. */
export const ACTIVE_FACTOR = 257;

/** Load of a destination for lc, wlc, lblc, lblcr and twos. */
export const overhead = (d: Candidate): number => ACTIVE_FACTOR * d.active + d.inactive;
