import { expect, test } from "vitest";
import type { Letter } from "../alerts/mailer.ts";
import { memoryFiles } from "../config/files.ts";
import { readLdirectord } from "../config/ldirectord/index.ts";
import type { HealthEvent } from "../supervision.ts";
import type { MailSpec } from "../wanted.ts";
import { Habits } from "./habits.ts";
import { Watcher } from "./watcher.ts";

const CONFIG = `emailalert=a@example.test, b@example.test
emailalertfreq=60
emailalertstatus=running
failurecount=2
virtual=192.0.2.1:80
\treal=10.0.0.11:80 gate
\treal=10.0.0.12->10.0.0.13:80 masq 3 "/x", "y:z"
\tfallback=127.0.0.1:80
\tservicename=Shop
\tcomment=front door
\tmonitorfile=/var/log/shop.monitor
`;

function scene(config = CONFIG) {
  const { wanted, diagnostics } = readLdirectord("/c.cf", {
    files: memoryFiles({ "/c.cf": config }),
    appendRefusal: () => undefined,
    hostName: "director",
    userName: "root",
  });
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  const said: string[] = [];
  const mails: (Letter & { to: readonly string[] })[] = [];
  const lines: string[] = [];
  let now = 0;
  const habits = new Habits({
    say: (text) => said.push(text),
    sendMail: (letter, mail: MailSpec) => mails.push({ ...letter, to: mail.to }),
    hostName: "director",
    now: () => now,
    userName: "root",
    date: (form) => (form === "ctime" ? "Sat Nov 21 01:36:00 2026" : "Sat, 21 Nov 2026 00:36:00 +0000"),
    pid: 77,
    appendLine: (path, line) => lines.push(`${path} ${line}`),
  });
  habits.configure(wanted, "starting");
  const service = wanted.virtualServers[0]!;
  const event = (kind: HealthEvent["kind"], more: Partial<HealthEvent> = {}) =>
    habits.health({ at: 0, kind, level: "info", service: service.name, reason: "", words: "", ...more });
  const verdict = (server: number, ok: boolean, detail = "status 200", which = -1) => {
    const { checks, id } = service.servers[server]!;
    const check = checks.at(which);
    habits.verdict({
      service,
      server: `[${id.address}]:tcp:${id.port}`,
      spec: check!.spec,
      verdict: { ok, detail, latencyMs: 1 },
    });
  };
  return {
    habits,
    said,
    mails,
    lines,
    event,
    verdict,
    at: (ms: number) => {
      now = ms;
    },
  };
}

test("what happens to servers is told in ldirectord's words", () => {
  const { said, event } = scene();
  const server = "[10.0.0.11]:tcp:80";
  event("service-added");
  event("sorry-in", { server: "[127.0.0.1]:tcp:80", table: "added", weight: 1 });
  event("server-up", { server, table: "added", weight: 1 });
  event("sorry-out", { server: "[127.0.0.1]:tcp:80", table: "removed" });
  event("check-failure", { server, failures: { count: 1, limit: 2 } });
  event("server-down", { server, table: "removed" });
  event("server-down", { server, table: "disabled", weight: 0 });
  event("server-up", { server, table: "enabled", weight: 1 });
  event("server-stopped", { server });
  event("service-stopped");
  expect(said).toEqual([
    "Added virtual server: 192.0.2.1:80",
    "Added fallback server: 127.0.0.1:80 (192.0.2.1:80) (Weight set to 1)",
    "Resetting soft failure count: 10.0.0.11:80 (tcp:192.0.2.1:80)",
    "Added real server: 10.0.0.11:80 (192.0.2.1:80) (Weight set to 1)",
    "Deleted fallback server: 127.0.0.1:80 (192.0.2.1:80)",
    "Soft failure real server: 10.0.0.11:80 (tcp:192.0.2.1:80) failure 1/2",
    "Deleted real server: 10.0.0.11:80 (192.0.2.1:80)",
    "Quiescent real server: 10.0.0.11:80 (192.0.2.1:80) (Weight set to 0)",
    "Resetting soft failure count: 10.0.0.11:80 (tcp:192.0.2.1:80)",
    "Restored real server: 10.0.0.11:80 (192.0.2.1:80) (Weight set to 1)",
    "Purged real server (stop): 10.0.0.11:80 (192.0.2.1:80)",
    "Purged virtual server (stop): 192.0.2.1:80",
  ]);
});

test("a server that failed once and then answers starts counting anew, and that is told", () => {
  const { said, event, verdict } = scene();
  event("check-failure", { server: "[10.0.0.11]:tcp:80", failures: { count: 1, limit: 2 } });
  verdict(0, true);
  verdict(0, true);
  expect(said).toEqual([
    "Soft failure real server: 10.0.0.11:80 (tcp:192.0.2.1:80) failure 1/2",
    "Resetting soft failure count: 10.0.0.11:80 (tcp:192.0.2.1:80)",
  ]);
});

