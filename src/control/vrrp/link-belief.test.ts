import { expect, test } from "vitest";
import { LinkBelief } from "./link-belief.ts";

const links = (up: boolean | undefined) =>
  new Map(up === undefined ? [] : [["v0", { index: 1, up, mtu: 1500, mac: "", addresses: [] }]]);

test("without delays the kernel is believed at once", () => {
  const b = new LinkBelief();
  b.see(links(true), 0);
  b.see(links(false), 1);
  expect(b.states.get("v0")).toBe(false);
});

test("a change is believed when it has lasted; one that is taken back never is", () => {
  const b = new LinkBelief();
  b.configure([{ interface: "v0", downMs: 1000, upMs: 3000 }]);
  b.see(links(true), 0);
  expect(b.states.get("v0")).toBe(true); // the first state is believed
  b.see(links(false), 100);
  expect([b.states.get("v0"), b.nextAt()]).toEqual([true, 1100]);
  b.see(links(true), 600);
  expect(b.nextAt()).toBe(Number.POSITIVE_INFINITY);
  b.see(links(false), 700);
  b.see(links(false), 1700);
  expect(b.states.get("v0")).toBe(false);
  b.see(links(true), 2000);
  b.see(links(true), 4999);
  expect(b.states.get("v0")).toBe(false);
  b.see(links(true), 5000);
  expect(b.states.get("v0")).toBe(true);
});

test("an interface that is gone is gone at once", () => {
  const b = new LinkBelief();
  b.configure([{ interface: "v0", downMs: 1000, upMs: 1000 }]);
  b.see(links(true), 0);
  b.see(links(undefined), 1);
  expect(b.states.has("v0")).toBe(false);
});
