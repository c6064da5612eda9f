/**
 * `lvsd run`: the daemon.
 * @module
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { readConfig } from "../../../control/config/read.ts";
import { detach, isDetached } from "../../daemon/detach.ts";
import { LdirectordCompanion } from "../../daemon/ldirectord.ts";
import { openLog } from "../../daemon/log.ts";
import { runDaemon } from "../../daemon/run.ts";
import { complain, print } from "./daemon-socket.ts";

/** What commander hands over. */
export interface RunWords {
  readonly file: string;
  readonly plane?: string;
  readonly detach?: true;
  readonly log: "text" | "json" | "console";
  readonly logFile?: string;
  readonly pid?: string;
  readonly control?: string;
  readonly netns?: string;
  readonly configId?: string;
  readonly strict?: true;
  readonly keep?: true;
  readonly removal: "drain" | "immediate";
  readonly drainLimit: number;
  readonly syncWait: number;
}

/** Facility "daemon" of the system log. */
const FACILITY_DAEMON = 3;

/** Runs until told to stop. @returns exit status, keepalived's */
export async function run(words: RunWords): Promise<number> {
  const file = resolve(words.file);
  if (!existsSync(file)) throw new Error(`${file} is not there`);
  if (words.detach && !isDetached()) {
    const { status, message } = await detach();
    if (status === 0) print(`runs in the background; "lvsd status" shows how it does`);
    else complain(`lvsd: ${message}`);
    return status;
  }
  process.title = "lvsd";
  const log = openLog({
    form: words.detach && !words.logFile ? undefined : words.log,
    ...(words.logFile && { file: resolve(words.logFile) }),
    ...(words.detach && !words.logFile && { syslog: { facility: FACILITY_DAEMON, name: "lvsd" } }),
  });
  const companion = new LdirectordCompanion({
    path: file,
    shown: file,
    say(text, event) {
      if (event === undefined) log.log.info({ part: "lvs" }, text); // events have our own words already
    },
    warn: (text) => log.log.warn(text),
  });
  process.on("SIGTERM", () => companion.stopping());
  process.on("SIGINT", () => companion.stopping());
  const status = await runDaemon({
    hooks: companion.hooks,
    onReady: (daemon) => companion.ready(daemon),
    read: async (path) =>
      readConfig(path ?? file, words.configId === undefined ? {} : { configId: words.configId }),
    log,
    plane: words.plane,
    control: words.control && resolve(words.control),
    netns: words.netns,
    tolerant: words.strict !== true,
    keepTable: words.keep === true,
    ...(words.keep && { vrrpOptions: { keepAddresses: true } }),
    syncWaitMs: words.syncWait * 1000,
    removal: { mode: words.removal, limitMs: words.drainLimit * 1000 },
    pidFiles: { main: words.pid && resolve(words.pid) },
  });
  await companion.close();
  log.close();
  // Whatever still waits for something is not waited for.
  process.exit(status);
}
