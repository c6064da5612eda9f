import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { certificate, lineServer, tcpServer } from "../../testkit/checked-server.ts";
import type { CheckSpec, PatternSpec, Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

type DialogueSpec = CheckSpec & { readonly kind: "dialogue" };

interface Heard {
  readonly verdict: Verdict;
  readonly told: string[];
}

/** Checks a server with this greeting and these answers, by first words of a line; also what it was told. */
async function check(
  spec: Pick<DialogueSpec, "protocol"> & Partial<DialogueSpec>,
  greeting: string,
  answers: Readonly<Record<string, string>> = {},
): Promise<Heard> {
  const told: string[] = [];
  const server = await lineServer(
    greeting,
    (line) => {
      told.push(line);
      const key = Object.keys(answers).find((start) => line.startsWith(start));
      return key === undefined ? undefined : answers[key];
    },
    spec.tls ? { tls: certificate("x") } : {},
  );
  const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
  const plain = {
    kind: "dialogue",
    target,
    timeoutMs: 10_000,
    tls: false,
    login: "",
    password: "",
    request: "",
  } as const;
  const verdict = await createChecker({ ...plain, ...spec }).check(new AbortController().signal);
  await server.close();
  return { verdict, told };
}

const user = { login: "al", password: 'p"\\ss' };
const pattern = (source: string, flags = ""): PatternSpec => ({ source, flags });

describe("pop", () => {
  const good = { USER: "+OK\r\n", PASS: "+OK in\r\n", STAT: "+OK 0 0\r\n", QUIT: "+OK\r\n" };
  it("without a login needs a greeting that is +OK", async () => {
    expect((await check({ protocol: "pop" }, "+OK ready\r\n")).verdict).toMatchObject({ ok: true });
    expect((await check({ protocol: "pop" }, "-ERR full\r\n")).verdict).toMatchObject({
      ok: false,
      reason: "greeting",
    });
  });

  it("logs in with USER and PASS and looks at the mailbox", async () => {
    const { verdict, told } = await check({ protocol: "pop", ...user }, "+OK ready\r\n", good);
    expect(verdict).toMatchObject({ ok: true, detail: "logged in" });
    expect(told.slice(0, 3)).toEqual(["USER al", 'PASS p"\\ss', "STAT"]);
    const wrong = await check({ protocol: "pop", ...user }, "+OK ready\r\n", {
      ...good,
      PASS: "-ERR no\r\n",
    });
    expect(wrong.verdict).toMatchObject({
      ok: false,
      reason: "login",
      detail: 'login "-ERR no", wanted +OK',
    });
  });

  it("logs in with APOP where the greeting offers it, and over TLS", async () => {
    const stamp = "<1896.697170952@dbc.mtview.ca.us>"; // RFC 1939 §7
    const { verdict, told } = await check(
      { protocol: "pop", tls: true, login: "mrose", password: "tanstaaf" },
      `+OK POP3 server ready ${stamp}\r\n`,
      { ...good, APOP: "+OK\r\n" },
    );
    expect(verdict).toMatchObject({ ok: true });
    expect(told[0]).toBe("APOP mrose c4c9334bac560ecc979e58001b3e22fb");
    expect(createHash("md5").update(`${stamp}tanstaaf`).digest("hex")).toBe(
      "c4c9334bac560ecc979e58001b3e22fb",
    );
  });
});

describe("imap", () => {
  it("without a login needs * OK or * PREAUTH", async () => {
    expect((await check({ protocol: "imap" }, "* OK ready\r\n")).verdict).toMatchObject({ ok: true });
    expect((await check({ protocol: "imap" }, "* PREAUTH hi\r\n")).verdict).toMatchObject({ ok: true });
    expect((await check({ protocol: "imap" }, "* BYE full\r\n")).verdict).toMatchObject({
      ok: false,
      reason: "greeting",
    });
  });

  it("logs in with quoted words, overlooking untagged lines, over TLS too", async () => {
    for (const tls of [false, true]) {
      const { verdict, told } = await check({ protocol: "imap", ...user, tls }, "* OK\r\n", {
        "a1 LOGIN": "* CAPABILITY X\r\na1 OK in\r\n",
      });
      expect(verdict).toMatchObject({ ok: true });
      expect(told[0]).toBe('a1 LOGIN "al" "p\\"\\\\ss"');
    }
    const { verdict } = await check({ protocol: "imap", ...user }, "* OK\r\n", {
      "a1 LOGIN": "a1 NO no\r\n",
    });
    expect(verdict).toMatchObject({ ok: false, reason: "login" });
  });
});

describe("nntp", () => {
  it("needs a greeting that begins with 2", async () => {
    expect((await check({ protocol: "nntp" }, "200 ready\r\n")).verdict).toMatchObject({ ok: true });
    expect((await check({ protocol: "nntp" }, "502 no\r\n")).verdict).toMatchObject({
      ok: false,
      reason: "greeting",
    });
  });
});

describe("simpletcp", () => {
  const request = "/PING\\nEND\\n";
  it("sends the request without its slash, newlines written out, then half-closes", async () => {
    let heard = "";
    const server = await tcpServer(
      (socket) => {
        socket.on("data", (data) => {
          heard += data;
        });
        socket.on("end", () => socket.end("one\ntwo\n"));
      },
      { allowHalfOpen: true },
    );
    const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
    const ask = (more: Partial<DialogueSpec>): Promise<Verdict> =>
      createChecker({
        kind: "dialogue",
        protocol: "simpletcp",
        target,
        timeoutMs: 10_000,
        tls: false,
        login: "",
        password: "",
        request,
        ...more,
      }).check(new AbortController().signal);
    expect(await ask({ pattern: pattern("^two$", "m") })).toMatchObject({
      ok: true,
      detail: 'answered "two"',
    });
    expect(heard).toBe("PING\nEND\n");
    expect(await ask({ pattern: pattern("one.two", "s") })).toMatchObject({ ok: false, reason: "pattern" });
    expect(await ask({})).toMatchObject({ ok: true, detail: 'answered "one"' });
    await server.close();
  });

  it("without an answer fails", async () => {
    expect((await check({ protocol: "simpletcp", request }, "")).verdict).toMatchObject({
      ok: false,
      reason: "closed",
    });
  });
});

describe("ftp", () => {
  /** An FTP server with one file; `broken` answers of it are replaced. */
  async function fetch(
    more: Partial<DialogueSpec> = {},
    broken: Readonly<Record<string, string>> = {},
    host: "127.0.0.1" | "::1" = "127.0.0.1",
  ): Promise<Heard> {
    const data = createServer((socket) => socket.end("this is the file\n"));
    await new Promise<void>((resolve) => data.listen(0, host, resolve));
    const { port } = data.address() as { port: number };
    const replies: Readonly<Record<string, string>> = {
      USER: "331 password\r\n",
      PASS: "230-Welcome\r\n 230 not yet\r\n230 in\r\n",
      CWD: "250 ok\r\n",
      TYPE: "200 ok\r\n",
      // The address is a wrong one on purpose: it is not used.
      PASV: `227 Entering Passive Mode (192,0,2,1,${port >> 8},${port & 255})\r\n`,
      EPSV: `229 Entering Extended Passive Mode (|||${port}|)\r\n`,
      RETR: "150 here\r\n226 done\r\n",
      QUIT: "221 bye\r\n",
      ...broken,
    };
    const told: string[] = [];
    const server = await lineServer(
      "220-hello\r\n220 ready\r\n",
      (line) => {
        told.push(line);
        return replies[line.split(" ")[0]!];
      },
      { host },
    );
    const target = { family: host === "::1" ? 6 : 4, address: host, port: server.port } as const;
    const common = { kind: "dialogue", protocol: "ftp", target, timeoutMs: 10_000, tls: false } as const;
    const verdict = await createChecker({
      ...common,
      login: "anonymous",
      password: "me@x",
      request: "/f.txt",
      ...more,
    }).check(new AbortController().signal);
    await server.close();
    await new Promise((resolve) => data.close(resolve));
    return { verdict, told };
  }

  it("logs in, goes to /, and fetches the file in passive mode, over IPv4 and IPv6", async () => {
    const { verdict, told } = await fetch({ pattern: pattern("the file") });
    expect(verdict).toMatchObject({ ok: true, detail: "fetched 17 bytes" });
    expect(told.slice(0, 6)).toEqual([
      "USER anonymous",
      "PASS me@x",
      "CWD /",
      "TYPE I",
      "PASV",
      "RETR f.txt",
    ]);
    const six = await fetch({}, {}, "::1");
    expect(six.verdict).toMatchObject({ ok: true });
    expect(six.told).toContain("EPSV");
  });

  it("fails at a wrong password, a missing file, a file that does not match", async () => {
    expect((await fetch({}, { PASS: "530 no\r\n" })).verdict).toMatchObject({
      ok: false,
      reason: "login",
      detail: 'PASS answered "530 no"',
    });
    expect((await fetch({}, { RETR: "550 none\r\n" })).verdict).toMatchObject({
      ok: false,
      detail: 'RETR answered "550 none"',
    });
    expect((await fetch({ pattern: pattern("other") })).verdict).toMatchObject({
      ok: false,
      reason: "pattern",
    });
    expect((await fetch({}, { PASV: "227 what\r\n" })).verdict).toMatchObject({
      ok: false,
      reason: "answer",
    });
  });
});
