import { expect, it } from "vitest";
import { lineServer } from "../../testkit/checked-server.ts";
import type { Verdict } from "./check.ts";
import { createChecker } from "./create.ts";

/** Checks a server with this greeting and these answers; also what it was told. */
async function check(
  greeting: string,
  answers: Readonly<Record<string, string>>,
  ehlo: boolean,
): Promise<{ verdict: Verdict; told: string[] }> {
  const told: string[] = [];
  const server = await lineServer(greeting, (line) => {
    told.push(line);
    const reply = answers[line.split(" ")[0]!];
    return reply === undefined ? undefined : `${reply}\r\n`;
  });
  const target = { family: 4, address: "127.0.0.1", port: server.port } as const;
  const checker = createChecker({ kind: "smtp", target, timeoutMs: 10_000, helo: "me.example", ehlo });
  const verdict = await checker.check(new AbortController().signal);
  await server.close();
  return { verdict, told };
}

const GOOD = { HELO: "250 hello", EHLO: "250-hello\r\n250-SIZE\r\n250 HELP", QUIT: "221 bye" };

it("SMTP wants 220, 250 to HELO, and takes its leave", async () => {
  const { verdict, told } = await check("220 mx ESMTP\r\n", GOOD, false);
  expect(verdict).toMatchObject({ ok: true, detail: "220 mx ESMTP" });
  expect(told).toEqual(["HELO me.example", "QUIT"]);
});

it("SMTP accepts replies of several lines, and a close instead of 221", async () => {
  const { verdict } = await check("220-mx\r\n220-wait\r\n220 go\r\n", { HELO: "250-a\r\n250 b" }, false);
  expect(verdict).toMatchObject({ ok: true });
});

it("SMTP refuses other codes", async () => {
  expect((await check("554 go away\r\n", GOOD, false)).verdict).toMatchObject({
    ok: false,
    reason: "greeting",
    detail: 'greeting "554 go away", wanted 220',
  });
  expect((await check("220 mx\r\n", { HELO: "550 no" }, false)).verdict).toMatchObject({
    ok: false,
    reason: "answer",
  });
  expect((await check("220 mx\r\n", {}, false)).verdict).toMatchObject({
    ok: false,
    reason: "closed",
    detail: "closed by the server while waiting for the answer to HELO",
  });
  expect((await check("2200 mx\r\n", GOOD, true)).verdict).toMatchObject({ ok: false });
});

it("SMTP says EHLO for ldirectord, and HELO when that is refused", async () => {
  expect((await check("220 mx\r\n", GOOD, true)).told).toEqual(["EHLO me.example", "QUIT"]);
  const old = await check("220 mx\r\n", { ...GOOD, EHLO: "502 what" }, true);
  expect(old.told).toEqual(["EHLO me.example", "HELO me.example", "QUIT"]);
  expect(old.verdict).toMatchObject({ ok: true });
  expect((await check("220 mx\r\n", { EHLO: "502 what", HELO: "502 no" }, true)).verdict).toMatchObject({
    ok: false,
  });
});
