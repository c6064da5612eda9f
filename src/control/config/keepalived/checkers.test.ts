import { describe, expect, it } from "vitest";
import { around, codes, reading } from "./testing.ts";

const checks = (checker: string, options = "") =>
  reading(around(checker, options)).wanted.virtualServers[0].servers[0].checks;
const spec = (checker: string) => checks(checker)[0].spec;
const timing = (checker: string) => checks(checker)[0].timing;

describe("words that do nothing", () => {
  it.each([
    ["HTTP_GET {\nurl {\npath /\nregex_no_match\n}\n}", "no-effect"],
    ["HTTP_GET {\nurl {\npath /\n}\nenable_sni\n}", "no-effect"],
    ["UDP_CHECK {\nmin_reply_length 4\n}", "no-effect"],
  ])("%j is told", (checker, code) => {
    expect(reading(around(checker)).diagnostics.map((d) => `${d.severity} ${d.code}`)).toEqual([
      `warning ${code}`,
    ]);
  });

  it.each([
    ["ip_family inet6", "no-effect"],
    ["persistence_engine sip", "no-effect"],
    ["sorry_server_lvs_method DR", "no-effect"],
    ["sh-port", "no-effect"],
  ])("%s of a virtual server alone is told, and does nothing", (word, code) => {
    const read = reading(around("", "", word));
    expect(read.diagnostics.map((d) => d.code)).toEqual([code]);
    expect(read.wanted.virtualServers[0].service.schedFlags).toBe(0);
  });

  it("a lower threshold without an upper one is left out, with an error: no table takes it", () => {
    const read = reading(around("", "lthreshold 9"));
    expect(read.diagnostics.map((d) => `${d.severity} ${d.code}`)).toEqual(["error bad-range"]);
    expect(read.wanted.virtualServers[0].servers[0]).toMatchObject({ upper: 0, lower: 0 });
  });
});

it("users and groups that do not exist are told where they stand, for checks and for notify scripts", () => {
  const others = { "/etc/passwd": "web:x:33:33::/:\n", "/etc/group": "www:x:33:\n" };
  const read = (user: string) =>
    reading(
      around(`MISC_CHECK {\nmisc_path /bin/true\nuser ${user}\n}`, `notify_up /bin/true ${user}`),
      {},
      others,
    ).diagnostics.flatMap((d) => (d.severity === "error" ? [`${d.at.line} ${d.message}`] : []));
  expect(read("web www")).toEqual([]);
  expect(read("33 33")).toEqual([]);
  const nobody = "there is no user wob; the program cannot run";
  expect(read("wob www")).toEqual([`7 ${nobody}`, `10 ${nobody}`]);
  expect(read("web wow")).toEqual([7, 10].map((n) => `${n} there is no group wow; the program cannot run`));
});

it.each([`${"a".repeat(64)}.org`, `${"a.".repeat(200)}b`])("DNS_CHECK cannot ask for %s", (name) => {
  const read = reading(around(`DNS_CHECK {\nname ${name}\n}`));
  expect(read.diagnostics.map((d) => `${d.severity} ${d.code}`)).toEqual(["error incomplete-checker"]);
  expect(read.wanted.virtualServers[0].servers[0].checks).toEqual([]);
});

describe("where a check goes", () => {
  it("is the real server, unless it is told otherwise", () => {
    expect(spec("TCP_CHECK {\n}").target).toEqual({ family: 4, address: "10.0.1.1", port: 8080 });
    const told =
      "connect_ip 10.9.9.9\nconnect_port 81\nbindto 10.8.8.8\nbind_port 1024\nbind_if eth0\nfwmark 7";
    expect(spec(`TCP_CHECK {\n${told}\n}`).target).toEqual({
      family: 4,
      address: "10.9.9.9",
      port: 81,
      bindAddress: "10.8.8.8",
      bindPort: 1024,
      bindInterface: "eth0",
      fwmark: 7,
    });
  });

  it("must be of one family", () => {
    expect(codes(reading(around("TCP_CHECK {\nbindto fd00::1\n}")))).toEqual(["9:8 error family-mismatch"]);
  });
});

