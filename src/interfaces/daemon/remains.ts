/**
 * What killed daemons left whose network namespace may be gone, so that no later daemon takes their place.
 * @module
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { DaemonPaths } from "./paths.ts";

/** A socket that is just being made refuses connections, too, ms. */
const YOUNG_MS = 60_000;

/** Removes the control sockets of other namespaces at which nobody listens. */
export async function removeDeadSockets({ directory, socket }: DaemonPaths): Promise<void> {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!/^daemon-\d+(-.+)?\.sock$/.test(name) || path === socket) continue;
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found || Date.now() - found.mtimeMs < YOUNG_MS || !(await isDead(path))) continue;
    // A daemon may have taken the place meanwhile.
    if (statSync(path, { throwIfNoEntry: false })?.ctimeMs === found.ctimeMs) rmSync(path, { force: true });
  }
}

function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
}
