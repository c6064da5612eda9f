import { expect, test } from "vitest";
import { syncGroup, virtualAddress, vrrpInstance, vrrpSpec } from "../../testkit/vrrp-spec.ts";
import { Composer } from "./compose.ts";
import { VrrpDriver } from "./driver.ts";
import type { AddressToSet, HostAddress, HostInterface, Listening, VrrpHost } from "./host.ts";
import type { VrrpEvent } from "./messages.ts";
import type { Packet } from "./receive.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

/** A machine that does what it is told, with a clock that is moved by hand. */
class Host implements VrrpHost {
  time = 0;
  wakeAt = Number.POSITIVE_INFINITY;
  inbox: { interface: string; packet: Packet }[] = [];
  /** Packets that come again and again for ever. */
  flood: { interface: string; packet: Packet } | undefined;
  read = 0;
  sent: { device: string; to: string; priority: number }[] = [];
  announced: string[] = [];
  listening: readonly Listening[] = [];
  readonly links = new Map<string, HostInterface & { addresses: HostAddress[] }>();

  constructor(...names: string[]) {
    for (const name of names) this.plug(name);
  }

  plug(name: string, mac = "02:00:00:00:00:01"): void {
    const addresses: HostAddress[] = [];
    this.links.set(name, { index: this.links.size + 1, up: true, mtu: 1500, mac, addresses });
    if (!name.startsWith("vrrp")) this.there(name, "192.0.2.1");
  }

  there(name: string, address: string, ours = false): void {
    const family = address.includes(":") ? 6 : 4;
    this.links.get(name)!.addresses.push({ family, address, prefix: 24, scope: 0, secondary: false, ours });
  }

  on(name: string): string[] {
    return this.links.get(name)!.addresses.map((a) => a.address);
  }

  now = () => this.time;
  wallClock = () => this.time;
  wakeIn(delayMs: number): void {
    this.wakeAt = this.time + delayMs;
  }
  interfaces = () => new Map(this.links);
  sourceTowards = () => undefined;
  addAddress(a: AddressToSet): void {
    if (!this.links.has(a.device)) throw new Error(`there is no interface ${a.device}`);
    this.there(a.device, a.address, true);
  }
  removeAddress(a: AddressToSet): void {
    const link = this.links.get(a.device)!;
    link.addresses = link.addresses.filter((x) => x.address !== a.address);
  }
  addRoutes(): void {}
  removeRoutes(): void {}
  listen(wanted: readonly Listening[]): void {
    this.listening = wanted;
  }
  receive() {
    this.read++;
    return this.inbox.shift() ?? this.flood;
  }
  send(family: 4 | 6, device: string, packet: Uint8Array, to: string): undefined {
    this.sent.push({ device, to, priority: packet[(family === 4 ? 20 : 40) + 2] });
  }
  announce(device: string, address: string): void {
    this.announced.push(`${device} ${address}`);
  }
  virtualInterface(name: string, _over: string, mac: string): void {
    if (!this.links.has(name)) this.plug(name, mac);
  }
  removeVirtualInterface(name: string): void {
    this.links.delete(name);
  }
  promoteSecondaries(): void {}
  refusePackets(): void {}
}

function bench(host: Host) {
  const events: VrrpEvent[] = [];
  const driver = new VrrpDriver(host, (event) => events.push(event));
  return {
    events,
    driver,
    states: () => Object.fromEntries(driver.status().instances.map((i) => [i.name, i.state])),
    /** Lets time pass, waking the driver as it asked for. */
    run(ms: number): void {
      const end = host.time + ms;
      while (host.wakeAt <= end) {
        host.time = host.wakeAt;
        host.wakeAt = Number.POSITIVE_INFINITY;
        driver.wake();
      }
      host.time = end;
    },
    hear(packet: Packet, on = "v0"): void {
      host.inbox.push({ interface: on, packet });
      driver.readable();
    },
  };
}

