import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { virtualAddress, vrrpInstance } from "../../testkit/vrrp-spec.ts";
import { fromHex, toHex } from "../../wire/hex.ts";
import * as vrrp from "../../wire/vrrp.ts";
import { Composer } from "./compose.ts";
import { judge, type Listener, type Packet } from "./receive.ts";
import type { VrrpInstanceSpec } from "./spec.ts";

const MINE = "192.0.2.1";
const OTHER = "192.0.2.2";
const GROUP = "224.0.0.18";

const listener = (over: Partial<VrrpInstanceSpec> = {}, more: Partial<Listener> = {}): Listener => ({
  spec: vrrpInstance(over),
  source: MINE,
  knownMaster: undefined,
  sequenceOf: () => undefined,
  ...more,
});

/** A packet of another router with this specification, changed by `edit`. */
function from(
  over: Partial<VrrpInstanceSpec> = {},
  priority = 150,
  dst = GROUP,
  edit?: (b: Uint8Array) => void,
): Packet {
  const spec = vrrpInstance(over);
  const src = spec.family === 4 ? OTHER : "fe80::2";
  const bytes = new Composer(spec).packet(src, spec.family === 4 ? dst : "ff02::12", priority);
  edit?.(bytes);
  if (spec.family === 4) return { family: 4, bytes, src, dst, ttl: bytes[8] };
  return { family: 6, bytes: bytes.subarray(40), src, dst: "ff02::12", ttl: bytes[7] };
}

/** Corrects the checksum of version 2 after an edit. */
function sealed(edit: (message: Uint8Array) => void) {
  return (bytes: Uint8Array): void => {
    const message = bytes.subarray(20);
    edit(message);
    message.fill(0, 6, 8);
    let sum = 0;
    for (let i = 0; i < message.length; i += 2) sum += (message[i] << 8) | message[i + 1];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    message[6] = (~sum >> 8) & 0xff;
    message[7] = ~sum & 0xff;
  };
}

describe("a believed advert", () => {
  test.each([
    ["version 2", {}],
    ["with a password", { auth: { type: "pass", password: "1111" } }],
    ["with an authentication header", { auth: { type: "ah", password: "secret" } }],
    ["version 3", { version: 3, advertIntMs: 500 }],
    [
      "version 3, summed up as RFC 9568 has it",
      { version: 3, advertIntMs: 500, checksumWithoutPseudoHeader: true },
    ],
    ["version 3 over IPv6", { family: 6, advertIntMs: 500 }],
    ["version 2 over IPv6, as keepalived has it", { family: 6, version: 2 }],
  ] as const)("%s", (_, over) => {
    const spec = over as Partial<VrrpInstanceSpec>;
    const wanted = {
      priority: 150,
      intervalMs: spec.advertIntMs ?? 1000,
      from: spec.family === 6 ? "fe80::2" : OTHER,
    };
    const ears = listener(spec, { source: spec.family === 6 ? "fe80::1" : MINE });
    expect(judge(from(spec), ears)).toMatchObject({ kind: "advert", advert: wanted });
    // Both habits of summing up are believed.
    if (spec.version === 3)
      expect(judge(from(spec), listener({ ...spec, checksumWithoutPseudoHeader: false }))).toMatchObject({
        kind: "advert",
      });
  });

  test("the order of the addresses does not matter, and whose is the higher address is told", () => {
    const [a, b] = [virtualAddress("192.0.2.100"), virtualAddress("192.0.2.101")];
    const told = judge(from({ addresses: [b, a] }), listener({ addresses: [a, b] }));
    expect(told).toMatchObject({ kind: "advert", advert: { order: 1 } });
    expect(judge(from(), listener({}, { source: "192.0.2.3" }))).toMatchObject({ advert: { order: -1 } });
    expect(judge(from(), listener({}, { source: OTHER }))).toMatchObject({ advert: { order: 0 } });
  });

  test("unicast: any TTL from a peer, and the sum of keepalived up to 1.3.6", () => {
    const peers = { peers: [{ address: OTHER }], version: 3, advertIntMs: 1000 } as const;
    expect(judge(from({ ...peers, unicastTtl: 64 }, 150, MINE), listener(peers))).toMatchObject({
      kind: "advert",
    });
    const old = from(peers, 150, GROUP);
    expect(judge({ ...old, dst: MINE }, listener(peers))).toMatchObject({ kind: "advert" });
  });
});

