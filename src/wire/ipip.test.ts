import { expect, test } from "vitest";
import { survivesGarbage, viewOf } from "../testkit/wire.ts";
import * as ipip from "./ipip.ts";

// Captured UDP datagrams.
const V4 = "450000212b12400040118bb6c0000201c0000202e73a270f000d10007564702178";
const V6 =
  "6009c1ba000d114020010db800000000000000000000000120010db8000000000000000000000002e92b270f000d369e7564702178";

test("inside() tells the family by the inner header, and refuses a packet that is cut", () => {
  expect(ipip.inside(viewOf(V4), 0, 33)).toBe(4);
  expect(ipip.inside(viewOf(V6), 0, 53)).toBe(6);
  expect(ipip.inside(viewOf(V4), 0, 32)).toBeUndefined();
  expect(ipip.inside(viewOf(V6), 0, 52)).toBeUndefined();
});

test("familyOf() undoes protocolFor(), and knows no other protocol", () => {
  expect([4, 6].map((f) => ipip.protocolFor(f as 4 | 6))).toEqual([4, 41]);
  expect([4, 41, 6, 47].map(ipip.familyOf)).toEqual([4, 6, undefined, undefined]);
  expect(ipip.OUTER_LEN).toEqual({ 4: 20, 6: 40 });
});

test("inside() never throws on garbage and never reads past the end", () => {
  survivesGarbage(ipip.inside, V4);
  survivesGarbage(ipip.inside, V6);
});
