/** Persistence by SIP Call-ID: the programs against the model, packet by packet, and on random messages. */
import { existsSync } from "node:fs";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DestinationSpec } from "../../src/core/destination.ts";
import type { ServiceId, ServiceSpec } from "../../src/core/service.ts";
import { serviceSpec } from "../../src/core/table.ts";
import { TRACE, VERDICT } from "../../src/planes/ebpf/layout.ts";
import { destination } from "../../src/testkit/director-bed.ts";
import { buildPacket } from "../../src/testkit/packet-build.ts";
import { parseNote } from "../../src/testkit/packet-notation.ts";
import { Twins, type Way } from "./twins.ts";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");

const VIP = "10.9.0.1";
const VIP6 = "2001:db8:9::1";
const of = (vip: string, protocol: "udp" | "tcp" = "udp"): ServiceId => ({
  kind: "address",
  family: vip.includes(":") ? 6 : 4,
  protocol,
  address: vip,
  port: 5060,
});
const SIP = of(VIP);
const A = "10.2.0.11";
const B = "10.2.0.12";

const hexOf = (text: string): string => Buffer.from(text, "latin1").toString("hex");
const message = (id: string, more = ""): string =>
  hexOf(`INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n${more}Call-ID: ${id}\r\n\r\n`);

describe.runIf(root)("SIP on the programs", { timeout: 60_000 }, () => {
  let twins: Twins;
  beforeEach(() => {
    twins = new Twins([VIP, VIP6, "10.1.0.1", "10.2.0.1", "2001:db8:2::1"]);
  }, 60_000);
  afterEach(() => twins?.close());

  const serve = (change: Partial<ServiceSpec> = {}, id = SIP): void =>
    twins.addService(
      serviceSpec(id, { scheduler: "rr", persistent: true, timeoutS: 300, engine: "sip", ...change }),
    );
  const to = (address: string, spec: Partial<DestinationSpec> = {}, id = SIP): void =>
    twins.addDestination(id, destination(address, { port: 5060, ...spec }));
  /** Shows a packet to both, which must agree; the programs' verdict. */
  const both = (note: string, way: Way = "in", mark = 0): number => {
    const difference = twins.show(buildPacket(parseNote(note)), way, mark);
    expect(difference && `${note}\n${difference}`).toBeUndefined();
    expect(twins.compareTables()).toEqual([]);
    return twins.maps.array("trace").view.getUint32(TRACE.at.verdict, true);
  };
  const hop = (): string => {
    const { bytes } = twins.maps.array("trace");
    return bytes.subarray(TRACE.at.hop, TRACE.at.hop + 4).join(".");
  };
  const ask = (port: number, id: string, client = "10.1.0.2"): string => {
    expect(both(`udp ${client}:${port} > ${VIP}:5060 hex=${message(id)}`)).toBe(VERDICT.send);
    return hop();
  };

  test("a call keeps its server, other calls of the same client are scheduled", () => {
    serve({ onePacket: true });
    to(A);
    to(B);
    const first = ask(5060, "a@host");
    const second = ask(5060, "b@host");
    expect([first, second].sort()).toEqual([A, B]);
    for (const port of [5060, 5061, 5062]) {
      expect(ask(port, "a@host")).toBe(first);
      expect(ask(port, "b@host")).toBe(second);
    }
    expect(twins.programConnections().filter((c) => c.endsWith("@host"))).toHaveLength(2);
    expect([twins.elements("calls"), twins.elements("call_ids")]).toEqual([2, 2]);
  });

  test("without one-packet scheduling connections go on unread, and templates go with their last connection", () => {
    serve({ timeoutS: 30 });
    to(A);
    to(B);
    const first = ask(5060, "a@host");
    expect(ask(5060, "other@host")).toBe(first);
    expect(both(`udp 10.1.0.2:5060 > ${VIP}:5060 len=4`)).toBe(VERDICT.send);
    expect(both(`udp ${first}:5060 > 10.1.0.2:5060 len=4`, "through")).not.toBe(VERDICT.drop);
    expect(ask(5061, "a@host")).toBe(first);
    twins.wait(700_000);
    expect(twins.compareTables()).toEqual([]);
    expect(twins.programConnections()).toEqual([]);
    expect([twins.elements("calls"), twins.elements("call_ids")]).toEqual([0, 0]);
  });

  test("what has no Call-ID is dropped, TCP and errors about it too", () => {
    serve();
    to(A);
    expect(both(`udp 10.1.0.2:5060 > ${VIP}:5060 len=40`)).toBe(VERDICT.drop);
    expect(both(`udp 10.1.0.2:5060 > ${VIP}:5060 len=0`)).toBe(VERDICT.drop);
    serve({}, of(VIP, "tcp"));
    to(A, {}, of(VIP, "tcp"));
    expect(both(`tcp 10.1.0.2:5060 > ${VIP}:5060 S hex=${message("a@b")}`)).toBe(VERDICT.drop);
    twins.settings({ schedule_icmp: 1 });
    expect(
      both(
        `icmp 10.1.0.2 > ${VIP} unreach-port ttl=64 [ udp ${VIP}:5060 > 10.1.0.2:5060 hex=${message("a@b")} ]`,
      ),
    ).toBe(VERDICT.drop);
  });

  test("a quiesced or removed server's templates are given up, and keep their Call-ID until they end", () => {
    serve({ onePacket: true });
    to(A);
    to(B);
    twins.settings({ expire_quiescent_template: 1 });
    const first = ask(5060, "a@host");
    const other = first === A ? B : A;
    twins.editDestination(SIP, destination(first, { port: 5060, weight: 0 }));
    expect(ask(5060, "a@host")).toBe(other);
    expect([twins.elements("calls"), twins.elements("call_ids")]).toEqual([1, 2]);
    twins.editDestination(SIP, destination(first, { port: 5060, weight: 1 }));
    twins.removeDestination(SIP, destination(other, { port: 5060 }));
    expect(ask(5060, "a@host")).toBe(first);
    twins.wait(400_000);
    expect(twins.compareTables()).toEqual([]);
    expect([twins.elements("calls"), twins.elements("call_ids")]).toEqual([0, 0]);
  });

  test("a mask joins clients, a service by mark and one by any port have their own templates", () => {
    serve({ onePacket: true, netmask: 0xffffff00 });
    to(A);
    to(B);
    expect(ask(5060, "a@host", "10.1.0.7")).toBe(ask(5060, "a@host", "10.1.0.9"));
    const marked: ServiceId = { kind: "fwmark", family: 4, fwmark: 7 };
    serve({ onePacket: true }, marked);
    to(A, { port: 0 }, marked);
    to(B, { port: 0 }, marked);
    both(`udp 10.1.0.2:5060 > ${VIP}:5060 hex=${message("a@host")}`, "in", 7);
    const any: ServiceId = { kind: "address", family: 4, protocol: "udp", address: VIP, port: 0 };
    serve({ onePacket: true }, any);
    to(A, { port: 0 }, any);
    both(`udp 10.1.0.2:5060 > ${VIP}:7000 hex=${message("a@host")}`);
    expect(twins.elements("calls")).toBe(3);
  });

  test("an edited service looks at Call-IDs, or stops doing so, with the next call", () => {
    serve({ onePacket: true });
    to(A);
    to(B);
    ask(5060, "a@host");
    twins.editService(serviceSpec(SIP, { scheduler: "rr", persistent: true, timeoutS: 60, onePacket: true }));
    expect(twins.elements("sip_services")).toBe(0);
    both(`udp 10.1.0.2:5060 > ${VIP}:5060 len=4`);
    serveAgain();
    ask(5060, "a@host");
    ask(5060, "b@host");
  });
  const serveAgain = (): void =>
    twins.editService(
      serviceSpec(SIP, { scheduler: "rr", persistent: true, timeoutS: 60, onePacket: true, engine: "sip" }),
    );

  test("drop_packet asks about a call once", () => {
    serve({ onePacket: true });
    to(A);
    twins.settings({ drop_packet: 3, am_droprate: 3 });
    const verdicts = Array.from({ length: 7 }, () =>
      both(`udp 10.1.0.2:5060 > ${VIP}:5060 hex=${message("a@host")}`),
    );
    const { drop, send } = VERDICT;
    expect(verdicts).toEqual([drop, send, send, drop, send, send, drop]);
  });

  for (const onePacket of [true, false]) {
    test(`a server begins a call, ${onePacket ? "one packet each" : "connected"}: its source is the VIP, and answers find it`, () => {
      serve({ onePacket });
      to(A);
      to(B);
      both(`udp ${B}:5060 > 10.1.0.2:5060 hex=${message("out@host")}`, "through");
      expect(ask(5060, "out@host")).toBe(B);
      both(`udp ${B}:5060 > 10.1.0.2:5060 hex=${message("out@host")}`, "through");
      // Not from the service's port, without a Call-ID, not a server: as any packet.
      both(`udp ${B}:5070 > 10.1.0.2:5060 hex=${message("out@host")}`, "through");
      both(`udp ${B}:5060 > 10.1.0.3:5060 len=9`, "through");
      both(`udp 10.2.0.99:5060 > 10.1.0.2:5060 hex=${message("out@host")}`, "through");
    });
  }

  test("a call that another server takes up is that server's", () => {
    serve({ onePacket: true });
    to(A);
    to(B);
    const first = ask(5060, "a@host");
    const other = first === A ? B : A;
    both(`udp ${other}:5060 > 10.1.0.2:5060 hex=${message("a@host")}`, "through");
    expect(ask(5060, "a@host")).toBe(other);
  });

  test("IPv6, and a message longer than what is read at a time", () => {
    serve({ onePacket: true, netmask: 64 }, of(VIP6));
    to("2001:db8:2::11", {}, of(VIP6));
    to("2001:db8:2::12", {}, of(VIP6));
    twins.mtu(9000);
    const far = Array.from({ length: 30 }, (_, i) => `X-${i}: ${"y".repeat(90)}\r\n`).join("");
    for (const id of ["a@[2001:db8::1]", "b", "a@[2001:db8::1]", "c".repeat(255)])
      expect(both(`udp [2001:db8:1::2]:5060 > [${VIP6}]:5060 hex=${message(id, far)}`)).toBe(VERDICT.send);
    expect(both(`udp [2001:db8:1::2]:5060 > [${VIP6}]:5060 hex=${message("d".repeat(256))}`)).toBe(
      VERDICT.drop,
    );
    both(`udp [2001:db8:2::12]:5060 > [2001:db8:1::9]:5060 hex=${message("out")}`, "through");
    expect(twins.elements("calls")).toBe(4);
  });

  test("any message has the Call-ID that the model finds in it", () => {
    serve({ onePacket: true });
    to(A);
    to(B);
    const bit = fc.constantFrom(
      ..."Call-ID|call-id|cALL-iD|i|I|Ca|:| |\t|\r|\n|\r\n|@|abc|x|-|a.b~c|[1]|\u0000|\u00ff|#|Content|ii".split(
        "|",
      ),
    );
    const whole = fc.tuple(
      fc.constantFrom("INVITE x\r\n", "", "\n"),
      fc.array(bit, { maxLength: 24 }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(whole, ([first, bits, ended]) => {
        const text = `${first}${bits.join("")}${ended ? "\r\nCall-ID: z@z\r\n" : ""}`;
        const difference = twins.show(
          buildPacket(parseNote(`udp 10.1.0.2:5060 > ${VIP}:5060 hex=${hexOf(text) || "00"}`)),
          "in",
        );
        expect(difference && JSON.stringify(text)).toBeUndefined();
        expect(twins.compareTables()).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });
});
