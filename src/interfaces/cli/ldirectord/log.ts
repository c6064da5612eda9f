/**
 * ldirectord's log: `[DATE|NAME|PID] MESSAGE` in a file that is opened for every line, so that it may be rotated at any time; or the
 * system log; or, in the foreground, standard output (supervised) and standard error (debug).
 * @module
 */
import { appendFileSync, writeSync } from "node:fs";
import pino from "pino";
import { WORDED } from "../../../control/ldirectord/words.ts";
import { DatagramSender } from "../../../sys/unix-datagram.ts";
import { ctime, type OpenLog, syslogLine } from "../../daemon/log.ts";

/** Where lines go. */
export interface LogTarget {
  /** A file, or the name of a facility of the system log. */
  logFile: string;
  readonly name: string;
  readonly mode: "daemon" | "supervised" | "debug";
}

/** Facility numbers (RFC 5424 §6.2.1). */
const FACILITIES: Readonly<Record<string, number>> = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  ...Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`local${i}`, 16 + i])),
};

const DEBUG = 20;
const INFO = 30;
/** Level of warnings. */
export const WARNING = 40;

/** A facility's number; daemon for names that there are not. */
export const facilityNumber = (name: string): number => FACILITIES[name] ?? 3;

function out(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // Nobody reads any more.
  }
}

/** Writes lines where the configuration wants them. */
export class LineLog {
  readonly target: LogTarget;
  #syslog: DatagramSender | undefined;

  constructor(target: LogTarget) {
    this.target = target;
  }

  write(message: string, level = INFO): void {
    const { mode, logFile, name } = this.target;
    const now = new Date();
    if (mode === "debug") {
      out(2, level <= DEBUG ? `DEBUG2: ${message}\n` : `DEBUG2: ${message}\n${message}\n`);
      return;
    }
    if (level <= DEBUG) return;
    if (mode === "supervised") out(1, `[${ctime(now)}] ${message}\n`);
    else if (logFile.startsWith("/")) {
      try {
        appendFileSync(logFile, `[${ctime(now)}|${name}|${process.pid}] ${message}\n`);
      } catch {
        // A full disk is no reason to stop balancing.
      }
    } else {
      this.#syslog ??= new DatagramSender(process.env["LVSD_DEV_LOG"] || "/dev/log");
      const line = { level, time: now.getTime(), msg: message };
      this.#syslog.send(syslogLine(line, facilityNumber(logFile), "ldirectord", process.pid));
    }
  }

  close(): void {
    this.#syslog?.close();
    this.#syslog = undefined;
  }
}

/** What the daemon says, of one line. */
interface Line {
  readonly level: number;
  readonly msg?: string;
  readonly part?: string;
  readonly kind?: string;
  readonly reason?: string;
  readonly server?: string;
  readonly about?: string;
  readonly err?: { readonly message?: string };
}

/** What becomes of the daemon's own words; undefined: ldirectord has others for it, said elsewhere. */
export function translate(line: Line): { text: string; level: number } | undefined {
  const { part, kind, level, msg = "" } = line;
  if (part === "lvs") {
    if (kind !== undefined && WORDED.has(kind)) return undefined;
    const about = [line.server, line.about].filter(Boolean).join(" of ");
    const why = line.reason && line.reason !== msg ? ` (${line.reason})` : "";
    return { text: about === "" ? `${msg}${why}` : `${about}: ${kind}: ${msg}${why}`, level };
  }
  if (part === "daemon") {
    if (kind === "reload" && level < WARNING) {
      return msg.startsWith("Reloading")
        ? { text: "Reloading Linux Director Daemon config on signal", level }
        : { text: msg, level: DEBUG };
    }
    if (level < WARNING) return { text: msg, level: DEBUG };
  }
  if (part === "mail" && level >= WARNING)
    return { text: `failed to send SMTP email message: ${msg}`, level };
  const error = line.err?.message && !msg.includes(line.err.message) ? `: ${line.err.message}` : "";
  return { text: `${msg}${error}`, level };
}

/** A log for the daemon that speaks ldirectord's words. */
export function daemonLog(lines: LineLog): OpenLog {
  const stream = {
    write(json: string): void {
      const said = translate(JSON.parse(json) as Line);
      if (said !== undefined) lines.write(said.text, said.level);
    },
  };
  const level = lines.target.mode === "debug" ? "debug" : "info";
  return {
    log: pino({ level, base: null }, stream),
    reopen() {},
    close: () => lines.close(),
  };
}
