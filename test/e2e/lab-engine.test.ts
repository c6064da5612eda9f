/**
 * The labs on the engine plane: clients see what they see on the plane that is used by default, the eBPF plane where that works. The
 * lab of ldirectord has a test of its own.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LABS } from "../../src/interfaces/lab/labs/index.ts";
import { PREFIX, removeLabs, runLvsd } from "./lab-console.ts";
import { SEEN, talliesOf } from "./lab-tallies.ts";
import { noEbpf } from "./planes.ts";

const root = process.getuid!() === 0;
const cannot = root ? noEbpf() : "";
if (cannot) console.log(`the labs are not run on the engine again, which they are on by default: ${cannot}`);

describe.skipIf(!root || cannot !== "")("on the engine plane", () => {
  const before = process.env["LVSD_PLANE"];
  beforeAll(() => {
    process.env["LVSD_PLANE"] = "engine";
  });
  afterAll(async () => {
    await removeLabs(PREFIX);
    if (before === undefined) delete process.env["LVSD_PLANE"];
    else process.env["LVSD_PLANE"] = before;
  });

  for (const { name } of LABS.filter((lab) => !["sorry", "persistence"].includes(lab.name))) {
    const { tallies, shows } = SEEN[name]!;
    test(`lab ${name}`, async () => {
      const { status, text } = await runLvsd("lab", name, "--prefix", PREFIX);
      expect(status, text).toBe(0);
      expect(talliesOf(text), text).toEqual(tallies);
      if (shows) expect(text).toMatch(shows);
    });
  }
});