describe("refused", () => {
  const long = [virtualAddress("192.0.2.100"), virtualAddress("192.0.2.101")];
  test.each<[string, Packet, Listener, string | undefined, string]>([
    [
      "an address too many",
      from({ addresses: long }),
      listener(),
      "lengthErrors",
      "vrrp packet too long, length 44 and expect 40",
    ],
    [
      "an address too few",
      from(),
      listener({ addresses: long }),
      "lengthErrors",
      "vrrp packet too short, length 40 and expect 44",
    ],
    [
      "a packet that crossed a router",
      from({}, 150, GROUP, (b) => (b[8] = 254)),
      listener(),
      "ttlErrors",
      "invalid TTL/HL. Received 254 and expect 255",
    ],
    [
      "another version",
      from(
        {},
        150,
        GROUP,
        sealed((m) => (m[0] = 0x31)),
      ),
      listener(),
      "versionErrors",
      "wrong version. Received 3 and expect 2",
    ],
    [
      "an unknown authentication",
      from(
        {},
        150,
        GROUP,
        sealed((m) => (m[4] = 9)),
      ),
      listener(),
      "invalidAuthTypes",
      "Invalid auth type: 9",
    ],
    [
      "a password where none is wanted",
      from({ auth: { type: "pass", password: "x" } }),
      listener(),
      "authTypeMismatches",
      "received a 1 auth, expecting 0!",
    ],
    [
      "another password",
      from({ auth: { type: "pass", password: "x" } }),
      listener({ auth: { type: "pass", password: "y" } }),
      "authFailures",
      "received an invalid passwd!",
    ],
    [
      "another interval",
      from({ advertIntMs: 2000 }),
      listener(),
      "intervalErrors",
      "advertisement interval mismatch mine=1 sec rcv'd=2 sec",
    ],
    [
      "another type",
      from(
        {},
        150,
        GROUP,
        sealed((m) => (m[0] = 0x22)),
      ),
      listener(),
      "invalidTypes",
      "Invalid packet type. 2 and expect 1",
    ],
    [
      "a wrong count",
      from(
        {},
        150,
        GROUP,
        sealed((m) => (m[3] = 2)),
      ),
      listener(),
      "addressListErrors",
      "received an unexpected ip number count 2, expected 1!",
    ],
    [
      "a wrong sum",
      from({}, 150, GROUP, (b) => (b[26] ^= 1)),
      listener(),
      "checksumErrors",
      "Invalid VRRPv2 checksum",
    ],
    [
      "unicast where multicast is wanted",
      { ...from(), dst: MINE },
      listener(),
      "addressListErrors",
      "Expected multicast packet but received unicast packet",
    ],
    [
      "multicast where unicast is wanted",
      from(),
      listener({ peers: [{ address: OTHER }] }),
      "addressListErrors",
      "Expected unicast packet but received multicast packet",
    ],
    [
      "other addresses",
      from({ addresses: [virtualAddress("192.0.2.7")] }),
      listener(),
      "addressListErrors",
      "ip address associated with VRID 51 not present in MASTER advert: 192.0.2.100",
    ],
    [
      "a stranger",
      { ...from({ peers: [{ address: MINE }] }), dst: MINE },
      listener({ peers: [{ address: "192.0.2.8" }], checkUnicastSource: true }),
      undefined,
      "unicast source address 192.0.2.2 not a unicast peer",
    ],
    [
      "an interval of 0",
      from({ version: 3, advertIntMs: 0 }),
      listener({ version: 3 }),
      "intervalErrors",
      "advertisement interval 0 means nothing",
    ],
    [
      "no authentication header",
      from(),
      listener({ auth: { type: "ah", password: "secret" } }),
      "authTypeMismatches",
      "packet without AH header",
    ],
  ])("%s", (_, packet, ears, counter, problem) => {
    expect(judge(packet, ears)).toMatchObject({ kind: "refused", counter, problem });
  });

  test("an authentication header with another key, changed on the way, or heard before", () => {
    const auth = { type: "ah", password: "secret" } as const;
    expect(judge(from({ auth }), listener({ auth: { ...auth, password: "other" } }))).toMatchObject({
      counter: "authFailures",
    });
    expect(
      judge(
        from({ auth }, 150, GROUP, (b) => (b[46] ^= 1)),
        listener({ auth }),
      ),
    ).toMatchObject({ counter: "authFailures" });
    expect(judge(from({ auth }), listener({ auth }, { sequenceOf: () => 1 }))).toMatchObject({
      counter: "authFailures",
    });
    expect(judge(from({ auth }), listener({ auth }, { sequenceOf: () => 0 }))).toMatchObject({
      kind: "advert",
      sequence: 1,
    });
  });

  test("AH is silently ignored where it is not wanted", () => {
    expect(judge(from({ auth: { type: "ah", password: "x" } }), listener())).toEqual({ kind: "silent" });
  });

  test("skip_check_adv_addr believes the master it knows", () => {
    const packet = from({ addresses: [virtualAddress("192.0.2.7")] });
    expect(judge(packet, listener({ skipCheckAdvAddr: true }, { knownMaster: OTHER }))).toMatchObject({
      kind: "advert",
    });
    expect(judge(packet, listener({ skipCheckAdvAddr: true }))).toMatchObject({ kind: "refused" });
  });
});

