/**
 * Every kind of check against the server that it is made for, as Debian packages it: right and wrong answers.
 * @module
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CheckSpec, CheckTarget, Verdict } from "../../src/control/checks/check.ts";
import { createChecker } from "../../src/control/checks/create.ts";
import { installed, postgresBin, RealServers } from "./real-servers.ts";

const root = process.getuid?.() === 0;
const servers = new RealServers();
afterAll(() => servers.stop());

const at = (port: number): CheckTarget => ({ family: 4, address: "127.0.0.1", port });
const common = (port: number) => ({ target: at(port), timeoutMs: 15_000 }) as const;
const check = (spec: CheckSpec): Promise<Verdict> => createChecker(spec).check(new AbortController().signal);
const matching = (source: string): { pattern: { source: string; flags: string } } => ({
  pattern: { source, flags: "" },
});
const al = { login: "al", password: "right" };

/** Servers are started one after the other, each where its tests begin: the machine may be small. */
const withServer = (name: string, program: string | undefined, body: () => void): void => {
  describe.skipIf(!root || program === undefined || !installed(program))(name, body);
};

withServer("nginx", "/usr/sbin/nginx", () => {
  let port = { http: 0, https: 0 };
  beforeAll(async () => {
    port = await servers.nginx();
  });
  const ask = (path: string, more: Partial<CheckSpec & { kind: "http" }> = {}, url = {}): Promise<Verdict> =>
    check({
      ...common(more.tls ? port.https : port.http),
      kind: "http",
      tls: false,
      version: "1.0",
      method: "GET",
      urls: [{ path, statusCodes: [], ...url }],
      ...more,
    });

  test("answers in every version, plain and with TLS", async () => {
    for (const version of ["1.0", "1.0C", "1.1"] as const)
      for (const tls of [false, true])
        expect(await ask("/", { version, tls })).toMatchObject({ ok: true, detail: "status 200" });
  });

  test("is told by status, digest and pattern", async () => {
    const digest = createHash("md5").update("hello world\n").digest("hex");
    expect(await ask("/", {}, { digest })).toMatchObject({ ok: true });
    expect(await ask("/", {}, { digest: digest.replace(/^./, "0") })).toMatchObject({
      ok: false,
      reason: "digest",
    });
    expect(await ask("/nowhere")).toMatchObject({ ok: false, detail: "status 404, wanted 200..299" });
    expect(await ask("/status/503", {}, { statusCodes: [[500, 599]] })).toMatchObject({ ok: true });
    expect(await ask("/", {}, matching("^hello"))).toMatchObject({ ok: true });
    expect(await ask("/", {}, matching("^goodbye"))).toMatchObject({ ok: false, reason: "pattern" });
    expect(await ask("/long.html", {}, matching("</html>\\n$"))).toMatchObject({ ok: true });
  });

  test("sends ldirectord elsewhere, in chunks if it likes", async () => {
    const ldirectord = { version: "1.1", redirects: 7 } as const;
    expect(await ask("/moved")).toMatchObject({ ok: false, reason: "status" });
    expect(await ask("/moved", ldirectord, matching("^hello world$"))).toMatchObject({ ok: false }); // $ is before the newline in Perl only
    expect(await ask("/moved", ldirectord, matching("^hello world\\n$"))).toMatchObject({ ok: true });
    expect(await ask("/long.html", ldirectord, matching("^<html>a long[^]*</html>\\n$"))).toMatchObject({
      ok: true,
    });
    expect(await ask("/", { ...ldirectord, method: "HEAD" })).toMatchObject({ ok: true });
  });

  test("sees the virtual host and the server name", async () => {
    const virtualhost = { virtualhost: "shop.example.org" };
    expect(await ask("/host", {}, { ...virtualhost, ...matching("^shop\\.example\\.org$") })).toMatchObject({
      ok: true,
    });
    expect(await ask("/host", {}, matching("^127\\.0\\.0\\.1$"))).toMatchObject({ ok: true });
    expect(await ask("/sni", { tls: true, sni: "shop.example.org" }, matching("^sni=shop"))).toMatchObject({
      ok: true,
    });
    expect(await ask("/sni", { tls: true }, matching("^sni=$"))).toMatchObject({ ok: true });
  });

  test("speaks no other protocol", async () => {
    expect(await ask("/", { tls: true, target: at(port.http) })).toMatchObject({ ok: false, reason: "tls" });
    expect(await check({ ...common(port.http), kind: "smtp", helo: "x", timeoutMs: 1000 })).toMatchObject({
      ok: false,
    });
    expect(await check({ ...common(port.http), kind: "tcp" })).toMatchObject({ ok: true });
  });
});

