import fc from "fast-check";
import { expect, test } from "vitest";
import { fold, pseudo4 } from "../../wire/checksum.ts";
import * as gre from "../../wire/gre.ts";
import * as gue from "../../wire/gue.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as udp from "../../wire/udp.ts";
import { behindIpv4, finishChecksum, insideGre, insideGue, insideIpip } from "./decapsulate.ts";

/** A UDP datagram of three bytes in an IPv4 packet, written at `at`. Returns where it ends. */
function emitInner(v: DataView, at: number): number {
  const ip = {
    tos: 0,
    id: 7,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 63,
    protocol: ipv4.PROTOCOL.udp,
    src: "192.0.2.1",
    dst: "192.0.2.80",
    options: [],
    payloadLen: 11,
  };
  ipv4.emit(ip, v, at);
  for (let i = 0; i < 3; i++) v.setUint8(at + 28 + i, 65 + i);
  udp.emit({ srcPort: 4000, dstPort: 53, payloadLen: 3 }, v, at + 20, pseudo4(v, at, ipv4.PROTOCOL.udp, 11));
  return at + 31;
}

const buffer = () => new DataView(new ArrayBuffer(200));

test("a raw IPv4 socket's packet holds its inner packet behind the outer header", () => {
  const v = buffer();
  const end = emitInner(v, 20);
  ipv4.emit(
    {
      tos: 0,
      id: 1,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: 4,
      src: "198.51.100.1",
      dst: "198.51.100.2",
      options: [],
      payloadLen: end - 20,
    },
    v,
    0,
  );
  expect(behindIpv4(v, 0, end)).toBe(20);
  expect(insideIpip(4, v, 20, end)).toBe(20);
  expect(insideIpip(41, v, 20, end), "says IPv6, is IPv4").toBe(-1);
});

test("GRE with and without a checksum is unwrapped, and refused when the checksum is wrong or a key is there", () => {
  for (const checksum of [false, true]) {
    const v = buffer();
    const header = { protocol: 0x0800, checksum, key: undefined, sequence: undefined };
    const length = gre.byteLength(header);
    const end = emitInner(v, length);
    gre.emit(header, v, 0, end);
    expect(insideGre(v, 0, end)).toBe(length);
    v.setUint8(end - 1, v.getUint8(end - 1) ^ 1);
    expect(insideGre(v, 0, end)).toBe(checksum ? -1 : length);
  }
  const v = buffer();
  const end = emitInner(v, 8);
  gre.emit({ protocol: 0x0800, checksum: false, key: 9, sequence: undefined }, v, 0, end);
  expect(insideGre(v, 0, end)).toBe(-1);
});

test("GUE is unwrapped, control messages are not packets", () => {
  const v = buffer();
  const end = emitInner(v, 4);
  gue.emit({ control: false, protocol: 4, remoteChecksum: undefined }, v, 0);
  expect(insideGue(v, 0, end)).toBe(4);
  gue.emit({ control: true, protocol: 4, remoteChecksum: undefined }, v, 0);
  expect(insideGue(v, 0, end)).toBe(-1);
});

test("GUE with remote checksum offload gets its checksum completed", () => {
  const v = buffer();
  const header = { control: false, protocol: 4, remoteChecksum: { start: 20, offset: 26 } };
  const at = gue.byteLength(header);
  const end = emitInner(v, at);
  const right = v.getUint16(at + 26);
  gue.emit(header, v, 0);
  // What a sender leaves in the field: the folded sum of the pseudo header.
  const pseudo = pseudo4(v, at, ipv4.PROTOCOL.udp, 11);
  v.setUint16(at + 26, (pseudo & 0xffff) + (pseudo >>> 16));
  expect(insideGue(v, 0, end)).toBe(at);
  expect(v.getUint16(at + 26)).toBe(right);
  gue.emit({ ...header, remoteChecksum: { start: 20, offset: 400 } }, v, 0);
  expect(insideGue(v, 0, end), "points outside the packet").toBe(-1);
});

test("garbage never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (const at of [
        insideGre(v, 0, bytes.length),
        insideGue(v, 0, bytes.length),
        behindIpv4(v, 0, bytes.length),
      ]) {
        expect(at).toBeLessThanOrEqual(bytes.length);
      }
      insideIpip(4, v, 0, bytes.length);
      insideIpip(41, v, 0, bytes.length);
    }),
  );
});

test("a checksum that was left to a network card is completed, a finished one stays", () => {
  const v = buffer();
  const end = emitInner(v, 0);
  const finished = v.getUint16(26);
  finishChecksum(v, 0, end);
  expect(v.getUint16(26)).toBe(finished);
  v.setUint16(26, fold(pseudo4(v, 0, ipv4.PROTOCOL.udp, 11)));
  finishChecksum(v, 0, end);
  expect(v.getUint16(26)).toBe(finished);
});