test("mail goes out in the states that are selected; starting ends when every server has been checked", () => {
  const { habits, mails, event, verdict } = scene();
  const server = "[10.0.0.11]:tcp:80";
  event("server-down", { server, table: "removed" });
  expect(mails).toEqual([]);
  verdict(0, true);
  verdict(1, true);
  verdict(2, false);
  event("server-down", { server, table: "removed" });
  expect(mails, "the first round is not told of").toEqual([]);
  habits.remind();
  expect(habits.state).toBe("running");
  event("server-down", { server, table: "removed" });
  expect(mails).toEqual([
    {
      to: ["a@example.test", "b@example.test"],
      subject: "[Shop] Deleted real server: 10.0.0.11:80 (192.0.2.1:80)",
      body: expect.stringContaining("Daemon-Status: running\n"),
      raw: {
        sender: "root@director",
        message: [
          "From: root@director",
          "To: a@example.test, b@example.test",
          "Subject: [Shop] Deleted real server: 10.0.0.11:80 (192.0.2.1:80)",
          "Date: Sat, 21 Nov 2026 00:36:00 +0000",
          "",
          "ldirectord host: director",
          "Log-Message: [Shop] Deleted real server: 10.0.0.11:80 (192.0.2.1:80)",
          "Daemon-Status: running",
          "",
          "Service name: Shop",
          "Comment: front door",
          "",
        ].join("\r\n"),
      },
    },
  ]);
  habits.stopping();
  event("server-stopped", { server });
  expect(mails).toHaveLength(1);
});

test("mail about a server that stays down is repeated until it is back", () => {
  const { habits, mails, event, verdict, at } = scene();
  for (const server of [0, 1, 2, 0]) verdict(server, true);
  event("server-down", { server: "[10.0.0.11]:tcp:80", table: "removed" });
  at(59_000);
  habits.remind();
  expect(mails).toHaveLength(1);
  at(60_000);
  habits.remind();
  habits.remind();
  expect(mails.map(({ subject }) => subject).slice(1)).toEqual([
    "[Shop] Inaccessible real server: 10.0.0.11:80 (192.0.2.1:80)",
  ]);
  event("server-up", { server: "[10.0.0.11]:tcp:80", table: "added", weight: 1 });
  at(200_000);
  habits.remind();
  expect(mails).toHaveLength(3); // and the one that it is back
});

test("monitor files get a line for every result", () => {
  const { lines, verdict } = scene();
  verdict(0, true);
  verdict(1, false, "100% | bad\r\n");
  expect(lines).toEqual([
    "/var/log/shop.monitor [Sat Nov 21 01:36:00 2026] [77] negotiate http tcp 10.0.0.11 80 1 gate /  [up] status 200",
    "/var/log/shop.monitor [Sat Nov 21 01:36:00 2026] [77] negotiate http tcp 10.0.0.12 80 3 masq /x y z [down] 100%25 %7c bad%0d%0a",
  ]);
});

test("what a check finds during maintenance is not written", () => {
  const { lines, verdict } = scene(`maintenancedir=/m\n${CONFIG}`);
  verdict(0, true, "", 0);
  verdict(0, true);
  verdict(0, false, "Server in maintenance: 10.0.0.11", 0);
  verdict(0, true);
  verdict(0, true, "", 0);
  verdict(0, false, "status 500");
  expect(lines.map((line) => line.slice(line.indexOf("[", line.indexOf("/  "))))).toEqual([
    "[up] status 200",
    "[down] Server in maintenance",
    "[down] status 500",
  ]);
});

test("on, off and failed pings leave no line in a monitor file", () => {
  for (const [type, ok] of [
    ["on", true],
    ["off", false],
    ["ping", false],
  ] as const) {
    const { lines, verdict } = scene(CONFIG.replace("\tservicename", `\tchecktype=${type}\n\tservicename`));
    verdict(0, ok);
    expect(lines, type).toEqual([]);
  }
});

test("a file has changed when its content has, not when it was only touched", () => {
  let modified: number | undefined = 1;
  let text = "a";
  const watcher = new Watcher({ modified: () => modified, read: () => text });
  expect(watcher.changed()).toBe(false);
  modified = 2;
  expect(watcher.changed()).toBe(false);
  [modified, text] = [3, "b"];
  expect(watcher.changed()).toBe(true);
  expect(watcher.changed()).toBe(false);
  modified = undefined;
  expect(watcher.changed()).toBe(false);
});
