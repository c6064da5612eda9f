/**
 * What deleted network namespaces left: their interfaces are gone, but pins and files stay until somebody removes them.
 * @module
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { lockIfFree } from "../../sys/lock.ts";
import { linkIndex } from "./hooks.ts";
import { hookPins, removeAll, witnessPin } from "./installation.ts";
import { type EbpfPaths, pathsOf } from "./paths.ts";
import { syncPaths } from "./sync/paths.ts";

/** Removes the state of namespaces that are no more. Call with the global lock held. */
export function collectGarbage(own: EbpfPaths): void {
  if (!existsSync(own.bpffs)) return;
  for (const cookie of readdirSync(own.bpffs)) {
    if (!/^\d+$/.test(cookie) || cookie === own.cookie) continue;
    const paths = pathsOf(cookie);
    if (!isGone(paths)) continue;
    removeAll(paths);
    const sync = syncPaths(paths);
    const ofSync = [sync.socket, sync.log, sync.lock];
    for (const file of [paths.rules, paths.lock, `${paths.run}/ebpf-${cookie}.sysctls`, ...ofSync])
      rmSync(file, { force: true });
  }
  removeLocks(own);
}

/** Removes locks that nobody has, where there is nothing else: of commands that were killed before they did it themselves. */
function removeLocks(own: EbpfPaths): void {
  for (const name of readdirSync(own.run)) {
    const cookie = /^ebpf-(\d+)\.lock$/.exec(name)?.[1];
    if (cookie === undefined || cookie === own.cookie) continue;
    const paths = pathsOf(cookie);
    if (existsSync(paths.rules) || existsSync(paths.pins)) continue;
    const unlock = lockIfFree(paths.lock);
    if (!unlock) continue;
    rmSync(paths.lock, { force: true });
    unlock();
  }
}

/** Whether the namespace is no more; false where nobody can say. */
function isGone(paths: EbpfPaths): boolean {
  if (existsSync(witnessPin(paths))) return linkIndex(witnessPin(paths)) === 0;
  // lo is as old as its namespace: links whose interfaces are all gone mean that the namespace is.
  const links = hookPins(paths);
  return links.length > 0 && links.every(({ path }) => linkIndex(path) === 0);
}
