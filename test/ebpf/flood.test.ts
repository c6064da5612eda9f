/**
 * A short flood: threads that open, use and end the same connections at the same time, more than the table holds, while time passes.
 * `npm run flood` does it with a million.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = process.getuid?.() === 0 && existsSync("/sys/fs/bpf");
const SCRIPT = join(import.meta.dirname, "../../scripts/fuzz.mjs");

test.runIf(root)(
  "counts are exact and nothing is left when two threads flood the programs",
  () => {
    const told = execFileSync(process.execPath, [SCRIPT, "flood", "--flows=30000"], {
      encoding: "utf8",
      env: { ...process.env, NODE_EXTRA_CA_CERTS: "" },
    });
    expect(told).toMatch(/30000 flows, 2 threads, \d{4} checks, 0 wrong\n$/);
  },
  60_000,
);
