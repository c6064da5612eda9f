import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SupervisorError } from "../../control/supervision.ts";
import { ask, NoDaemonError, stream } from "./control-client.ts";
import { ControlServer } from "./control-server.ts";
import type { Daemon } from "./daemon.ts";
import { type DaemonEvent, Events } from "./events.ts";

const events = new Events();
const happen = (text: string) => events.add({ at: 0, level: "info", part: "daemon", kind: "x", text });

/** A daemon that has no network around it. */
const daemon = {
  events,
  status: async () => ({ pid: 4711 }),
  drain: async (service: string, server: string) => {
    throw new SupervisorError("unknown-server", `${service} has no server ${server}`);
  },
  plan: async (path?: string) => ({ diagnostics: [], vrrp: [path ?? "its own"] }),
} as unknown as Daemon;

describe.skipIf(process.getuid?.() !== 0)("the control socket", () => {
  let folder: string;
  let path: string;
  let server: ControlServer;
  let stops = 0;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "lvsd-control-"));
    path = join(folder, "run/daemon.sock");
    server = new ControlServer({ daemon, path, log: pino({ enabled: false }), onStop: () => stops++ });
    await server.listen();
  });
  afterEach(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("is root's alone, and answers requests", async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await ask(path, "status")).toEqual({ pid: 4711 });
    expect(await ask(path, "plan", "/x")).toEqual({ diagnostics: [], vrrp: ["/x"] });
    await ask(path, "stop");
    await new Promise((resolve) => setImmediate(resolve));
    expect(stops).toBe(1);
  });

  test("hands a refusal back with its code and its words", async () => {
    await expect(ask(path, "drain", "A", "B")).rejects.toMatchObject({
      name: "RefusedError",
      code: "unknown-server",
      message: "A has no server B",
    });
    await expect(ask(path, "drain", "A")).rejects.toThrow("drain: argument 2 is no text");
    await expect(ask(path, "dance")).rejects.toThrow('the daemon knows no request "dance"');
  });

  test("survives garbage", async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket: Socket = connect(path, () => socket.write('garbage\n[1]\n{"id":"x"}\nnull\n'));
      let text = "";
      socket.setEncoding("utf8").on("data", (part: string) => {
        text += part;
        if (text.split("\n").length > 4) resolve(text);
      });
    });
    expect(
      answer
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).error.code),
    ).toEqual(Array(4).fill("EINVAL"));
    expect(await ask(path, "status")).toEqual({ pid: 4711 });
  });

  test("streams events: those kept, then those to come, until the follower goes", async () => {
    happen("one");
    happen("two");
    const past: string[] = [];
    for await (const event of stream<DaemonEvent>(path, "events", [1, false])) past.push(event.text);
    expect(past).toEqual(["two"]);
    const seen: string[] = [];
    for await (const event of stream<DaemonEvent>(path, "events", [2, true])) {
      seen.push(event.text);
      if (seen.length === 2) happen("three");
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(["one", "two", "three"]);
  });

  test("nobody there, or gone in the middle, is told as such", async () => {
    await expect(ask(join(folder, "nobody.sock"), "status")).rejects.toThrow(NoDaemonError);
    const following = (async () => {
      for await (const _ of stream(path, "events", [0, true]));
    })();
    setTimeout(() => server.close(), 50);
    await expect(following).rejects.toThrow("ended before it answered");
  });
});