withServer("vsftpd", "/usr/sbin/vsftpd", () => {
  let port = { ftp: 0, ftps: 0 };
  beforeAll(async () => {
    port = await servers.vsftpd();
  });
  const ask = (tls: boolean, more: Partial<CheckSpec & { kind: "dialogue" }> = {}): Promise<Verdict> =>
    check({
      ...common(tls ? port.ftps : port.ftp),
      kind: "dialogue",
      protocol: "ftp",
      tls,
      login: "anonymous",
      password: "me@example.org",
      request: "/status.txt",
      ...more,
    });

  test.each([false, true])("gives the file (TLS: %s)", async (tls) => {
    expect(await ask(tls, matching("is well"))).toMatchObject({ ok: true, detail: "fetched 19 bytes" });
    expect(await ask(tls)).toMatchObject({ ok: true });
    expect(await ask(tls, matching("is sick"))).toMatchObject({ ok: false, reason: "pattern" });
    expect(await ask(tls, { request: "/none.txt" })).toMatchObject({ ok: false, reason: "answer" });
    expect(await ask(tls, { login: "somebody", password: "x" })).toMatchObject({
      ok: false,
      reason: "login",
    });
  });
});

withServer("postfix", "/usr/lib/postfix/sbin/master", () => {
  let port = 0;
  beforeAll(async () => {
    port = await servers.postfix();
  });
  test("greets and answers to HELO and EHLO", async () => {
    for (const ehlo of [false, true]) {
      const verdict = await check({ ...common(port), kind: "smtp", helo: "check.example.org", ehlo });
      expect(verdict).toMatchObject({ ok: true, detail: expect.stringMatching(/^220 mx\.example\.org/) });
    }
  });
  test("refuses a HELO that is none", async () => {
    expect(await check({ ...common(port), kind: "smtp", helo: "" })).toMatchObject({
      ok: false,
      reason: "answer",
    });
  });
});

withServer("dovecot", "/usr/sbin/dovecot", () => {
  let port = { imap: 0, imaps: 0, pop: 0, pops: 0 };
  beforeAll(async () => {
    port = await servers.dovecot();
  });
  test.each([
    ["imap", "imap"],
    ["imaps", "imap"],
    ["pop", "pop"],
    ["pops", "pop"],
  ] as const)("lets the right password into %s, no other", async (service, protocol) => {
    const tls = service !== protocol;
    const spec = { ...common(port[service]), kind: "dialogue", protocol, tls, request: "" } as const;
    expect(await check({ ...spec, ...al })).toMatchObject({ ok: true, detail: "logged in" });
    expect(await check({ ...spec, login: "al", password: "wrong" })).toMatchObject({
      ok: false,
      reason: "login",
    });
    expect(await check({ ...spec, login: "", password: "" })).toMatchObject({ ok: true, detail: "greeted" });
    // The other protocol's port greets otherwise.
    const other = { ...spec, ...al, target: at(protocol === "imap" ? port.pop : port.imap), tls: false };
    expect(await check(other)).toMatchObject({ ok: false, reason: "greeting" });
  });
});

withServer("slapd", "/usr/sbin/slapd", () => {
  let port = { ldap: 0, ldaps: 0 };
  beforeAll(async () => {
    port = await servers.slapd();
  });
  const ask = (more: Partial<CheckSpec & { kind: "ldap" }> = {}): Promise<Verdict> =>
    check({
      ...common(more.tls ? port.ldaps : port.ldap),
      kind: "ldap",
      tls: false,
      login: "",
      password: "",
      base: "/dc=example,dc=org",
      ...more,
    });
  test("finds the base entry, as nobody and as the administrator, plain and with TLS", async () => {
    expect(await ask()).toMatchObject({ ok: true, detail: "found dc=example,dc=org" });
    expect(await ask({ tls: true, ...matching("^dc=example") })).toMatchObject({ ok: true });
    expect(await ask({ login: "cn=admin,dc=example,dc=org", password: "right" })).toMatchObject({ ok: true });
    expect(await ask({ base: "/" })).toMatchObject({ ok: true, detail: "found the root entry" });
  });
  test("refuses what is wrong", async () => {
    expect(await ask({ login: "cn=admin,dc=example,dc=org", password: "wrong" })).toMatchObject({
      ok: false,
      reason: "login",
      detail: "bind answered invalidCredentials",
    });
    expect(await ask({ base: "/dc=nowhere" })).toMatchObject({ ok: false, reason: "answer" });
    expect(await ask(matching("^dc=other"))).toMatchObject({ ok: false, reason: "pattern" });
  });
});

