import { expect, test } from "vitest";
import { type DaemonEvent, Events } from "./events.ts";

const event = { at: 0, level: "info", part: "daemon", kind: "x", text: "x" } as const;

test("the newest thousand are kept, in order, numbered", () => {
  const events = new Events();
  for (let i = 0; i < 1500; i++) events.add(event);
  expect(events.last(2000).length).toBe(1000);
  expect(events.last(2).map(({ number }) => number)).toEqual([1499, 1500]);
  expect(events.last(0)).toEqual([]);
});

test("a follower gets each as it comes, until it has had enough", () => {
  const events = new Events();
  const seen: DaemonEvent[] = [];
  const end = events.follow((e) => seen.push(e));
  events.add(event);
  end();
  events.add(event);
  expect(seen.length).toBe(1);
});
