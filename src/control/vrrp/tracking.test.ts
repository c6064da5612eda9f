import { expect, test } from "vitest";
import { syncGroup, vrrpInstance } from "../../testkit/vrrp-spec.ts";
import type { TrackSpec, VrrpInstanceSpec } from "./spec.ts";
import { conditions, type Facts } from "./tracking.ts";

const facts = (over: Partial<Facts> = {}): Facts => ({
  links: new Map([["v0", true]]),
  scripts: new Map(),
  processes: new Map(),
  files: new Map(),
  sourceless: new Map(),
  ...over,
});

const track = (name: string, weight = 0, reverse = false): TrackSpec => ({ name, weight, reverse });
const good = (name: string) => facts({ scripts: new Map([[name, true]]) });
const bad = (name: string) => facts({ scripts: new Map([[name, false]]) });
const of = (over: Partial<VrrpInstanceSpec>, f: Facts) => conditions(vrrpInstance(over), undefined, f);

test.each([
  ["weight 0", track("s"), 100, "fault"],
  ["weight 0 reverse", track("s", 0, true), "fault", 100],
  ["weight 20", track("s", 20), 120, 100],
  ["weight 20 reverse", track("s", 20, true), 80, 100],
  ["weight -20", track("s", -20), 100, 80],
  ["weight -20 reverse", track("s", -20, true), 100, 120],
  ["weight 253, clamped", track("s", 253), 254, 100],
  ["weight -253, clamped", track("s", -253), 100, 1],
] as const)("a script with %s: while good %s is %s", (_, t, whileGood, whileBad) => {
  const result = (f: Facts) => {
    const c = of({ trackScripts: [t] }, f);
    return c.faults.length > 0 ? "fault" : c.priority;
  };
  expect([result(good("s")), result(bad("s"))]).toEqual([whileGood, whileBad]);
});

test("without a first result: weight 0 waits, others begin with the bare priority", () => {
  expect(of({ trackScripts: [track("s")] }, facts())).toEqual({
    faults: [],
    waiting: ["script s"],
    priority: 100,
  });
  expect(of({ trackScripts: [track("s", -50)] }, facts())).toEqual({
    faults: [],
    waiting: [],
    priority: 100,
  });
});

test("interfaces: its own, tracked ones, one that does not exist", () => {
  const down = facts({
    links: new Map([
      ["v0", false],
      ["v1", false],
    ]),
  });
  expect(of({}, down).faults).toEqual(["interface v0 is down"]);
  expect(of({ dontTrackPrimary: true }, down).faults).toEqual([]);
  expect(of({ dontTrackPrimary: true, trackInterfaces: [track("v1")] }, down).faults).toEqual([
    "interface v1 is down",
  ]);
  expect(of({ dontTrackPrimary: true, trackInterfaces: [track("v1", -30)] }, down).priority).toBe(70);
  expect(of({ interface: "v9", dontTrackPrimary: true }, down).faults).toEqual([
    "interface v9 does not exist",
  ]);
  expect(
    of({}, facts({ sourceless: new Map([["VI", "no IPv4 address for interface v0"]]) })).faults,
  ).toHaveLength(1);
});

test("files: the number times the weight; -254 and below is a fault", () => {
  const f = facts({ files: new Map([["f", 10]]) });
  expect(of({ trackFiles: [track("f", 2)] }, f).priority).toBe(120);
  expect(of({ trackFiles: [track("f", 2, true)] }, f).priority).toBe(80);
  expect(of({ trackFiles: [track("f", -26)] }, f).faults).toHaveLength(1);
  expect(of({ trackFiles: [track("f")] }, f).faults).toHaveLength(1);
  expect(of({ trackFiles: [track("other")] }, f).faults).toHaveLength(0);
});

test("the owner keeps its priority; its weights count as faults", () => {
  expect(of({ priority: 255, trackScripts: [track("s", 20)] }, good("s"))).toMatchObject({
    priority: 255,
    faults: [],
  });
  expect(of({ priority: 255, trackScripts: [track("s", 20)] }, bad("s")).faults).toEqual(["script s failed"]);
});

test("groups: members' weights become faults unless kept, the group's own move every member", () => {
  const member = vrrpInstance({ trackScripts: [track("s", -20)] });
  expect(conditions(member, syncGroup("G", ["VI"]), bad("s")).faults).toEqual(["script s failed"]);
  expect(conditions(member, syncGroup("G", ["VI"], { trackingWeight: true }), bad("s"))).toMatchObject({
    faults: [],
    priority: 80,
  });
  const group = syncGroup("G", ["VI"], { trackScripts: [track("s", -20)] });
  expect(conditions(vrrpInstance(), group, bad("s"))).toMatchObject({ faults: [], priority: 80 });
});

test("unicast_fault_no_peer: without a peer it is a fault", () => {
  expect(of({ faultWithoutPeers: true }, facts()).faults).toEqual(["unicast_peer names nobody"]);
  expect(of({ faultWithoutPeers: true, peers: [{ address: "192.0.2.2" }] }, facts()).faults).toEqual([]);
});
