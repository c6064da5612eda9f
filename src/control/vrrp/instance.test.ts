import { describe, expect, test } from "vitest";
import { vrrpInstance } from "../../testkit/vrrp-spec.ts";
import {
  type Action,
  type Advert,
  createInstance,
  type Event,
  type Instance,
  nextAt,
  respecify,
  step,
} from "./instance.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

/** An instance with a clock, read like a transcript. */
class Bench {
  now = 1_000_000;
  i: Instance;

  constructor(over: Partial<VrrpInstanceSpec> = {}, grouped = false) {
    this.i = createInstance(vrrpInstance(over), grouped);
  }

  do(event: Event): string[] {
    const [next, actions] = step(this.i, event, this.now);
    this.i = next;
    return actions.map(words).filter((w) => w !== "");
  }

  /** Lets time pass up to what is due next. */
  wait(): string[] {
    this.now = nextAt(this.i);
    return this.do({ kind: "timeout" });
  }

  hear(priority: number, over: Partial<Advert> = {}): string[] {
    return this.do({
      kind: "advert",
      advert: { priority, intervalMs: this.i.spec.advertIntMs, from: "192.0.2.9", order: 1, ...over },
    });
  }

  start(priority = this.i.spec.priority): string[] {
    const { i } = this;
    this.i = { ...i, conditions: { faults: [], waiting: [], priority }, priority };
    return this.do({ kind: "start" });
  }

  master(): this {
    this.start();
    if (this.i.state === "backup") this.wait();
    expect(this.i.state).toBe("master");
    return this;
  }

  /** Milliseconds until it is due. */
  get dueIn(): number {
    return this.i.dueAt - this.now;
  }
}

function words(a: Action): string {
  switch (a.kind) {
    case "advert":
      return `advert ${a.priority}`;
    case "announce":
      return `announce x${a.repeat}`;
    case "tell":
      return a.happening.kind === "log"
        ? ""
        : a.happening.kind === "state"
          ? `-> ${a.happening.to}`
          : a.happening.kind;
    default:
      return a.kind;
  }
}

const V3 = { version: 3, advertIntMs: 500 } as const;

describe("the timers", () => {
  test.each([
    ["version 2, priority 150, 1 s", { priority: 150 }, 3414],
    ["version 2, priority 100, 1 s", { priority: 100 }, 3609],
    ["version 2 with 5 s: the skew does not grow", { priority: 100, advertIntMs: 5000 }, 15609],
    ["version 3, priority 150, 50 cs", { ...V3, priority: 150 }, 1707],
    ["with five adverts to miss", { priority: 150, downTimerAdverts: 5 }, 5414],
  ])("%s: down after %s", (_, over, ms) => {
    const b = new Bench(over);
    expect(b.start()).toEqual(["-> backup"]);
    expect(Math.round(b.dueIn)).toBe(ms);
    expect(b.wait()).toEqual([`advert ${b.i.priority}`, "take", "announce x5", "-> master"]);
  });

  test("state MASTER below priority 255 waits the whole down time, too", () => {
    const b = new Bench({ initial: "master", priority: 254 });
    expect(b.start()).toEqual(["-> backup"]);
  });

  test("the owner of the addresses is master at once", () => {
    expect(new Bench({ priority: 255 }).start()).toEqual(["advert 255", "take", "announce x5", "-> master"]);
  });

  test("a master speaks on a fixed beat, however late it was woken", () => {
    const b = new Bench().master();
    const beat = b.i.dueAt;
    b.now = beat + 70;
    expect(b.do({ kind: "timeout" })).toEqual(["advert 100"]);
    expect(b.i.dueAt).toBe(beat + 1000);
    b.now = beat + 1150;
    expect(b.do({ kind: "timeout" })).toEqual(["advert 100", "late"]);
    expect(b.i.dueAt).toBe(beat + 2000);
  });

  test("announcements: a second round after the delay, then refreshed", () => {
    const announce = { ...vrrpInstance().announce, delayMs: 400, refreshMs: 300, refreshRepeat: 2 };
    const b = new Bench({ announce }).master();
    const heard: string[] = [];
    const began = b.now;
    while (b.now < began + 950) heard.push(...b.wait().map((w) => `${b.now - began} ${w}`));
    expect(heard).toEqual([
      "300 announce x2",
      "400 announce x5",
      "600 announce x2",
      "900 announce x2",
      "1000 advert 100",
    ]);
  });
});

