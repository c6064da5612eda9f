import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ip10, SchedulingBed } from "../../testkit/scheduling.ts";
import { SCHEDULERS, schedulerByName } from "./index.ts";
import { productExceeds } from "./least.ts";
import { CACHE_LIMIT } from "./locality.ts";
import { MH_KEY, MH_SLOTS, mh } from "./mh.ts";
import { sipHash13 } from "./siphash.ts";

const NAMES = SCHEDULERS.map((kind) => kind.name);
const clients = Array.from({ length: 500 }, (_, i) => ({ clientFold: ip10(1, i >> 8, i & 255) }));

/** What happens to a service. */
const step = fc.oneof(
  fc.record({ do: fc.constant("add" as const), weight: fc.integer({ min: 0, max: 5 }) }),
  fc.record({ do: fc.constant("remove" as const), which: fc.nat(9) }),
  fc.record({ do: fc.constant("edit" as const), which: fc.nat(9), weight: fc.integer({ min: 0, max: 5 }) }),
  fc.record({ do: fc.constant("overload" as const), which: fc.nat(9) }),
  fc.record({ do: fc.constant("pick" as const), client: fc.nat(0xffffffff) }),
);

describe("every scheduler", () => {
  test("is found by its name, and no other is", () => {
    expect(NAMES.sort()).toEqual(
      ["dh", "fo", "lblc", "lblcr", "lc", "mh", "nq", "ovf", "rr", "sed", "sh", "twos", "wlc", "wrr"].sort(),
    );
    expect(schedulerByName("wlcx")).toBeUndefined();
    expect(schedulerByName("none")).toBeUndefined();
  });

  test.each(NAMES)("%s chooses none among none, all quiesced, or all overloaded", (name) => {
    const bed = new SchedulingBed(name);
    expect(bed.choose()).toBeUndefined();
    bed.add({ 11: 0, 12: 0 });
    expect(bed.choose()).toBeUndefined();
    bed.edit(11, 3);
    bed.edit(12, 2147483647);
    for (const d of bed.destinations) d.overloaded = true;
    for (let i = 0; i < 5; i++) expect(bed.choose()).toBeUndefined();
    for (const d of bed.destinations) d.overloaded = false;
    bed.remove(11);
    bed.remove(12);
    expect(bed.choose()).toBeUndefined();
  });

  test.each(NAMES)("%s only ever chooses a usable destination of the list", (name) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(7), (steps, flags) => {
        const bed = new SchedulingBed(name);
        bed.schedFlags = flags;
        let next = 1;
        for (const s of steps) {
          const chosen = "which" in s ? bed.destinations[s.which] : undefined;
          if (s.do === "add") bed.add({ [next++]: s.weight });
          else if (s.do === "remove" && chosen) bed.remove(chosen.name);
          else if (s.do === "edit" && chosen) bed.edit(chosen.name, s.weight);
          else if (s.do === "overload" && chosen) chosen.overloaded = !chosen.overloaded;
          else if (s.do === "pick") {
            bed.now += 1000;
            const d = bed.choose({ clientFold: s.client, targetFold: s.client & 7, clientPort: 1 });
            if (!d) continue;
            expect(bed.destinations).toContain(d);
            expect(d.weight).toBeGreaterThan(0);
            // The caches trust what they remember, as the kernel's do.
            if (!name.startsWith("lblc")) expect(d.overloaded).toBe(false);
            d.active++;
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each(["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "twos", "lblc", "lblcr"])(
    "%s finds the one that is usable, wherever it stands",
    (name) => {
      fc.assert(
        fc.property(fc.nat(9), fc.integer({ min: 1, max: 2147483647 }), (which, weight) => {
          const bed = new SchedulingBed(name);
          for (let n = 1; n <= 10; n++) bed.add({ [n]: 2147483647 });
          bed.edit(which + 1, weight);
          for (const d of bed.destinations) d.overloaded = d.name !== which + 1;
          expect(bed.choose()?.name).toBe(which + 1);
          expect(bed.choose()?.name).toBe(which + 1);
        }),
        { numRuns: 30 },
      );
    },
  );
});

describe("wrr", () => {
  test("gives everybody its weight's share of a full round", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const bed = new SchedulingBed("wrr");
        weights.forEach((weight, n) => void bed.add({ [n]: weight }));
        const total = weights.reduce((a, b) => a + b, 0);
        fc.pre(total > 0);
        bed.take(total); // leaves the shortened first round behind
        const before = bed.destinations.map((d) => d.active);
        bed.take(total);
        bed.destinations.forEach(
          (d, i) => void expect(d.active - before[i]!).toBeLessThanOrEqual(2 * d.weight),
        );
        bed.take(total * 38);
        for (const d of bed.destinations)
          expect(Math.abs(d.active - 40 * d.weight)).toBeLessThanOrEqual(2 * d.weight);
      }),
      { numRuns: 60 },
    );
  });

  test("divides common weights out: 100 and 200 alternate as 1 and 2 do", () => {
    const bed = new SchedulingBed("wrr").add({ 11: 100, 12: 200 });
    const sequence = bed.take(9);
    expect(sequence.match(/12/g)).toHaveLength(6);
    expect(sequence).not.toMatch(/12 12 12/);
  });

  test("starts from the newest again after any change", () => {
    const bed = new SchedulingBed("wrr").add({ 11: 1, 12: 1, 13: 1 });
    expect(bed.take(2)).toBe("13 12");
    bed.edit(11, 1);
    expect(bed.take(2)).toBe("13 12");
  });
});

describe("productExceeds()", () => {
  test("agrees with BigInt for all loads and weights", () => {
    const load = fc.integer({ min: 0, max: 257 * 2 ** 28 });
    const weight = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(load, weight, load, weight, (a, b, c, d) => {
        expect(productExceeds(a, b, c, d)).toBe(BigInt(a) * BigInt(b) > BigInt(c) * BigInt(d));
      }),
    );
  });

  test("tells products apart that are the same double", () => {
    const [a, b] = [2 ** 31 - 1, 2 ** 31 + 1];
    expect(a * b).toBe(2 ** 62);
    expect(productExceeds(2 ** 31, 2 ** 31, a, b)).toBe(true);
    expect(productExceeds(a, b, 2 ** 31, 2 ** 31)).toBe(false);
  });
});

