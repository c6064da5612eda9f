import { describe, expect, it } from "vitest";
import {
  type CheckedServer,
  closedPort,
  SICK_SERVERS,
  tcpServer,
  udpServer,
} from "../../testkit/checked-server.ts";
import type { CheckSpec, CheckTarget } from "./check.ts";
import { createChecker } from "./create.ts";

const LIMIT_MS = 400;
/** What a busy machine may add to a time limit. */
const GRACE_MS = 3000;

const login = { login: "user", password: "secret" };
const url = { path: "/", statusCodes: [] };

/** A spec of every kind that speaks over TCP. */
const overTcp = (port: number): Readonly<Record<string, CheckSpec>> => {
  const target: CheckTarget = { family: 4, address: "127.0.0.1", port };
  const common = { target, timeoutMs: LIMIT_MS };
  const dialogue = {
    ...common,
    kind: "dialogue",
    tls: false,
    ...login,
    request: "/x",
    pattern: { source: "ok", flags: "" },
  } as const;
  return {
    http: { ...common, kind: "http", tls: false, version: "1.0", method: "GET", urls: [url] },
    https: { ...common, kind: "http", tls: true, version: "1.1", method: "GET", urls: [url], redirects: 7 },
    smtp: { ...common, kind: "smtp", helo: "x", ehlo: true },
    "dns over TCP": { ...common, kind: "dns", name: "example.org", type: "A", transport: "tcp" },
    ftp: { ...dialogue, protocol: "ftp" },
    imap: { ...dialogue, protocol: "imap" },
    imaps: { ...dialogue, protocol: "imap", tls: true },
    pop: { ...dialogue, protocol: "pop" },
    simpletcp: { ...dialogue, protocol: "simpletcp" },
    ldap: { ...common, kind: "ldap", tls: false, ...login, base: "dc=x" },
    mysql: { ...common, kind: "sql", engine: "mysql", ...login, database: "x", query: "select 1" },
    pgsql: { ...common, kind: "sql", engine: "pgsql", ...login, database: "x", query: "select 1" },
    "sip over TCP": { ...common, kind: "sip", login: "x@y", transport: "tcp" },
  };
};

/** Timers and sockets that this process has. */
const resources = (): string[] =>
  process.getActiveResourcesInfo().filter((name) => /Timeout|TCPSocketWrap|TLSWrap|Poll|UDP/.test(name));

/** Waits until a server sees no connection and this process has nothing open that it had not before. */
async function nothingLeft(before: number, server?: CheckedServer): Promise<void> {
  const left = (): boolean => (server?.open ?? 0) > 0 || resources().length > before;
  for (let i = 0; i < 200 && left(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(server?.open ?? 0).toBe(0);
  expect(resources().length).toBeLessThanOrEqual(before);
}

it.each(Object.entries(SICK_SERVERS))(
  "every kind fails in time at a server that is %s, and leaves nothing behind",
  async (sickness, serve) => {
    const server = await tcpServer(serve);
    const before = resources().length;
    const checks = Object.entries(overTcp(server.port)).map(async ([kind, spec]) => {
      const checker = createChecker(spec);
      const verdict = await checker.check(new AbortController().signal);
      checker.close();
      return { kind, verdict };
    });
    for (const { kind, verdict } of await Promise.all(checks)) {
      expect(verdict, kind).toMatchObject({ ok: false });
      expect(verdict.latencyMs, kind).toBeLessThan(LIMIT_MS + GRACE_MS);
      expect(verdict.detail, kind).not.toMatch(/undefined|\[object|^$/);
      expect(verdict.reason, kind).toBeDefined();
      // simpletcp half-closes, which makes this server close too.
      if (sickness === "silent" && kind !== "simpletcp") expect(verdict.reason, kind).toBe("timeout");
    }
    expect(server.accepted).toBe(checks.length);
    await nothingLeft(before, server);
    await server.close();
  },
);

describe("every kind over TCP", () => {
  it("says that a closed port refuses", async () => {
    const port = await closedPort();
    const specs = {
      tcp: { kind: "tcp", target: { family: 4, address: "127.0.0.1", port }, timeoutMs: LIMIT_MS },
    };
    for (const spec of Object.values({
      ...(specs as unknown as Record<string, CheckSpec>),
      ...overTcp(port),
    }))
      expect(
        await createChecker({ ...spec, timeoutMs: 10_000 }).check(new AbortController().signal),
      ).toMatchObject({
        ok: false,
        detail: "connection refused",
        reason: "refused",
      });
  });

  it("ends when the caller's signal fires, also before it began", async () => {
    const server = await tcpServer(() => {});
    const { simpletcp: _, ...specs } = overTcp(server.port); // half-closes, and is answered with a close
    const before = resources().length;
    for (const spec of Object.values(specs)) {
      const stop = new AbortController();
      const checking = createChecker({ ...spec, timeoutMs: 60_000 }).check(stop.signal);
      setTimeout(() => stop.abort(), 20);
      expect(await checking).toMatchObject({ ok: false, reason: "aborted" });
      expect(await createChecker(spec).check(stop.signal)).toMatchObject({ ok: false, reason: "aborted" });
    }
    await nothingLeft(before, server);
    await server.close();
  });
});

describe("every kind over UDP", () => {
  const overUdp = (port: number): Readonly<Record<string, CheckSpec>> => {
    const common = { target: { family: 4, address: "127.0.0.1", port }, timeoutMs: LIMIT_MS } as const;
    return {
      dns: { ...common, kind: "dns", name: "example.org", type: "A" },
      radius: { ...common, kind: "radius", ...login, secret: "s" },
      sip: { ...common, kind: "sip", login: "x@y", transport: "udp" },
      "udp that wants a reply": {
        ...common,
        kind: "udp",
        requireReply: { minBytes: 0, maxBytes: 255, bytes: "0102" },
      },
    };
  };
  it.each(Object.keys(overUdp(0)))("%s fails at silence, garbage and a closed port", async (kind) => {
    const before = resources().length;
    const server = await udpServer(() => undefined);
    const check = (): Promise<unknown> =>
      createChecker(overUdp(server.port)[kind]!).check(new AbortController().signal);
    expect(await check()).toMatchObject({ ok: false, reason: "timeout" });
    await server.close();
    expect(await check()).toMatchObject({ ok: false, reason: "refused", detail: "connection refused" });

    const babbler = await udpServer((question) => Buffer.from(question.map((byte) => byte ^ 0xa5)));
    const spec = overUdp(babbler.port)[kind]!;
    expect(await createChecker(spec).check(new AbortController().signal)).toMatchObject({ ok: false });
    await babbler.close();
    await nothingLeft(before);
  });
});
