import { expect, test } from "vitest";
import { virtualAddress, vrrpInstance } from "../../testkit/vrrp-spec.ts";
import { Composer } from "./compose.ts";
import { fitted } from "./fit.ts";

test.each([
  [4, 1500, 255],
  [6, 1500, 90],
  [4, 576, 135],
] as const)(
  "an IPv%s advert of %s bytes has room for %s addresses; the others are set, but not told",
  (family, mtu, room) => {
    const text = (i: number) => (family === 4 ? `10.0.${i >> 8}.${i & 255}` : `2001:db8::${i.toString(16)}`);
    const addresses = Array.from({ length: 300 }, (_, i) => virtualAddress(text(i)));
    const spec = fitted(vrrpInstance({ family, addresses }), mtu);
    expect([spec.addresses.length, spec.excluded.length]).toEqual([room, 300 - room]);
    const [src, dst] = family === 4 ? ["10.0.0.1", "224.0.0.18"] : ["fe80::1", "ff02::12"];
    expect(new Composer(spec).packet(src, dst, 1).length).toBeLessThanOrEqual(mtu);
  },
);

test("what fits is left alone", () => {
  const spec = vrrpInstance();
  expect(fitted(spec, 1500)).toBe(spec);
});
