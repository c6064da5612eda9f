/** Thousands of servers in one virtual server: the work for each change does not grow with their number. */
import { describe, expect, test } from "vitest";
import {
  configuration,
  realServer,
  SupervisorBed,
  serviceId,
  TIMING,
  tcpCheck,
  virtualServer,
} from "../testkit/supervisor-bed.ts";

const SERVERS = 10_000;
const VIP = "10.0.0.1:80";
const addresses = Array.from({ length: SERVERS }, (_, n) => `10.1.${n >> 8}.${n & 255}`);
const timing = { ...TIMING, delayLoopMs: 5000, retry: 0, warmupMs: 5000 };
const many = addresses.map((a) => realServer(a, { checks: [tcpCheck(a, { timing })] }));

/** Processor time that some work takes, ms. */
async function cost(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

// Limits are several times what it takes here: a quadratic way takes a hundred times as much.
describe("10,000 servers in one virtual server", () => {
  test("may all fail, come back, be reloaded and go in a second or so of processor time each", async () => {
    const bed = new SupervisorBed();
    expect(await cost(() => bed.apply(virtualServer(VIP, many)))).toBeLessThan(5000);
    expect(bed.fake.calls.splice(0)).toHaveLength(SERVERS + 1);
    expect(await cost(() => bed.pass(6.5))).toBeLessThan(5000);
    bed.fail(...addresses);
    expect(await cost(() => bed.pass(6))).toBeLessThan(8000);
    expect(bed.fake.table()).toEqual(["tcp 10.0.0.1:80 wlc"]);
    bed.heal(...addresses);
    expect(await cost(() => bed.pass(6))).toBeLessThan(8000);
    expect(bed.fake.table()).toHaveLength(SERVERS + 1);
    const half = configuration([virtualServer(VIP, many.slice(SERVERS / 2))]);
    expect(await cost(() => bed.supervisor.plan(half))).toBeLessThan(5000);
    expect(await cost(() => bed.supervisor.apply(half).then(() => bed.pass(1)))).toBeLessThan(5000);
    expect(bed.fake.table()).toHaveLength(SERVERS / 2 + 1);
    expect(await cost(() => bed.supervisor.stop())).toBeLessThan(3000);
    expect(bed.fake.table()).toEqual([]);
    expect(bed.open).toBe(0);
  }, 120_000);

  test("are asked of a slow plane many at a time, and a stop does not wait for all of them", async () => {
    const bed = new SupervisorBed();
    const under = { now: 0, most: 0 };
    bed.fake.gate = async () => {
      under.most = Math.max(under.most, ++under.now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      under.now--;
    };
    const applying = bed.supervisor.apply(configuration([virtualServer(VIP, many)]));
    applying.catch(() => {});
    while (bed.fake.calls.length < 300) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(under.most).toBeGreaterThan(10);
    await bed.supervisor.stop();
    expect(bed.fake.calls.length).toBeLessThan(SERVERS / 2);
    expect(bed.fake.table()).toEqual([]);
  }, 60_000);

  test("cost no look at the table each when they leave, and all leave", async () => {
    const bed = new SupervisorBed();
    await bed.apply(virtualServer(VIP, many));
    for (const a of addresses.slice(0, 10)) bed.fake.connect(serviceId(VIP), a, 1);
    const total = bed.fake.total;
    await bed.apply(virtualServer(VIP, many.slice(0, 1)));
    // An edit and a removal for each, and a look at the service now and then.
    expect(bed.fake.total - total).toBeLessThan(2 * SERVERS + 10);
    expect(bed.fake.table()).toHaveLength(11);
  }, 60_000);
});
