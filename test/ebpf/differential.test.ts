/**
 * The BPF programs against the model: random rules, random packets, the same clock. Verdicts, bytes, next hops, counts, counters and
 * connections must be the same.
 */

import { existsSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import type { ForwardingMethod } from "../../src/core/destination.ts";
import type { ServiceId } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { seeded } from "../../src/testkit/random.ts";
import { Traffic, type World } from "./traffic.ts";
import { Twins } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

const WORLD4: World = {
  family: 4,
  vip: "10.9.0.1",
  clients: ["10.1.0.2", "10.1.0.3", "192.0.2.77"],
  servers: ["10.2.0.11", "10.2.0.12", "10.2.0.13"],
  clientPorts: [40001, 40002, 40003, 20],
  servicePorts: [80, 443, 53],
  serverPorts: [80, 8080, 53],
};
const WORLD6: World = {
  ...WORLD4,
  family: 6,
  vip: "2001:db8:9::1",
  clients: ["2001:db8:1::2", "2001:db8:1::3"],
  servers: ["2001:db8:2::11", "2001:db8:2::12", "2001:db8:2::13"],
};
const OWN = ["10.9.0.1", "2001:db8:9::1", "10.1.0.1", "10.2.0.1", "2001:db8:2::1"];

const service = (world: World, protocol: "tcp" | "udp" | "sctp", port: number): ServiceId => ({
  kind: "address",
  family: world.family,
  protocol,
  address: world.vip,
  port,
});

/** Shows `count` packets; every difference is told with the packets' notation. */
function play(
  twins: Twins,
  traffic: Traffic,
  count: number,
  change: (step: number) => void = () => {},
): void {
  for (let step = 0; step < count; step++) {
    change(step);
    const shown = traffic.next();
    const difference = twins.show(shown.ip, shown.way);
    expect(difference && `step ${step}: ${shown.note} (${shown.way})\n${difference}`).toBeUndefined();
    if (step % 50 === 49) expect([step, ...twins.compareTables()]).toEqual([step]);
  }
  expect(twins.compareTables()).toEqual([]);
}

const SCHEDULERS = ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf"];

describe.runIf(root)("the programs do what the model does", () => {
  let twins: Twins | undefined;
  afterEach(() => {
    twins?.close();
    twins = undefined;
  });

  for (const [world, name] of [
    [WORLD4, "IPv4"],
    [WORLD6, "IPv6"],
  ] as const) {
    for (const method of ["nat", "dr", "tun"] as ForwardingMethod[]) {
      for (const xdp of [false, true]) {
        test(`${name}, ${method}, every scheduler${xdp ? ", XDP first" : ""}`, () => {
          twins = new Twins(OWN, xdp);
          run(twins, world, method);
          if (method !== "tun") expect(twins.fronted > 100).toBe(xdp);
        }, 120_000);
      }
    }
  }
});

/** Services of three protocols, two ports each, every scheduler in turn. */
function run(twins: Twins, world: World, method: ForwardingMethod): void {
  for (const [i, protocol] of (["tcp", "udp", "sctp"] as const).entries()) {
    for (const [j, port] of [80, 443].entries()) {
      const id = service(world, protocol, port);
      twins.addService(serviceSpec(id, { scheduler: SCHEDULERS[(2 * i + j) % SCHEDULERS.length] }));
      for (const [k, address] of world.servers.entries())
        twins.addDestination(id, destination(address, { method, port: j === 0 ? 80 : 8080, weight: k + 1 }));
    }
  }
  const traffic = new Traffic(world, seeded(7));
  play(twins, traffic, 1500, (step) => {
    if (step % 200 !== 199) return;
    const scheduler = traffic.pick(SCHEDULERS);
    const protocol = traffic.pick(["tcp", "udp", "sctp"] as const);
    twins.editService(serviceSpec(service(world, protocol, 80), { scheduler }));
  });
}
