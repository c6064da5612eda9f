/**
 * The tutorial of ldirectord, `lvsd lab sorry`, on each plane that works here.
 */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { PREFIX, removeLabs, runLvsd } from "./lab-console.ts";
import { noEbpf } from "./planes.ts";

const root = process.getuid!() === 0;
const cannot = root ? noEbpf() : "";
if (cannot) console.log(`lab sorry on the eBPF plane is left out: ${cannot}`);

describe.skipIf(!root)("lab sorry", () => {
  const before = process.env["LVSD_PLANE"];
  afterAll(() => removeLabs(PREFIX));
  afterEach(() => {
    if (before === undefined) delete process.env["LVSD_PLANE"];
    else process.env["LVSD_PLANE"] = before;
  });

  for (const plane of ["engine", "ebpf"]) {
    test.skipIf(plane === "ebpf" && cannot !== "")(
      `${plane}: servers that stop leave the table, the director apologises for both, and they return`,
      async () => {
        process.env["LVSD_PLANE"] = plane;
        const { status, text } = await runLvsd("lab", "sorry", "--prefix", PREFIX);
        expect(status, text).toBe(0);
        const parts = text.split("\n== ").filter((part) => part.includes("client$ curl"));
        const who = parts.map((part) => [...part.matchAll(/^ {2}→ (.*)$/gm)].map(([, tally]) => tally));
        expect(who).toEqual([["rs1 2, rs2 2"], ["rs2 4"], ["director 2"], ["rs2 2", "rs1 2, rs2 2"]]);
        expect(text.match(/answers 192\.168\.80\.10: sorry, no real server is up$/gm)).toHaveLength(2);
      },
    );
  }
});
