import fc from "fast-check";
import { expect, test } from "vitest";
import { address4, mac, survivesGarbage, u16, undoes, viewOf } from "../testkit/wire.ts";
import * as arp from "./arp.ts";

// Captured.
const REPLY = "000108000604000202000000000bc000020202000000000ac0000201";

test("parse() reads a captured reply, and emit() writes it", () => {
  const value = arp.parse(viewOf(REPLY), 0, 28);
  expect(value).toEqual({
    operation: arp.OPERATION.reply,
    senderMac: "02:00:00:00:00:0b",
    senderIp: "192.0.2.2",
    targetMac: "02:00:00:00:00:0a",
    targetIp: "192.0.2.1",
  });
  const v = viewOf("ff".repeat(28));
  arp.emit(value!, v, 0);
  expect(v).toEqual(viewOf(REPLY));
});

test("parse() refuses what is not about IPv4 over Ethernet", () => {
  for (const at of [1, 2, 4, 5]) {
    const v = viewOf(REPLY);
    v.setUint8(at, 9);
    expect(arp.parse(v, 0, 28)).toBeUndefined();
  }
});

test("parse() undoes emit()", () => {
  const message = fc.record({
    operation: u16,
    senderMac: mac,
    senderIp: address4,
    targetMac: mac,
    targetIp: address4,
  });
  const write = (value: arp.Arp, v: DataView, at: number) => {
    arp.emit(value, v, at);
    return at + arp.LEN;
  };
  undoes(message, write, arp.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(arp.parse, REPLY);
});
