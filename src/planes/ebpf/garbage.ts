/**
 * What deleted network namespaces left: their interfaces are gone, but pins and files stay until somebody removes them.
 * @module
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { linkIndex } from "./hooks.ts";
import { hookPins, uninstall } from "./installation.ts";
import { type EbpfPaths, pathsOf } from "./paths.ts";

/** Removes the state of namespaces that are no more. Call with the global lock held. */
export function collectGarbage(own: EbpfPaths): void {
  if (!existsSync(own.bpffs)) return;
  for (const cookie of readdirSync(own.bpffs)) {
    if (!/^\d+$/.test(cookie) || cookie === own.cookie) continue;
    const paths = pathsOf(cookie);
    const links = hookPins(paths);
    // lo is as old as its namespace: links whose interfaces are all gone mean that the namespace is. Without links nobody can say.
    if (links.length === 0 || links.some(({ path }) => linkIndex(path) !== 0)) continue;
    uninstall(paths);
    for (const file of [paths.rules, paths.lock, `${paths.run}/ebpf-${cookie}.sysctls`])
      rmSync(file, { force: true });
  }
}
