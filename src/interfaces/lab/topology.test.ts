import { expect, test } from "vitest";
import type { Lab } from "./lab.ts";
import { EVERY_LAB } from "./labs/index.ts";
import { draw } from "./topology.ts";

const lab = (hosts: Lab["hosts"], networks: Lab["networks"]): Lab => ({
  name: "x",
  title: "x",
  about: "x",
  hosts,
  networks,
  steps: [],
  traced: { on: "a", ask: { kind: "http", url: "http://x/" } },
});

test("draw() joins the interfaces of each network in a lane of its own", () => {
  const drawing = draw(
    lab(
      [
        { name: "client", nics: [{ device: "eth0", network: "wan", addresses: ["192.0.2.1/24"] }] },
        {
          name: "director",
          note: "VIP 192.0.2.80",
          nics: [
            { device: "eth0", network: "wan", addresses: ["192.0.2.2/24"] },
            { device: "eth1", network: "lan", addresses: ["10.0.0.1/8"] },
          ],
        },
        { name: "rs1", nics: [{ device: "eth0", network: "lan", addresses: ["10.0.0.2/8"] }] },
      ],
      [
        { name: "wan", cidr: "192.0.2.0/24" },
        { name: "lan", cidr: "10.0.0.0/8" },
      ],
    ),
  );
  expect(`\n${drawing.join("\n")}\n`).toBe(`
client    eth0 192.0.2.1/24 ─┐     wan 192.0.2.0/24
director  eth0 192.0.2.2/24 ─┘     VIP 192.0.2.80
          eth1 10.0.0.1/8   ────┐  lan 10.0.0.0/8
rs1       eth0 10.0.0.2/8   ────┘
`);
});

test("draw() lets a lane pass by the interfaces of other networks", () => {
  const nic = (network: string) => [{ device: "eth0", network, addresses: ["10.0.0.1/8"] }];
  const drawing = draw(
    lab(
      [
        { name: "a", nics: nic("one") },
        { name: "b", nics: nic("two") },
        { name: "c", nics: nic("two") },
        { name: "d", nics: nic("one") },
      ],
      [
        { name: "one", cidr: "10.0.0.0/8" },
        { name: "two", cidr: "10.0.0.0/8" },
      ],
    ),
  );
  expect(drawing.map((line) => line.slice(19, 25).trimEnd())).toEqual(["─┐", "─┼──┐", "─┼──┘", "─┘"]);
});

test("every lab's hosts, networks and steps name each other rightly", () => {
  for (const { name, hosts, networks, steps, traced, alsoTraced } of EVERY_LAB) {
    const hostNames = hosts.map((host) => host.name);
    const networkNames = networks.map((network) => network.name);
    for (const host of hosts) for (const nic of host.nics) expect(networkNames, name).toContain(nic.network);
    for (const step of steps) if (step.kind !== "title") expect(hostNames, name).toContain(step.on);
    for (const { on } of [traced, ...(alsoTraced ?? [])]) expect(hostNames, name).toContain(on);
    for (const network of networks) {
      const ends = hosts.flatMap((host) => host.nics).filter((nic) => nic.network === network.name);
      expect(ends.length, `${name}: ${network.name}`).toBeGreaterThanOrEqual(2);
    }
  }
});
