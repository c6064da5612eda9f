/**
 * The daemon with keepalived's habits.
 * @module
 */
import { readConfig } from "../../../control/config/read.ts";
import { dataLines } from "../../daemon/dump.ts";
import { openLog } from "../../daemon/log.ts";
import { runDaemon } from "../../daemon/run.ts";
import { KEEPALIVED } from "../../daemon/texts.ts";
import type { Options } from "./options.ts";

/** Name in the system log; keepalived's parent process has it. */
const LOG_NAME = "Keepalived";

/** Pid files as keepalived names them; `part` is the name of an instance or a namespace. */
function pidFiles(options: Options, part: string | undefined) {
  const path = (name: string): string =>
    part === undefined ? `/run/${name}.pid` : `/run/keepalived/${name}_${part}.pid`;
  return {
    main: options.pid ?? path("keepalived"),
    checkers: options.vrrpOnly ? undefined : (options.checkersPid ?? path("checkers")),
    vrrp: options.checkOnly ? undefined : (options.vrrpPid ?? path("vrrp")),
  };
}

/** Runs until told to stop; `options.file` is absolute. */
export async function runKeepalived(options: Options): Promise<never> {
  process.title = "keepalived"; // pidof(8) and killall(1) find it under this name
  const read = async (path = options.file) =>
    readConfig(path, options.configId === undefined ? {} : { configId: options.configId });
  const log = openLog({
    form: options.console && options.foreground ? "console" : undefined,
    ...(options.syslog && { syslog: { facility: options.facility, name: LOG_NAME } }),
  });
  log.log.info(
    `Command line: ${process.argv
      .slice(1)
      .map((word) => `'${word}'`)
      .join(" ")}`,
  );
  for (const word of options.withoutEffect) log.log.info(`${word} has no effect`);
  const { instance, netns } = (await read()).wanted.global;
  const status = await runDaemon({
    read,
    log,
    instance,
    netns: options.namespace,
    halves: { balancing: !options.vrrpOnly, vrrp: !options.checkOnly },
    tolerant: true,
    keepTable: options.keepTable,
    respawn: options.respawn,
    vrrpOptions: { keepAddresses: options.keepAddresses },
    pidFiles: pidFiles(options, instance ?? options.namespace ?? netns),
    secondStartIsFine: true,
    identity: KEEPALIVED,
    onReady: (daemon) => {
      if (options.dump) for (const line of dataLines(daemon.wanted)) log.log.info(line);
    },
  });
  log.close();
  // Whatever still waits for something is not waited for.
  process.exit(status);
}