describe("a backup", () => {
  const started = (over: Partial<VrrpInstanceSpec> = {}): Bench => {
    const b = new Bench(over);
    b.start();
    return b;
  };

  test("goes on waiting while a better or equal master speaks", () => {
    for (const priority of [100, 150, 255]) {
      const b = started();
      b.now += 3000;
      expect(b.hear(priority)).toEqual([]);
      expect(Math.round(b.dueIn)).toBe(3609);
      expect(b.i.master).toEqual({ address: "192.0.2.9", priority });
    }
  });

  test("does not let a lesser master stop its timer", () => {
    const b = started();
    b.now += 3000;
    b.hear(99);
    expect(Math.round(b.dueIn)).toBe(609);
  });

  test("waits for the skew only once the master has resigned", () => {
    const b = started();
    b.hear(0);
    expect(Math.round(b.dueIn)).toBe(609);
    expect(b.wait()).toContain("-> master");
  });

  test("nopreempt: a lesser master is good enough, silence is not", () => {
    const b = started({ preempt: false });
    b.now += 3000;
    b.hear(1);
    expect(Math.round(b.dueIn)).toBe(3609);
    expect(b.wait()).toContain("-> master");
  });

  test("nopreempt does not bind the owner", () => {
    const b = new Bench({ preempt: false, priority: 255 }, true);
    b.start();
    b.now += 10;
    b.hear(1);
    expect(b.dueIn).toBeLessThanOrEqual(0);
  });

  test("preempt_delay: lesser adverts count until it ends, and better ones cancel it", () => {
    const b = started({ preemptDelayMs: 5000 });
    b.hear(50);
    for (let i = 0; i < 4; i++) {
      b.now += 1000;
      b.hear(50);
      expect(Math.round(b.dueIn)).toBe(3609);
    }
    b.now += 1000;
    b.hear(50);
    expect(Math.round(b.dueIn)).toBe(2609);
    expect(b.wait()).toContain("-> master");

    const other = started({ preemptDelayMs: 5000 });
    other.hear(50);
    other.now += 4900;
    other.hear(150);
    other.now += 200;
    other.hear(50);
    expect(Math.round(other.dueIn)).toBe(3609);
  });

  test("version 3 measures silence by the master's interval, and speaks at its own", () => {
    const b = started({ ...V3, priority: 150, advertIntMs: 1000 });
    b.hear(200, { intervalMs: 500 });
    expect(Math.round(b.dueIn)).toBe(1707);
    b.wait();
    expect(b.i.state).toBe("master");
    expect(b.dueIn).toBe(1000);
  });

  test("moves its running timer with its priority", () => {
    const b = started();
    const due = b.i.dueAt;
    const told = b.do({ kind: "conditions", conditions: { faults: [], waiting: [], priority: 228 } });
    expect(told).toEqual(["priority"]);
    expect(due - b.i.dueAt).toBe(500);
  });
});

