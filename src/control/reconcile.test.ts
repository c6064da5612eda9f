import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DestinationSpec, destinationKey, IPIP } from "../core/destination.ts";
import { serviceSpec } from "../core/table.ts";
import { FakePlane } from "../testkit/fake-plane.ts";
import { serviceId } from "../testkit/supervisor-bed.ts";
import type { DesiredService } from "./health/action.ts";
import { describe as name } from "./reconcile/operation.ts";
import { TableWriter } from "./reconcile/writer.ts";
import { difference, heldFrom, sameDestination, sameService } from "./reconcile.ts";

const ID = serviceId("10.0.0.1:80");
const SERVICE = serviceSpec(ID);
const NOBODY = { ours: new Set<string>(), foreign: "keep" } as const;

const destination = (n: number, weight: number, change: Partial<DestinationSpec> = {}): DestinationSpec => ({
  family: 4,
  address: `10.0.1.${n}`,
  port: 80,
  method: "nat",
  tunnel: IPIP,
  weight,
  upper: 0,
  lower: 0,
  ...change,
});

const held = (...destinations: DestinationSpec[]) => ({
  spec: SERVICE,
  destinations: new Map(destinations.map((d) => [destinationKey(d), d])),
});

const want = (
  destinations: readonly DestinationSpec[],
  change: Partial<DesiredService> = {},
): DesiredService => ({
  spec: SERVICE,
  destinations: new Map(destinations.map((d) => [destinationKey(d), d])),
  named: new Set(destinations.map(destinationKey)),
  leaving: false,
  ...change,
});

describe("difference()", () => {
  test("is nothing for what is there already", () => {
    expect(difference(held(destination(1, 1)), want([destination(1, 1)]), NOBODY)).toEqual([]);
  });

  test("brings in what serves before it takes out what goes", () => {
    const wanted = want([destination(1, 0), destination(2, 5), destination(3, 1)], {
      named: new Set(["10.0.1.4:80"]),
    });
    const before = held(destination(1, 1), destination(2, 1), destination(4, 1), destination(9, 1));
    expect(difference(before, wanted, NOBODY).map(name)).toEqual([
      "edit server 10.0.1.2:80 of tcp 10.0.0.1:80",
      "add server 10.0.1.3:80 to tcp 10.0.0.1:80",
      "edit server 10.0.1.1:80 of tcp 10.0.0.1:80",
      "remove server 10.0.1.4:80 from tcp 10.0.0.1:80",
    ]);
  });

  test("only takes the weights of a service that leaves", () => {
    const operations = difference(
      held(destination(1, 3), destination(2, 0)),
      want([], { leaving: true }),
      NOBODY,
    );
    expect(operations).toMatchObject([
      { kind: "edit-destination", spec: { address: "10.0.1.1", weight: 0 } },
    ]);
    expect(difference(undefined, want([], { leaving: true }), NOBODY)).toEqual([]);
  });

  test("does not see differences that mean nothing", () => {
    expect(sameService(SERVICE, { ...SERVICE, timeoutS: 300, netmask: 0 })).toBe(true);
    expect(
      sameService({ ...SERVICE, persistent: true }, { ...SERVICE, persistent: true, timeoutS: 300 }),
    ).toBe(false);
    const gue = { type: "gue", port: 5555, checksum: "none" } as const;
    expect(sameDestination(destination(1, 1), destination(1, 1, { tunnel: gue }))).toBe(true);
    const tun = destination(1, 1, { method: "tun" });
    expect(sameDestination(tun, { ...tun, tunnel: gue })).toBe(false);
  });

  test("carried out on a real table leads to what is wanted, whatever was there", async () => {
    const destinations = fc
      .uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 6 })
      .chain((ns) => fc.tuple(...ns.map((n) => fc.nat(2).map((w) => destination(n, w)))));
    const scheduler = fc.constantFrom("rr", "wlc", "sh");
    await fc.assert(
      fc.asyncProperty(
        destinations,
        destinations,
        fc.boolean(),
        scheduler,
        async (before, after, there, s) => {
          const { plane, calls } = new FakePlane();
          if (there) {
            await plane.addService(SERVICE);
            for (const d of before) await plane.addDestination(ID, d);
          }
          const writer = new TableWriter({
            plane,
            foreign: () => "remove",
            onRefused: (_, why) => expect.fail(why),
          });
          const wanted = want(after, { spec: { ...SERVICE, scheduler: s } });
          // The writer is told nothing of what is there: it finds out from refusals.
          writer.write("v", [ID], () => [wanted]);
          await writer.idle();
          const status = await plane.service(ID);
          expect(difference(heldFrom(status), wanted, { ours: new Set(), foreign: "remove" })).toEqual([]);
          const n = calls.length;
          writer.write("v", [ID], () => [wanted]);
          await writer.idle();
          expect(calls.length).toBe(n);
          writer.write("v", [], () => []);
          await writer.idle();
          expect(await plane.services()).toEqual([]);
        },
      ),
    );
  });
});
