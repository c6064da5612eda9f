import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { survivesGarbage, u8, undoes, viewOf } from "../testkit/wire.ts";
import { formatAddress, parseAddress } from "./address.ts";
import * as ah from "./ah.ts";
import { fromHex, toHex } from "./hex.ts";
import * as ipv4 from "./ipv4.ts";
import * as vrrp from "./vrrp.ts";

const noAuth = { authType: 0, authData: new Uint8Array(8) };
const noAuth3 = { authType: 0, authData: new Uint8Array() };
const bytes = (text: string) => parseAddress(text)!.bytes;

/** Bytes that keepalived 2.2.7 sent, and what they say. */
const VECTORS: readonly (readonly [string, string, vrrp.Vrrp, string, string])[] = [
  [
    "version 2 with a plain password",
    "2133 9602 0101 609c c000 0264 c000 0265 3131 3131 0000 0000",
    {
      version: 2,
      family: 4,
      routerId: 51,
      priority: 150,
      intervalMs: 1000,
      addresses: ["192.0.2.100", "192.0.2.101"],
      authType: 1,
      authData: vrrp.password("1111"),
    },
    "",
    "",
  ],
  [
    "version 2, resigning",
    "2133 0001 0001 1c66 c000 0264 0000 0000 0000 0000",
    {
      version: 2,
      family: 4,
      routerId: 51,
      priority: 0,
      intervalMs: 1000,
      addresses: ["192.0.2.100"],
      ...noAuth,
    },
    "",
    "",
  ],
  [
    "version 3 with the pseudo header in the checksum",
    "3133 9601 0032 d3a3 c000 0264",
    {
      version: 3,
      family: 4,
      routerId: 51,
      priority: 150,
      intervalMs: 500,
      addresses: ["192.0.2.100"],
      ...noAuth3,
    },
    "192.0.2.1",
    "224.0.0.18",
  ],
  [
    "version 3 as RFC 9568 sums it up",
    "3133 9601 0032 7634 c000 0264",
    {
      version: 3,
      family: 4,
      routerId: 51,
      priority: 150,
      intervalMs: 500,
      addresses: ["192.0.2.100"],
      ...noAuth3,
    },
    "",
    "",
  ],
  [
    "version 3 unicast",
    "3134 9601 0064 f176 c000 026e",
    {
      version: 3,
      family: 4,
      routerId: 52,
      priority: 150,
      intervalMs: 1000,
      addresses: ["192.0.2.110"],
      ...noAuth3,
    },
    "192.0.2.1",
    "192.0.2.2",
  ],
  [
    "version 3 unicast of keepalived up to 1.3.6",
    "3134 9601 0064 d366 c000 026e",
    {
      version: 3,
      family: 4,
      routerId: 52,
      priority: 150,
      intervalMs: 1000,
      addresses: ["192.0.2.110"],
      ...noAuth3,
    },
    "192.0.2.1",
    "224.0.0.18",
  ],
  [
    "version 3 over IPv6",
    "3133 9602 0032 fa00 fe80 0000 0000 0000 0000 0000 0005 0001 2001 0db8 0000 0000 0000 0000 0000 0100",
    {
      version: 3,
      family: 6,
      routerId: 51,
      priority: 150,
      intervalMs: 500,
      addresses: ["fe80::5:1", "2001:db8::100"],
      ...noAuth3,
    },
    "fe80::447a:faff:fe5b:d552",
    "ff02::12",
  ],
];

describe.each(VECTORS)("%s", (_, hex, message, src, dst) => {
  const wanted = fromHex(hex);
  const v = new DataView(wanted.buffer);
  const sum = src ? vrrp.pseudo(bytes(src), bytes(dst), wanted.length) : 0;

  test("is read", () => {
    expect(vrrp.parse(v, 0, wanted.length, message.family)).toEqual(message);
    expect(vrrp.checksumOk(v, 0, wanted.length, sum)).toBe(true);
    expect(vrrp.checksumOk(v, 0, wanted.length, sum + 1)).toBe(false);
  });

  test("is written", () => {
    const out = new DataView(new ArrayBuffer(wanted.length));
    expect(vrrp.emit(message, out, 0, sum)).toBe(wanted.length);
    expect(toHex(new Uint8Array(out.buffer))).toBe(toHex(wanted));
  });
});

