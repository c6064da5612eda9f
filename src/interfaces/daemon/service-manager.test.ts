import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { check, close, raw } from "../../sys/libc.ts";
import { AF, MSG_DONTWAIT, openSocket, SOCK } from "../../sys/socket.ts";
import { sockaddrUn } from "../../sys/unix-datagram.ts";
import { serviceManager } from "./service-manager.ts";

let folder: string;
let fd: number;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-notify-"));
  path = join(folder, "notify");
  fd = openSocket(AF.UNIX, SOCK.DGRAM, 0);
  const address = sockaddrUn(path)!;
  check("bind", raw.bind(fd, address, address.length));
});
afterEach(() => {
  close(fd);
  rmSync(folder, { recursive: true, force: true });
});

/** What the service manager heard since it last listened. */
function heard(): string[] {
  const texts: string[] = [];
  const bytes = new Uint8Array(new ArrayBuffer(4096));
  for (;;) {
    const length = raw.recv(fd, bytes, bytes.length, MSG_DONTWAIT);
    if (length < 0) return texts;
    texts.push(new TextDecoder().decode(bytes.slice(0, length)));
  }
}

test("readiness, reloads and the end are told to the socket that the environment names, which children do not inherit", () => {
  const env: NodeJS.ProcessEnv = { NOTIFY_SOCKET: path };
  const manager = serviceManager(env);
  expect(env).toEqual({});
  manager.ready("2 virtual servers");
  manager.reloading();
  manager.stopping();
  manager.close();
  const [ready, reloading, stopping] = heard();
  expect(ready).toBe(`READY=1\nSTATUS=2 virtual servers\nMAINPID=${process.pid}`);
  expect(reloading).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  expect(stopping).toBe("STOPPING=1");
});

test("the watchdog is fed twice in its time, unless it is meant for another process", async () => {
  const manager = serviceManager({ NOTIFY_SOCKET: path, WATCHDOG_USEC: "40000" });
  const other = serviceManager({ NOTIFY_SOCKET: path, WATCHDOG_USEC: "10", WATCHDOG_PID: "1" });
  let fed: string[] = [];
  for (let i = 0; i < 100 && fed.length < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    fed = [...fed, ...heard()];
  }
  manager.close();
  other.close();
  expect(fed.length).toBeGreaterThanOrEqual(2);
  expect(fed.length).toBeLessThan(50);
  expect(new Set(fed)).toEqual(new Set(["WATCHDOG=1"]));
});

test("without a service manager, or one that is gone, nothing happens", () => {
  serviceManager({}).ready("x");
  const manager = serviceManager({ NOTIFY_SOCKET: "/nowhere/at/all" });
  manager.ready("x");
  manager.close();
  expect(heard()).toEqual([]);
});
