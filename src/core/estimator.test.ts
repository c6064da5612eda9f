import fc from "fast-check";
import { expect, test } from "vitest";
import { Meter } from "./estimator.ts";

test("100 packets of 3300 bytes in one slot fade as in the kernel", () => {
  const meter = new Meter();
  meter.inPackets += 100;
  meter.inBytes += 3300;
  const series: string[] = [];
  for (let slot = 0; slot < 12; slot++) {
    meter.estimate();
    series.push(`${meter.read().inPps}/${meter.read().inBps}`);
  }
  expect(series.join(" ")).toBe("12/412 9/309 7/232 5/174 4/130 3/98 2/73 2/55 1/41 1/31 1/23 1/17");
  meter.estimate();
  expect(meter.read()).toMatchObject({ inPps: 0, inBps: 13 });
});

test("readers see the last slot's counters, and all of them once estimating goes on", () => {
  const meter = new Meter();
  meter.conns += 3;
  expect(meter.read().conns).toBe(0);
  meter.estimate();
  meter.conns += 4;
  expect(meter.read().conns).toBe(3);
  meter.estimate();
  expect(meter.read().conns).toBe(7);
});

test("zero() starts readers at 0 and clears rates; what was not shown yet comes with the next slot", () => {
  const meter = new Meter();
  meter.outPackets += 1000;
  meter.outBytes += 40000;
  meter.estimate();
  meter.outPackets += 5;
  meter.zero();
  expect(meter.read()).toMatchObject({ outPackets: 0, outBytes: 0, outPps: 0, outBps: 0 });
  meter.estimate();
  expect(meter.read()).toMatchObject({ outPackets: 5, outBytes: 0 });
});

test("a steady stream is shown at its own rate, also at 100 Gbit/s, and an end is shown as 0", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000_000 }), fc.integer({ min: 40, max: 1500 }), (pps, size) => {
      const meter = new Meter();
      for (let slot = 0; slot < 150; slot++) {
        meter.inPackets += 2 * pps;
        meter.inBytes += 2 * pps * size;
        meter.estimate();
      }
      const { inPps, inBps } = meter.read();
      expect(Math.abs(inPps - pps)).toBeLessThanOrEqual(1);
      expect(Math.abs(inBps - pps * size)).toBeLessThanOrEqual(1);
      for (let slot = 0; slot < 150; slot++) meter.estimate();
      expect(meter.read()).toMatchObject({ inPps: 0, inBps: 0 });
    }),
    { numRuns: 30 },
  );
});
