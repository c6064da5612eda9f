import { expect, describe as group, test } from "vitest";
import { RecordingHost } from "../testkit/recording-host.ts";
import { toWords } from "../wire/address.ts";
import { type DestinationSpec, IPIP } from "./destination.ts";
import { TableError } from "./errors.ts";
import type { ServiceId } from "./service.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";
import { serviceSpec, Table, TRASH_SWEEP_MS } from "./table.ts";

const VIP: ServiceId = { kind: "address", family: 4, protocol: "tcp", address: "10.0.0.1", port: 80 };
const MARK: ServiceId = { kind: "fwmark", family: 4, fwmark: 7 };
const TCP = 6;

const table = (): Table =>
  new Table(new RecordingHost(["10.0.0.1", "198.51.100.1"]), {
    random: () => 0.5,
    settings: DEFAULT_SETTINGS,
  });

const real = (change: Partial<DestinationSpec> = {}): DestinationSpec => ({
  family: 4,
  address: "10.0.0.11",
  port: 80,
  method: "dr",
  weight: 1,
  upper: 0,
  lower: 0,
  tunnel: IPIP,
  ...change,
});

function code(work: () => void): string {
  try {
    work();
  } catch (error) {
    if (error instanceof TableError) return error.code;
    throw error;
  }
  return "ok";
}

group("refusals", () => {
  test.each<[string, string, (t: Table) => void]>([
    ["an existing service", "EEXIST", (t) => t.addService(serviceSpec(VIP, { scheduler: "nosuch" }))],
    ["an unknown scheduler", "ENOENT", (t) => t.addService(serviceSpec(MARK, { scheduler: "nosuch" }))],
    ["an unknown engine", "ENOENT", (t) => t.addService(serviceSpec(MARK, { engine: "nosuch" }))],
    ["editing an unknown service", "ESRCH", (t) => t.editService(serviceSpec(MARK))],
    ["a destination of an unknown service", "ESRCH", (t) => t.addDestination(MARK, real())],
    ["an existing destination", "EEXIST", (t) => t.addDestination(VIP, real({ address: "10.0.0.10" }))],
    ["an unknown destination", "ENOENT", (t) => t.editDestination(VIP, real({ address: "10.0.0.99" }))],
    [
      "a lower threshold above the upper one",
      "ERANGE",
      (t) => t.addDestination(VIP, real({ upper: 1, lower: 2 })),
    ],
    ["a multicast server", "EINVAL", (t) => t.addDestination(VIP, real({ address: "224.0.0.1" }))],
    [
      "a server of another family by DR",
      "EINVAL",
      (t) => t.addDestination(VIP, real({ family: 6, address: "2001:db8::1" })),
    ],
    [
      "GUE without a port",
      "EINVAL",
      (t) =>
        t.addDestination(VIP, real({ method: "tun", tunnel: { type: "gue", port: 0, checksum: "none" } })),
    ],
  ])("%s is refused with %s, and nothing changes", (_what, expected, work) => {
    const t = table();
    t.addService(serviceSpec(VIP));
    t.addDestination(VIP, real({ address: "10.0.0.10" }));
    const before = JSON.stringify(t.services().map((s) => s.status()));
    expect(code(() => work(t))).toBe(expected);
    expect(JSON.stringify(t.services().map((s) => s.status()))).toBe(before);
  });

  test("a missing IPv6 mark is told apart from a missing -6", () => {
    const t = table();
    t.addService(serviceSpec({ ...MARK, family: 6 }));
    expect(() => t.find(MARK)).toThrow("add -6");
  });
});

group("lookup()", () => {
  const all = (t: Table, port: number, mark = 0): string | undefined =>
    t.lookup(4, TCP, toWords("10.0.0.1"), port, mark)?.key;

  test("a mark beats an exact address, which beats FTP data, which beats port 0", () => {
    const t = table();
    const at = (port: number): ServiceId => ({ ...VIP, port }) as ServiceId;
    t.addService(serviceSpec(at(80)));
    t.addService(serviceSpec(at(0)));
    expect(all(t, 80)).toBe("tcp 10.0.0.1:80");
    expect(all(t, 2000)).toBe("tcp 10.0.0.1:0");
    t.addService(serviceSpec(at(21)));
    expect(all(t, 2000)).toBe("tcp 10.0.0.1:21");
    expect(all(t, 20)).toBe("tcp 10.0.0.1:21");
    expect(all(t, 500)).toBe("tcp 10.0.0.1:0");
    t.addService(serviceSpec(MARK));
    expect(all(t, 80, 7)).toBe("fwmark 7");
    expect(all(t, 80, 8)).toBe("tcp 10.0.0.1:80");
    t.removeService(at(21));
    t.removeService(at(0));
    expect(all(t, 2000)).toBeUndefined();
  });

  test("ten thousand services are each found, and gone after removal", () => {
    const t = table();
    const id = (i: number): ServiceId =>
      ({ ...VIP, address: `10.7.${i >> 8}.${i & 255}`, port: 1 + (i % 7) }) as ServiceId;
    for (let i = 0; i < 10_000; i++) t.addService(serviceSpec(id(i), { scheduler: "rr" }));
    const find = (i: number) => t.lookup(4, TCP, toWords(`10.7.${i >> 8}.${i & 255}`), 1 + (i % 7), 0);
    for (let i = 0; i < 10_000; i += 37) expect(find(i)?.id).toEqual(id(i));
    for (let i = 0; i < 10_000; i += 2) t.removeService(id(i));
    for (let i = 0; i < 10_000; i += 37) expect(find(i)?.id).toEqual(i % 2 ? id(i) : undefined);
  });
});

