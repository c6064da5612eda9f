import { expect, it } from "vitest";
import { lineServer, udpServer } from "../../testkit/checked-server.ts";
import type { Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

async function overUdp(reply: (request: string, port: number) => string): Promise<Verdict> {
  const server = await udpServer((request, from) => Buffer.from(reply(request.toString(), from.port)));
  const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
  const spec = { kind: "sip", target, timeoutMs: 5000, login: "ldirectord@host", transport: "udp" } as const;
  const verdict = await createChecker(spec).check(new AbortController().signal);
  await server.close();
  return verdict;
}

it("SIP asks with OPTIONS, naming the address and port it comes from", async () => {
  let asked = "";
  let from = 0;
  const verdict = await overUdp((request, port) => {
    asked = request;
    from = port;
    return "SIP/2.0 200 OK\r\n\r\n";
  });
  expect(verdict).toMatchObject({ ok: true, detail: "SIP/2.0 200 OK" });
  const lines = asked.split("\r\n");
  expect(lines[0]).toBe("OPTIONS sip:ldirectord@host SIP/2.0");
  expect(lines[1]).toMatch(new RegExp(`^Via: SIP/2.0/UDP 127.0.0.1:${from};branch=z9hG4bK`));
  for (const line of [
    "Max-Forwards: 70",
    "CSeq: 63104 OPTIONS",
    "Contact: <sip:ldirectord@host>",
    "Accept: application/sdp",
  ])
    expect(lines).toContain(line);
  expect(lines.slice(-2)).toEqual(["", ""]);
});

it("SIP takes nothing but 200 for good", async () => {
  expect(await overUdp(() => "SIP/2.0 404 Not Found\r\n\r\n")).toMatchObject({
    ok: false,
    reason: "status",
    detail: "answered 404 Not Found, wanted 200",
  });
  expect(await overUdp(() => "HTTP/1.0 200 OK\r\n\r\n")).toMatchObject({ ok: false, reason: "answer" });
});

it("SIP over TCP waits through provisional answers", async () => {
  const ask = async (answer: string): Promise<Verdict> => {
    const server = await lineServer("", (line) => (line === "" ? answer : ""));
    const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
    const spec = { kind: "sip", target, timeoutMs: 5000, login: "a@b", transport: "tcp" } as const;
    const verdict = await createChecker(spec).check(new AbortController().signal);
    await server.close();
    return verdict;
  };
  expect(await ask("SIP/2.0 100 Trying\r\nVia: x\r\n\r\nSIP/2.0 200 OK\r\n\r\n")).toMatchObject({ ok: true });
  expect(await ask("SIP/2.0 503 Busy\r\n\r\n")).toMatchObject({ ok: false });
});