test("the first packet with an authentication header is the one that keepalived sends", () => {
  const spec = vrrpInstance({
    routerId: 53,
    auth: { type: "ah", password: "secret" },
    addresses: [virtualAddress("192.0.2.111")],
  });
  const wanted =
    "45c0 0040 0001 0000 ff33 18b6 c000 0201 e000 0012 7004 0000 c000 0201 0000 0001 aac4 73f4 4087 8715 052b 900c 2135 9601 0201 8458 c000 026f 0000 0000 0000 0000";
  expect(toHex(new Composer(spec).packet(MINE, GROUP, 150))).toBe(toHex(fromHex(wanted)));
});

test("a packet says the configured interval and the addresses in their order", () => {
  const spec = vrrpInstance({ family: 6, advertIntMs: 40950 });
  const bytes = new Composer(spec).packet("fe80::1", "ff02::12", 7);
  const v = new DataView(bytes.buffer, 40);
  expect(vrrp.parse(v, 0, v.byteLength, 6)).toMatchObject({
    intervalMs: 40950,
    priority: 7,
    addresses: ["fe80::5:1", "2001:db8::100"],
  });
  expect([bytes[7], bytes[6]]).toEqual([255, 112]);
});

test("garbage never throws", () => {
  const whole = from({ auth: { type: "ah", password: "secret" } }).bytes;
  const specs = [
    {},
    { auth: { type: "ah", password: "secret" } },
    { version: 3 },
    { family: 6 },
  ] as Partial<VrrpInstanceSpec>[];
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc
      .tuple(fc.nat(whole.length), fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255))))
      .map(([n, edits]) => {
        const copy = whole.slice();
        for (const [at, value] of edits) copy[at] = value;
        return copy.subarray(0, n);
      }),
  );
  fc.assert(
    fc.property(bytes, fc.constantFrom(...specs), (b, over) => {
      const family = over.family ?? 4;
      judge(
        {
          family,
          bytes: b,
          src: family === 4 ? OTHER : "fe80::2",
          dst: family === 4 ? GROUP : "ff02::12",
          ttl: 255,
        },
        listener(over),
      );
    }),
    { numRuns: 500 },
  );
});
