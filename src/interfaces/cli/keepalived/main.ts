/**
 * The `keepalived` command: the daemon with keepalived's options, files, log and exit statuses.
 * @module
 */
import { appendFileSync, existsSync } from "node:fs";
import { resolve } from "node:path";
import { detach, isDetached } from "../../daemon/detach.ts";
import { EXIT } from "../../daemon/exit.ts";
import { SIGNUM } from "../../daemon/signal-numbers.ts";
import { HELP, versionText } from "./help.ts";
import { OptionError, type Options, readOptions } from "./options.ts";

const print = (text: string): void => void process.stdout.write(text);
const complain = (text: string): void => void process.stderr.write(text);

/** Runs the words after `keepalived`. @returns exit status */
export async function main(words: readonly string[]): Promise<number> {
  if (words[0] === "-T" || words[0] === "--genhash")
    return (await import("../genhash.ts")).genhash(words.slice(1));
  let options: Options;
  try {
    options = readOptions(words);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    complain(`${error.message}\n`);
    return EXIT.fatal;
  }
  if (options.show === "help") {
    complain(HELP);
    return EXIT.ok;
  }
  if (options.show === "version") {
    complain(versionText());
    return EXIT.ok;
  }
  if (options.signum !== undefined) return signum(options.signum);
  if (options.stray.length > 0) print(`Unexpected argument(s): ${options.stray.join(" ")} \n`);
  if (options.vrrpOnly && options.checkOnly) {
    complain("-P and -C together leave nothing to run: give one of them, or none for both\n");
    return EXIT.fatal;
  }
  if (options.umask !== undefined) process.umask(options.umask);
  return options.test ? test(options) : daemon(options);
}

function signum(name: string): number {
  const number = SIGNUM[name];
  if (number === undefined) {
    complain(`Unknown sigfunc ${name}\n`);
    return EXIT.fatal;
  }
  print(`${number}\n`);
  return EXIT.ok;
}

/** -t: what is wrong with the configuration, in keepalived's words. */
async function test(options: Options): Promise<number> {
  const { testConfiguration } = await import("./config-test.ts");
  const { status, lines } = await testConfiguration(options);
  const text = lines.map((line) => `${line}\n`).join("");
  if (options.testLog !== undefined) appendFileSync(options.testLog, text);
  else complain(text);
  return status;
}

async function daemon(options: Options): Promise<number> {
  const file = resolve(options.file);
  if (!existsSync(file)) {
    complain(`Config files missing '${options.file}'.\n`);
    return EXIT.missingFile;
  }
  if (!options.foreground && !isDetached()) {
    const { status, message } = await detach();
    if (status !== EXIT.ok) complain(`keepalived: ${message}\n`);
    return status;
  }
  const { runKeepalived } = await import("./daemon.ts");
  return runKeepalived({ ...options, file });
}
