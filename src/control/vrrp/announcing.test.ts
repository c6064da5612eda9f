import { expect, test } from "vitest";
import { type Announcement, AnnounceQueue } from "./announcing.ts";

const round = (instance: string, device: string, intervalMs = 0, addresses = ["a", "b"]): Announcement[] =>
  addresses.map((address) => ({ instance, device, address, intervalMs }));
const names = (list: readonly Announcement[]): string => list.map((a) => a.address).join("");

test("without a pause all rounds leave at once, every address in turn", () => {
  const q = new AnnounceQueue();
  q.push(round("VI", "v0"), 3);
  expect(q.nextAt()).toBe(0);
  expect(names(q.take(100))).toBe("ababab");
  expect(q.nextAt()).toBe(Number.POSITIVE_INFINITY);
});

test("with a pause one leaves at a time, and interfaces do not wait for one another", () => {
  const q = new AnnounceQueue();
  q.push(round("VI", "v0", 10), 1);
  q.push(round("W", "v1", 0, ["x", "y"]), 1);
  expect(names(q.take(100))).toBe("axy");
  expect(q.nextAt()).toBe(110);
  expect(names(q.take(105))).toBe("");
  expect(names(q.take(110))).toBe("b");
});

test("an instance that is master no more has nothing more to announce", () => {
  const q = new AnnounceQueue();
  q.push(round("VI", "v0", 10), 5);
  q.push(round("W", "v0", 10, ["x"]), 1);
  q.take(0);
  q.cancel("VI");
  expect(names(q.take(10))).toBe("x");
  expect(q.nextAt()).toBe(Number.POSITIVE_INFINITY);
});

test("a storm of reasons to announce makes no storm of announcements", () => {
  const q = new AnnounceQueue();
  for (let i = 0; i < 100; i++) q.push(round("VI", "v0", 10), 5);
  let sent = 0;
  for (let now = 0; q.nextAt() !== Number.POSITIVE_INFINITY; now = q.nextAt()) sent += q.take(now).length;
  expect(sent).toBe(10);
});

test("an address that comes in while others wait is announced, too", () => {
  const q = new AnnounceQueue();
  q.push(round("VI", "v0", 1000, ["a", "b"]), 1);
  q.take(0);
  q.push(round("VI", "v0", 1000, ["b", "c"]), 2);
  const left: string[] = [];
  for (let now = 1000; now < 10_000; now += 1000) left.push(names(q.take(now)));
  expect(left.filter((n) => n !== "")).toEqual(["b", "c", "c"]);
});
