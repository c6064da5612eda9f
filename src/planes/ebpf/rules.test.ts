import fc from "fast-check";
import { expect, test } from "vitest";
import { type DestinationSpec, IPIP } from "../../core/destination.ts";
import { TableError } from "../../core/errors.ts";
import type { ServiceId } from "../../core/service.ts";
import { serviceSpec, TRASH_KEEP_MS } from "../../core/table.ts";
import { RecordingHost } from "../../testkit/recording-host.ts";
import type { Operation } from "./operation.ts";
import { Rules } from "./rules.ts";

const service = (port: number): ServiceId => ({
  kind: "address",
  family: 4,
  protocol: "tcp",
  address: "10.0.0.1",
  port,
});
const destination = (last: number, change: Partial<DestinationSpec> = {}): DestinationSpec => ({
  family: 4,
  address: `10.0.0.${last}`,
  port: 80,
  method: "nat",
  weight: 1,
  upper: 0,
  lower: 0,
  tunnel: IPIP,
  ...change,
});
const fresh = (): Rules => new Rules(new RecordingHost([]));
/** Everything that the maps would show of rules. */
const shown = (rules: Rules) => ({
  services: rules.table.services().map((s) => ({
    spec: s.spec,
    number: rules.serviceNumber(s),
    destinations: s.destinations.map((d) => [d.spec, d.lastWeight, rules.destinationNumber(d)]),
  })),
  trash: rules.table
    .trashed()
    .map((d) => [d.service.key, d.spec, rules.destinationNumber(d), d.idleSince])
    .sort((a, b) => Number(a[2]) - Number(b[2])),
  census: { ...rules.census },
  timeouts: rules.timeouts,
});

/** Random operations; what is refused is left out. */
const operation = fc.oneof(
  fc.record({ do: fc.constant("addService" as const), port: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ do: fc.constant("removeService" as const), port: fc.integer({ min: 0, max: 3 }) }),
  fc.record({
    do: fc.constantFrom("addDestination" as const, "removeDestination" as const, "editDestination" as const),
    port: fc.integer({ min: 0, max: 3 }),
    last: fc.integer({ min: 2, max: 5 }),
    method: fc.constantFrom("nat" as const, "dr" as const),
    weight: fc.nat(2),
  }),
  fc.record({ do: fc.constant("upkeep" as const), port: fc.integer({ min: 0, max: 3 }) }),
);

test("the shortest operations give the same rules as the ones that were made, numbers and trash included", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (wanted) => {
      const rules = fresh();
      const journal: Operation[] = [];
      let now = 0;
      const make = (change: Operation): void => {
        try {
          rules.apply(change);
          journal.push(change);
        } catch (error) {
          if (!(error instanceof TableError)) throw error;
        }
      };
      for (const w of wanted) {
        now += TRASH_KEEP_MS / 2;
        const id = service(w.port);
        if (w.do === "addService") make({ op: w.do, spec: serviceSpec(id), id: rules.nextService });
        else if (w.do === "removeService") make({ op: w.do, service: id });
        else if (w.do === "addDestination")
          make({ op: w.do, service: id, spec: destination(w.last, w), id: rules.nextDestination });
        else if (w.do === "editDestination") make({ op: w.do, service: id, spec: destination(w.last, w) });
        else if (w.do === "removeDestination")
          make({ op: w.do, service: id, destination: destination(w.last) });
        else for (const change of rules.upkeep((n) => n % 3 === 0, now)) make(change);
      }
      const replayed = fresh();
      for (const change of journal) replayed.apply(change);
      expect(shown(replayed)).toEqual(shown(rules));
      const shortest = fresh();
      for (const change of rules.operations()) shortest.apply(change);
      expect(shown(shortest)).toEqual(shown(rules));
    }),
  );
});

test("a destination that comes back within two minutes keeps its number, later it may be another's", () => {
  const rules = fresh();
  rules.apply({ op: "addService", spec: serviceSpec(service(80)), id: 1 });
  rules.apply({ op: "addDestination", service: service(80), spec: destination(2), id: 1 });
  rules.apply({ op: "removeDestination", service: service(80), destination: destination(2) });
  expect(rules.nextDestination).toBe(2);
  rules.apply({ op: "addDestination", service: service(80), spec: destination(2), id: 2 });
  expect(rules.destinationNumber(rules.table.find(service(80)).destinations[0]!)).toBe(1);
  rules.apply({ op: "removeDestination", service: service(80), destination: destination(2) });
  for (const now of [0, TRASH_KEEP_MS]) {
    for (const change of rules.upkeep(() => false, now)) rules.apply(change);
  }
  expect([rules.nextDestination, rules.table.trashed()]).toEqual([1, []]);
});