/** What another router with this specification says. */
function advert(spec: VrrpInstanceSpec, from = "192.0.2.2", priority = spec.priority): Packet {
  const bytes = new Composer(spec).packet(from, spec.group, priority);
  return { family: 4, bytes, src: from, dst: spec.group, ttl: 255 };
}

const VIP = "192.0.2.100";

test("an address that a killed router left here goes when another router is master of it, and is ours afterwards", () => {
  const host = new Host("v0");
  host.there("v0", VIP); // without our mark
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance({ priority: 100 })]));
  expect(host.on("v0")).toContain(VIP);
  b.hear(advert(vrrpInstance({ priority: 150 })));
  expect(host.on("v0")).toEqual(["192.0.2.1"]);
  const told = b.events.find((e) => e.kind === "address" && e.text.includes("192.0.2.2 is master of it"));
  expect(told).toMatchObject({ level: "warning", address: VIP });
  b.run(4000);
  expect(b.states()).toEqual({ VI: "master" });
  expect(host.on("v0")).toContain(VIP);
  b.driver.stop(false);
  expect(host.on("v0")).toEqual(["192.0.2.1"]);
});

test("a master gives up an address that was there before, when a better master comes", () => {
  const host = new Host("v0");
  host.there("v0", VIP);
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance({ priority: 100 })]));
  b.run(4000);
  expect(b.states()).toEqual({ VI: "master" });
  b.hear(advert(vrrpInstance({ priority: 150 })));
  expect(b.states()).toEqual({ VI: "backup" });
  expect(host.on("v0")).toEqual(["192.0.2.1"]);
});

test.each([
  ["nobody else is master", 100, () => {}],
  [
    "the other one resigns",
    100,
    (b: ReturnType<typeof bench>) => b.hear(advert(vrrpInstance(), "192.0.2.2", 0)),
  ],
  [
    "it is the owner's",
    255,
    (b: ReturnType<typeof bench>) => b.hear(advert(vrrpInstance({ priority: 255 }), "192.0.2.9")),
  ],
])("what was there before stays when %s", (_, priority, happens) => {
  const host = new Host("v0");
  host.there("v0", VIP);
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance({ priority })]));
  happens(b);
  b.run(1000);
  b.driver.stop(false);
  expect(host.on("v0")).toEqual(["192.0.2.1", VIP]);
});

test("a flood of packets does not hold up our own adverts, and is answered ten times an interval at most", () => {
  const host = new Host("v0");
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance({ priority: 150 })]));
  b.run(4000);
  host.flood = { interface: "v0", packet: advert(vrrpInstance({ priority: 10 })) };
  host.sent = [];
  host.announced = [];
  const before = b.events.length;
  for (let i = 0; i < 1000; i++) {
    host.read = 0;
    b.driver.readable();
    expect(host.read).toBeLessThanOrEqual(64);
    b.run(1);
  }
  expect(host.sent.length).toBeGreaterThanOrEqual(1);
  expect(host.sent.length).toBeLessThanOrEqual(12);
  expect(host.announced.length).toBeLessThanOrEqual(12 * 5);
  expect(b.events.length - before).toBeLessThanOrEqual(30);
});

test("lies of many senders end in one line", () => {
  const host = new Host("v0");
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance()]));
  const spec = vrrpInstance({ version: 3 });
  for (let i = 0; i < 2000; i++) b.hear(advert(spec, `198.51.${i >> 8}.${i & 255}`));
  expect(b.events.filter((e) => e.kind === "refused")).toHaveLength(100);
  expect(b.events.filter((e) => e.text.includes("not told for a minute"))).toHaveLength(1);
});

test("instances with the same id in other groups hear their own", () => {
  const host = new Host("v0");
  const b = bench(host);
  const two = (priority: number) => [
    vrrpInstance({ name: "A", priority }),
    vrrpInstance({ name: "B", priority, group: "224.0.0.99", addresses: [virtualAddress("192.0.2.101/24")] }),
  ];
  b.driver.configure(vrrpSpec(two(100)));
  for (let i = 0; i < 10; i++) {
    for (const spec of two(150)) b.hear(advert(spec));
    b.run(1000);
  }
  expect(b.states()).toEqual({ A: "backup", B: "backup" });
  expect(b.events.filter((e) => e.kind === "refused")).toEqual([]);
});

