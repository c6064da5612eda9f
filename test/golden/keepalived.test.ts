/**
 * Small configurations with what keepalived 2.2.7 itself reported about each: `keepalived -t` (exit status, kinds and places of its
 * messages), and the facts of its start-up dumps.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readKeepalived } from "../../src/control/config/keepalived/index.ts";
import { keepalivedTestStatus } from "../../src/control/config/keepalived/said.ts";
import { facts } from "./keepalived/facts.ts";

const FOLDER = join(import.meta.dirname, "keepalived");
const INTERFACES = new Set(["lo", "eth0", "eth1", "eth2"]);
const OURS = ["config", "note", "options", "clean", "daemon_refuses_to_run", "exit_status", "problems"];

/** Where we mean what was written: keepalived 2.2.7 does not know nb_get_retry in a TCP_CHECK, we read it as retry. */
const KINDER: Record<string, (expected: string) => string> = {
  "g09-unknown-keyword.expect": (text) => text.replace('"retry": 1', '"retry": 3'),
};

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".expect"));

describe.each(names)("%s", (name) => {
  const text = readFileSync(join(FOLDER, name), "utf8");
  const expected = JSON.parse(KINDER[name]?.(text) ?? text);
  const reading = readKeepalived(join(FOLDER, expected.config), { interfaces: INTERFACES });

  it("has the exit status of keepalived -t", () => {
    expect(keepalivedTestStatus(reading.said)).toBe(expected.exit_status);
    expect(reading.said.length === 0).toBe(expected.clean);
  });

  it("has its problems at their lines", () => {
    const ours = reading.said.map(({ code, at }) => `${at?.line ?? null} ${code}`);
    const theirs = expected.problems.map(
      (each: { line: number; kind: string }) => `${each.line} ${each.kind}`,
    );
    expect([...new Set(ours)].sort()).toEqual([...new Set(theirs)].sort());
  });

  it("gives the facts of keepalived's dump", () => {
    const theirs = Object.fromEntries(Object.entries(expected).filter(([key]) => !OURS.includes(key)));
    expect(facts(reading.wanted)).toMatchObject(theirs);
  });
});

it("finds all golden files", () => {
  expect(names.length).toBe(10);
});
