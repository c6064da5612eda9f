import fc from "fast-check";
import { expect, test } from "vitest";
import { toWords } from "../wire/address.ts";
import { ConnectionTable, FLAG, type FlowKey, KEPT_TIMEOUT_MS, type NewConnection } from "./connections.ts";
import type { Family } from "./service.ts";

const TCP = 6;

function connection(change: Partial<NewConnection> = {}): NewConnection {
  return {
    family: 4,
    protocol: TCP,
    client: toWords("10.1.0.2"),
    clientPort: 40001,
    virtual: toWords("10.9.0.1"),
    virtualPort: 80,
    destinationFamily: 4,
    destination: toWords("10.2.0.11"),
    destinationPort: 8080,
    flags: 0,
    fwmark: 0,
    ...change,
  };
}

function key(from: string, fromPort: number, to: string, toPort: number, family: Family = 4): FlowKey {
  return {
    family,
    protocol: TCP,
    source: toWords(from),
    target: toWords(to),
    sourcePort: fromPort,
    targetPort: toPort,
  };
}

test("a NAT connection is found from the client's side by VIP and from the server's by RIP", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(connection());
  t.hash(c, 0);
  expect(t.lookupIn(key("10.1.0.2", 40001, "10.9.0.1", 80))).toBe(c);
  expect(t.lookupOut(key("10.2.0.11", 8080, "10.1.0.2", 40001))).toBe(c);
  expect(t.lookupIn(key("10.1.0.2", 40001, "10.9.0.1", 81))).toBe(0);
  expect(t.lookupOut(key("10.9.0.1", 80, "10.1.0.2", 40001))).toBe(0);
});

test("a DR connection is found from the server's side by VIP", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(connection({ flags: 3 }));
  t.hash(c, 0);
  expect(t.lookupOut(key("10.9.0.1", 80, "10.1.0.2", 40001))).toBe(c);
  expect(t.lookupOut(key("10.2.0.11", 8080, "10.1.0.2", 40001))).toBe(0);
});

test("IPv6 addresses are compared in full", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(
    connection({
      family: 6,
      destinationFamily: 6,
      client: toWords("2001:db8:1::2"),
      virtual: toWords("2001:db8::1"),
      destination: toWords("2001:db8:2::11"),
    }),
  );
  t.hash(c, 0);
  expect(t.lookupIn(key("2001:db8:1::2", 40001, "2001:db8::1", 80, 6))).toBe(c);
  expect(t.lookupIn(key("2001:db8:1::2", 40001, "2001:db8::2", 80, 6))).toBe(0);
  expect(t.lookupIn(key("2001:db8:1::3", 40001, "2001:db8::1", 80, 6))).toBe(0);
});

test("the newest of two connections with one key is found, and the older one when the newer is gone", () => {
  const t = new ConnectionTable(7, 0);
  const old = t.make(connection());
  t.hash(old, 0);
  const young = t.make(connection({ destinationPort: 8081 }));
  t.hash(young, 0);
  expect(t.lookupIn(key("10.1.0.2", 40001, "10.9.0.1", 80))).toBe(young);
  t.drop(young);
  expect(t.lookupIn(key("10.1.0.2", 40001, "10.9.0.1", 80))).toBe(old);
});

test("a connection whose client port is not known yet takes the first packet, then only its own", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(connection({ clientPort: 0, flags: FLAG.noClientPort }));
  t.hash(c, 0);
  expect(t.lookupIn(key("10.1.0.2", 50000, "10.9.0.1", 80))).toBe(c);
  t.fillClientPort(c, 50000);
  expect(t.lookupIn(key("10.1.0.2", 50000, "10.9.0.1", 80))).toBe(c);
  expect(t.lookupIn(key("10.1.0.2", 50001, "10.9.0.1", 80))).toBe(0);
});

test("an invalidated template is not found again but lives on", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(connection({ clientPort: 0, flags: FLAG.template }));
  t.hash(c, 0);
  const k = key("10.1.0.2", 0, "10.9.0.1", 80);
  expect(t.lookupTemplate(k)).toBe(c);
  t.invalidateTemplate(c);
  expect(t.lookupTemplate(k)).toBe(0);
  expect([t.virtualPort(c), t.destinationPort(c), t.count]).toEqual([65535, 65535, 1]);
});

test("a full-NAT connection is found by its local address and port", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(connection({ flags: 5 }));
  t.hashLocal(c, toWords("10.2.0.1"), 2000);
  t.hash(c, 0);
  const reply = key("10.2.0.11", 8080, "10.2.0.1", 2000);
  expect(t.lookupOut(reply)).toBe(c);
  expect(t.localTaken(reply)).toBe(true);
  t.drop(c);
  expect(t.localTaken(reply)).toBe(false);
});

test("expire() fires at the due time, not before, and a restart puts it off", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(connection());
  t.setTimeoutMs(c, 10_000);
  t.hash(c, 0);
  const fired: number[] = [];
  const handler = (x: number): boolean => {
    fired.push(x);
    t.drop(x);
    return true;
  };
  t.expire(9_900, handler);
  t.restart(c, 9_900);
  t.expire(19_800, handler);
  expect(fired).toEqual([]);
  t.expire(20_000, handler);
  expect(fired).toEqual([c]);
  expect(t.count).toBe(0);
});