describe("sh", () => {
  test("with sh-port spreads the ports of one client", () => {
    const bed = new SchedulingBed("sh").add({ 11: 1, 12: 1, 13: 1 });
    const spread = () =>
      new Set(Array.from({ length: 64 }, (_, i) => bed.choose({ clientPort: 1000 + i })?.name));
    expect(spread().size).toBe(1);
    bed.schedFlags = 2;
    expect(spread().size).toBe(3);
  });

  test("moves the clients of a quiesced destination only with sh-fallback", () => {
    const bed = new SchedulingBed("sh").add({ 11: 1, 12: 1, 13: 1 });
    const before = clients.map((c) => bed.choose(c)!.name);
    bed.get(12).overloaded = true;
    clients.forEach(
      (c, i) => void expect(bed.choose(c)?.name).toBe(before[i] === 12 ? undefined : before[i]),
    );
    bed.schedFlags = 1;
    clients.forEach((c, i) => {
      const now = bed.choose(c)?.name;
      if (before[i] === 12) expect([11, 13]).toContain(now);
      else expect(now).toBe(before[i]);
    });
  });
});

describe("mh", () => {
  test("hashes as the kernel does", () => {
    expect(sipHash13(0x0a010002, MH_KEY.slot)).toBe(0xe594538a);
    expect(sipHash13(0x0a010002, MH_KEY.skip)).toBe(0x4787ec8c);
  });

  test("keeps everybody else's clients when a destination is quiesced", () => {
    const bed = new SchedulingBed("mh").add({ 11: 100, 12: 50, 13: 7 });
    const before = clients.map((c) => bed.choose(c)!.name);
    bed.edit(12, 0);
    clients.forEach(
      (c, i) => void expect(bed.choose(c)?.name).toBe(before[i] === 12 ? undefined : before[i]),
    );
    bed.schedFlags = 1;
    clients.forEach((c, i) => {
      const now = bed.choose(c)?.name;
      if (before[i] === 12) expect([11, 13]).toContain(now);
      else expect(now).toBe(before[i]);
    });
  });

  test("moves few clients of the others when a destination is removed", () => {
    const bed = new SchedulingBed("mh").add({ 11: 1, 12: 1, 13: 1, 14: 1, 15: 1 });
    const before = clients.map((c) => bed.choose(c)!.name);
    bed.remove(13);
    const moved = clients.filter((c, i) => before[i] !== 13 && bed.choose(c)!.name !== before[i]);
    expect(moved.length).toBeLessThan(clients.length * 0.15);
  });

  test("refuses more destinations than slots", () => {
    mh.check!(MH_SLOTS);
    expect(() => mh.check!(MH_SLOTS + 1)).toThrow(/at most 4093/);
  });
});

