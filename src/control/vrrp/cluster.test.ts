import { describe, expect, test } from "vitest";
import { syncGroup, virtualAddress, vrrpInstance, vrrpSpec } from "../../testkit/vrrp-spec.ts";
import { type Cluster, type ClusterEvent, due, EMPTY, nextTimeout, reconfigure, steps } from "./cluster.ts";
import type { Action } from "./instance.ts";
import type { VrrpSpec } from "./spec.ts";

class Bench {
  now = 0;
  c: Cluster = EMPTY;

  configure(spec: VrrpSpec): string[] {
    const { cluster, goodbyes, actions, fresh } = reconfigure(this.c, spec, this.now);
    this.c = cluster;
    return [
      ...words([...goodbyes, ...actions]),
      ...this.do(...fresh.map((instance) => ({ kind: "start", instance }) as const)),
    ];
  }

  do(...events: ClusterEvent[]): string[] {
    const [next, actions] = steps(this.c, events, this.now);
    this.c = next;
    return words(actions);
  }

  /** Lets the next time-outs happen. */
  wait(): string[] {
    this.now = nextTimeout(this.c);
    return this.do(...due(this.c, this.now).map((instance) => ({ kind: "timeout", instance }) as const));
  }

  conditions(instance: string, faults: string[], priority = 100): string[] {
    return this.do({ kind: "conditions", instance, conditions: { faults, waiting: [], priority } });
  }

  hear(instance: string, priority: number): string[] {
    return this.do({
      kind: "advert",
      instance,
      advert: { priority, intervalMs: 1000, from: "192.0.2.9", order: 1 },
    });
  }

  get states(): string[] {
    return [...this.c.instances.values()].map((i) => i.state);
  }
}

function words(actions: readonly Action[]): string[] {
  return actions.flatMap((a) => {
    if (a.kind === "advert") return [`${a.instance} advert ${a.priority}`];
    if (a.kind === "tell") {
      if (a.happening.kind === "state") return [`${a.happening.instance} -> ${a.happening.to}`];
      return a.happening.kind === "group" ? [`${a.happening.group} => ${a.happening.to}`] : [];
    }
    return [`${a.instance} ${a.kind}`];
  });
}

const A = vrrpInstance({ name: "A", routerId: 1 });
const B = vrrpInstance({
  name: "B",
  routerId: 2,
  priority: 150,
  addresses: [virtualAddress("198.51.100.1")],
});
const grouped = vrrpSpec([A, B], { groups: [syncGroup("G", ["A", "B"])] });

describe("a sync group", () => {
  const masters = (): Bench => {
    const b = new Bench();
    b.configure(grouped);
    while (!b.states.includes("master")) b.wait();
    expect(b.states).toEqual(["master", "master"]);
    return b;
  };

  test("becomes master when its last member would, and tells of itself after its members", () => {
    const b = new Bench();
    expect(b.configure(grouped)).toEqual(["A -> backup", "B -> backup", "G => backup"]);
    expect(b.wait()).toEqual([]); // B, which is quicker, waits for A
    expect(b.wait()).toEqual([
      "A advert 100",
      "A take",
      "A announce",
      "A -> master",
      "B advert 150",
      "B take",
      "B announce",
      "B -> master",
      "G => master",
    ]);
  });

  test("does not become master while one member hears a better one", () => {
    const b = new Bench();
    b.configure(grouped);
    for (let i = 0; i < 20; i++) {
      b.wait();
      b.hear("A", 200);
    }
    expect(b.states).toEqual(["backup", "backup"]);
  });

  test("goes to backup together: the others resign at once", () => {
    const b = masters();
    expect(b.hear("A", 200)).toEqual([
      "A advert 100",
      "A release",
      "A -> backup",
      "B advert 0",
      "B release",
      "B -> backup",
      "G => backup",
    ]);
  });

  test("fails together, and recovers together", () => {
    const b = masters();
    expect(b.conditions("B", ["interface v1 is down"], 150)).toEqual([
      "B advert 0",
      "B release",
      "B -> fault",
      "A advert 0",
      "A release",
      "A -> fault",
      "G => fault",
    ]);
    expect(b.conditions("A", [])).toEqual([]);
    expect(b.conditions("B", [], 150)).toEqual(["A -> backup", "B -> backup", "G => backup"]);
  });

  test("announces for all members when one of them heard a lesser master", () => {
    const b = masters();
    expect(b.hear("A", 5)).toEqual(["A advert 100", "A announce", "B announce"]);
  });

  test("of owners is master at once", () => {
    const b = new Bench();
    const owners = [A, B].map((i) => ({ ...i, priority: 255 }));
    b.configure(vrrpSpec(owners, { groups: [syncGroup("G", ["A", "B"])] }));
    b.wait();
    expect(b.states).toEqual(["master", "master"]);
    expect(b.now).toBe(0);
  });
});

describe("a reload", () => {
  const master = (): Bench => {
    const b = new Bench();
    b.configure(vrrpSpec([A]));
    b.wait();
    expect(b.states).toEqual(["master"]);
    return b;
  };

  test("keeps the state, and sets and announces what is new", () => {
    const b = master();
    const dueAt = nextTimeout(b.c);
    const more = { ...A, addresses: [...A.addresses, virtualAddress("192.0.2.101")] };
    expect(b.configure(vrrpSpec([more]))).toEqual(["A take", "A announce"]);
    expect(b.states).toEqual(["master"]);
    expect(nextTimeout(b.c)).toBe(dueAt);
    expect(b.configure(vrrpSpec([A]))).toEqual(["A take"]);
  });

  test("lets a removed instance resign, and one with another router id is another one", () => {
    expect(master().configure(vrrpSpec([B]))).toEqual([
      "A advert 0",
      "A release",
      "A -> deleted",
      "B -> backup",
    ]);
    expect(master().configure(vrrpSpec([{ ...A, routerId: 9 }]))).toEqual([
      "A advert 0",
      "A release",
      "A -> deleted",
      "A -> backup",
    ]);
  });
});

test("one member that waits for a peer's connections holds the others of its group back", () => {
  const b = new Bench();
  const waits = { ...A, tableWaitMs: 60_000 };
  b.configure(vrrpSpec([waits, B], { groups: [syncGroup("G", ["A", "B"])] }));
  while (b.states.includes("backup")) b.wait();
  b.conditions("B", ["interface v0 is down"]);
  expect(b.states).toEqual(["fault", "fault"]);
  b.conditions("B", []);
  const others = (): void => {
    for (let i = 0; i < 10; i++) {
      b.now += 1000;
      b.do(...due(b.c, b.now).map((instance) => ({ kind: "timeout", instance }) as const));
      for (const member of ["A", "B"]) b.hear(member, 50);
    }
  };
  others();
  expect(b.states).toEqual(["backup", "backup"]);
  b.do({ kind: "caughtUp", instance: "A" }, { kind: "caughtUp", instance: "B" });
  others();
  expect(b.states).toEqual(["master", "master"]);
});

test("a master that a reload puts into a group with a backup stays, unless the backup hears another master", () => {
  for (const other of [50, 200]) {
    const b = new Bench();
    b.configure(vrrpSpec([A, B]));
    b.wait(); // B, which is quicker
    expect(b.states).toEqual(["backup", "master"]);
    b.configure(grouped);
    expect(b.states).toEqual(["backup", "master"]);
    b.hear("A", other);
    expect(b.states).toEqual(["backup", other > 100 ? "backup" : "master"]);
    if (other < 100) b.wait();
    expect(b.states).toEqual(other > 100 ? ["backup", "backup"] : ["master", "master"]);
  }
});