test("a shortened timeout fires early; a long pause misses nothing; timeouts beyond the wheel hold", () => {
  const t = new ConnectionTable(7, 0);
  const short = t.make(connection());
  t.setTimeoutMs(short, 900_000);
  t.hash(short, 0);
  t.setTimeoutMs(short, 1_000);
  t.restart(short, 5_000);
  const long = t.make(connection({ clientPort: 2 }));
  t.setTimeoutMs(long, 2_678_400_000);
  t.hash(long, 0);
  const fired: number[] = [];
  const handler = (x: number): boolean => {
    fired.push(x);
    t.drop(x);
    return true;
  };
  t.expire(6_000, handler);
  expect(fired).toEqual([short]);
  t.expire(2_678_399_000, handler);
  expect(fired).toEqual([short]);
  t.expire(2_678_400_000, handler);
  expect(fired).toEqual([short, long]);
});

test("an entry that must stay is kept another minute", () => {
  const t = new ConnectionTable(7, 0);
  const c = t.make(connection());
  t.setTimeoutMs(c, 1_000);
  t.hash(c, 0);
  let asked = 0;
  const handler = (): boolean => {
    asked++;
    return false;
  };
  t.expire(1_000, handler);
  t.expire(1_000 + KEPT_TIMEOUT_MS - 100, handler);
  expect(asked).toBe(1);
  t.expire(1_000 + KEPT_TIMEOUT_MS, handler);
  expect(asked).toBe(2);
  expect(t.timeoutMs(c)).toBe(KEPT_TIMEOUT_MS);
});

test("the table agrees with a simple map through any sequence of opens, uses, and pauses", () => {
  const step = fc.record({
    client: fc.integer({ min: 1, max: 12 }),
    port: fc.integer({ min: 1, max: 5 }),
    action: fc.constantFrom("open", "use", "shorten", "wait"),
    ms: fc.integer({ min: 1, max: 400_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, seed) => {
      const t = new ConnectionTable(seed, 0, 4);
      const model = new Map<string, { c: number; due: number; timeout: number }>();
      let now = 0;
      const handler = (c: number): boolean => {
        t.drop(c);
        return true;
      };
      for (const s of steps) {
        const name = `${s.client}:${s.port}`;
        const k = key(`10.1.0.${s.client}`, s.port, "10.9.0.1", 80);
        const known = model.get(name);
        if (s.action === "wait") now += s.ms;
        else if (s.action === "open" && !known) {
          const c = t.make(connection({ client: k.source, clientPort: s.port }));
          t.setTimeoutMs(c, s.ms);
          t.hash(c, now);
          model.set(name, { c, due: now + s.ms, timeout: s.ms });
        } else if (known) {
          if (s.action === "shorten") {
            known.timeout = Math.ceil(known.timeout / 2);
            t.setTimeoutMs(known.c, known.timeout);
          }
          t.restart(known.c, now);
          known.due = now + known.timeout;
        }
        t.expire(now, handler);
        // Timers have a resolution of 100 ms and never fire early.
        for (const [n, m] of model)
          if (m.due + 100 <= now || t.flags(m.c) === 0) {
            expect(m.due).toBeLessThanOrEqual(now);
            model.delete(n);
          }
        for (const [n, m] of model) {
          const [client, port] = n.split(":").map(Number);
          expect(t.lookupIn(key(`10.1.0.${client}`, port, "10.9.0.1", 80))).toBe(m.c);
        }
        expect(t.count).toBe(model.size);
      }
    }),
    { numRuns: 200 },
  );
});

test("of two connections with the same ends the newer is found, also after the hash has grown", () => {
  const t = new ConnectionTable(7, 0);
  const spare = t.make(connection());
  const old = t.make(connection());
  t.hash(old, 0);
  t.drop(spare);
  // The newer one has the lower slot.
  const young = t.make(connection({ destination: toWords("10.2.0.12") }));
  expect(young).toBeLessThan(old);
  t.hash(young, 0);
  for (let i = 0; i < 5000; i++) t.hash(t.make(connection({ client: Int32Array.of(i, 0, 0, 0) })), 0);
  expect(t.size).toBeGreaterThan(4096);
  expect(t.lookupIn(key("10.1.0.2", 40001, "10.9.0.1", 80))).toBe(young);
  t.drop(young);
  expect(t.lookupIn(key("10.1.0.2", 40001, "10.9.0.1", 80))).toBe(old);
});

test("the hash of local ports grows: every port is found, and no chain runs in a circle", () => {
  const t = new ConnectionTable(7, 0);
  const local = toWords("10.2.0.5");
  const taken = (port: number): boolean => t.localTaken(key("10.2.0.11", 8080, "10.2.0.5", port));
  for (let port = 1; port <= 1000; port++) {
    const c = t.make(connection({ flags: 5 }));
    t.hashLocal(c, local, port);
    if (port === 257 || port === 513)
      for (let other = 2000; other < 12_000; other++) expect(taken(other)).toBe(false);
  }
  for (let port = 1; port <= 1000; port++) expect(taken(port)).toBe(true);
});
