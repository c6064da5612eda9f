import { expect, test } from "vitest";
import { listenFor } from "./tunnel-end.ts";

test("listenFor() takes every kind of tunnel packet where the kernel has no tunnels", () => {
  expect(listenFor(() => false)).toHaveLength(6);
});

test("listenFor() leaves to the kernel what one of its devices takes, lest packets come twice", () => {
  const left = listenFor((name) => name === "tunl0" || name === "ip6tnl0");
  expect(left).toEqual([
    { family: 4, protocol: 41 },
    { family: 4, protocol: 47 },
    { family: 6, protocol: 47 },
  ]);
});
