/**
 * The daemon's log: pino inside; outside text for people, JSON for programs, keepalived's console form, or the system log.
 * @module
 */
import { closeSync, openSync, writeSync } from "node:fs";
import pino, { type Logger } from "pino";
import { DatagramSender } from "../../sys/unix-datagram.ts";

export type Log = Logger;

/** How lines look and where they go. */
export interface LogChoice {
  /** `text` and `json` lines; `console`: as keepalived -l, with the date of the C library's ctime. @default none of them */
  readonly form?: "text" | "json" | "console" | undefined;
  /** File that lines are appended to. @default standard error */
  readonly file?: string | undefined;
  /** Also to the system log: facility number (daemon 3, local0 16) and the name before the message. */
  readonly syslog?: { readonly facility: number; readonly name: string } | undefined;
  /** @default info */
  readonly level?: "debug" | "info" | undefined;
}

/** What pino hands over, of one line. */
interface Line {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  readonly reason?: string;
  readonly latencyMs?: number;
  readonly err?: { readonly message?: string; readonly stack?: string };
}

const NAMES: Readonly<Record<number, string>> = {
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};
/** Severity of RFC 5424 §6.2.1. */
const SEVERITY: Readonly<Record<number, number>> = { 20: 7, 30: 6, 40: 4, 50: 3, 60: 2 };

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const two = (n: number): string => String(n).padStart(2, "0");
const clock = (d: Date): string => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
const day = (d: Date): string => `${MONTHS[d.getMonth()]} ${String(d.getDate()).padStart(2)}`;

/** `Sat Nov 21 01:32:51 2026`, local time. */
export const ctime = (d: Date): string => `${DAYS[d.getDay()]} ${day(d)} ${clock(d)} ${d.getFullYear()}`;

/** The message, and in brackets what it rests on. */
function sentence(line: Line): string {
  const latency = line.latencyMs === undefined ? [] : [`${round(line.latencyMs)} ms`];
  const reasons = [...(line.reason ? [line.reason] : []), ...latency];
  const because = reasons.length > 0 ? ` (${reasons.join(", ")})` : "";
  const error = line.err?.message && !line.msg?.includes(line.err.message) ? `: ${line.err.message}` : "";
  return `${line.msg ?? ""}${error}${because}`;
}

const round = (ms: number): number => (ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms));

/** A line as people read it. */
export function textLine(line: Line): string {
  return `${new Date(line.time).toISOString()} ${(NAMES[line.level] ?? "info").padEnd(5)} ${sentence(line)}`;
}

/** A line as `keepalived -l` prints it: the message alone, as scripts look for it. */
export const consoleLine = (line: Line): string =>
  `${ctime(new Date(line.time))}: ${line.msg ?? sentence(line)}`;

/** A line as the C library's syslog(3) sends it. */
export function syslogLine(line: Line, facility: number, name: string, pid: number): string {
  const at = new Date(line.time);
  const priority = facility * 8 + (SEVERITY[line.level] ?? 6);
  return `<${priority}>${day(at)} ${clock(at)} ${name}[${pid}]: ${line.msg ?? sentence(line)}`;
}

/** A log, and how to open its file anew (after rotation) and close it. */
export interface OpenLog {
  readonly log: Log;
  reopen(): void;
  close(): void;
}

/** Opens the log. Writing is synchronous: what was said before a crash is there. */
export function openLog(choice: LogChoice): OpenLog {
  const open = (): number => (choice.file ? openSync(choice.file, "a", 0o640) : 2);
  let fd = open();
  const syslog = choice.syslog ? new DatagramSender(process.env["LVSD_DEV_LOG"] || "/dev/log") : undefined;
  const write = (text: string): void => {
    try {
      writeSync(fd, `${text}\n`);
    } catch {
      // A full disk or a closed terminal is no reason to stop balancing.
    }
  };
  const stream = {
    write(json: string): void {
      const line = choice.form === "json" && !syslog ? undefined : (JSON.parse(json) as Line);
      if (choice.form === "json") write(json.trimEnd());
      else if (choice.form === "text") write(textLine(line!));
      else if (choice.form === "console") write(consoleLine(line!));
      if (syslog) syslog.send(syslogLine(line!, choice.syslog!.facility, choice.syslog!.name, process.pid));
    },
  };
  const isoTime = choice.form === "json" && !syslog;
  const log = pino(
    {
      level: choice.level ?? "info",
      base: isoTime ? { pid: process.pid } : null,
      timestamp: isoTime ? pino.stdTimeFunctions.isoTime : pino.stdTimeFunctions.epochTime,
      ...(isoTime ? { formatters: { level: (label: string) => ({ level: label }) } } : {}),
    },
    stream,
  );
  const shut = (): void => {
    if (fd !== 2) closeSync(fd);
  };
  return {
    log,
    reopen() {
      shut();
      fd = open();
    },
    close() {
      shut();
      syslog?.close();
    },
  };
}
