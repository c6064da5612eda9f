import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Recovering } from "./recovering.ts";
import type { Recovery } from "./site.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A wait for connections, and what it said at its end. */
function bed(): { recovering: Recovering; said: string[]; took: number[] } {
  const said: string[] = [];
  const took: number[] = [];
  let pending = true;
  const recovery: Recovery = {
    get pending() {
      return pending;
    },
    begin() {
      pending = true;
    },
    receiver: () => {
      const counts = { messages: 0, refused: 0, created: 0, updated: 0, ignored: 0 };
      return {
        counts,
        receive(bytes) {
          counts.created += bytes.length;
          took.push(bytes.length);
        },
      };
    },
    end(text) {
      pending = false;
      said.push(text);
    },
  };
  return { recovering: new Recovering(recovery, "the connections", () => Date.now()), said, took };
}

test("no backup connects: it is over after three seconds, and told once", () => {
  const { recovering, said } = bed();
  vi.advanceTimersByTime(2900);
  expect(said).toEqual([]);
  vi.advanceTimersByTime(20_000);
  recovering.close();
  expect(said).toEqual(["the connections: no backup is there that could have them (3.0 s)"]);
  expect(recovering.taker("10.0.0.2")).toBeUndefined();
});

test("the first backup that connects gives its table; later ones are not asked", () => {
  const { recovering, said, took } = bed();
  vi.advanceTimersByTime(800);
  const taker = recovering.taker("10.0.0.2")!;
  vi.advanceTimersByTime(4000);
  taker.message(new Uint8Array(20));
  taker.message(new Uint8Array(3));
  taker.complete();
  expect(took).toEqual([20, 3]);
  expect(said).toEqual(["the connections: 10.0.0.2 had 23 of them (4.8 s)"]);
  expect(recovering.taker("10.0.0.3")).toBeUndefined();
});

test("a table that never ends is waited for ten seconds, the end of the daemon not at all", () => {
  const slow = bed();
  slow.recovering.taker("10.0.0.2")!.message(new Uint8Array(1));
  vi.advanceTimersByTime(10_000);
  expect(slow.said).toEqual(["the connections: no backup gave them (10.0 s)"]);
  const ended = bed();
  ended.recovering.close();
  vi.advanceTimersByTime(20_000);
  expect(ended.said).toEqual(["the connections: the master daemon ended (0.0 s)"]);
});
