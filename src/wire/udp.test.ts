import fc from "fast-check";
import { expect, test } from "vitest";
import { survivesGarbage, u16, u32, undoes, viewOf } from "../testkit/wire.ts";
import { pseudo4 } from "./checksum.ts";
import * as udp from "./udp.ts";

// Captured: 192.0.2.1:59194 → 192.0.2.2:9999, "udp!x".
const PACKET = "450000212b12400040118bb6c0000201c0000202e73a270f000d10007564702178";

test("parse() and the accessors read a captured datagram", () => {
  const v = viewOf(PACKET);
  expect(udp.parse(v, 20, 33)).toEqual({ srcPort: 59194, dstPort: 9999, payloadLen: 5 });
  expect(udp.srcPort(v, 20)).toBe(59194);
  expect(udp.dstPort(v, 20)).toBe(9999);
  expect(udp.length(v, 20)).toBe(13);
  expect(udp.checksum(v, 20)).toBe(0x1000);
  expect(udp.checksumOk(v, 20, pseudo4(v, 0, 17, 13))).toBe(true);
});

test("emit() writes the checksum a kernel wrote", () => {
  const v = viewOf(PACKET);
  for (let i = 20; i < 28; i++) v.setUint8(i, 0xff);
  udp.emit({ srcPort: 59194, dstPort: 9999, payloadLen: 5 }, v, 20, pseudo4(v, 0, 17, 13));
  expect(v).toEqual(viewOf(PACKET));
});

test("a checksum that comes out as 0 is sent as ffff (RFC 768)", () => {
  const v = viewOf("0000000000080000");
  udp.emit({ srcPort: 0, dstPort: 0, payloadLen: 0 }, v, 0, 0xffff - 8);
  expect(udp.checksum(v, 0)).toBe(0xffff);
  expect(udp.checksumOk(v, 0, 0xffff - 8)).toBe(true);
  expect(udp.checksumOk(v, 0, 0xffff - 9)).toBe(false);
});

test("emit() without a pseudo sum sends no checksum, which is always right", () => {
  const v = viewOf("ffffffffffffffff");
  udp.emit({ srcPort: 1, dstPort: 2, payloadLen: 0 }, v, 0, undefined);
  expect(udp.checksum(v, 0)).toBe(0);
  expect(udp.checksumOk(v, 0, 4711)).toBe(true);
});

test("parse() refuses a length below 8 or beyond the end", () => {
  expect(udp.parse(viewOf("0001000200070000"), 0, 8)).toBeUndefined();
  expect(udp.parse(viewOf("0001000200090000"), 0, 8)).toBeUndefined();
  expect(udp.parse(viewOf("00010002000800"), 0, 7)).toBeUndefined();
});

test("parse() undoes emit(), and the checksum is right", () => {
  const arbitrary = fc.record({ srcPort: u16, dstPort: u16, payloadLen: fc.nat(1000) });
  fc.assert(
    fc.property(u32, (pseudo) => {
      const sum = pseudo >>> 8;
      const write = (value: udp.Udp, v: DataView, at: number) => {
        udp.emit(value, v, at, sum);
        expect(udp.checksumOk(v, at, sum)).toBe(true);
        return at + udp.HEADER_LEN + value.payloadLen;
      };
      undoes(arbitrary, write, udp.parse, (got, wanted) => expect(got).toEqual(wanted));
    }),
    { numRuns: 5 },
  );
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(udp.parse, PACKET.slice(40));
});
