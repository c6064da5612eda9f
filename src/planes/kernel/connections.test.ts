import { describe, expect, it } from "vitest";
import { parseConnection, parseConnections } from "./connections.ts";

const FILE = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A010002 9C43 0A010064 0050 0A02000C 1F90 ESTABLISHED     898
IP  0A010000 0000 00000005 0000 0A02000B 0000 ASSURED         299
UDP 0A010002 13C4 0A010064 13C4 0A02000B 13C4 UDP             297 sip call-1@example.org
TCP 2001:0db8:0001:0000:0000:0000:0000:0002 9C44 2001:0db8:0001:0000:0000:0000:0000:0064 0050 2001:0db8:0002:0000:0000:0000:0000:000c 0050 SYN_RECV         57
TCP 2001:0db8:0001:0000:0000:0000:0000:0002 0000 0000:0005:0000:0000:0000:0000:0000:0000 0000 0A02000C 0000 NONE             12
`;

describe("/proc/net/ip_vs_conn", () => {
  it("a connection has its addresses, ports, state and the seconds it has left", () => {
    const [first] = parseConnections([FILE]);
    expect(first).toEqual({
      family: 4,
      protocol: "tcp",
      state: "ESTABLISHED",
      expiresMs: 898_000,
      client: "10.1.0.2",
      clientPort: 40003,
      virtual: "10.1.0.100",
      virtualPort: 80,
      destinationFamily: 4,
      destination: "10.2.0.12",
      destinationPort: 8080,
      template: false,
      fwmark: 0,
    });
  });

  it("a mark's template tells the mark, a SIP connection its Call-ID", () => {
    const [, template, call] = parseConnections([FILE]);
    expect(template).toMatchObject({ protocol: "ip", template: true, fwmark: 5, virtual: "0.0.0.5" });
    expect(call.engine).toEqual({ name: "sip", data: "call-1@example.org" });
  });

  it("IPv6 is read, and a server of the other family too", () => {
    const [, , , six, mixed] = parseConnections([FILE]);
    expect(six).toMatchObject({ family: 6, client: "2001:db8:1::2", destination: "2001:db8:2::c" });
    expect(mixed).toMatchObject({
      family: 6,
      destinationFamily: 4,
      destination: "10.2.0.12",
      template: true,
    });
  });

  it("pieces of the file may end anywhere", () => {
    const whole = [...parseConnections([FILE])];
    expect(whole).toHaveLength(5);
    expect([...parseConnections(FILE)]).toEqual(whole);
  });

  it("what is no connection is passed over", () => {
    for (const line of ["", "TCP", "TCP 1 2 3 4 5 6 7 8", "ICMP 0A010002 0 0A010002 0 0A010002 0 NONE 1"]) {
      expect(parseConnection(line)).toBeUndefined();
    }
  });
});
