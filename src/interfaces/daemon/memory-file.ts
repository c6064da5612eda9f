/**
 * What a daemon leaves for the one that comes after it in the same network namespace. The file is named by the namespace's inode, which
 * another namespace may have by then: that one's daemon does not heed it.
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Memory } from "../../control/supervision.ts";
import { netnsMark } from "../../sys/netns.ts";

const NOTHING: Memory = { holds: [], virtualServers: [] };

/** Reads the file; nothing when there is none for this namespace. @param netns this namespace, as {@link netnsMark} names it */
export function readMemory(path: string, netns = netnsMark()): Memory {
  try {
    const { netns: of, memory } = JSON.parse(readFileSync(path, "utf8")) as { netns: string; memory: Memory };
    return of === netns ? memory : NOTHING;
  } catch {
    return NOTHING;
  }
}

/** Whole or not at all: a crash may come while it is written. @throws Error when it cannot be written */
export function writeMemory(path: string, memory: Memory, netns = netnsMark()): void {
  writeFileSync(`${path}.new`, JSON.stringify({ netns, memory }), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
