/**
 * The daemon as `ldirectord start` runs it: with ldirectord's words in its log, under its pid file.
 * @module
 */
import { resolve } from "node:path";
import { readLdirectord } from "../../../control/config/ldirectord/index.ts";
import { LdirectordCompanion } from "../../daemon/ldirectord.ts";
import { runDaemon } from "../../daemon/run.ts";
import type { Instance } from "./instance.ts";
import { daemonLog, type LineLog, WARNING } from "./log.ts";
import { VERSION } from "./texts.ts";

/** The original's identity, in the log. */
const IDENTITY = { name: "Linux Director", version: VERSION };
/** Signals besides TERM and INT that end it in good order. Those of a crash are left to crash. */
const MORE_ENDS = ["SIGQUIT", "SIGABRT", "SIGSYS", "SIGXCPU", "SIGXFSZ"] as const;

/** What a start needs. */
export interface StartOptions {
  readonly instance: Instance;
  readonly lines: LineLog;
  /** Write a pid file: the daemon in the background does. */
  readonly pidFile: boolean;
}

/** Runs until told to stop. @returns exit status */
export async function runLdirectord({ instance, lines, pidFile }: StartOptions): Promise<number> {
  const path = resolve(instance.path);
  const companion = new LdirectordCompanion({
    path,
    shown: instance.path,
    say: (text) => lines.write(text),
    warn: (text) => lines.write(text, WARNING),
  });
  if (pidFile) process.chdir("/");
  let ended: string | undefined;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      ended ??= name.slice(3);
      companion.stopping();
    });
  }
  for (const name of MORE_ENDS) {
    process.on(name, () => {
      ended ??= name.slice(3);
      process.kill(process.pid, "SIGTERM");
    });
  }
  const { hooks } = companion;
  const status = await runDaemon({
    read: async (other) => readLdirectord(other ?? path),
    log: daemonLog(lines),
    instance: `ldirectord.${instance.name}`,
    identity: IDENTITY,
    halves: { balancing: true, vrrp: false },
    hooks: {
      ...hooks,
      onApplying(wanted, state) {
        lines.target.logFile = wanted.global.logFile ?? lines.target.logFile;
        hooks.onApplying?.(wanted, state);
      },
    },
    onReady: (daemon) => companion.ready(daemon),
    ...(pidFile && { pidFiles: { main: instance.pidFile } }),
  });
  await companion.close();
  if (status === 0) lines.write(`Linux Director Daemon terminated on signal: ${ended ?? "TERM"}`);
  lines.close();
  return status;
}