test("what is refused for its addresses counts as received, as keepalived counts", () => {
  const b = bench(new Host("v0"));
  b.driver.configure(vrrpSpec([vrrpInstance()]));
  b.hear(advert(vrrpInstance({ addresses: [virtualAddress("192.0.2.7/24")] })));
  expect(b.driver.stats()[0]).toMatchObject({ advertsReceived: 1, addressListErrors: 1 });
});

test("a process that replaces one that died goes on as master, and its addresses are not touched", () => {
  const host = new Host("v0");
  host.time = 5000;
  host.there("v0", VIP, true);
  const [, left] = host.links.get("v0")!.addresses;
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance()], { startupDelayMs: 60_000 }), [
    { instance: "VI", untilMs: 6000 },
  ]);
  expect(b.states()).toEqual({ VI: "master" });
  expect(host.sent).toHaveLength(1);
  expect(host.links.get("v0")!.addresses[1]).toBe(left);
  b.driver.stop(false);
  expect(host.on("v0")).toEqual(["192.0.2.1"]);
});

test.each([
  ["it took too long", {}, 5000],
  ["others remember the numbers of its packets", { auth: { type: "ah", password: "x" } }, 6000],
  ["it is in fault", { trackInterfaces: [{ name: "nix", weight: 0, reverse: false }] }, 6000],
] as const)("it starts as any other, without the addresses, when %s", (_, over, untilMs) => {
  const host = new Host("v0");
  host.time = 5000;
  host.there("v0", VIP, true);
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance(over)]), [{ instance: "VI", untilMs }]);
  expect(b.states()["VI"]).not.toBe("master");
  expect(host.on("v0")).toEqual(["192.0.2.1"]);
});

test("members of a group go on as masters together, or none does", () => {
  const two = [
    vrrpInstance({ name: "A" }),
    vrrpInstance({ name: "B", routerId: 52, addresses: [virtualAddress("192.0.2.101/24")] }),
  ];
  const spec = vrrpSpec(two, { groups: [syncGroup("G", ["A", "B"])] });
  const until = (instance: string) => ({ instance, untilMs: 6000 });
  for (const [resume, state] of [
    [[until("A"), until("B")], "master"],
    [[until("A")], "backup"],
  ] as const) {
    const host = new Host("v0");
    host.there("v0", VIP, true);
    const b = bench(host);
    b.driver.configure(spec, resume);
    expect(b.states()).toEqual({ A: state, B: state });
    expect(host.on("v0").includes(VIP)).toBe(state === "master");
  }
});

test("an address whose interface comes later is set and announced when it has come", () => {
  const host = new Host("v0");
  const b = bench(host);
  b.driver.configure(
    vrrpSpec([vrrpInstance({ excluded: [virtualAddress("203.0.113.1", { device: "v9" })] })]),
  );
  b.run(4000);
  expect(b.states()).toEqual({ VI: "master" });
  host.announced = [];
  host.plug("v9");
  b.driver.changed();
  expect(host.on("v9")).toContain("203.0.113.1");
  expect(host.announced).toContain("v9 203.0.113.1");
  expect(b.states()).toEqual({ VI: "master" });
});

test("a virtual interface is made again when its base is", () => {
  const host = new Host("v0");
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance({ vmac: { xmitBase: false } })]));
  b.run(4000);
  expect(host.on("vrrp.51")).toEqual([VIP]);
  host.links.delete("v0");
  host.links.delete("vrrp.51");
  b.driver.changed();
  expect(b.states()).toEqual({ VI: "fault" });
  host.plug("v0");
  b.driver.changed();
  b.run(4000);
  expect(host.on("vrrp.51")).toEqual([VIP]);
});