describe("defaults of timing, in ms: retry, before retry, while down", () => {
  it.each([
    ["TCP_CHECK {\n}", 1, 1000, 60000],
    ["HTTP_GET {\nurl {\npath /\n}\n}", 1, 3000, 60000],
    ["HTTP_GET {\nurl {\npath /\n}\ndelay_loop 2\n}", 1, 3000, 3000],
    ["SMTP_CHECK {\n}", 1, 1000, 60000],
    ["DNS_CHECK {\n}", 3, 60000, 60000],
    ["MISC_CHECK {\nmisc_path /bin/true\n}", 0, 1000, 60000],
    ["UDP_CHECK {\n}", 1, 1000, 60000],
    ["PING_CHECK {\n}", 1, 1000, 60000],
  ])("%j", (checker, retry, delayBeforeRetryMs, downDelayMs) => {
    expect(timing(checker)).toMatchObject({
      retry,
      delayBeforeRetryMs,
      downDelayMs,
      firstFailureCounts: true,
    });
  });

  it("TCP and SMTP have rounds of retries instead while down", () => {
    expect(timing("TCP_CHECK {\nretry 3\n}").downDelayMs).toBeUndefined();
  });
});

describe("HTTP_GET and SSL_GET", () => {
  it("send each url its own name by SNI, without a port, and only when asked to", () => {
    const names = (more: string, kind = "SSL_GET") =>
      spec(`${kind} {\nurl {\npath /\nvirtualhost u:443\n}\nurl {\npath /\n}\nvirtualhost h\n${more}\n}`) as {
        readonly urls?: readonly { readonly sni?: string }[];
      };
    expect(names("enable_sni").urls?.map(({ sni }) => sni)).toEqual(["u", "h"]);
    expect(names("sni_name s")).toMatchObject({
      sni: "s",
      urls: [{ virtualhost: "u:443" }, { virtualhost: "h" }],
    });
    expect(JSON.stringify([names(""), names("enable_sni", "HTTP_GET")])).not.toContain("sni");
  });

  it("have urls with all they say", () => {
    const url =
      'url {\npath "/a b"\nstatus_code 200-299 404\ndigest D41D8CD98F00B204E9800998ECF8427E\nvirtualhost u\nregex "^ok$"\nregex_no_match\nregex_options caseless multiline\nregex_min_offset 3\nregex_max_offset 90\nregex_stack 1 2\n}';
    expect(
      spec(
        `SSL_GET {\n${url}\nurl {\npath /2\n}\nvirtualhost h\nhttp_protocol 1.1\nenable_sni\nfast_recovery\n}`,
      ),
    ).toMatchObject({
      kind: "http",
      tls: true,
      version: "1.1",
      method: "GET",
      fastRecovery: true,
      redirects: 0,
      urls: [
        {
          path: "/a b",
          statusCodes: [
            [200, 299],
            [404, 404],
          ],
          digest: "d41d8cd98f00b204e9800998ecf8427e",
          virtualhost: "u",
          pattern: { flags: "i", negated: true },
          patternOffset: { min: 3, max: 90 },
        },
        { path: "/2", statusCodes: [], virtualhost: "h" },
      ],
    });
  });

  it("take the SSL block for their certificate", () => {
    const read = reading(
      `SSL {\nca /ca.pem\ncertificate /c.pem\nkey /k.pem\npassword x\n}\n${around("SSL_GET {\nurl {\npath /\n}\n}")}`,
    );
    expect(read.wanted.virtualServers[0].servers[0].checks[0].spec).toMatchObject({
      client: { ca: "/ca.pem", certificate: "/c.pem", key: "/k.pem", password: "x" },
    });
  });

  it("without a url, or with a url without a path, are told and left out", () => {
    const read = reading(around("HTTP_GET {\nurl {\n}\n}"));
    expect(codes(read)).toEqual(["8:1 error incomplete-checker", "9:1 error incomplete-checker"]);
    expect(read.wanted.virtualServers[0].servers[0].checks).toEqual([]);
  });

  it("tell the place and the reason of a pattern that has no counterpart", () => {
    const { diagnostics } = reading(around('HTTP_GET {\nurl {\npath /\nregex "a(?R)"\n}\n}'));
    expect(diagnostics).toMatchObject([{ code: "bad-pattern", at: { line: 11, column: 7 } }]);
    expect(diagnostics[0].message).toContain("recursion");
  });
});

it("SMTP_CHECK has a name to give and, in its old form, hosts", () => {
  expect(spec("SMTP_CHECK {\n}")).toMatchObject({ kind: "smtp", helo: "smtpchecker.keepalived.org" });
  const hosts = checks(
    "SMTP_CHECK {\nhelo_name me\nhost {\nconnect_ip 10.5.5.5\nconnect_port 25\n}\nhost {\nconnect_port 26\n}\n}",
  );
  expect(hosts.map(({ spec: { target } }) => `${target.address}:${target.port}`)).toEqual([
    "10.5.5.5:25",
    "10.0.1.1:26",
  ]);
});

