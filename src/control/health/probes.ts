/**
 * Runs checks: one probe for one target however many servers it is for, each at its own time. The only part of health that keeps timers.
 * @module
 */
import type { Checker, CheckSpec, Verdict } from "../checks/check.ts";
import type { CheckStatus, Clock } from "../supervision.ts";
import type { CheckTiming } from "../wanted.ts";
import { type CheckLife, FIRST_DELAY_MS, newLife, retime, step } from "./check-life.ts";

/** What a verdict meant. */
export interface ProbeReport {
  readonly verdict: Verdict;
  readonly turned: "ok" | "failed" | undefined;
  /** Failures forgiven before this one turned it. */
  readonly retries: number;
  /** A failure that does not count yet. */
  readonly failure: { readonly count: number; readonly limit: number } | undefined;
}

export interface ProbesOptions {
  readonly createChecker: (spec: CheckSpec) => Checker;
  /** Equal exactly for checks that one probe can serve. */
  readonly checkKey: (spec: CheckSpec) => string;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Interest in a check. */
export interface Subscription {
  readonly key: string;
  /** What the check has found so far. */
  readonly result: CheckLife["result"];
  /** The last verdict. */
  readonly last: Verdict | undefined;
  readonly suspended: boolean;
  suspend(): void;
  resume(): void;
  /** Goes on under another timing; what was found stays. */
  retime(timing: CheckTiming): void;
  status(): CheckStatus;
  close(): void;
}

/** All checks of a daemon. */
export class Probes {
  /** Before the first check after activation, besides the warm-up, ms. */
  firstDelayMs = FIRST_DELAY_MS;
  readonly #options: ProbesOptions;
  readonly #probes = new Map<string, Probe>();

  constructor(options: ProbesOptions) {
    this.#options = options;
  }

  /** Asks for a check; `report` is called with every verdict, from a timer or a promise, never from within this call. */
  subscribe(
    spec: CheckSpec,
    timing: CheckTiming,
    suspended: boolean,
    report: (report: ProbeReport) => void,
  ): Subscription {
    return new Subscriber(this, spec, timing, suspended, report);
  }

