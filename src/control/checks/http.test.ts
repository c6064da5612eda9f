import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { type CheckedServer, certificate, tcpServer } from "../../testkit/checked-server.ts";
import type { Checker, CheckSpec, UrlSpec, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";
import { requestText } from "./http-exchange.ts";
import { HttpResponse } from "./http-response.ts";

type HttpSpec = CheckSpec & { readonly kind: "http" };

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const signal = new AbortController().signal;
const md5 = (text: string): string => createHash("md5").update(text).digest("hex");

/** A server that answers every request with these bytes, and what it was asked. */
async function raw(answer: string): Promise<CheckedServer & { asked: string[] }> {
  const asked: string[] = [];
  const server = await tcpServer((socket) => {
    let text = "";
    socket.on("data", (data) => {
      text += data;
      if (!text.includes("\r\n\r\n")) return;
      asked.push(text);
      socket.end(answer, "latin1");
    });
  });
  closers.push(() => server.close());
  return Object.assign(server, { asked });
}

async function web(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server: Server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

const url = (more: Partial<UrlSpec> = {}): UrlSpec => ({ path: "/", statusCodes: [], ...more });
const spec = (port: number, urls: readonly UrlSpec[] = [url()], more: Partial<HttpSpec> = {}): HttpSpec => ({
  kind: "http",
  target: { family: 4, address: "127.0.0.1", port },
  timeoutMs: 10_000,
  tls: false,
  version: "1.0",
  method: "GET",
  urls,
  ...more,
});
const check = (s: HttpSpec): Promise<Verdict> => createChecker(s).check(signal);

describe("the request", () => {
  it("is byte for byte keepalived's, in its three versions", async () => {
    const server = await raw("HTTP/1.0 200 OK\r\n\r\n");
    for (const version of ["1.0", "1.0C", "1.1"] as const)
      await check(spec(server.port, [url({ path: "/a?b=c" })], { version }));
    const host = `Host: 127.0.0.1:${server.port}\r\n\r\n`;
    expect(server.asked).toEqual([
      `GET /a?b=c HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\n${host}`,
      `GET /a?b=c HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n${host}`,
      `GET /a?b=c HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n${host}`,
    ]);
  });

  it("names the virtual host, and keeps its first line whole", () => {
    const common = { method: "HEAD", version: "1.0", userAgent: "x" } as const;
    expect(requestText({ ...common, path: "/a b\r\nc", host: "www.example.org" })).toBe(
      "HEAD /a%20b%0D%0Ac HTTP/1.0\r\nUser-Agent: x\r\nHost: www.example.org\r\n\r\n",
    );
  });
});

describe("the judgement", () => {
  it("takes 200..299 where nothing is configured, and ranges where they are", async () => {
    for (const [status, ok] of [
      [200, true],
      [204, true],
      [299, true],
      [199, false],
      [302, false],
      [404, false],
    ] as const) {
      const { port } = await raw(`HTTP/1.1 ${status} Words\r\nContent-Length: 0\r\n\r\n`);
      expect(await check(spec(port))).toMatchObject({
        ok,
        detail: ok ? `status ${status}` : `status ${status}, wanted 200..299`,
      });
    }
    const { port } = await raw("HTTP/1.0 404 Not Found\r\n\r\n");
    expect(
      await check(
        spec(port, [
          url({
            statusCodes: [
              [200, 200],
              [400, 410],
            ],
          }),
        ]),
      ),
    ).toMatchObject({ ok: true });
    expect(
      await check(
        spec(port, [
          url({
            statusCodes: [
              [200, 204],
              [301, 301],
            ],
          }),
        ]),
      ),
    ).toMatchObject({
      reason: "status",
      detail: "status 404, wanted 200..204, 301",
    });
  });

  it("compares the digest of the body, without headers", async () => {
    const { port } = await raw("HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nhello world\n");
    const good = "6f5902ac237024bdd0c176cb93063dc4";
    expect(await check(spec(port, [url({ digest: good })]))).toMatchObject({ ok: true });
    expect(await check(spec(port, [url({ path: "/x", digest: md5("other") })]))).toMatchObject({
      reason: "digest",
      detail: `digest of /x is ${good}, wanted ${md5("other")}`,
    });
  });

  it("with a digest or a pattern alone does not look at the status", async () => {
    const { port } = await raw("HTTP/1.0 500 Oh\r\n\r\nbody");
    expect(await check(spec(port, [url({ digest: md5("body") })]))).toMatchObject({ ok: true });
    expect(await check(spec(port, [url({ pattern: { source: "^body$", flags: "" } })]))).toMatchObject({
      ok: true,
    });
  });

  it("hashes chunked bodies raw, but decodes them for ldirectord, which also stops at the last chunk", async () => {
    const chunks = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    const { port } = await raw(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
    expect(await check(spec(port, [url({ digest: md5(chunks) })]))).toMatchObject({ ok: true });
    const decoded = { redirects: 7, version: "1.1" } as const;
    expect(await check(spec(port, [url({ digest: md5("hello world") })], decoded))).toMatchObject({
      ok: true,
    });
    expect(
      await check(spec(port, [url({ pattern: { source: "^hello world$", flags: "" } })], decoded)),
    ).toMatchObject({ ok: true });

    const held = await tcpServer(
      (socket) => void socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`),
    );
    closers.push(() => held.close());
    expect(await check(spec(held.port, [url()], decoded))).toMatchObject({ ok: true });
  });

  it("looks for a pattern in bytes, negated when asked, within an offset", async () => {
    const { port } = await raw("HTTP/1.0 200 OK\r\n\r\nabc gr\xfc\xdfe def");
    const ask = (source: string, more: object = {}, part: Partial<UrlSpec> = {}): Promise<Verdict> =>
      check(spec(port, [url({ pattern: { source, flags: "", ...more }, ...part })]));
    expect(await ask("gr\xfc")).toMatchObject({ ok: true });
    expect(await ask("GR")).toMatchObject({
      ok: false,
      reason: "pattern",
      detail: "the body of / does not match /GR/",
    });
    expect(await ask("GR", { flags: "gi" })).toMatchObject({ ok: true });
    expect(await ask("abc", { negated: true })).toMatchObject({
      ok: false,
      detail: "the body of / matches /abc/",
    });
    expect(await ask("xyz", { negated: true })).toMatchObject({ ok: true });
    expect(await ask("abc", {}, { patternOffset: { min: 1, max: 20 } })).toMatchObject({ ok: false });
    expect(await ask("def", {}, { patternOffset: { min: 4, max: 0 } })).toMatchObject({ ok: true });
    // The offsets bound the start of the match, not its end (keepalived.conf(5)).
    expect(await ask("abc", {}, { patternOffset: { min: 0, max: 1 } })).toMatchObject({ ok: true });
    expect(await ask("def", {}, { patternOffset: { min: 0, max: 2 } })).toMatchObject({ ok: false });
  });

  it("is not held up by a pattern that begins with .* and a long line without a match", async () => {
    const { port } = await raw(`HTTP/1.0 200 OK\r\n\r\n${"x".repeat(1 << 20)}`);
    const patterns = ["[^\\n]*healthy[^\\n]*", "[\\s\\S]*?healthy"];
    const urls = patterns.map((source) => url({ pattern: { source, flags: "" } }));
    for (const one of urls) expect(await check(spec(port, [one]))).toMatchObject({ reason: "pattern" });
  });

  it("does not skip provisional answers without end", async () => {
    const { port } = await raw("HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000));
    expect(await check(spec(port))).toMatchObject({ ok: false, detail: "status 100, wanted 200..299" });
  });

  it.each([true, false])("skips provisional answers (decoding: %s)", async (decodeBody) => {
    const answers = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    const { port } = await raw(`${answers}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`);
    const one = url({ statusCodes: [[200, 200]], digest: md5("ok") });
    expect(await check(spec(port, [one], { decodeBody }))).toMatchObject({ ok: true, detail: "status 200" });
  });

  it("refuses what is not HTTP, and remarks on a wrong Content-Length without counting it", async () => {
    const garbage = await raw("SSH-2.0-OpenSSH\r\n\r\nok");
    expect(await check(spec(garbage.port))).toMatchObject({ ok: false, detail: "the answer is not HTTP" });
    const { port } = await raw("HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nfour");
    expect(await check(spec(port, [url({ reportLength: true })]))).toMatchObject({
      ok: true,
      remark: "Content-Length is 10, the body has 4 bytes",
    });
    expect((await check(spec(port))).remark).toBeUndefined();
  });

  it("of HEAD has no body, whatever the headers say", async () => {
    const port = await web((_, response) => response.end("body"));
    expect(await check(spec(port, [url()], { method: "HEAD", redirects: 7, version: "1.1" }))).toMatchObject({
      ok: true,
    });
    const pattern = { source: "body", flags: "" };
    expect(await check(spec(port, [url({ pattern })], { method: "HEAD", redirects: 7 }))).toMatchObject({
      ok: false,
    });
  });
});

describe("redirects", () => {
  const hops = (last: string) =>
    web((request, response) => {
      const n = Number(request.url!.slice(1));
      if (request.url === last) return void response.end("there");
      response.writeHead(302, { Location: `/${n + 1}` }).end();
    });

  it("are not followed by keepalived, and seven times by ldirectord", async () => {
    const port = await hops("/7");
    expect(await check(spec(port, [url({ path: "/0" })]))).toMatchObject({ ok: false, reason: "status" });
    expect(await check(spec(port, [url({ path: "/0" })], { redirects: 7 }))).toMatchObject({ ok: true });
    expect(await check(spec(port, [url({ path: "/0" })], { redirects: 6 }))).toMatchObject({
      ok: false,
      detail: "status 302, wanted 200..299",
    });
  });

  it("to another port or to TLS reach it on the same server", async () => {
    const secured = await tcpServer(
      (socket) => void socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nsecured")),
      {
        tls: certificate("x"),
      },
    );
    closers.push(() => secured.close());
    const port = await web((_, response) =>
      response.writeHead(301, { Location: `https://www.example.org:${secured.port}/x` }).end(),
    );
    const pattern = { source: "secured", flags: "" };
    expect(await check(spec(port, [url({ pattern })], { redirects: 7 }))).toMatchObject({ ok: true });
  });

  it("to a place that is none fail", async () => {
    const port = await web((_, response) => response.writeHead(302, { Location: "ftp://x/" }).end());
    expect(await check(spec(port, [url()], { redirects: 7 }))).toMatchObject({ ok: false, reason: "answer" });
  });
});

describe("several urls", () => {
  it("are asked in turn, one a check, and a recovering server has passed only after all of them", async () => {
    const asked: string[] = [];
    let broken = "";
    const port = await web((request, response) => {
      asked.push(request.url!);
      response.writeHead(request.url === broken ? 500 : 200).end();
    });
    const checker: Checker = createChecker(
      spec(
        port,
        ["/a", "/b", "/c"].map((path) => url({ path })),
      ),
    );
    const round = async (): Promise<string> => {
      const verdict = await checker.check(signal);
      return `${asked.at(-1)} ${verdict.ok ? (verdict.partial ? "partial" : "ok") : "failed"}`;
    };
    expect([await round(), await round(), await round(), await round()]).toEqual([
      "/a partial",
      "/b partial",
      "/c ok",
      "/a ok",
    ]);
    broken = "/b";
    expect([await round(), await round()]).toEqual(["/b failed", "/b failed"]);
    broken = "";
    expect([await round(), await round(), await round()]).toEqual(["/b partial", "/c partial", "/a ok"]);
  });

  it("are asked without a pause while a failed server recovers fast", async () => {
    let broken = true;
    let count = 0;
    const port = await web((_, response) => {
      count++;
      response.writeHead(broken ? 500 : 200).end();
    });
    const checker = createChecker(spec(port, [url(), url(), url()], { fastRecovery: true }));
    expect(await checker.check(signal)).toMatchObject({ ok: false });
    broken = false;
    count = 0;
    const verdict = await checker.check(signal);
    expect(verdict.ok && !verdict.partial).toBe(true);
    expect(count).toBe(3);
  });
});

describe("TLS", () => {
  it("accepts any certificate, and sends a server name only when told one", async () => {
    const names: unknown[] = [];
    const server = await tcpServer(
      (socket) => {
        names.push((socket as TLSSocket).servername);
        socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\n"));
      },
      { tls: certificate("somebody.else") },
    );
    closers.push(() => server.close());
    expect(await check(spec(server.port, [url()], { tls: true }))).toMatchObject({ ok: true });
    expect(await check(spec(server.port, [url()], { tls: true, sni: "www.example.org" }))).toMatchObject({
      ok: true,
    });
    expect(await check(spec(server.port, [url()], { tls: true, sni: "127.0.0.1" }))).toMatchObject({
      ok: true,
    });
    expect(names).toEqual([false, "www.example.org", false]);
  });

  it("towards a server that speaks none is a failure that says so", async () => {
    const { port } = await raw("HTTP/1.0 400 Bad\r\n\r\n");
    const server = await tcpServer(
      (socket) => void socket.once("data", () => socket.end("HTTP/1.0 400 Bad\r\n\r\n")),
    );
    closers.push(() => server.close());
    expect(port).toBeGreaterThan(0);
    const verdict = await check(spec(server.port, [url()], { tls: true }));
    expect(verdict).toMatchObject({ ok: false, reason: "tls" });
    expect(verdict.detail).toMatch(/^TLS: [a-z ]+$/i);
  });

  it("names a client certificate that cannot be read", async () => {
    const { port } = await raw("");
    const client = { certificate: "/nowhere/cert.pem" };
    expect(await check(spec(port, [url()], { tls: true, client }))).toMatchObject({
      ok: false,
      reason: "local",
    });
  });
});

describe("HttpResponse", () => {
  it("reads the same however the bytes are cut", () => {
    const answer = Buffer.from(
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
    );
    fc.assert(
      fc.property(fc.array(fc.nat(answer.length)), (cuts) => {
        const response = new HttpResponse({ keepBody: true, digest: true, decode: true, head: false });
        const places = [0, ...cuts.sort((a, b) => a - b), answer.length];
        for (let i = 1; i < places.length; i++) response.feed(answer.subarray(places[i - 1], places[i]));
        expect(response).toMatchObject({
          status: 200,
          complete: true,
          bodyLength: 20,
          body: "abcd0123456789abcdef",
        });
        expect(response.digest()).toBe(md5("abcd0123456789abcdef"));
      }),
    );
  });

  it("never throws on garbage", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), fc.boolean(), fc.boolean(), (parts, decode, head) => {
        const response = new HttpResponse({ keepBody: true, digest: true, decode, head });
        for (const part of [Buffer.from("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"), ...parts])
          response.feed(Buffer.from(part));
        expect(response.status).toBe(200);
      }),
    );
  });
});
