import fc from "fast-check";
import { expect, test } from "vitest";
import {
  address6,
  blocksLess2,
  mac,
  survivesGarbage,
  u8,
  u16,
  u32,
  undoes,
  viewOf,
} from "../testkit/wire.ts";
import { formatAddress, parseAddress } from "./address.ts";
import { checksum, pseudo6 } from "./checksum.ts";
import * as ndp from "./ndp.ts";

// Captured with their IPv6 headers.
const SOLICITATION =
  "6000000000203aff20010db8000000000000000000000001ff0200000000000000000001ff000002" +
  "87001c1e0000000020010db8000000000000000000000002010102000000000a";
const ADVERTISEMENT =
  "6000000000203aff20010db800000000000000000000000220010db8000000000000000000000001" +
  "88008a686000000020010db8000000000000000000000002020102000000000b";
const ROUTER_SOLICITATION =
  "6000000000103afffe80000000000000000000fffe00000aff020000000000000000000000000002" +
  "85007b1a00000000010102000000000a";

test.each<[string, ndp.Ndp]>([
  [
    SOLICITATION,
    {
      kind: "neighborSolicitation",
      target: "2001:db8::2",
      options: [{ kind: "sourceLinkLayer", mac: "02:00:00:00:00:0a" }],
    },
  ],
  [
    ADVERTISEMENT,
    {
      kind: "neighborAdvertisement",
      target: "2001:db8::2",
      router: false,
      solicited: true,
      override: true,
      options: [{ kind: "targetLinkLayer", mac: "02:00:00:00:00:0b" }],
    },
  ],
  [
    ROUTER_SOLICITATION,
    { kind: "routerSolicitation", options: [{ kind: "sourceLinkLayer", mac: "02:00:00:00:00:0a" }] },
  ],
])("parse() reads captured message %#, and emit() writes its bytes", (hex, value) => {
  const v = viewOf(hex);
  expect(ndp.parse(v, 40, v.byteLength)).toEqual(value);
  for (let i = 40; i < v.byteLength; i++) v.setUint8(i, 0xff);
  const length = ndp.byteLength(value);
  expect(ndp.emit(value, v, 40, pseudo6(v, 0, 58, length))).toBe(length);
  expect(v).toEqual(viewOf(hex));
});

test("solicitedNode() gives the group that the captured solicitation was sent to", () => {
  expect(formatAddress(6, ndp.solicitedNode(parseAddress("2001:db8::2")!.bytes))).toBe("ff02::1:ff00:2");
});

test("parse() refuses an option of length 0, and a code that is not 0", () => {
  expect(ndp.parse(viewOf("8500000000000000 0100020000000000"), 0, 16)).toBeUndefined();
  expect(ndp.parse(viewOf("8501000000000000"), 0, 8)).toBeUndefined();
});

const option: fc.Arbitrary<ndp.NdpOption> = fc.oneof(
  fc.record({ kind: fc.constantFrom("sourceLinkLayer" as const, "targetLinkLayer" as const), mac }),
  fc.record({ kind: fc.constant("mtu" as const), mtu: u32 }),
  fc.record({
    kind: fc.constant("prefix" as const),
    prefix: address6,
    length: fc.nat(128),
    onLink: fc.boolean(),
    autonomous: fc.boolean(),
    validLifetime: u32,
    preferredLifetime: u32,
  }),
  fc.record({
    kind: fc.constant("unknown" as const),
    type: fc.integer({ min: 6, max: 255 }),
    data: blocksLess2,
  }),
);
const options = fc.array(option, { maxLength: 4 });
const message: fc.Arbitrary<ndp.Ndp> = fc.oneof(
  fc.record({ kind: fc.constant("neighborSolicitation" as const), target: address6, options }),
  fc.record({
    kind: fc.constant("neighborAdvertisement" as const),
    target: address6,
    router: fc.boolean(),
    solicited: fc.boolean(),
    override: fc.boolean(),
    options,
  }),
  fc.record({ kind: fc.constant("routerSolicitation" as const), options }),
  fc.record({
    kind: fc.constant("routerAdvertisement" as const),
    hopLimit: u8,
    managed: fc.boolean(),
    otherConfiguration: fc.boolean(),
    lifetime: u16,
    reachableMs: u32,
    retransmitMs: u32,
    options,
  }),
);

test("parse() undoes emit(), and the checksum is right", () => {
  const write = (value: ndp.Ndp, v: DataView, at: number) => {
    const length = ndp.emit(value, v, at, 999);
    expect(length).toBe(ndp.byteLength(value));
    expect(checksum(v, at, length, 999)).toBe(0);
    return at + length;
  };
  undoes(message, write, ndp.parse, (got, wanted) => expect(got).toEqual(wanted));
});

test("parse() never throws on garbage and never reads past the end", () => {
  survivesGarbage(ndp.parse, SOLICITATION.slice(80));
  survivesGarbage(ndp.parse, ROUTER_SOLICITATION.slice(80));
});
