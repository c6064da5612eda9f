import type { Socket } from "node:net";
import { type Answer, decode, encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { tcpServer, udpServer } from "../../testkit/checked-server.ts";
import type { CheckSpec, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

type DnsSpec = CheckSpec & { readonly kind: "dns" };

const ANSWERS: readonly Answer[] = [
  { type: "A", name: "www.example.org", data: "192.0.2.10", ttl: 5 },
  { type: "A", name: "www.example.org", data: "192.0.2.11", ttl: 5 },
];

/** What a server answers: `change` may break it. */
const answer = (query: Buffer, answers = ANSWERS, rcode = 0): Buffer => {
  const { id = 0, questions = [], flags = 0 } = decode(query);
  expect(questions).toEqual([{ name: expect.any(String), type: expect.any(String), class: "IN" }]);
  expect(flags & 0x0100).toBe(0x0100);
  return encode({ type: "response", id, questions, answers: [...answers], flags: rcode });
};

async function check(
  reply: (query: Buffer) => Uint8Array | undefined,
  more: Partial<DnsSpec> = {},
): Promise<Verdict> {
  const server = await udpServer(reply);
  const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
  const common = { kind: "dns", target, timeoutMs: 5000, name: "www.example.org", type: "A" } as const;
  const verdict = await createChecker({ ...common, ...more }).check(new AbortController().signal);
  await server.close();
  return verdict;
}

describe("a DNS check", () => {
  it("is content with rcode 0, whatever the answers", async () => {
    expect(await check((q) => answer(q))).toMatchObject({ ok: true, detail: "answered NOERROR" });
    expect(await check((q) => answer(q, []))).toMatchObject({ ok: true });
    expect(await check((q) => answer(q, []), { name: ".", type: "SOA" })).toMatchObject({ ok: true });
  });

  it("asks for every type of keepalived's", async () => {
    for (const type of ["NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY", "PTR"])
      expect(
        await check((q) => (decode(q).questions?.[0]?.type === type ? answer(q, []) : undefined), { type }),
      ).toMatchObject({ ok: true });
  });

  it("fails at any other rcode, and names it", async () => {
    expect(await check((q) => answer(q, [], 3))).toMatchObject({ ok: false, detail: "answered NXDOMAIN" });
    expect(await check((q) => answer(q, [], 9))).toMatchObject({ ok: false, detail: "answered rcode 9" });
  });

  it("with a pattern wants a record that matches", async () => {
    const pattern = { source: "^192\\.0\\.2\\.11$", flags: "" };
    expect(await check((q) => answer(q), { pattern })).toMatchObject({
      ok: true,
      detail: "answered 192.0.2.11",
    });
    expect(await check((q) => answer(q, ANSWERS.slice(0, 1)), { pattern })).toMatchObject({
      ok: false,
      reason: "pattern",
      detail: "answered 192.0.2.10: does not match /^192\\.0\\.2\\.11$/",
    });
    expect(await check((q) => answer(q, []), { pattern })).toMatchObject({ ok: false });
    const ptr: Answer = { type: "PTR", name: "1.2.0.192.in-addr.arpa", data: "host.example.org" };
    expect(
      await check((q) => answer(q, [ptr]), { type: "PTR", pattern: { source: "^host\\.", flags: "" } }),
    ).toMatchObject({ ok: true });
  });

  it("does not take an alias on the way for the answer", async () => {
    const alias: Answer = { type: "CNAME", name: "www.example.org", data: "node.example.net" };
    expect(
      await check((q) => answer(q, [alias, ...ANSWERS]), { pattern: { source: "node", flags: "" } }),
    ).toMatchObject({ ok: false, reason: "pattern" });
  });

  it("asks again over TCP when the answer did not fit into a datagram and is looked at", async () => {
    const short = await udpServer((q) => {
      const reply = answer(q, []);
      reply[2]! |= 0x02;
      return reply;
    });
    const serve = (socket: Socket): void => {
      socket.once("data", (query) => {
        const reply = answer(query.subarray(2));
        socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]));
      });
    };
    const whole = await tcpServer(serve, { port: short.port });
    const target = { family: 4, address: "127.0.0.1", port: whole.port } as const;
    const common = { kind: "dns", target, timeoutMs: 5000, name: "x.org", type: "A" } as const;
    const ask = (more: object): Promise<Verdict> =>
      createChecker({ ...common, ...more }).check(new AbortController().signal);
    expect(await ask({ pattern: { source: "2\\.11$", flags: "" } })).toMatchObject({ ok: true });
    expect(whole.accepted).toBe(1);
    expect(await ask({})).toMatchObject({ ok: true });
    expect(whole.accepted).toBe(1);
    await short.close();
    await whole.close();
  });

  it("overlooks answers to other questions, and echoes of its own", async () => {
    const wrongId = (q: Buffer): Buffer => {
      const reply = answer(q);
      reply[0]! ^= 1;
      return reply;
    };
    expect(await check(wrongId, { timeoutMs: 300 })).toMatchObject({ ok: false, reason: "timeout" });
    expect(await check((q) => q, { timeoutMs: 300 })).toMatchObject({ ok: false, reason: "timeout" });
  });

  it("goes over TCP when told, and reads an answer that comes in pieces", async () => {
    const server = await tcpServer((socket) => {
      socket.once("data", (query) => {
        const reply = answer(query.subarray(2));
        const framed = Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]);
        socket.write(framed.subarray(0, 1));
        setTimeout(() => socket.write(framed.subarray(1)), 20);
      });
    });
    const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
    const pattern = { source: "192", flags: "" };
    const spec = {
      kind: "dns",
      target,
      timeoutMs: 5000,
      name: "x.org.",
      type: "A",
      transport: "tcp",
      pattern,
    } as const;
    expect(await createChecker(spec).check(new AbortController().signal)).toMatchObject({ ok: true });
    await server.close();
  });
});