test("with dynamic_interfaces, a virtual interface waits for its base", () => {
  const host = new Host();
  const b = bench(host);
  const spec = vrrpSpec([vrrpInstance({ vmac: { xmitBase: false } })], { dynamicInterfaces: true });
  expect(b.driver.configure(spec)).toEqual([]);
  host.plug("v0");
  b.driver.changed();
  b.run(4000);
  expect(host.on("vrrp.51")).toEqual([VIP]);
});

test("garp_extra_if announces one address an interface that adverts do not leave from", () => {
  const announce = (all: boolean) => ({
    ...vrrpInstance().announce,
    delayMs: 0,
    repeat: 1,
    extra: { everyMs: 10_000, all },
  });
  const excluded = ["203.0.113.1", "203.0.113.2"].map((a) => virtualAddress(a, { device: "v1" }));
  for (const [all, expected] of [
    [true, ["v1 203.0.113.1", "v1 203.0.113.1"]],
    [false, []],
  ] as const) {
    const host = new Host("v0", "v1");
    const b = bench(host);
    b.driver.configure(vrrpSpec([vrrpInstance({ excluded, announce: announce(all) })]));
    b.run(4000);
    host.announced = [];
    b.run(20_000);
    expect(host.announced).toEqual(expected);
  }
  // By default: virtual interfaces, here one whose adverts leave from its base.
  const host = new Host("v0");
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance({ vmac: { xmitBase: true }, announce: announce(false) })]));
  b.run(4000);
  host.announced = [];
  b.run(10_000);
  expect(host.announced).toEqual([`vrrp.51 ${VIP}`]);
});

test("an instance whose id a reload changes resigns with the former one", () => {
  const host = new Host("v0");
  const b = bench(host);
  const ids: number[] = [];
  const send = host.send.bind(host);
  host.send = (family, device, packet, to) => {
    ids.push(packet[21]);
    return send(family, device, packet, to);
  };
  b.driver.configure(vrrpSpec([vrrpInstance()]));
  b.run(4000);
  ids.length = 0;
  host.sent = [];
  b.driver.configure(vrrpSpec([vrrpInstance({ routerId: 52 })]));
  expect(ids).toEqual([51]);
  expect(host.sent.map((s) => s.priority)).toEqual([0]);
  b.run(4000);
  expect(ids.slice(1)).toContain(52);
});

test("an instance that a reload moves to another interface resigns on the former one", () => {
  const host = new Host("v0", "v1");
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance()]));
  b.run(4000);
  host.sent = [];
  b.driver.configure(vrrpSpec([vrrpInstance({ interface: "v1" })]));
  expect(host.sent).toEqual([{ device: "v0", to: "224.0.0.18", priority: 0 }]);
  expect(host.on("v0")).not.toContain(VIP);
  b.run(4000);
  expect(host.on("v1")).toContain(VIP);
});

test("a virtual interface that a reload takes out of use leaves its addresses to the interface below", () => {
  const host = new Host("v0");
  const b = bench(host);
  b.driver.configure(vrrpSpec([vrrpInstance({ vmac: { xmitBase: false } })]));
  b.run(4000);
  b.driver.configure(vrrpSpec([vrrpInstance()]));
  expect(host.links.has("vrrp.51")).toBe(false);
  expect(host.on("v0")).toContain(VIP);
  expect(b.states()).toEqual({ VI: "master" });
});

test("of many instances that become master at once, every one speaks before any address is set", () => {
  const host = new Host("v0");
  const many = Array.from({ length: 255 }, (_, n) =>
    vrrpInstance({ name: `V${n}`, routerId: n + 1, addresses: [virtualAddress(`10.9.0.${n + 1}`)] }),
  );
  const b = bench(host);
  b.driver.configure(vrrpSpec(many));
  expect(host.listening).toHaveLength(1);
  const set: number[] = [];
  const add = host.addAddress.bind(host);
  host.addAddress = (a) => {
    set.push(host.sent.length);
    add(a);
  };
  b.run(4000);
  expect(new Set(Object.values(b.states()))).toEqual(new Set(["master"]));
  expect(set).toHaveLength(255);
  expect(Math.min(...set)).toBe(255);
});