  /** The probe for a check, made when there is none. */
  probe(spec: CheckSpec, timing: CheckTiming): Probe {
    const key = `${this.#options.checkKey(spec)} ${timingKey(timing)}`;
    let probe = this.#probes.get(key);
    if (!probe) {
      probe = new Probe(spec, timing, this.#options, this, () => this.#probes.delete(key));
      this.#probes.set(key, probe);
    }
    return probe;
  }

  /** Distinct checks; entries that they serve; those running at this moment. */
  count(): { readonly distinct: number; readonly entries: number; readonly running: number } {
    let entries = 0;
    let running = 0;
    for (const probe of this.#probes.values()) {
      entries += probe.subscribers.size;
      if (probe.running) running++;
    }
    return { distinct: this.#probes.size, entries, running };
  }
}

const timingKey = (t: CheckTiming): string =>
  [t.delayLoopMs, t.retry, t.delayBeforeRetryMs, t.warmupMs, t.firstFailureCounts, t.downDelayMs].join();

class Subscriber implements Subscription {
  readonly #probes: Probes;
  readonly #spec: CheckSpec;
  readonly report: (report: ProbeReport) => void;
  #probe: Probe;
  suspended: boolean;

  constructor(
    probes: Probes,
    spec: CheckSpec,
    timing: CheckTiming,
    suspended: boolean,
    report: (report: ProbeReport) => void,
  ) {
    this.suspended = suspended;
    this.#probes = probes;
    this.#spec = spec;
    this.report = report;
    this.#probe = probes.probe(spec, timing);
    this.#probe.join(this);
  }

  get key(): string {
    return this.#probe.key;
  }
  get result(): CheckLife["result"] {
    return this.#probe.life.result;
  }
  get last(): Verdict | undefined {
    return this.#probe.last;
  }
  suspend(): void {
    this.suspended = true;
    this.#probe.settle();
  }
  resume(): void {
    this.suspended = false;
    this.#probe.settle();
  }
  retime(timing: CheckTiming): void {
    const former = this.#probe;
    const next = this.#probes.probe(this.#spec, timing);
    if (next === former) return;
    next.inherit(former);
    this.#probe = next;
    next.join(this);
    former.leave(this);
  }
  status(): CheckStatus {
    return { ...this.#probe.status(), suspended: this.suspended };
  }
  close(): void {
    this.#probe.leave(this);
  }
}

class Probe {
  readonly key: string;
  readonly subscribers = new Set<Subscriber>();
  life: CheckLife;
  last: Verdict | undefined;
  readonly #spec: CheckSpec;
  readonly #options: ProbesOptions;
  readonly #probes: Probes;
  readonly #gone: () => void;
  #checker: Checker | undefined;
  /** The check that runs now. */
  #run: AbortController | undefined;
  #cancel: (() => void) | undefined;
  #nextAt: number | undefined;
  #since: number;
  #lastAt: number | undefined;

  constructor(
    spec: CheckSpec,
    timing: CheckTiming,
    options: ProbesOptions,
    probes: Probes,
    gone: () => void,
  ) {
    this.#spec = spec;
    this.#options = options;
    this.#probes = probes;
    this.#gone = gone;
    this.key = options.checkKey(spec);
    this.life = newLife(spec, timing);
    this.#since = options.clock.date();
  }

  get running(): boolean {
    return this.#run !== undefined;
  }

  join(subscriber: Subscriber): void {
    this.subscribers.add(subscriber);
    this.settle();
  }

  leave(subscriber: Subscriber): void {
    if (!this.subscribers.delete(subscriber)) return;
    this.settle();
    if (this.subscribers.size > 0) return;
    this.#gone();
    this.#checker?.close();
    this.#checker = undefined;
  }

  /** Takes over what another timing of the same check has found, unless it has found something itself. */
  inherit(from: Probe): void {
    if (this.life.ran) return;
    this.life = retime(from.life, this.life.timing);
    this.last = from.last;
    this.#since = from.#since;
    this.#lastAt = from.#lastAt;
  }

  /** Runs while somebody listens, rests otherwise. */
  settle(): void {
    let wanted = false;
    for (const s of this.subscribers) {
      if (s.suspended) continue;
      wanted = true;
      break;
    }
    const active = this.#cancel !== undefined || this.#run !== undefined;
    if (wanted === active) return;
    if (wanted) {
      const { clock, random } = this.#options;
      const event = { kind: "activated", random: random(), firstDelayMs: this.#probes.firstDelayMs } as const;
      this.#apply(step(this.life, event, clock.now()));
      return;
    }
    this.#cancel?.();
    this.#cancel = undefined;
    this.#nextAt = undefined;
    this.#run?.abort();
    this.#run = undefined;
  }

  /** @returns the actions besides the next run, which is arranged */
  #apply([life, actions]: ReturnType<typeof step>): Omit<ProbeReport, "verdict"> {
    this.life = life;
    let turned: ProbeReport["turned"];
    let retries = 0;
    let failure: ProbeReport["failure"];
    for (const action of actions) {
      if (action.kind === "run") this.#arrange(action.at);
      else if (action.kind === "failure") failure = { count: action.count, limit: action.limit };
      else {
        turned = action.to;
        retries = action.retries;
        this.#since = this.#options.clock.date();
      }
    }
    return { turned, retries, failure };
  }

  #arrange(at: number): void {
    const { clock } = this.#options;
    const wait = Math.max(0, at - clock.now());
    this.#nextAt = clock.date() + wait;
    this.#cancel = clock.after(wait, () => {
      this.#cancel = undefined;
      void this.#check();
    });
  }

  async #check(): Promise<void> {
    const { clock, createChecker } = this.#options;
    const run = new AbortController();
    this.#run = run;
    this.#nextAt = undefined;
    const startedAt = clock.now();
    let verdict: Verdict;
    try {
      this.#checker ??= createChecker(this.#spec);
      verdict = await this.#checker.check(run.signal);
    } catch (error) {
      // A bug of the checker must not stop the checking.
      const detail = `the check itself failed: ${error instanceof Error ? error.message : String(error)}`;
      verdict = { ok: false, detail, latencyMs: clock.now() - startedAt };
    }
    if (this.#run !== run) return;
    this.#run = undefined;
    this.last = verdict;
    this.#lastAt = clock.date();
    const what = this.#apply(step(this.life, { kind: "verdict", verdict, startedAt }, clock.now()));
    for (const subscriber of [...this.subscribers]) {
      if (!subscriber.suspended && this.subscribers.has(subscriber)) subscriber.report({ verdict, ...what });
    }
  }

  status(): CheckStatus {
    const { target, kind } = this.#spec;
    const host = target.family === 6 ? `[${target.address}]` : target.address;
    return {
      kind,
      target: `${host}:${target.port}`,
      state: this.life.result,
      suspended: false,
      since: this.#since,
      detail: this.last?.detail ?? "",
      ...(this.last && { latencyMs: this.last.latencyMs }),
      ...(this.#lastAt !== undefined && { lastAt: this.#lastAt }),
      ...(this.#nextAt !== undefined && { nextAt: this.#nextAt }),
      failures: this.life.result === "failed" ? 0 : this.life.failures,
    };
  }
}