describe("an instance whose peer has connections", () => {
  const OVER = { ...V3, priority: 150, tableWaitMs: 10_000 };
  /** It was master, its cable was cut, and is in again. */
  const back = (over: Partial<VrrpInstanceSpec> = {}): Bench => {
    const b = new Bench({ ...OVER, ...over }).master();
    const { priority } = b.i.spec;
    const faulty = { faults: ["interface v0 is down"], waiting: [], priority };
    expect(b.do({ kind: "conditions", conditions: faulty })).toEqual(["advert 0", "release", "-> fault"]);
    b.now += 60_000;
    expect(b.do({ kind: "conditions", conditions: { ...faulty, faults: [] } })).toEqual(["-> backup"]);
    return b;
  };
  /** The other one is master for so long, with an advert each half second. */
  const hearFor = (b: Bench, ms: number, priority = 100): string[] => {
    const told: string[] = [];
    for (const end = b.now + ms; b.now < end; b.now += 500) {
      if (b.i.dueAt <= b.now) told.push(...b.do({ kind: "timeout" }));
      told.push(...b.hear(priority));
    }
    return told;
  };

  test("leaves the addresses to a lesser master until the connections are here", () => {
    const b = back();
    expect(hearFor(b, 5000)).toEqual([]);
    expect(b.do({ kind: "caughtUp" })).toEqual([]);
    expect(hearFor(b, 2500).slice(0, 4)).toEqual(["advert 150", "take", "announce x5", "-> master"]);
  });

  test("waits no longer than the limit", () => {
    const b = back();
    expect(hearFor(b, 10_000)).toEqual([]);
    expect(hearFor(b, 2500)).toContain("-> master");
  });

  test("takes over at once when the other one dies or resigns meanwhile", () => {
    const dying = back();
    hearFor(dying, 2000);
    expect(dying.dueIn).toBeLessThan(2000);
    expect(dying.wait()).toContain("-> master");
    const resigning = back();
    hearFor(resigning, 2000);
    resigning.hear(0);
    expect(resigning.dueIn).toBeLessThan(250);
  });

  test("listens for three seconds after a fault, unless it is told that nobody is there", () => {
    const b = back();
    expect(b.dueIn).toBe(3000);
    b.do({ kind: "caughtUp" });
    expect(Math.round(b.dueIn)).toBe(1707);
    expect(Math.round(back({ tableWaitMs: 2000 }).dueIn)).toBe(2000);
    const former = new Bench(OVER).master();
    former.hear(200);
    expect(Math.round(former.dueIn)).toBe(1707);
  });

  test("waits also after a better master, and as the owner, but not at its start", () => {
    const b = new Bench(OVER).master();
    expect(b.hear(200)).toContain("-> backup");
    expect(hearFor(b, 5000)).toEqual([]);
    const owner = back({ priority: 255 });
    expect(hearFor(owner, 5000)).toEqual([]);
    owner.do({ kind: "caughtUp" });
    expect(hearFor(owner, 2500)).toContain("-> master");
    const fresh = new Bench(OVER);
    fresh.start();
    expect(hearFor(fresh, 2500)).toContain("-> master");
  });

  test("waits no more when a reload says so, and with its preemption delay at the same time", () => {
    const b = back();
    hearFor(b, 2000);
    const { tableWaitMs: _, ...rest } = b.i.spec;
    b.i = respecify(b.i, rest, false, b.now);
    expect(hearFor(b, 2500)).toContain("-> master");
    const patient = back({ preemptDelayMs: 8000 });
    hearFor(patient, 4000);
    patient.do({ kind: "caughtUp" });
    expect(hearFor(patient, 3500)).toEqual([]);
    expect(hearFor(patient, 3500)).toContain("-> master");
  });
});

describe("a master", () => {
  test("hears a better one: says once more that it was there, gives the addresses back, waits", () => {
    const b = new Bench().master();
    expect(b.hear(150)).toEqual(["advert 100", "release", "-> backup"]);
    expect(Math.round(b.dueIn)).toBe(3609);
  });

  test("strict: it says nothing more", () => {
    expect(new Bench({ strict: true }).master().hear(150)).toEqual(["release", "-> backup"]);
  });

  test("with the same priority the higher address stays, and the other router is named", () => {
    expect(new Bench().master().hear(100, { order: 5 })).toEqual([
      "duplicate",
      "advert 100",
      "release",
      "-> backup",
    ]);
    expect(new Bench().master().hear(100, { order: -5 })).toEqual([
      "duplicate",
      "masterRxLowerPri",
      "advert 100",
      "announce x5",
    ]);
    expect(new Bench().master().hear(100, { order: 0 })).toEqual(["duplicate"]);
  });

  test("hears a lesser one: answers at once, and announces again, now and after the delay", () => {
    const b = new Bench().master();
    b.i = { ...b.i, announceAt: Number.POSITIVE_INFINITY };
    b.now += 400;
    expect(b.hear(50)).toEqual(["masterRxLowerPri", "advert 100", "announce x5"]);
    expect(b.dueIn).toBe(1000);
    const heard: string[] = [];
    for (let i = 0; i < 6; i++) heard.push(...b.wait());
    expect(heard.filter((w) => w === "announce x5")).toHaveLength(1);
  });

  test("lower_prio_no_advert keeps it quiet", () => {
    expect(new Bench({ lowerPrioNoAdvert: true }).master().hear(50)).toEqual([
      "masterRxLowerPri",
      "announce x5",
    ]);
  });

  test("hears another one resign: speaks at once and announces, for there were two", () => {
    expect(new Bench().master().hear(0)).toEqual(["advert 100", "announce x5"]);
  });

  test("two owners: it reverts to 254 and gives way", () => {
    const b = new Bench({ priority: 255 }).master();
    expect(b.hear(255)).toEqual(["duplicate", "advert 254", "release", "-> backup"]);
    expect(b.i.priority).toBe(254);
    b.do({ kind: "conditions", conditions: { faults: [], waiting: [], priority: 255 } });
    expect(b.i.priority).toBe(254);
  });

  test("keeps its role with a new priority, which the next advert says", () => {
    const b = new Bench().master();
    b.do({ kind: "conditions", conditions: { faults: [], waiting: [], priority: 40 } });
    expect(b.wait()).toEqual(["advert 40"]);
  });

  test("an address removed by hand: resigns, and comes back after the skew", () => {
    const b = new Bench().master();
    expect(b.do({ kind: "lost", what: "192.0.2.100" })).toEqual([
      "address",
      "advert 0",
      "release",
      "-> backup",
    ]);
    expect(Math.round(b.dueIn)).toBe(609);
    expect(b.wait()).toContain("take");
  });

  test("resigns when it stops, and when it fails", () => {
    expect(new Bench().master().do({ kind: "stop", reason: "x" })).toEqual([
      "advert 0",
      "release",
      "-> stop",
    ]);
    const failing = new Bench().master();
    const conditions = { faults: ["interface v0 is down"], waiting: [], priority: 100 };
    expect(failing.do({ kind: "conditions", conditions })).toEqual(["advert 0", "release", "-> fault"]);
    expect(failing.hear(50)).toEqual([]);
    expect(failing.do({ kind: "conditions", conditions: { ...conditions, faults: [] } })).toEqual([
      "-> backup",
    ]);
  });

  test("after it stood still longer than others wait, it steps back before it does anything else", () => {
    for (const event of [
      { kind: "timeout" } as const,
      { kind: "advert", advert: { priority: 50, intervalMs: 1000, from: "192.0.2.9", order: 1 } } as const,
    ]) {
      const b = new Bench().master();
      b.now = b.i.dueAt + 60_000;
      expect(b.do(event)).toEqual(["gap", "advert 0", "release", "-> backup"]);
      expect(b.i.state).toBe("backup");
    }
  });

  test("a second of delay is no reason to step back", () => {
    const b = new Bench().master();
    b.now = b.i.dueAt + 1000;
    expect(b.do({ kind: "timeout" })).toEqual(["advert 100", "late"]);
  });
});

