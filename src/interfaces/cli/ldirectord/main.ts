/**
 * The command `ldirectord`: words in, exit status out.
 * @module
 */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Diagnostic, formatDiagnostic } from "../../../control/config/diagnostic.ts";
import { type LdirectordReading, readLdirectord } from "../../../control/config/ldirectord/index.ts";
import { detach, isDetached } from "../../daemon/detach.ts";
import { findInstance, type Instance, standing } from "./instance.ts";
import { LineLog } from "./log.ts";
import { type CommandWord, parseWords } from "./options.ts";
import { HELP, USAGE, VERSION, VERSION_TEXT } from "./texts.ts";

const DEFAULT_LOG = "/var/log/ldirectord.log";
/** Names of configurations that brought us here by `execute`, so that two that name each other do not run for ever. */
const CHAIN = "LVSD_LDIRECTORD_CHAIN";
/** A daemon that is told to stop ends its checks first. */
const STOP_MS = 60_000;

const USAGE_STATUS = 255;
const CONFIG_STATUS = 2;

const print = (text: string): void => void process.stdout.write(text);
const complain = (text: string): void => void process.stderr.write(text);

/** A message about a configuration as the original words its first line; then the line, a marker, the remedy. */
function told(diagnostic: Diagnostic, shown: string): string {
  const word = diagnostic.severity === "error" ? "Error" : "Warning";
  const { line, column } = diagnostic.at;
  const [, ...more] = formatDiagnostic(diagnostic).split("\n");
  const rest = more.map((text) => `\n${text}`).join("");
  return `${word} [${process.pid}] reading file ${shown} at line ${line}: ${diagnostic.message} (column ${column})${rest}`;
}

/** Runs the command. @returns exit status */
export async function ldirectord(words: readonly string[]): Promise<number> {
  const invocation = parseWords(words);
  switch (invocation.kind) {
    case "help":
      print(HELP);
      return 0;
    case "version":
      print(VERSION_TEXT);
      return 0;
    case "usage":
      print(USAGE);
      return USAGE_STATUS;
    case "command":
      return run(invocation.command, invocation.config, invocation.debug, words);
  }
}

async function run(
  command: CommandWord,
  config: string | undefined,
  debug: boolean,
  words: readonly string[],
): Promise<number> {
  const instance = findInstance(config);
  if (instance === undefined) {
    const text = `Config file ${config ?? "ldirectord.cf"} not found`;
    complain(`${text}\n`);
    new LineLog({ logFile: DEFAULT_LOG, name: "ldirectord", mode: "daemon" }).write(text);
    return 1;
  }
  const reading = readLdirectord(instance.path);
  const { global } = reading.wanted;
  const mode = debug ? "debug" : global.supervised ? "supervised" : "daemon";
  const lines = new LineLog({ logFile: global.logFile ?? DEFAULT_LOG, name: instance.name, mode });
  const broken = tell(reading, instance, lines);
  // compat: any command validates first. Otherwise than there, a broken file does not keep one from stopping or asking.
  if (broken && command !== "stop" && command !== "status") {
    lines.write(`Exiting with exit_status ${CONFIG_STATUS}: config_error: Configuration Error`);
    return CONFIG_STATUS;
  }
  if (!isDetached()) {
    const program = process.argv[1] ?? "ldirectord";
    lines.write(`Invoking ldirectord invoked as: ${program} ${words.join(" ")} `);
  }
  const others = isDetached() ? [] : (global.execute ?? []);
  const also = () => {
    for (const other of others) alsoRun(other, command, instance.name);
  };
  // In the foreground a start lasts as long as the daemon.
  const first = mode !== "daemon" && command === "start";
  if (first) also();
  const status = await perform(command, instance, lines);
  if (command === "status") lines.write("Exiting from ldirectord status");
  if (!first) also();
  return status;
}

/** Prints what there is to say about a file. @returns whether it cannot be used */
function tell({ diagnostics }: LdirectordReading, { path }: Instance, lines: LineLog): boolean {
  if (!isDetached()) {
    for (const diagnostic of diagnostics) {
      if (diagnostic.severity === "notice") continue;
      const text = told(diagnostic, path);
      complain(`${text}\n`);
      if (lines.target.mode === "daemon") lines.write(text.split("\n")[0]!);
    }
  }
  return diagnostics.some(({ severity }) => severity === "error");
}

async function perform(command: CommandWord, instance: Instance, lines: LineLog): Promise<number> {
  const now = standing(instance.pidFile);
  switch (command) {
    case "start":
      return now.kind === "running" ? 0 : start(instance, lines);
    case "stop":
      if (now.kind === "running") signal(now.pid, "SIGTERM");
      return 0;
    case "restart":
      await stopped(instance);
      return start(instance, lines);
    case "try-restart":
      if (now.kind !== "running") return 0;
      await stopped(instance);
      return start(instance, lines);
    case "reload":
    case "force-reload":
      if (now.kind === "running") {
        signal(now.pid, "SIGHUP");
        return 0;
      }
      lines.write(`ldirectord is not running for ${instance.path}: nothing to reload`);
      return 1;
    case "status":
      return status(instance, lines);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/** Ends the daemon and waits for its end. */
async function stopped({ pidFile }: Instance): Promise<void> {
  const until = performance.now() + STOP_MS;
  const first = standing(pidFile);
  if (first.kind === "running") signal(first.pid, "SIGTERM");
  while (standing(pidFile).kind === "running" && performance.now() < until) await sleep(50);
}

function status(instance: Instance, lines: LineLog): number {
  const now = standing(instance.pidFile);
  if (now.kind === "running") {
    const text = `ldirectord for ${instance.path} is running with pid: ${now.pid}`;
    complain(`${text}\n`);
    lines.write(text);
    return 0;
  }
  if (now.kind === "stale") {
    const text = `ldirectord stale pid file ${instance.pidFile} for ${instance.path}`;
    complain(`${text}\n`);
    lines.write(text);
  }
  print(`ldirectord is stopped for ${instance.path}\n`);
  return now.kind === "stale" ? 1 : 3;
}

async function start(instance: Instance, lines: LineLog): Promise<number> {
  const { mode } = lines.target;
  const background = mode === "daemon";
  if (background && !isDetached()) {
    if (standing(instance.pidFile).kind === "stale") {
      try {
        rmSync(instance.pidFile, { force: true });
      } catch (error) {
        complain(`Can't write pid file ${instance.pidFile}: ${(error as Error).message}\n`);
        return 1;
      }
    }
    const outcome = await detach();
    if (outcome.status !== 0) complain(`ldirectord: ${outcome.message}\n`);
    return exitStatus(outcome.status);
  }
  const how = background ? "as daemon" : `with pid: ${process.pid}`;
  lines.write(`Starting Linux Director ${VERSION} ${how}`);
  const { runLdirectord } = await import("./daemon.ts");
  return exitStatus(await runLdirectord({ instance, lines, pidFile: background }));
}

/** The daemon tells more kinds of failure apart than ldirectord has statuses. */
const exitStatus = (status: number): number => (status === 0 || status === CONFIG_STATUS ? status : 1);

/** `execute`: the same command for another configuration. */
function alsoRun(other: string, command: CommandWord, name: string): void {
  const chain = (process.env[CHAIN] ?? "").split("\n").filter(Boolean);
  const next = [...chain, name];
  const config = other.replace(/^"(.*)"$/, "$1");
  if (next.includes(config)) return;
  const words = [...process.execArgv, process.argv[1]!, config, command];
  spawnSync(process.execPath, words, {
    env: { ...process.env, [CHAIN]: next.join("\n") },
    stdio: "inherit",
  });
}
