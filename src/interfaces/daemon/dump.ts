/**
 * What the daemon writes to files when it is told by a signal: keepalived's data, statistics and JSON files.
 * @module
 */
import { closeSync, constants, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Wanted } from "../../control/wanted.ts";
import type { DaemonStatus } from "./protocol.ts";

const FILES = {
  parent: "keepalived_parent.data",
  vrrp: "keepalived.data",
  check: "keepalived_check.data",
  stats: "keepalived.stats",
  json: "keepalived.json",
} as const;

/** Which file. */
export type DumpFile = keyof typeof FILES;

/** Writes one of the files, mode 0600, in place of what is there; a link in the way is not followed. Its path. */
export function writeDump(file: DumpFile, text: string, folder = tmpdir()): string {
  const path = join(folder, FILES[file]);
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants;
  const fd = openSync(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  return path;
}

/** Plain data as indented lines: ` Name = value`, nested parts deeper. */
export function dataLines(value: unknown, depth = 1): string[] {
  const blank = " ".repeat(depth);
  if (typeof value !== "object" || value === null) return [`${blank}${String(value)}`];
  return Object.entries(value).flatMap(([name, part]) => {
    if (name === "at") return [];
    if (typeof part !== "object" || part === null) return [`${blank}${name} = ${String(part)}`];
    const inside = dataLines(part, depth + 2);
    return inside.length === 0 ? [] : [`${blank}${name}:`, ...inside];
  });
}

const section = (title: string, value: unknown): string =>
  [`------< ${title} >------`, ...dataLines(value), ""].join("\n");

/** The three data files: what is configured, and how it stands. */
export function dumpAll(wanted: Wanted | undefined, status: DaemonStatus, folder?: string): string[] {
  const { lvs, vrrp, ...daemon } = status;
  return [
    writeDump(
      "parent",
      section("Global definitions", wanted?.global ?? {}) + section("Daemon", daemon),
      folder,
    ),
    writeDump(
      "check",
      section("LVS configuration", wanted?.virtualServers ?? []) + section("LVS state", lvs ?? {}),
      folder,
    ),
    writeDump(
      "vrrp",
      section("VRRP Topology", wanted?.vrrp ?? {}) + section("VRRP state", vrrp ?? {}),
      folder,
    ),
  ];
}
