import { describe, expect, it } from "vitest";
import type { CheckSpec, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

const root = process.getuid?.() === 0;
const check = (address: string, more: Partial<CheckSpec & { kind: "ping" }> = {}): Promise<Verdict> =>
  createChecker({
    kind: "ping",
    target: { family: address.includes(":") ? 6 : 4, address, port: 0 },
    timeoutMs: 5000,
    ...more,
  }).check(new AbortController().signal);

describe.skipIf(!root)("a ping", () => {
  it("hears the echo of a host over IPv4 and IPv6, whatever its size", async () => {
    for (const size of [0, 4, 64, 128, 1400]) {
      expect(await check("127.0.0.1", { size }), `IPv4, ${size} bytes`).toMatchObject({
        ok: true,
        detail: "echo received",
      });
      expect(await check("::1", { size }), `IPv6, ${size} bytes`).toMatchObject({ ok: true });
    }
  });

  it("tells its echoes from those of others", async () => {
    const verdicts = await Promise.all(Array.from({ length: 40 }, (_, i) => check(`127.0.0.${i + 1}`)));
    expect(verdicts.every(({ ok }) => ok)).toBe(true);
  });

  it("from an address that is not here says so", async () => {
    const target = { family: 4, address: "127.0.0.1", port: 0, bindAddress: "192.0.2.1" } as const;
    expect(await check("127.0.0.1", { target })).toMatchObject({
      ok: false,
      reason: "local",
      detail: "the source address is not on this host",
    });
  });
});
