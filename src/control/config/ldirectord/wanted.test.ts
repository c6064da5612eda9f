import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryFiles } from "../files.ts";
import { type Facts, readLdirectord } from "./index.ts";

const facts = (text: string): Partial<Facts> => ({
  files: memoryFiles({ "/c.cf": text }),
  names: {
    address: (name, family) =>
      name === "web.test" ? (family === 4 ? "10.9.9.9" : "2001:db8::9") : undefined,
    port: (name) => ({ http: 80, domain: 53 })[name],
  },
  appendRefusal: () => undefined,
  hostName: "director.test",
  userName: "root",
  sqlRefusal: (engine) => (engine === "oracle" ? "there is no client for Oracle" : undefined),
});

const read = (text: string) => readLdirectord("/c.cf", facts(text));

/** Reads a file without errors. */
function fine(text: string) {
  const { wanted, diagnostics } = read(text);
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return wanted;
}

const block = (...lines: string[]) =>
  lines.map((line, i) => (i === 0 ? `${line}\n` : `\t${line}\n`)).join("");
const first = (text: string) => fine(text).virtualServers[0]!;
const checkOf = (...lines: string[]) => first(block(...lines)).servers[0]!.checks[0]!.spec;
const errors = (text: string) =>
  read(text)
    .diagnostics.filter(({ severity }) => severity === "error")
    .map(({ at, code, remedy }) => ({ line: at.line, column: at.column, code, ...(remedy && { remedy }) }));

describe("what does nothing, or not what it seems", () => {
  const told = (...lines: string[]) =>
    read(block("virtual=192.0.2.1:80", "real=10.0.0.1:80 gate", ...lines)).diagnostics.map(
      ({ at, severity, code }) => `${at.line} ${severity} ${code}`,
    );

  test.each([
    [['load="x"'], "3 notice no-effect"],
    [["service=smtp", 'receive="x"'], "4 notice no-effect"],
    [["checktype=connect", 'receive="x"'], "4 notice no-effect"],
    [["httpmethod=HEAD", 'receive="x"'], "1 warning never-up-head"],
    [["checktype=external", "checkcommand=/bin/check -x"], "1 warning never-up-external"],
    [["checktype=external-perl", "checkcommand=/bin/check.pl"], "1 warning never-up-external"],
  ])("%j is told", (lines, expected) => {
    expect(told(...lines)).toEqual([expected]);
  });

  test("a receive that counts is not", () => {
    expect(told('receive="x"')).toEqual([]);
    expect(told("service=simpletcp", 'receive="x"', "checktype=5")).toEqual([]);
    expect(told("checktype=negotiate", 'receive="("')).toEqual(["4 error bad-pattern"]);
  });

  test("a lower threshold above the upper one is left out: no table takes it", () => {
    const text = block("virtual=192.0.2.1:80", "real=10.0.0.1:80 gate 1 l:5");
    expect(read(text).diagnostics.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      "warning bad-threshold",
    ]);
    expect(first(text).servers[0]).toMatchObject({ lower: 0, upper: 0 });
  });

  test("a callback that cannot be run", () => {
    expect(read('callback="/bin/nix"\n').diagnostics.map(({ code }) => code)).toEqual(["not-executable"]);
  });
});

