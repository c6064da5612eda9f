import { describe, expect, it } from "vitest";
import { udpServer } from "../../testkit/checked-server.ts";
import type { CheckSpec, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";
import { matchesHex } from "./udp.ts";

type UdpSpec = CheckSpec & { readonly kind: "udp" };

async function check(
  reply: (bytes: Buffer) => Uint8Array | undefined,
  more: Partial<UdpSpec> = {},
  host: "127.0.0.1" | "::1" = "127.0.0.1",
): Promise<Verdict> {
  const server = await udpServer(reply, host);
  const target = { family: host === "::1" ? 6 : 4, address: host, port: server.port } as const;
  const verdict = await createChecker({ kind: "udp", target, timeoutMs: 300, ...more }).check(
    new AbortController().signal,
  );
  await server.close();
  return verdict;
}

describe("a UDP check", () => {
  it("takes silence for good, after its whole time, over IPv4 and IPv6", async () => {
    for (const host of ["127.0.0.1", "::1"] as const) {
      const verdict = await check(() => undefined, {}, host);
      expect(verdict).toMatchObject({ ok: true, detail: "no error within 300 ms" });
      expect(verdict.latencyMs).toBeGreaterThan(290);
    }
  });

  it("takes a reply for good at once, and a closed port for a failure at once", async () => {
    expect(await check(() => Buffer.from("hi"), { timeoutMs: 60_000 })).toMatchObject({
      ok: true,
      detail: "reply of 2 bytes",
    });
    const server = await udpServer(() => undefined);
    await server.close();
    const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
    const checker = createChecker({ kind: "udp", target, timeoutMs: 60_000 });
    expect(await checker.check(new AbortController().signal)).toMatchObject({ ok: false, reason: "refused" });
  });

  it("sends its payload, or random bytes", async () => {
    const got: Buffer[] = [];
    const reply = (bytes: Buffer): Buffer => {
      got.push(bytes);
      return bytes;
    };
    await check(reply, { payload: "00 01 ff" });
    await check(reply);
    expect(got[0]).toEqual(Buffer.from([0, 1, 255]));
    expect(got[1]?.length).toBe(32);
  });

  it("wants the length and the bytes of a required reply", async () => {
    const requireReply = { minBytes: 2, maxBytes: 4, bytes: "01xx" };
    const ask = (...bytes: number[]): Promise<Verdict> =>
      check(() => Uint8Array.from(bytes), { requireReply, timeoutMs: 5000 });
    expect(await ask(1, 2)).toMatchObject({ ok: true });
    expect(await ask(1, 2, 3, 4)).toMatchObject({ ok: true });
    expect(await ask(1)).toMatchObject({ ok: false, detail: "reply of 1 bytes, wanted 2..4" });
    expect(await ask(1, 2, 3, 4, 5)).toMatchObject({ ok: false });
    expect(await ask(2, 2)).toMatchObject({ ok: false, reason: "answer" });
    expect(await check(() => undefined, { requireReply })).toMatchObject({ ok: false, reason: "timeout" });
  });
});

it("matchesHex() compares over the shorter length, x being any digit", () => {
  expect(matchesHex(Uint8Array.of(0x12, 0x34), "1x X4")).toBe(true);
  expect(matchesHex(Uint8Array.of(0x12, 0x34), "1")).toBe(true);
  expect(matchesHex(Uint8Array.of(0x12), "12ff")).toBe(true);
  expect(matchesHex(Uint8Array.of(0x12, 0x34), "1235")).toBe(false);
});
