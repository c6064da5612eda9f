import { afterEach, describe, expect, it } from "vitest";
import { tcpServer } from "../../testkit/checked-server.ts";
import type { CheckTarget, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
const root = process.getuid?.() === 0;

const check = (target: CheckTarget, timeoutMs = 10_000): Promise<Verdict> =>
  createChecker({ kind: "tcp", target, timeoutMs }).check(new AbortController().signal);

/** A server that notes where its connections come from. */
async function server(host: string): Promise<{ port: number; from: string[]; received: () => number }> {
  const from: string[] = [];
  let received = 0;
  const { port, close } = await tcpServer(
    (socket) => {
      from.push(`${socket.remoteAddress} ${socket.remotePort}`);
      socket.on("data", (data) => {
        received += data.length;
      });
    },
    { host },
  );
  closers.push(close);
  return { port, from, received: () => received };
}

describe("a TCP check", () => {
  it("is content with a connection, and sends nothing", async () => {
    const { port, from, received } = await server("127.0.0.1");
    expect(await check({ family: 4, address: "127.0.0.1", port })).toMatchObject({
      ok: true,
      detail: "connected",
    });
    await expect.poll(() => from.length).toBe(1);
    expect(received()).toBe(0);
  });

  it("reaches IPv6 servers", async () => {
    const { port } = await server("::1");
    expect(await check({ family: 6, address: "::1", port })).toMatchObject({ ok: true });
  });

  it("leaves from the address and port it is bound to, again and again", async () => {
    const { port, from } = await server("127.0.0.1");
    const target = { family: 4, address: "127.0.0.1", port, bindAddress: "127.0.0.77" } as const;
    expect(await check(target)).toMatchObject({ ok: true });
    await expect.poll(() => from[0]).toMatch(/^127\.0\.0\.77 /);
    const free = await server("127.0.0.1");
    expect(await check({ ...target, bindPort: free.port + 1 })).toMatchObject({ ok: true });
    await expect.poll(() => from[1]).toBe(`127.0.0.77 ${free.port + 1}`);
  });

  it("says that a source address is not on this host", async () => {
    const { port } = await server("127.0.0.1");
    expect(await check({ family: 4, address: "127.0.0.1", port, bindAddress: "192.0.2.1" })).toMatchObject({
      ok: false,
      reason: "local",
      detail: "the source address is not on this host",
    });
  });

  it.skipIf(!root)("leaves through the interface it is bound to, with its mark", async () => {
    const { port, from } = await server("127.0.0.1");
    const target = { family: 4, address: "127.0.0.1", port, fwmark: 0x80000001 } as const;
    expect(await check({ ...target, bindInterface: "lo", bindAddress: "127.0.0.5" })).toMatchObject({
      ok: true,
    });
    await expect.poll(() => from[0]).toMatch(/^127\.0\.0\.5 /);
    const six = await server("::1");
    expect(
      await check({ family: 6, address: "::1", port: six.port, bindInterface: "lo", fwmark: 3 }),
    ).toMatchObject({ ok: true });
    expect(await check({ ...target, bindInterface: "none0" })).toMatchObject({
      ok: false,
      reason: "local",
      detail: "the source interface does not exist",
    });
  });

  it("can be made again and again by one checker, also at the same time", async () => {
    const { port, from } = await server("127.0.0.1");
    const checker = createChecker({
      kind: "tcp",
      target: { family: 4, address: "127.0.0.1", port },
      timeoutMs: 10_000,
    });
    const verdicts = await Promise.all(
      Array.from({ length: 50 }, () => checker.check(new AbortController().signal)),
    );
    expect(verdicts.every(({ ok }) => ok)).toBe(true);
    await expect.poll(() => from.length, { timeout: 10_000 }).toBe(50);
  });
});
