/**
 * Commands that change the same host, one after the other: what one finds there is there until it is done.
 * @module
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { lock } from "../../sys/lock.ts";
import { netnsInode } from "../../sys/netns.ts";
import { runDirectory } from "./machine.ts";

/** Does something while no other command sets up or undoes a real server in this network namespace. It leaves no lock file. */
export async function alone(work: () => Promise<void>): Promise<void> {
  mkdirSync(runDirectory(), { recursive: true, mode: 0o755 });
  const path = join(runDirectory(), `realserver-${netnsInode()}.lock`);
  const unlock = await lock(path);
  try {
    await work();
  } finally {
    rmSync(path, { force: true });
    unlock();
  }
}
