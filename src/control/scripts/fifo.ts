/**
 * Notify pipes: a line for each change, for whoever reads; nobody is waited for.
 * @module
 */
import { chownSync, closeSync, fstatSync, unlinkSync, writeSync } from "node:fs";
import { makeFifo, openFifo } from "../../sys/fifo.ts";
import type { FifoSpec } from "../wanted.ts";
import { findAccount } from "./account.ts";
import { type ProgramSpec, runProgram } from "./program.ts";
import { refusal, type ScriptPolicy } from "./security.ts";

const MODE = 0o644;

/** Where problems are told. */
export interface FifoLog {
  warn(text: string): void;
}

/** One open pipe, and the script that reads it when there is one. */
export class NotifyFifo {
  readonly path: string;
  readonly #fd: number;
  readonly #made: boolean;
  readonly #log: FifoLog;
  readonly #reader = new AbortController();
  /** Lines that found the pipe full since the last that did not. */
  #lost = 0;

  /** Opens the pipe, and makes it when it is not there. @throws Error naming the path */
  constructor(spec: FifoSpec, policy: ScriptPolicy, log: FifoLog) {
    this.path = spec.path;
    this.#log = log;
    this.#made = make(spec);
    this.#fd = openFifo(spec.path);
    if (!fstatSync(this.#fd).isFIFO()) {
      closeSync(this.#fd);
      throw new Error(`${spec.path} is there and is no pipe`);
    }
    if (spec.script) this.#read(spec.script, policy);
  }

  /** Starts the script that reads: it runs until the pipe is closed. */
  #read(script: NonNullable<FifoSpec["script"]>, policy: ScriptPolicy): void {
    const command = [...script.command, this.path];
    const refused = refusal(policy, command, script.user);
    if (refused !== undefined) {
      this.#log.warn(`the script of pipe ${this.path} is not run: ${refused} (enable_script_security)`);
      return;
    }
    const user = script.user ?? policy.user;
    const group = script.group ?? (script.user === undefined ? policy.group : undefined);
    const spec: ProgramSpec = { command, ...(user && { user }), ...(group && { group }) };
    void runProgram(spec, this.#reader.signal).then((result) => {
      if (result.aborted) return;
      const how = result.failure ?? `${command[0]} ended with ${result.status ?? result.signal}`;
      this.#log.warn(`nobody reads pipe ${this.path} any more: ${how}`);
    });
  }

  /** Writes a line, or loses it when the pipe is full. */
  write(line: string): void {
    try {
      writeSync(this.#fd, `${line}\n`);
      if (this.#lost > 0) this.#log.warn(`pipe ${this.path}: ${this.#lost} lines were lost, it was full`);
      this.#lost = 0;
    } catch {
      if (this.#lost === 0) this.#log.warn(`pipe ${this.path} is full: lines are lost until somebody reads`);
      this.#lost++;
    }
  }

  /** Closes the pipe: readers see its end. One that was made here is removed. */
  close(): void {
    closeSync(this.#fd);
    this.#reader.abort();
    if (!this.#made) return;
    try {
      unlinkSync(this.path);
    } catch {
      // Somebody was quicker.
    }
  }
}

/** Whether there was none. */
function make(spec: FifoSpec): boolean {
  try {
    makeFifo(spec.path, MODE);
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  }
  if (spec.user !== undefined || spec.group !== undefined) {
    const { uid, gid } = findAccount(spec.user, spec.group);
    chownSync(spec.path, uid ?? process.getuid!(), gid ?? process.getgid!());
  }
  return true;
}

/** The pipes of a configuration: `all` gets every line, the others those of one kind. */
export class NotifyFifos {
  readonly #all: NotifyFifo | undefined;
  readonly #lvs: NotifyFifo | undefined;
  readonly #vrrp: NotifyFifo | undefined;

  constructor(
    wanted: {
      readonly notifyFifo?: FifoSpec;
      readonly lvsNotifyFifo?: FifoSpec;
      readonly vrrpNotifyFifo?: FifoSpec;
    },
    policy: ScriptPolicy,
    log: FifoLog,
  ) {
    const open = (spec: FifoSpec | undefined): NotifyFifo | undefined => {
      if (!spec) return undefined;
      try {
        return new NotifyFifo(spec, policy, log);
      } catch (error) {
        log.warn(`no notify pipe: ${(error as Error).message}`);
        return undefined;
      }
    };
    this.#all = open(wanted.notifyFifo);
    this.#lvs = open(wanted.lvsNotifyFifo);
    this.#vrrp = open(wanted.vrrpNotifyFifo);
  }

  /** A line about virtual servers. */
  lvs(line: string): void {
    this.#lvs?.write(line);
    this.#all?.write(line);
  }

  /** A line about VRRP. */
  vrrp(line: string): void {
    this.#vrrp?.write(line);
    this.#all?.write(line);
  }

  close(): void {
    for (const fifo of [this.#all, this.#lvs, this.#vrrp]) fifo?.close();
  }
}
