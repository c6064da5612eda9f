import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { close } from "../libc.ts";
import { inNetns, namedNetns } from "../netns.ts";
import { features } from "./features.ts";
import { linkInfo } from "./link.ts";
import { attachWitness } from "./witness.ts";

const able = process.getuid?.() === 0 && features().every((f) => f.present || !f.required);
if (!able) console.log("the test of links that end with their namespace is left out: it needs root and BPF");

const name = `lv${process.pid}wit`;
const ip = (...words: string[]): void => void execFileSync("ip", words, { stdio: "pipe" });
afterEach(() => {
  if (able) execFileSync("sh", ["-c", `ip netns del ${name} || true`], { stdio: "ignore" });
});

test.skipIf(!able)("tells that its namespace is there, and that it is gone", async () => {
  ip("netns", "add", name);
  const [first, second] = inNetns(namedNetns(name), () => [attachWitness(), attachWitness()]);
  try {
    expect(linkInfo(first!).ifindex).not.toBe(0);
    expect(linkInfo(second!).ifindex).toBe(linkInfo(first!).ifindex);
    ip("netns", "del", name);
    // Namespaces are taken down in the background.
    for (const until = Date.now() + 20_000; linkInfo(first!).ifindex !== 0 && Date.now() < until; )
      await sleep(50);
    expect([linkInfo(first!).ifindex, linkInfo(second!).ifindex]).toEqual([0, 0]);
  } finally {
    close(first!);
    close(second!);
  }
});
