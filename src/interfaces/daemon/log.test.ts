import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { check, close, raw } from "../../sys/libc.ts";
import { AF, MSG_DONTWAIT, openSocket, SOCK } from "../../sys/socket.ts";
import { sockaddrUn } from "../../sys/unix-datagram.ts";
import { consoleLine, ctime, openLog, syslogLine, textLine } from "./log.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lvsd-log-"));
});
afterEach(() => {
  delete process.env["LVSD_DEV_LOG"];
  rmSync(folder, { recursive: true, force: true });
});

const at = new Date(2026, 10, 1, 1, 2, 3).getTime();

test("ctime() pads the day with a blank, as C does", () => {
  expect(ctime(new Date(at))).toBe("Sun Nov  1 01:02:03 2026");
});

test("a text line says why, and how long the probe took", () => {
  const line = {
    level: 30,
    time: 0,
    msg: "Removing service A",
    reason: "connection refused",
    latencyMs: 1.234,
  };
  expect(textLine(line)).toBe(
    "1970-01-01T00:00:00.000Z info  Removing service A (connection refused, 1.2 ms)",
  );
});

test("console and syslog lines hold the message alone, where scripts look for it", () => {
  const line = { level: 40, time: at, msg: "Lost quorum", reason: "x" };
  expect(consoleLine(line)).toBe("Sun Nov  1 01:02:03 2026: Lost quorum");
  expect(syslogLine(line, 3, "lvsd", 7)).toBe("<28>Nov  1 01:02:03 lvsd[7]: Lost quorum");
});

test("an error's own words are added unless the message has them", () => {
  expect(textLine({ level: 50, time: 0, msg: "mail", err: { message: "refused" } })).toMatch(
    /mail: refused$/,
  );
  expect(textLine({ level: 50, time: 0, msg: "mail refused", err: { message: "refused" } })).toMatch(
    /mail refused$/,
  );
});

test("JSON lines hold the level by name, the time, and every field", () => {
  const file = join(folder, "log");
  const { log, close } = openLog({ form: "json", file });
  log.warn({ reason: "x", latencyMs: 2 }, "Removing service A");
  close();
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
    level: "warn",
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    pid: process.pid,
    reason: "x",
    latencyMs: 2,
    msg: "Removing service A",
  });
});

test("a log file that was moved away is made anew at the next reopen()", () => {
  const file = join(folder, "log");
  const { log, reopen, close } = openLog({ form: "text", file });
  log.info("first");
  renameSync(file, `${file}.1`);
  reopen();
  log.info("second");
  close();
  expect(readFileSync(`${file}.1`, "utf8")).toMatch(/ info {2}first\n$/);
  expect(readFileSync(file, "utf8")).toMatch(/^\S+ info {2}second\n$/);
});

test("the system log gets each line with facility, severity and name", () => {
  const path = join(folder, "dev-log");
  const fd = openSocket(AF.UNIX, SOCK.DGRAM, 0);
  const address = sockaddrUn(path)!;
  check("bind", raw.bind(fd, address, address.length));
  process.env["LVSD_DEV_LOG"] = path;
  const { log, close: closeLog } = openLog({ syslog: { facility: 3, name: "Keepalived" } });
  log.info("Startup complete");
  const bytes = new Uint8Array(new ArrayBuffer(512));
  const length = raw.recv(fd, bytes, bytes.length, MSG_DONTWAIT);
  closeLog();
  close(fd);
  expect(new TextDecoder().decode(bytes.slice(0, Math.max(0, length)))).toMatch(
    new RegExp(`^<30>\\w{3} [ \\d]\\d [\\d:]{8} Keepalived\\[${process.pid}\\]: Startup complete$`),
  );
});
