import { expect, it } from "vitest";
import type { ConnectionStatus } from "../../../core/connection.ts";
import { IPIP } from "../../../core/destination.ts";
import { NO_COUNTERS, type ServiceStatus } from "../../../core/service.ts";
import { connectionLine, connectionTitle } from "./connections.ts";
import { NUMERIC } from "./labels.ts";
import { counterText, tableText } from "./list.ts";

it("counterText() cuts to K, M, G and T, and with exact to nothing", () => {
  expect(counterText(99999999, false)).toBe(" 99999999");
  expect(counterText(150216436, false)).toBe("  150216K");
  expect(counterText(1290515596, false)).toBe("    1290M");
  expect(counterText(2e11, false)).toBe("     200G");
  expect(counterText(3e14, false)).toBe("     300T");
  expect(counterText(1351507036, true)).toBe(" 1351507036");
});

it("server counters wrap at 2^32, those of the service do not", () => {
  const stats = { ...NO_COUNTERS, conns: 2 ** 32 + 7, inPackets: 2 ** 32 + 8 };
  const service: ServiceStatus = {
    spec: {
      id: { kind: "address", family: 4, protocol: "tcp", address: "10.0.0.1", port: 80 },
      scheduler: "rr",
      schedFlags: 0,
      persistent: false,
      timeoutS: 0,
      netmask: 0xffffffff,
      engine: "",
      onePacket: false,
    },
    stats,
    destinations: [
      {
        spec: {
          family: 4,
          address: "10.0.0.11",
          port: 80,
          method: "nat",
          weight: 1,
          upper: 0,
          lower: 0,
          tunnel: IPIP,
        },
        stats,
        active: 0,
        inactive: 0,
        persistent: 0,
      },
    ],
  };
  const lines = tableText([service], { layout: "stats", exact: true, labels: NUMERIC }).split("\n");
  expect(lines[2]).toBe("TCP  10.0.0.1:80                  4294967303 4294967304        0        0        0");
  expect(lines[3]).toBe("  -> 10.0.0.11:80                        7        8        0        0        0");
});

const connection: ConnectionStatus = {
  family: 4,
  protocol: "udp",
  state: "ASSURED",
  expiresMs: 118_999,
  client: "10.1.0.2",
  clientPort: 0,
  virtual: "10.1.0.100",
  virtualPort: 5060,
  destinationFamily: 4,
  destination: "10.2.0.12",
  destinationPort: 5060,
  method: "nat",
  engine: { name: "sip", data: "843817637684230@998sdasdh09" },
  template: true,
  fwmark: 0,
  inPackets: 0,
};

it("connections have the columns of the recordings", () => {
  expect(connectionTitle(true).split("\n")[1]).toBe(
    "pro expire state       source             virtual            destination        pe name          pe_data",
  );
  expect(connectionLine(connection, NUMERIC, false)).toBe(
    "UDP 01:58  ASSURED     10.1.0.2:0         10.1.0.100:5060    10.2.0.12:5060\n",
  );
  expect(connectionLine(connection, NUMERIC, true)).toBe(
    "UDP 01:58  ASSURED     10.1.0.2:0         10.1.0.100:5060    10.2.0.12:5060   sip                843817637684230@998sdasdh09\n",
  );
});

it("minutes of a connection are not limited, and a mark's template is of protocol IP", () => {
  const mark = {
    ...connection,
    protocol: "ip",
    virtual: "0.0.0.5",
    virtualPort: 0,
    expiresMs: 44_639_000,
  } as const;
  expect(connectionLine(mark, NUMERIC, false)).toMatch(/^IP {2}743:59 ASSURED .* 0\.0\.0\.5:0 /);
});