describe("services", () => {
  test("a tcp service, its servers and its sorry server", () => {
    const { servers, sorry, ...service } = first(
      `checkinterval=7\nfailurecount=3\n${block(
        "virtual=192.0.2.1:80",
        "real=10.0.0.1->10.0.0.2:8080 masq 5 l:10 u:20",
        "scheduler=sh",
        "schedflags=sh-port",
        "persistent=600",
        "netmask=255.255.255.0",
        "fallback=127.0.0.1:8081 masq",
        "cleanstop=no",
      )}`,
    );
    expect(service).toMatchObject({
      name: "[192.0.2.1]:tcp:80",
      ids: [{ kind: "address", family: 4, protocol: "tcp", address: "192.0.2.1", port: 80 }],
      service: {
        scheduler: "sh",
        schedFlags: 2,
        persistent: true,
        timeoutS: 600,
        netmask: 0xffffff00,
        onePacket: false,
      },
      keepOnStop: true,
    });
    expect(sorry).toMatchObject({ id: { address: "127.0.0.1", port: 8081 }, method: "nat", inhibit: false });
    expect(
      servers.map(({ id, method, weight, upper, lower }) => ({ ...id, method, weight, upper, lower })),
    ).toEqual(
      ["10.0.0.1", "10.0.0.2"].map((address) => ({
        family: 4,
        address,
        port: 8080,
        method: "nat",
        weight: 5,
        upper: 20,
        lower: 10,
      })),
    );
    expect(servers[0]!.checks).toMatchObject([
      { alpha: true, timing: { delayLoopMs: 7000, retry: 2, firstFailureCounts: false, warmupMs: 0 } },
    ]);
  });

  test("gate and ipip servers get the service's port, and are checked on their own", () => {
    const { servers, sorry } = first(
      block(
        "virtual=192.0.2.1:80",
        "real=10.0.0.1:8080 gate",
        "real=10.0.0.2:8080 ipip",
        "fallback=127.0.0.1:99",
      ),
    );
    expect(servers.map(({ id }) => id.port)).toEqual([80, 80]);
    expect(servers.map(({ checks }) => checks[0]!.spec.target.port)).toEqual([8080, 8080]);
    expect(sorry!.id.port).toBe(80);
    const { diagnostics } = read(block("virtual=192.0.2.1:80", "real=10.0.0.1:8080 gate"));
    expect(diagnostics).toMatchObject([{ severity: "notice", code: "port-mapped", at: { line: 2 } }]);
  });

  test("a firewall mark keeps the ports that are given, and takes 0 where none is", () => {
    const wanted = fine(
      `fallback=127.0.0.1\n${block("virtual=7", "real=10.0.0.1 gate", "real=10.0.0.2:81 gate")}`,
    );
    const { ids, servers, sorry, name } = wanted.virtualServers[0]!;
    expect(ids).toEqual([{ kind: "fwmark", family: 4, fwmark: 7 }]);
    expect(name).toBe("FWM 7");
    expect(servers.map(({ id }) => id.port)).toEqual([0, 81]);
    expect(sorry!.id.port).toBe(0);
  });

  test("IPv6 services have their own fallback and names", () => {
    const wanted = fine(
      `fallback=127.0.0.1\nfallback6=[::1]:81 masq\n${block("virtual6=[2001:DB8:0:0::1]:http", "real6=web.test:80 masq")}`,
    );
    const { ids, sorry, servers } = wanted.virtualServers[0]!;
    expect(ids).toMatchObject([{ family: 6, address: "2001:db8::1", port: 80 }]);
    expect(sorry!.id).toEqual({ family: 6, address: "::1", port: 81 });
    expect(servers[0]!.id.address).toBe("2001:db8::9");
  });

  test("one-packet scheduling is for udp only", () => {
    const ops = (...lines: string[]) =>
      first(block("virtual=192.0.2.1:80", "ops=yes", ...lines)).service.onePacket;
    expect(ops()).toBe(false);
    expect(ops("protocol=udp")).toBe(true);
  });

  test("a netmask without persistence has no effect", () => {
    const { service } = first(block("virtual=192.0.2.1:80", "netmask=255.0.0.0"));
    expect(service).toMatchObject({ persistent: false, timeoutS: 0, netmask: 0xffffffff });
  });

  test("quiescent keeps failed servers in the table", () => {
    const inhibit = (text: string) => first(text).servers[0]!.inhibitOnFailure;
    const lines = ["virtual=192.0.2.1:80", "real=10.0.0.1:80 gate"];
    expect(inhibit(block(...lines))).toBe(false);
    expect(inhibit(`quiescent=yes\n${block(...lines)}`)).toBe(true);
    expect(inhibit(`quiescent=yes\n${block(...lines, "quiescent=no")}`)).toBe(false);
  });

  test("a server listed twice is one entry, as its last line says, and that is told", () => {
    const text = block("virtual=192.0.2.1:80", "real=10.0.0.1:80 gate 1", "real=10.0.0.1:81 gate 2");
    const { wanted, diagnostics } = read(text);
    expect(wanted.virtualServers[0]!.servers.map(({ weight }) => weight)).toEqual([2]);
    expect(diagnostics.map(({ code }) => code)).toContain("twice");
  });
});