it("DNS_CHECK has a name and a type", () => {
  expect(spec("DNS_CHECK {\n}")).toMatchObject({ kind: "dns", name: ".", type: "SOA" });
  expect(spec("DNS_CHECK {\ntype a\nname x.example\n}")).toMatchObject({ name: "x.example", type: "A" });
});

it("UDP_CHECK has bytes to send and to expect", () => {
  expect(
    spec("UDP_CHECK {\npayload 01 0A\nrequire_reply 0x1f\nmin_reply_length 2\nmax_reply_length 9\n}"),
  ).toMatchObject({
    kind: "udp",
    payload: "010a",
    requireReply: { minBytes: 2, maxBytes: 9, bytes: "0x1f" },
  });
  expect(spec("UDP_CHECK {\nrequire_reply\n}")).toMatchObject({
    requireReply: { minBytes: 0, maxBytes: 255 },
  });
});

describe("MISC_CHECK", () => {
  it("has a program, cut without a shell", () => {
    const checker = `MISC_CHECK {\nmisc_path "/bin/check -a 'x y'"\nmisc_timeout 4\nmisc_dynamic\nuser web www\n}`;
    expect(spec(checker)).toMatchObject({
      kind: "misc",
      command: ["/bin/check", "-a", "x y"],
      dynamic: true,
      timeoutMs: 4000,
      user: "web",
      group: "www",
    });
    expect(spec("MISC_CHECK {\nmisc_path /bin/check a b\n}")).toMatchObject({
      command: ["/bin/check", "a", "b"],
    });
  });

  it("tells of a program that is not there, which keepalived drops without a word", () => {
    const read = reading(around("MISC_CHECK {\nmisc_path /bin/none\n}"));
    expect(codes(read).filter((code) => code.includes("error"))).toEqual(["8:1 error script-missing"]);
    expect(read.wanted.virtualServers[0].servers[0].checks.length).toBe(1);
  });
});

it("FILE_CHECK comes last, with the weight of its track_file or its own", () => {
  const file = "track_file f {\nfile /var/f\nweight 3\n}\n";
  const text =
    file +
    around("FILE_CHECK {\ntrack_file f\n}\nFILE_CHECK {\ntrack_file f\nweight 5 reverse\n}\nTCP_CHECK {\n}");
  const kinds = reading(text).wanted.virtualServers[0].servers[0].checks.map((each) => each.spec);
  expect(kinds).toMatchObject([
    { kind: "tcp" },
    { kind: "file", path: "/var/f", weight: 3, reverse: false },
    { kind: "file", weight: 5, reverse: true },
  ]);
  expect(codes(reading(around("FILE_CHECK {\ntrack_file none\n}")))).toEqual([
    "8:1 error incomplete-checker",
    "9:12 error undefined-reference",
  ]);
});

it("BFD_CHECK is known and has no effect, which is told", () => {
  expect(
    codes(reading(`bfd_instance b {\nneighbor_ip 10.0.0.9\n}\n${around("BFD_CHECK {\nname b\n}")}`)),
  ).toEqual(["1:1 notice no-effect", "11:1 warning no-effect"]);
});

it("nb_get_retry is read as retry in every checker", () => {
  for (const kind of ["TCP_CHECK", "SMTP_CHECK", "DNS_CHECK", "UDP_CHECK", "PING_CHECK"]) {
    expect(timing(`${kind} {\nnb_get_retry 4\n}`).retry).toBe(4);
  }
});

it.each([
  ["TCP_CHECK {\nconnect_timeout 0\n}", "9:17 error bad-number"],
  ["TCP_CHECK {\nconnect_port 99999\n}", "9:14 error bad-number"],
  ["TCP_CHECK {\nretry 1.5\n}", "9:7 error bad-number"],
  ["TCP_CHECK {\nconnect_ip web\n}", "9:12 error bad-address"],
  ["HTTP_GET {\nurl {\npath /\nstatus_code 99\n}\n}", "11:13 error bad-value"],
  ["HTTP_GET {\nurl {\npath /\ndigest abc\n}\n}", "11:8 error bad-value"],
  ["UDP_CHECK {\npayload xyz\n}", "9:9 error bad-value"],
  ["DNS_CHECK {\ntype AAAAA\n}", "9:6 error bad-value"],
])("%j is told at its place", (checker, expected) => {
  expect(codes(reading(around(checker)))).toEqual([expected]);
});
