import { describe, expect, it } from "vitest";
import type { DestinationSpec } from "../../core/destination.ts";
import { IPIP } from "../../core/destination.ts";
import { UnsupportedError } from "../../core/errors.ts";
import { NO_COUNTERS, type ServiceSpec } from "../../core/service.ts";
import { fromDestination, fromService, toDestination, toService } from "./translate.ts";

const SERVICE: ServiceSpec = {
  id: { kind: "address", family: 4, protocol: "udp", address: "10.0.0.5", port: 5060 },
  scheduler: "sh",
  schedFlags: 2,
  persistent: true,
  timeoutS: 30,
  netmask: 0xffffff00,
  engine: "sip",
  onePacket: true,
};
const SERVER: DestinationSpec = {
  family: 6,
  address: "2001:db8::11",
  port: 5060,
  method: "tun",
  weight: 3,
  upper: 10,
  lower: 5,
  tunnel: { type: "gue", port: 6080, checksum: "remcsum" },
};
const COUNTS = { active: 1, inactive: 2, persistent: 3, stats: NO_COUNTERS };

describe("specs as the kernel takes them", () => {
  it("a service comes back as the spec it was made of, hashed as the kernel marks it", () => {
    const wire = toService(SERVICE);
    expect(wire.flags).toBe(0x1 | 0x4 | 0x10);
    const report = { ...wire, flags: wire.flags | 2, stats: NO_COUNTERS };
    expect(fromService(report, [])?.spec).toEqual(SERVICE);
  });

  it("a service by mark comes back with its mark and family", () => {
    const spec: ServiceSpec = { ...SERVICE, id: { kind: "fwmark", family: 6, fwmark: 4294967295 } };
    expect(fromService({ ...toService(spec), stats: NO_COUNTERS }, [])?.spec).toEqual(spec);
  });

  it("a tunnel comes back with its type, port and checksum, another method without any", () => {
    expect(fromDestination({ ...toDestination(SERVER), ...COUNTS })).toEqual({ spec: SERVER, ...COUNTS });
    const routed: DestinationSpec = { ...SERVER, method: "dr" };
    expect(fromDestination({ ...toDestination(routed), ...COUNTS }).spec.tunnel).toEqual(IPIP);
  });

  it("a service of a protocol that ip_vs never serves is left out", () => {
    expect(fromService({ ...toService(SERVICE), protocol: 47, stats: NO_COUNTERS }, [])).toBeUndefined();
  });

  it("full-NAT is refused with the name of the plane that has it", () => {
    expect(() => toDestination({ ...SERVER, method: "fullnat" })).toThrow(UnsupportedError);
    expect(() => toService({ ...SERVICE, localAddresses: ["10.0.0.9"] })).toThrow(/LVSD_PLANE=engine/);
  });
});
