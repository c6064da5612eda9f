import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { removeDeadSockets } from "./remains.ts";

let folder: string;
let server: Server;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-remains-"));
  server = createServer();
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** A socket as a killed daemon leaves it, of a while ago. */
function leave(name: string, ageS = 3600): void {
  const path = join(folder, name);
  const listens = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", listens, path]);
  const then = Date.now() / 1000 - ageS;
  utimesSync(path, then, then);
}

test("sockets of killed daemons go; those of daemons that live, of this one and of others do not", async () => {
  for (const name of ["daemon-1.sock", "daemon-2.sock", "daemon-3-second.sock", "engine-4.sock"]) leave(name);
  leave("daemon-5.sock", 5);
  const alive = join(folder, "daemon-6.sock");
  await new Promise<void>((resolve) => server.listen(alive, resolve));
  utimesSync(alive, 0, 0);
  await removeDeadSockets({
    directory: folder,
    socket: join(folder, "daemon-2.sock"),
    state: join(folder, "daemon-2.state.json"),
  });
  expect(readdirSync(folder).sort()).toEqual([
    "daemon-2.sock",
    "daemon-5.sock",
    "daemon-6.sock",
    "engine-4.sock",
  ]);
});
