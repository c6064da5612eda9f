import fc from "fast-check";
import { expect, test } from "vitest";
import * as ipv4 from "../../wire/ipv4.ts";
import { fragmentIpv4 } from "./fragmenting.ts";

/** A packet of `payload` bytes 0, 1, 2 ... behind a header with options: record route (not copied), then stream id (copied). */
function packet(payload: number): Uint8Array {
  const b = new Uint8Array(28 + payload);
  b[0] = 0x47;
  new DataView(b.buffer).setUint16(2, b.length);
  b.set([0, 1], 4);
  b.set([7, 3, 4, 1, 0x88, 4, 0, 9], 20);
  for (let i = 0; i < payload; i++) b[28 + i] = i;
  return b;
}

test("fragments fit the MTU, carry valid checksums, and put together give the payload", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 68, max: 1500 }), (payload, mtu) => {
      const whole = packet(payload);
      const joined = new Uint8Array(payload);
      const last: boolean[] = [];
      const ok = fragmentIpv4(new DataView(whole.buffer), 0, whole.length, mtu, (f) => {
        const v = new DataView(f.buffer, f.byteOffset, f.byteLength);
        expect(f.length).toBeLessThanOrEqual(mtu);
        expect(ipv4.checksumOk(v, 0)).toBe(true);
        expect(ipv4.totalLength(v, 0)).toBe(f.length);
        expect(ipv4.id(v, 0)).toBe(1);
        joined.set(f.subarray(28), ipv4.fragmentOffset(v, 0));
        last.push(!ipv4.moreFragments(v, 0));
        const first = ipv4.fragmentOffset(v, 0) === 0;
        expect([...f.subarray(20, 28)]).toEqual(
          first ? [7, 3, 4, 1, 0x88, 4, 0, 9] : [1, 1, 1, 1, 0x88, 4, 0, 9],
        );
        return true;
      });
      if (payload > 0) {
        expect(ok).toBe(true);
        expect(joined).toEqual(whole.subarray(28));
        expect(last).toEqual([...last.slice(0, -1).map(() => false), true]);
      }
    }),
  );
});

test("a fragment cut again keeps its place, and only the last one's last piece ends the datagram", () => {
  const whole = packet(100);
  const v = new DataView(whole.buffer);
  v.setUint16(6, ipv4.FRAGMENT.more | 10);
  const places: [number, boolean][] = [];
  fragmentIpv4(v, 0, whole.length, 84, (f) => {
    const fv = new DataView(f.buffer, f.byteOffset);
    places.push([ipv4.fragmentOffset(fv, 0), ipv4.moreFragments(fv, 0)]);
    return true;
  });
  expect(places).toEqual([
    [80, true],
    [136, true],
  ]);
});