withServer("dnsmasq", "/usr/sbin/dnsmasq", () => {
  let port = 0;
  beforeAll(async () => {
    port = await servers.dnsmasq();
  });
  const ask = (name: string, more: Partial<CheckSpec & { kind: "dns" }> = {}): Promise<Verdict> =>
    check({ ...common(port), kind: "dns", name, type: "A", ...more });
  test.each(["udp", "tcp"] as const)("knows its names over %s", async (transport) => {
    const ldirectord = { transport, ...matching("^192\\.0\\.2\\.10$") };
    expect(await ask("www.example.org", ldirectord)).toMatchObject({
      ok: true,
      detail: "answered 192.0.2.10",
    });
    expect(
      await ask("www.example.org.", { transport, type: "AAAA", ...matching("^2001:db8::10$") }),
    ).toMatchObject({ ok: true });
    expect(
      await ask("10.2.0.192.in-addr.arpa", { transport, type: "PTR", ...matching("^www") }),
    ).toMatchObject({ ok: true });
    expect(await ask("www.example.org", { transport, ...matching("^10\\.") })).toMatchObject({
      ok: false,
      reason: "pattern",
    });
    expect(await ask("no.example.org", { transport })).toMatchObject({
      ok: false,
      detail: "answered NXDOMAIN",
    });
    expect(await ask(".", { transport, type: "SOA" })).toMatchObject({
      ok: false,
      detail: "answered REFUSED",
    });
  });
  test("is a UDP server as any other", async () => {
    // A query for www.example.org; its answer begins with the same id, then QR set and rcode 0.
    const payload = "abcd01000001000000000000 03777777 076578616d706c65 036f7267 00 0001 0001";
    const spec = { ...common(port), kind: "udp", payload } as const;
    expect(
      await check({ ...spec, requireReply: { minBytes: 12, maxBytes: 255, bytes: "abcd8xx0" } }),
    ).toMatchObject({ ok: true });
    expect(
      await check({ ...spec, requireReply: { minBytes: 12, maxBytes: 255, bytes: "abcd8xx3" } }),
    ).toMatchObject({ ok: false });
  });
});

withServer("freeradius", "/usr/sbin/freeradius", () => {
  let port = 0;
  const ask = (more: Partial<CheckSpec & { kind: "radius" }> = {}): Promise<Verdict> =>
    check({ ...common(port), timeoutMs: 3000, kind: "radius", ...al, secret: "testing123", ...more });
  beforeAll(async () => {
    port = await servers.freeradius();
    for (let i = 0; i < 20 && !(await ask()).ok; i++)
      await new Promise((resolve) => setTimeout(resolve, 300));
  });
  test("accepts the right password, no other, and no other secret", async () => {
    expect(await ask()).toMatchObject({ ok: true, detail: "Access-Accept" });
    expect(await ask({ password: "wrong" })).toMatchObject({ ok: false, reason: "login" });
    expect(await ask({ login: "nobody" })).toMatchObject({ ok: false, reason: "login" });
    // A request signed with another secret is not answered at all.
    expect(await ask({ secret: "other", timeoutMs: 500 })).toMatchObject({ ok: false, reason: "timeout" });
  });
});

const databases = [
  ["mariadb", "mysql", "/usr/sbin/mariadbd", () => servers.mariadb()],
  ["postgresql", "pgsql", postgresBin(), () => servers.postgresql(postgresBin()!)],
] as const;
for (const [name, engine, program, start] of databases) {
  withServer(name, program, () => {
    let port = 0;
    beforeAll(async () => {
      port = await start();
    });
    const ask = (more: Partial<CheckSpec & { kind: "sql" }> = {}): Promise<Verdict> =>
      check({
        ...common(port),
        kind: "sql",
        engine,
        ...al,
        database: "shop",
        query: "/SELECT name FROM items",
        ...more,
      });
    test("lets the right password in, and gives rows", async () => {
      expect(await ask()).toMatchObject({ ok: true, detail: "the query gave 2 rows" });
      expect(await ask({ query: "SELECT 1" })).toMatchObject({ ok: true, detail: "the query gave 1 row" });
    });
    test("refuses what is wrong", async () => {
      expect(await ask({ password: "wrong" })).toMatchObject({ ok: false, reason: "login" });
      expect(await ask({ database: "nowhere" })).toMatchObject({ ok: false });
      expect(await ask({ query: "SELECT name FROM items WHERE name = 'z'" })).toMatchObject({
        ok: false,
        detail: "the query gave no row",
      });
      expect(await ask({ query: "SELECT nonsense FROM nowhere" })).toMatchObject({
        ok: false,
        reason: "answer",
      });
    });
  });
}