describe("twos", () => {
  test("takes the less loaded of two draws, by weight", () => {
    const bed = new SchedulingBed("twos").add({ 11: 1, 12: 1 });
    const draws = [0.1, 0.9];
    let n = 0;
    bed.random = () => draws[n++ % 2]!;
    bed.get(12).active = 5;
    expect(bed.choose()?.name).toBe(11);
    bed.get(11).active = 9;
    expect(bed.choose()?.name).toBe(12);
  });
});

describe("lblc", () => {
  test("stays with an address's destination, others go where there is least to do", () => {
    const bed = new SchedulingBed("lblc").add({ 11: 10, 12: 10 });
    const to = (n: number) => () => ({ targetFold: n });
    expect(bed.take(4, to(1))).toBe("12 12 12 12");
    expect(bed.take(3, to(2))).toBe("11 11 11");
    expect(bed.take(1, to(1))).toBe("12");
  });

  test("leaves a destination that is outdone, quiesced or gone", () => {
    const bed = new SchedulingBed("lblc").add({ 11: 10, 12: 10 });
    expect(bed.take(11).split(" ")).toEqual(Array(11).fill("12"));
    expect(bed.take(1)).toBe("11"); // 12 has 11 > 10 active, and 11 has fewer than 5
    bed.edit(11, 0);
    expect(bed.take(1)).toBe("12");
    bed.edit(11, 10);
    bed.remove(12);
    expect(bed.take(1)).toBe("11");
  });

  test("forgets what was not asked for as long as lblc_expiration", () => {
    const bed = new SchedulingBed("lblc").add({ 11: 10, 12: 10 });
    bed.settings.lblc_expiration = 600;
    expect(bed.take(1, () => ({ targetFold: 1 }))).toBe("12");
    bed.get(12).active = 5;
    expect(bed.choose({ targetFold: 1 })?.name).toBe(12);
    for (let minute = 1; minute <= 30; minute++) bed.scheduler.tick!(minute * 60_000);
    bed.now = 30 * 60_000;
    expect(bed.choose({ targetFold: 1 })?.name).toBe(11);
  });

  test("still schedules when its cache is full, and makes room in it", () => {
    const bed = new SchedulingBed("lblc").add({ 11: 1000000, 12: 1000000 });
    for (let n = 0; n < CACHE_LIMIT; n++) bed.choose({ targetFold: n });
    const late = { targetFold: CACHE_LIMIT + 1 };
    expect(bed.choose(late)?.name).toBe(12);
    bed.get(12).active = 3;
    expect(bed.choose(late)?.name).toBe(11); // was not remembered
    bed.now = 7 * 60_000;
    bed.scheduler.tick!(bed.now);
    expect(bed.choose(late)?.name).toBe(11);
    bed.get(11).active = 9;
    expect(bed.choose(late)?.name).toBe(11); // now it was
  });
});

describe("lblcr", () => {
  test("grows the set of an address under load and shrinks it after lblcr_expiration", () => {
    const bed = new SchedulingBed("lblcr").add({ 11: 10, 12: 10 });
    expect(bed.take(11).split(" ")).toEqual(Array(11).fill("12"));
    expect(bed.take(3)).toBe("11 11 11"); // the set is both now, and 11 has less to do
    bed.get(11).active = 9;
    bed.get(12).active = 8;
    expect(bed.choose()?.name).toBe(12);
    bed.now += 86_400_001;
    expect(bed.choose()?.name).toBe(12); // chosen before 11, the busiest, leaves the set
    bed.get(12).active = 10;
    expect(bed.choose()?.name).toBe(12);
  });
});