group("destinations", () => {
  test("stand newest first, and an edit moves nothing", () => {
    const t = table();
    t.addService(serviceSpec(VIP));
    for (const n of [11, 12, 13]) t.addDestination(VIP, real({ address: `10.0.0.${n}` }));
    t.editDestination(VIP, real({ address: "10.0.0.12", weight: 9 }));
    expect(t.find(VIP).destinations.map((d) => `${d.spec.address}*${d.weight}`)).toEqual([
      "10.0.0.13*1",
      "10.0.0.12*9",
      "10.0.0.11*1",
    ]);
  });

  test("a removed one keeps its connection counts until it returns, its statistics only in the same service", () => {
    const t = table();
    t.addService(serviceSpec(VIP));
    t.addDestination(VIP, real());
    const [old] = t.find(VIP).destinations;
    old.inactive = 3;
    old.meter.inPackets = 5;
    old.meter.estimate();
    t.removeDestination(VIP, real());
    expect(old.available).toBe(false);
    t.addDestination(VIP, real());
    expect(t.find(VIP).destinations[0]).toBe(old);
    expect([old.inactive, old.meter.read().inPackets]).toEqual([3, 5]);
    t.removeService(VIP);
    t.addService(serviceSpec(VIP));
    t.addDestination(VIP, real());
    expect([old.inactive, old.meter.read().inPackets, old.service]).toEqual([3, 0, t.find(VIP)]);
  });

  test("the trash is emptied of what nothing refers to for two minutes", () => {
    const t = table();
    t.addService(serviceSpec(VIP));
    t.addDestination(VIP, real());
    const [server] = t.find(VIP).destinations;
    server.active = 1;
    t.removeDestination(VIP, real());
    for (let i = 1; i <= 5; i++) t.sweepTrash(i * TRASH_SWEEP_MS);
    expect(t.trashed()).toEqual([server]);
    server.active = 0;
    for (let i = 6; i <= 7; i++) t.sweepTrash(i * TRASH_SWEEP_MS);
    expect(t.trashed().length).toBe(1);
    t.sweepTrash(8 * TRASH_SWEEP_MS);
    expect(t.trashed()).toEqual([]);
    expect(t.server(server.index)).toBeUndefined();
  });

  test("thresholds: overloaded at the upper, free again below the lower, three quarters when none is given", () => {
    const t = table();
    t.addService(serviceSpec(VIP));
    t.addDestination(VIP, real({ upper: 8 }));
    const [d] = t.find(VIP).destinations;
    expect(d.lower).toBe(6);
    d.inactive = 8;
    d.bound();
    expect(d.overloaded).toBe(true);
    d.inactive = 6;
    d.unbound();
    expect(d.overloaded).toBe(true);
    d.inactive = 5;
    d.unbound();
    expect(d.overloaded).toBe(false);
    d.inactive = 3;
    t.editDestination(VIP, real({ upper: 3 }));
    expect(d.overloaded).toBe(true);
    t.editDestination(VIP, real());
    expect(d.overloaded).toBe(false);
  });
});

test("zero() of the all-zero service zeroes everything, as ipvsadm -Z does", () => {
  const t = table();
  t.addService(serviceSpec(VIP));
  const s = t.find(VIP);
  s.meter.conns = 4;
  t.estimate();
  expect(s.status().stats.conns).toBe(4);
  t.zero({ kind: "address", family: 4, protocol: "tcp", address: "0.0.0.0", port: 0 });
  expect(s.status().stats.conns).toBe(0);
});

test("a failing edit of a service changes nothing", () => {
  const t = table();
  t.addService(serviceSpec(VIP, { scheduler: "rr" }));
  expect(code(() => t.editService(serviceSpec(VIP, { scheduler: "nosuch", schedFlags: 3 })))).toBe("ENOENT");
  expect(t.find(VIP).spec).toEqual(serviceSpec(VIP, { scheduler: "rr" }));
  expect(t.find(VIP).schedFlags).toBe(0);
});
