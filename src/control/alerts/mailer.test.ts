import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { MailSpec } from "../wanted.ts";
import { signed, vrrpLetter } from "./letters.ts";
import { type Letter, Mailer } from "./mailer.ts";

const told: string[] = [];
const log = { info: (text: string) => void told.push(text), warn: (text: string) => void told.push(text) };
const letter: Letter = { subject: "[r1] Virtualserver FWM 9 - UP", body: "=> x <=\n\n" };
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  told.length = 0;
});

/** A mail server that says what it is told to, and keeps what it hears. */
function smtp(answers: Readonly<Record<string, string>> = {}): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = [];
  const server = createServer((socket) => {
    let data = false;
    socket.write("220 here\r\n");
    socket.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\r\n").filter((l) => l !== "" || data)) {
        if (line === "") continue;
        heard.push(line);
        if (data && line !== ".") continue;
        const word = line.split(/[ :]/)[0]!.toUpperCase();
        data = word === "DATA";
        const usual = { DATA: "354 go on", QUIT: "221 bye", EHLO: "502 what", ".": "250 taken" }[word];
        socket.write(`${answers[word] ?? usual ?? "250 fine"}\r\n`);
      }
    });
    socket.on("error", () => socket.destroy());
  });
  servers.push(server);
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as AddressInfo).port, heard })),
  );
}

const mail = (port: number, to: readonly string[] = ["a@example.org", "b@example.org"]): MailSpec => ({
  to,
  from: "lvs@example.org",
  server: { host: "127.0.0.1", port },
  helo: "director1",
  connectTimeoutS: 2,
  repeatS: 0,
});

describe("Mailer", () => {
  test("speaks plain SMTP to every receiver, with keepalived's subject", async () => {
    const { port, heard } = await smtp();
    const mailer = new Mailer(log);
    mailer.send(letter, mail(port));
    expect(await mailer.idle(10_000)).toBe(true);
    expect(heard).toContain("HELO director1");
    expect(heard).toContain("MAIL FROM:<lvs@example.org>");
    expect(heard.filter((line) => line.startsWith("RCPT"))).toEqual([
      "RCPT TO:<a@example.org>",
      "RCPT TO:<b@example.org>",
    ]);
    expect(heard).toContain("Subject: [r1] Virtualserver FWM 9 - UP");
    expect(heard).toContain("=> x <=");
  });

  test("a server that refuses is told of and holds nothing up", async () => {
    const refusing = await smtp({ MAIL: "550 not from you" });
    const good = await smtp();
    const mailer = new Mailer(log);
    mailer.send(letter, mail(refusing.port));
    mailer.send(letter, mail(1)); // nobody listens
    mailer.send(letter, mail(good.port));
    expect(await mailer.idle(20_000)).toBe(true);
    expect(told[0]).toContain("550 not from you");
    expect(told[1]).toContain("ECONNREFUSED");
    expect(good.heard).toContain(".");
  });

  test("a queue that grows too long drops what comes, and says how many", async () => {
    const waiting: (() => void)[] = [];
    const mailer = new Mailer(log, () => new Promise((resolve) => waiting.push(resolve)));
    for (let i = 0; i < 211; i++) mailer.send(letter, mail(25));
    expect(told).toEqual(["200 mails wait already: further ones are dropped until they are sent"]);
    for (let i = 0; i < 201; i++) {
      waiting.shift()!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(told.at(-1)).toBe("10 mails were dropped");
  });

  test("without receivers there is no mail", async () => {
    const mailer = new Mailer(log, () => Promise.reject(new Error("no")));
    mailer.send(letter, mail(25, []));
    mailer.send(letter, undefined);
    expect(await mailer.idle(10)).toBe(true);
    expect(told).toEqual([]);
  });
});

test("a letter about VRRP has keepalived's subject, with the router's name before it", () => {
  const letter = signed("r1", vrrpLetter("Instance", "VI_1", "MASTER", "no advert for 3.6 s"));
  expect(letter.subject).toBe("[r1] VRRP Instance VI_1 - Entering MASTER state");
  expect(letter.body).toBe("=> VRRP Instance is now owning VRRP VIPs <=\n\nno advert for 3.6 s\n\n");
  expect(vrrpLetter("Group", "G", "FAULT").body).toBe(
    "=> All VRRP group instances are now in FAULT state <=",
  );
});
