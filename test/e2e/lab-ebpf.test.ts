/**
 * The labs on the eBPF plane: clients see what they see on the engine plane. The lab of ldirectord has a test of its own, and
 * persistence is looked at closely elsewhere.
 */
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LABS } from "../../src/interfaces/lab/labs/index.ts";
import { machineRoot } from "../../src/sys/bpf/bpffs.ts";
import { PREFIX, runLvsd } from "./lab-console.ts";
import { SEEN, talliesOf } from "./lab-tallies.ts";
import { noEbpf } from "./planes.ts";

const root = process.getuid!() === 0;
const cannot = root ? noEbpf() : "";
if (cannot) console.log(`the labs on the eBPF plane are left out: ${cannot}`);

/** Folders of what is pinned, a network namespace each. */
const pinned = (): string[] =>
  (existsSync(`${machineRoot()}/run/lvsd/bpf`) ? readdirSync(`${machineRoot()}/run/lvsd/bpf`) : []).filter(
    (name) => /^\d+$/.test(name),
  );

describe.skipIf(!root || cannot !== "")("on the eBPF plane", () => {
  const before = process.env["LVSD_PLANE"];
  beforeAll(() => {
    process.env["LVSD_PLANE"] = "ebpf";
  });
  afterAll(async () => {
    await runLvsd("lab", "down", "--prefix", `${PREFIX}e`);
    if (before === undefined) delete process.env["LVSD_PLANE"];
    else process.env["LVSD_PLANE"] = before;
  });

  const there = new Set(pinned());
  for (const { name } of LABS.filter((lab) => !["sorry", "persistence"].includes(lab.name))) {
    const { tallies, shows } = SEEN[name]!;
    test(`lab ${name}`, async () => {
      const { status, text } = await runLvsd("lab", name, "--prefix", `${PREFIX}e`);
      expect(status, text).toBe(0);
      expect(talliesOf(text), text).toEqual(tallies);
      if (shows) expect(text).toMatch(shows);
    });
  }

  test("nothing stays pinned for directors that are gone", () => {
    expect(pinned().filter((name) => !there.has(name))).toEqual([]);
  });
});