test("a backup that stood still listens anew instead of taking silence for granted", () => {
  const b = new Bench();
  b.start();
  b.now = b.i.dueAt + 60_000;
  expect(b.do({ kind: "timeout" })).toEqual(["gap"]);
  expect(b.i.state).toBe("backup");
  expect(b.wait()).toContain("-> master");
});

test("it waits in init for the first result of what decides about fault", () => {
  const b = new Bench();
  b.i = { ...b.i, conditions: { faults: [], waiting: ["script chk"], priority: 100 } };
  expect(b.do({ kind: "start" })).toEqual([]);
  expect(b.i.state).toBe("init");
  expect(b.do({ kind: "conditions", conditions: { faults: [], waiting: [], priority: 100 } })).toEqual([
    "-> backup",
  ]);
});

describe("a burst of unwelcome adverts", () => {
  test("gets one answer in a tenth of the interval; what it may have spoilt is announced when it is over", () => {
    const b = new Bench({ priority: 150 }).master();
    const answers = Array.from({ length: 50 }, () => b.hear(10));
    expect(answers.filter((a) => a.length > 0)).toEqual([["masterRxLowerPri", "advert 150", "announce x5"]]);
    b.now += 100;
    expect(b.hear(10)).toContain("advert 150");
    b.hear(10);
    expect(b.i.lowerAnnounceAt - b.now).toBe(100);
  });

  test("does not keep a better router from being heard", () => {
    const b = new Bench({ priority: 150 }).master();
    b.hear(10);
    expect(b.hear(200)).toContain("-> backup");
  });
});

describe("a reload", () => {
  test("with a shorter interval lets a master speak, and a backup listen, accordingly", () => {
    const long = { advertIntMs: 10_000 };
    for (const [b, dueIn] of [
      [new Bench(long).master(), 1000],
      [new Bench(long), 3609.375],
    ] as const) {
      if (b.i.state === "init") b.start();
      b.i = respecify(b.i, vrrpInstance({ advertIntMs: 1000 }), false, b.now);
      expect(b.dueIn).toBe(dueIn);
    }
  });

  test("begins and ends the refreshing of announcements", () => {
    const b = new Bench().master();
    const refreshed = (refreshMs: number) =>
      vrrpInstance({ announce: { ...vrrpInstance().announce, refreshMs } });
    b.i = respecify(b.i, refreshed(7000), false, b.now);
    expect(b.i.refreshAt - b.now).toBe(7000);
    b.i = respecify(b.i, refreshed(0), false, b.now);
    expect(b.i.refreshAt).toBe(Number.POSITIVE_INFINITY);
  });
});
