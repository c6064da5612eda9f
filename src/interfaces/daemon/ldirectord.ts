/**
 * ldirectord's habits around a daemon: mails, monitor files, an eye on its own configuration file. They do something only while an
 * ldirectord.cf is what counts.
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { Mailer } from "../../control/alerts/mailer.ts";
import { Habits } from "../../control/ldirectord/habits.ts";
import { Watcher } from "../../control/ldirectord/watcher.ts";
import { runProgram } from "../../control/scripts/program.ts";
import type { HealthEvent } from "../../control/supervision.ts";
import type { Wanted } from "../../control/wanted.ts";
import type { Daemon, DaemonHooks } from "./daemon.ts";
import { ctime } from "./log.ts";

/** Time that mails have to go out at a stop, ms. */
const MAIL_MS = 3000;
/** A callback is ended after this, ms. */
const CALLBACK_MS = 60_000;

/** What the habits are told. */
export interface CompanionOptions {
  /** Absolute. */
  readonly path: string;
  /** The path as messages show it. */
  readonly shown: string;
  /** Takes a sentence of ldirectord; with the event that it tells of, if it tells of one. */
  readonly say: (text: string, event?: HealthEvent) => void;
  readonly warn: (text: string) => void;
}

/** As RFC 5322 §3.3 wants it. */
const mailDate = (date: Date): string => date.toUTCString().replace("GMT", "+0000");

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "root"; // an account without a name
  }
}

/** Goes with one daemon from its start to its end. */
export class LdirectordCompanion {
  readonly #o: CompanionOptions;
  readonly #mailer: Mailer;
  readonly #habits: Habits;
  readonly #watcher: Watcher;
  #wanted: Wanted | undefined;
  #daemon: Daemon | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CompanionOptions) {
    this.#o = options;
    this.#mailer = new Mailer({
      info() {},
      warn: (text) => options.warn(`failed to send SMTP email message: ${text}`),
    });
    this.#habits = new Habits({
      say: options.say,
      sendMail: (letter, mail) => this.#mailer.send(letter, mail),
      hostName: process.env["HOSTNAME"] || hostname(),
      userName: userName(),
      now: () => performance.now(),
      date: (form) => (form === "ctime" ? ctime(new Date()) : mailDate(new Date())),
      pid: process.pid,
    });
    this.#watcher = new Watcher({
      modified: () => statSync(options.path, { throwIfNoEntry: false })?.mtimeMs,
      read() {
        try {
          return readFileSync(options.path, "utf8");
        } catch {
          return undefined;
        }
      },
    });
  }

  /** For the daemon. */
  readonly hooks: DaemonHooks = {
    onHealth: (event) => this.#habits.health(event),
    onVerdict: (about) => {
      if (this.#wanted !== undefined) this.#habits.verdict(about);
    },
    onApplying: (wanted, state) => {
      this.#wanted = wanted.language === "ldirectord" ? wanted : undefined;
      if (this.#wanted !== undefined) this.#habits.configure(wanted, state);
    },
    onApplied: () => this.#watch(),
  };

  /** The daemon runs: it can be told to reload. */
  ready(daemon: Daemon): void {
    this.#daemon = daemon;
  }

  /** The daemon is about to stop. */
  stopping(): void {
    this.#habits.stopping();
  }

  /** Ends everything, once mails are out or it took too long. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#mailer.idle(MAIL_MS);
  }

  /** Looks after the file once a round of checks. */
  #watch(): void {
    clearInterval(this.#timer);
    if (this.#wanted === undefined) return;
    const checks = this.#wanted.virtualServers.flatMap(({ servers }) => servers[0]?.checks ?? []);
    this.#timer = setInterval(() => void this.#look(), checks[0]?.timing.delayLoopMs ?? 10_000);
  }

  async #look(): Promise<void> {
    this.#habits.remind();
    if (!this.#watcher.changed()) return;
    const { shown, say, warn, path } = this.#o;
    const reread = this.#wanted?.global.autoReload ?? false;
    say(`Configuration file '${shown}' has changed on disk`);
    say(reread ? " - reread new configuration" : " - ignore new configuration");
    if (reread) await this.#daemon?.reload();
    const callback = this.#wanted?.global.callback;
    if (callback === undefined) return;
    const { status, failure } = await runProgram({ command: [callback, path], timeoutMs: CALLBACK_MS });
    if (failure !== undefined) warn(`callback: ${failure}`);
    else if (status !== 0) warn(`callback ${callback} ended with status ${status}`);
  }
}