test("the authentication header of a captured packet covers what HMAC-MD5 says", () => {
  const packet =
    "45c0 0040 0001 0000 ff33 18b6 c000 0201 e000 0012 7004 0000 c000 0201 0000 0001 aac4 73f4 4087 8715 052b 900c" +
    "2135 9601 0201 8458 c000 026f 0000 0000 0000 0000";
  const v = viewOf(packet.replaceAll(" ", ""));
  const at = ipv4.headerLen(v, 0);
  const header = ah.parse(v, at, ipv4.totalLength(v, 0))!;
  expect(header).toMatchObject({ nextHeader: vrrp.PROTOCOL, spi: 0xc0000201, sequence: 1 });
  const icv = createHmac("md5", vrrp.password("secret")).update(ah.covered(v, 0)).digest();
  expect(toHex(icv.subarray(0, ah.ICV_LEN))).toBe(toHex(header.icv));
  const message = vrrp.parse(v, at + ah.HEADER_LEN, ipv4.totalLength(v, 0), 4);
  expect(message).toMatchObject({ routerId: 53, priority: 150, intervalMs: 1000, authType: 2 });

  const again = new DataView(new ArrayBuffer(ah.HEADER_LEN));
  ah.emit(header, again, 0);
  ah.setIcv(again, 0, header.icv);
  expect(toHex(new Uint8Array(again.buffer))).toBe(packet.replaceAll(" ", "").slice(40, 40 + 48));
});

test.each([
  ["another version", "1133 6401 0001 0000 c000 0264 0000 0000 0000 0000"],
  ["another type", "2233 6401 0001 0000 c000 0264 0000 0000 0000 0000"],
  ["router id 0", "2100 6401 0001 0000 c000 0264 0000 0000 0000 0000"],
  ["fewer addresses than it counts", "2133 6402 0001 0000 c000 0264 0000 0000 0000 0000"],
  ["version 2 without authentication data", "2133 6401 0001 0000 c000 0264"],
  ["bytes behind the last address", "3133 6401 0064 0000 c000 0264 00"],
])("parse() refuses %s", (_, hex) => {
  const v = viewOf(hex.replaceAll(" ", ""));
  expect(vrrp.parse(v, 0, v.byteLength, 4)).toBeUndefined();
});

test("parse() undoes emit(), in both versions and families", () => {
  const address = (family: 4 | 6) =>
    fc
      .uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 })
      .map((b) => formatAddress(family, b));
  const message = fc
    .tuple(fc.constantFrom(2 as const, 3 as const), fc.constantFrom(4 as const, 6 as const))
    .chain(([version, family]) =>
      fc.record({
        version: fc.constant(version),
        family: fc.constant(family),
        routerId: fc.integer({ min: 1, max: 255 }),
        priority: u8,
        intervalMs:
          version === 2 ? u8.map((s) => s * 1000) : fc.integer({ min: 0, max: 4095 }).map((cs) => cs * 10),
        addresses: fc.array(address(family), { maxLength: 20 }),
        authType: version === 2 && family === 4 ? u8 : fc.constant(0),
        authData:
          version === 2 && family === 4
            ? fc.uint8Array({ minLength: 8, maxLength: 8 })
            : fc.constant(new Uint8Array()),
      }),
    );
  const write = (value: vrrp.Vrrp, v: DataView, at: number) => {
    const length = vrrp.emit(value, v, at, 0);
    expect(length).toBe(vrrp.byteLength(value.version, value.family, value.addresses.length));
    expect(vrrp.checksumOk(v, at, length, 0)).toBe(true);
    return at + length;
  };
  fc.assert(
    fc.property(message, (m) => {
      const v = new DataView(new ArrayBuffer(512));
      const end = write(m, v, 3);
      expect(vrrp.parse(v, 3, end, m.family)).toEqual(m);
    }),
  );
  undoes(
    message.filter((m) => m.family === 4),
    write,
    (v, at, end) => vrrp.parse(v, at, end, 4),
    (got, wanted) => expect(got).toEqual(wanted),
  );
});

test("parse() never throws on garbage and never reads past the end", () => {
  const starts = "2133960200016000c0000264c00002650000000000000000";
  survivesGarbage((v, at, end) => vrrp.parse(v, at, end, 4), starts);
  survivesGarbage((v, at, end) => vrrp.parse(v, at, end, 6), starts);
  survivesGarbage((v, at, end) => ah.parse(v, at, end), `70040000${"00".repeat(20)}`);
});
