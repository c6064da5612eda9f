/**
 * A service of make-believe destinations for tests of schedulers: destinations have short names, and every choice opens a
 * connection that stays.
 * @module
 */
import { schedulerByName } from "../core/schedulers/index.ts";
import type { Candidate, Request, Scheduler } from "../core/schedulers/scheduler.ts";
import { DEFAULT_SETTINGS, type Settings } from "../core/settings.ts";

/** A destination whose every property a test may set. */
export interface TestDestination extends Candidate {
  readonly name: number;
  fold: number;
  port: number;
  weight: number;
  lastWeight: number;
  active: number;
  inactive: number;
  overloaded: boolean;
  available: boolean;
}

/** The address 10.a.b.c as a scheduler sees it. */
export const ip10 = (a: number, b: number, c: number): number =>
  ((10 << 24) | (a << 16) | (b << 8) | c) >>> 0;

/** A service and its scheduler. Destination n is 10.2.0.n:80 unless changed. */
export class SchedulingBed {
  /** Newest first. */
  readonly destinations: TestDestination[] = [];
  readonly settings: Settings = { ...DEFAULT_SETTINGS };
  readonly scheduler: Scheduler<TestDestination>;
  schedFlags = 0;
  now = 0;
  /** What the scheduler gets for random numbers. */
  random: () => number = () => 0;

  constructor(scheduler: string) {
    const env = { random: () => this.random(), settings: this.settings };
    this.scheduler = schedulerByName(scheduler)!.create<TestDestination>(this, env);
  }

  /** Adds destinations in this order: `name: weight`. Numeric keys of an object come in ascending order. */
  add(weights: Readonly<Record<number, number>>): this {
    for (const [name, weight] of Object.entries(weights)) {
      const d: TestDestination = {
        name: Number(name),
        fold: ip10(2, 0, Number(name)),
        port: 80,
        weight,
        lastWeight: weight,
        active: 0,
        inactive: 0,
        overloaded: false,
        available: true,
      };
      this.destinations.unshift(d);
      this.scheduler.added?.(d);
    }
    return this;
  }

  get(name: number): TestDestination {
    return this.destinations.find((d) => d.name === name)!;
  }

  edit(name: number, weight: number): void {
    const d = this.get(name);
    d.weight = weight;
    if (weight > 0) d.lastWeight = weight;
    this.scheduler.edited?.(d);
  }

  remove(name: number): void {
    const index = this.destinations.findIndex((d) => d.name === name);
    const [d] = this.destinations.splice(index, 1);
    d!.available = false;
    this.scheduler.removed?.(d!, index);
  }

  /** Chooses without opening a connection. */
  choose(request: Partial<Request> = {}): TestDestination | undefined {
    const { clientFold = ip10(1, 0, 2), clientPort = 40000, targetFold = ip10(9, 0, 1) } = request;
    const { targetKey = targetFold, now = this.now } = request;
    return this.scheduler.pick({ clientFold, clientPort, targetFold, targetKey, now });
  }

  /** Names of the next `count` choices, "none" where there was none; each leaves an active connection (SYN_RECV). */
  take(
    count: number,
    request: (i: number) => Partial<Request> = () => ({}),
    kind: "active" | "inactive" = "active",
  ): string {
    const names: (number | "none")[] = [];
    for (let i = 0; i < count; i++) {
      const d = this.choose(request(i));
      if (d) d[kind]++;
      names.push(d?.name ?? "none");
    }
    return names.join(" ");
  }
}