describe("checks", () => {
  const web = ["virtual=192.0.2.1:80", "real=10.0.0.1:8080 masq"];

  test("http asks for the request and looks for the expression in a good answer", () => {
    const spec = checkOf(
      ...web,
      'request="a b?x=ü"',
      'receive="^al[i]ve$"',
      "virtualhost=www.test",
      "httpmethod=head",
    );
    expect(spec).toMatchObject({
      kind: "http",
      tls: false,
      method: "HEAD",
      target: { family: 4, address: "10.0.0.1", port: 8080 },
      timeoutMs: 30_000,
      redirects: 7,
      urls: [{ path: "/a%20b?x=%C3%BC", statusCodes: [[200, 299]], virtualhost: "www.test" }],
    });
    const { pattern } = (spec as Extract<typeof spec, { kind: "http" }>).urls[0]!;
    const regex = new RegExp(pattern!.source, pattern!.flags);
    expect([regex.test("alive\n"), regex.test("alive"), regex.test("alive\n\n")]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("without virtualhost the Host header is the real server's address", () => {
    expect(checkOf(...web)).toMatchObject({ urls: [{ virtualhost: "10.0.0.1", path: "/" }] });
  });

  test("https offers the virtualhost's name to the server", () => {
    const https = ["virtual=192.0.2.1:443", "real=10.0.0.1:443 gate"];
    expect(checkOf(...https, "virtualhost=www.test:443")).toMatchObject({ tls: true, sni: "www.test" });
    expect(checkOf(...https)).not.toHaveProperty("sni");
  });

  test("a request on a real line replaces the block's, with or without a leading slash", () => {
    for (const request of ["x", "/x"]) {
      const real = `real=10.0.0.1:80 gate 1 "${request}", "ok"`;
      expect(checkOf("virtual=192.0.2.1:80", real, 'request="y"')).toMatchObject({
        urls: [{ path: "/x", pattern: { source: "ok" } }],
      });
    }
  });

  test("a request that is a whole url goes there; a proxy is asked for it", () => {
    expect(checkOf(...web, 'request="http://web.test:81/x"')).toMatchObject({
      target: { address: "10.9.9.9", port: 81 },
      urls: [{ path: "/x" }],
    });
    expect(checkOf(...web, "service=http_proxy", 'request="http://web.test/x"')).toMatchObject({
      target: { address: "10.0.0.1", port: 8080 },
      urls: [{ path: "http://web.test/x" }],
    });
  });

  test.each([
    [21, "dialogue", { protocol: "ftp", tls: false, login: "" }],
    [25, "smtp", { ehlo: true, helo: "director.test" }],
    [110, "dialogue", { protocol: "pop", tls: false }],
    [119, "dialogue", { protocol: "nntp" }],
    [143, "dialogue", { protocol: "imap", tls: false }],
    [389, "ldap", { tls: false, base: "", timeoutMs: 5000 }],
    [587, "smtp", {}],
    [636, "ldap", { tls: true }],
    [993, "dialogue", { protocol: "imap", tls: true }],
    [995, "dialogue", { protocol: "pop", tls: true }],
    [1812, "radius", { secret: "" }],
    [3128, "http", { urls: [{ path: "/" }] }],
    [5060, "sip", { transport: "tcp", login: "" }],
    [7, "always", { up: true }],
  ])("port %i is checked by %s", (port, kind, more) => {
    const spec = checkOf(`virtual=192.0.2.1:${port}`, `real=10.0.0.1:${port} gate`);
    expect(spec).toMatchObject({ kind, target: { port }, ...more });
  });

  test("a named service fills in its login, and keeps one that is given", () => {
    const ftp = ["virtual=192.0.2.1:2121", "real=10.0.0.1:21 masq"];
    expect(checkOf(...ftp, "service=ftp")).toMatchObject({
      login: "anonymous",
      password: "ldirectord@director.test",
    });
    expect(checkOf(...ftp, 'login="me"', "service=ftp", 'passwd="pw"')).toMatchObject({
      login: "me",
      password: "pw",
    });
    expect(checkOf(...ftp, "service=sip", "protocol=udp")).toMatchObject({
      login: "ldirectord@director.test",
      transport: "udp",
    });
  });

  test("dns asks for an address, or for the name of one", () => {
    const dns = ["virtual=192.0.2.1:53", "real=10.0.0.1:53 masq", 'receive="x"'];
    expect(checkOf(...dns, 'request="www.test"')).toMatchObject({
      name: "www.test",
      type: "A",
      transport: "udp",
    });
    expect(checkOf(...dns, 'request="192.0.2.7"')).toMatchObject({
      name: "7.2.0.192.in-addr.arpa",
      type: "PTR",
    });
    expect(checkOf(...dns, "protocol=tcp")).toMatchObject({ name: ".", transport: "tcp" });
  });

  test("databases need login and request, and their client library", () => {
    const db = [
      "virtual=192.0.2.1:3306",
      "real=10.0.0.1:3306 gate",
      'login="u"',
      'passwd="p"',
      'request="SELECT 1"',
    ];
    expect(checkOf(...db, 'database="d"')).toMatchObject({
      kind: "sql",
      engine: "mysql",
      login: "u",
      password: "p",
      database: "d",
      query: "SELECT 1",
    });
    expect(checkOf(...db.slice(0, 2))).toMatchObject({ kind: "always", up: false });
    expect(errors(block(...db, "service=oracle"))).toMatchObject([{ line: 1, code: "no-client" }]);
  });

  test("connect, ping, external and hybrid checks", () => {
    expect(checkOf(...web, "checktype=connect", "checkport=99")).toMatchObject({
      kind: "tcp",
      target: { port: 99 },
      timeoutMs: 5000,
    });
    expect(checkOf(...web, "checktype=connect", "protocol=udp")).toMatchObject({ kind: "ping" });
    expect(checkOf(...web, "checktype=ping", "checkcount=3", "checktimeout=2")).toMatchObject({
      kind: "ping",
      attempts: 3,
      timeoutMs: 2000,
      size: 64,
    });
    expect(checkOf(...web, "checktype=external", "checkcommand=/bin/my check")).toMatchObject({
      kind: "misc",
      command: ["/bin/my check", "192.0.2.1", "80", "10.0.0.1", "8080"],
      dynamic: false,
    });
    expect(
      checkOf("virtual=9", "real=10.0.0.1 gate", "checktype=external-perl", "checkcommand=/x.pl"),
    ).toMatchObject({
      command: ["perl", "/x.pl", "9", "0", "10.0.0.1", "0"],
    });
    expect(checkOf(...web, "checktype=3")).toMatchObject({
      kind: "hybrid",
      count: 3,
      full: { kind: "http" },
      cheap: { kind: "tcp", target: { port: 8080 } },
    });
    expect(checkOf(...web, "checktype=3", "protocol=udp")).toMatchObject({
      cheap: { kind: "always", up: true },
    });
    expect(checkOf(...web, "checktype=0")).toMatchObject({ kind: "http" });
    expect(checkOf(...web, "checktype=off")).toMatchObject({ kind: "always", up: false });
    expect(checkOf(...web, "checktype=on")).toMatchObject({ kind: "always", up: true });
  });

  test("timeouts come from the nearest place that names one of the two", () => {
    const at = (globals: string, ...lines: string[]) => {
      const times = (type: string) =>
        first(globals + block(...web, `checktype=${type}`, ...lines)).servers[0]!.checks[0]!.spec.timeoutMs;
      return [times("connect"), times("negotiate")];
    };
    expect(at("")).toEqual([5000, 30_000]);
    expect(at("checktimeout=2\n")).toEqual([2000, 2000]);
    expect(at("negotiatetimeout=9\n")).toEqual([9000, 9000]);
    expect(at("checktimeout=2\nnegotiatetimeout=9\n")).toEqual([2000, 9000]);
    expect(at("checktimeout=2\nnegotiatetimeout=9\n", "negotiatetimeout=4")).toEqual([4000, 4000]);
    expect(at("negotiatetimeout=9\n", "checktimeout=3")).toEqual([3000, 3000]);
  });

  test("with a maintenance folder every server has a second check, by its own port", () => {
    const { servers } = first(`maintenancedir=/m\n${block(...web, "checkport=99")}`);
    expect(servers[0]!.checks.map(({ spec }) => spec)).toMatchObject([
      { kind: "maintenance", folder: "/m", target: { address: "10.0.0.1", port: 8080 } },
      { kind: "http", target: { port: 99 } },
    ]);
  });
});

describe("globals", () => {
  test("mail: receivers, sender, states, server; a block's own go before", () => {
    const { global, virtualServers } = fine(
      `emailalert="a@test, b@test"\nemailalertfreq=60\nemailalertstatus=running\n${block("virtual=192.0.2.1:80", "smtp=mail.test", "emailalert=c@test")}`,
    );
    expect(global.mail).toMatchObject({
      to: ["a@test", "b@test"],
      from: "root@director.test",
      repeatS: 60,
      states: ["running"],
    });
    expect(global.mail).not.toHaveProperty("server");
    expect(virtualServers[0]!.mail).toMatchObject({
      to: ["c@test"],
      repeatS: 60,
      server: { host: "mail.test", port: 25 },
    });
    expect(fine(block("virtual=192.0.2.1:80")).virtualServers[0]).not.toHaveProperty("mail");
  });

  test("globals behind a block count for it", () => {
    const { virtualServers } = fine(
      `${block("virtual=192.0.2.1:80", "real=10.0.0.1:80 gate")}checkinterval=3\n`,
    );
    expect(virtualServers[0]!.servers[0]!.checks[0]!.timing.delayLoopMs).toBe(3000);
  });

  test("checkinterval in a block needs fork=yes", () => {
    const lines = block("virtual=192.0.2.1:80", "real=10.0.0.1:80 gate", "checkinterval=2");
    const interval = (text: string) => first(text).servers[0]!.checks[0]!.timing.delayLoopMs;
    expect(interval(lines)).toBe(10_000);
    expect(interval(`${lines}fork=yes\n`)).toBe(2000);
  });
});

describe("errors", () => {
  test("an expression that is none is an error at its place", () => {
    const text = block(
      "virtual=192.0.2.1:80",
      "real=10.0.0.1:80 gate",
      "real=10.0.0.2:80 gate",
      'receive="a(b"',
    );
    expect(errors(text)).toMatchObject([{ line: 4, column: 11, code: "bad-pattern" }]);
    const real = block("virtual=192.0.2.1:80", 'real=10.0.0.1:80 gate 1 "x", "[a"');
    expect(errors(real)).toMatchObject([{ line: 2, column: 32, code: "bad-pattern" }]);
  });

  test("an empty line inside a block is explained once", () => {
    const text = `${block("virtual=192.0.2.1:80", "real=10.0.0.1:80 gate")}\n\tscheduler=rr\n\tpersistent=5\nchecktimeout=3\n`;
    expect(errors(text)).toEqual([
      {
        line: 4,
        column: 2,
        code: "indented",
        remedy:
          "a block ends at an empty line, and at a line that is not indented: remove what stands between",
      },
    ]);
  });

  test.each([
    ["chektimeout=5\n", "did you mean checktimeout?"],
    ["scheduler=rr\n", "it belongs into the block of a virtual service: indent it by a tab"],
    [block("virtual=192.0.2.1:80", "autoreload=yes"), "it stands outside the blocks, in the first column"],
    [
      block("virtual=192.0.2.1:80", "quiescent=yes # note"),
      "write yes and nothing behind it: no blank, no comment, no carriage return",
    ],
    [block("virtual=[2001:db8::1]:80"), "write virtual6=[2001:db8::1]:80"],
    [block("virtual=192.0.2.1"), "the port is missing: 192.0.2.1:80"],
    [
      block("virtual=192.0.2.1:80", "real=10.0.0.1:80"),
      "write gate (direct routing), masq (NAT) or ipip (tunnel)",
    ],
    [
      block("virtual=192.0.2.1:80", "\u00a0real=10.0.0.1:80 gate"),
      "the line has no-break spaces or curly quotes, pasted from a page: type plain ones",
    ],
  ])("%j has a remedy", (text, remedy) => {
    expect(errors(text)).toMatchObject([{ remedy }]);
  });

  test("all errors are told, in the order in which the original would meet them", () => {
    const text = `${block("virtual=nobody.test:80", "real=10.0.0.1:80 foo", "wait=3", "fallback=nobody.test")}quiescent=maybe\n`;
    expect(errors(text).map(({ line }) => line)).toEqual([3, 4, 1, 2, 5]);
  });

  test("garbage never throws, and is refused or read", () => {
    const words = fc.constantFrom(
      "virtual=192.0.2.1:80\n",
      "virtual6=[::1]:80\n",
      "virtual=7\n",
      "\t",
      "    ",
      "real=10.0.0.1:80 gate",
      "real=",
      ' 1 "a","b"',
      "->",
      'request="',
      'receive="("',
      "#",
      "\n",
      "\r\n",
      "quiescent=yes",
      "fallback=",
      "=",
      "checktype=3",
      "schedflags=x",
      "service=dns",
    );
    const text = fc
      .array(fc.oneof(words, fc.string({ maxLength: 8 })), { maxLength: 30 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (garbage) => {
        const { diagnostics } = read(garbage);
        const lines = garbage.split("\n").length;
        for (const { at } of diagnostics)
          expect(at.line >= 1 && at.line <= lines && at.column >= 1).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
