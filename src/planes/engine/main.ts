/**
 * The engine process: one a network namespace, started by the first command that changes something.
 *
 * It ends when the table is empty, nothing else is set, no connection is left and no client is connected.
 * @module
 */
import { existsSync, mkdirSync, rmSync, writeSync } from "node:fs";
import pino from "pino";
import { abandonment, becomeSole } from "../sole-process.ts";
import { READY_FD } from "../start-process.ts";
import { Engine } from "./engine.ts";
import { enginePaths } from "./paths.ts";
import { ControlServer } from "./server.ts";

const IDLE_CHECK_MS = 250;
/** Checks in a row that find nothing to do before the engine ends. */
const IDLE_CHECKS = 4;
const HELP = `Usage: lvsd-engine [--foreground]

The engine plane's process for the network namespace it is started in. Commands start it themselves.

  --foreground  log to standard error; say nothing to whoever started it
  --help        this text
`;

async function main(args: readonly string[]): Promise<void> {
  if (args.includes("--help")) {
    process.stdout.write(HELP);
    return;
  }
  const foreground = args.includes("--foreground");
  const tell = (line: string): void => {
    if (foreground) return;
    try {
      writeSync(READY_FD, `${line}\n`);
    } catch {
      // Started by hand: nobody waits.
    }
  };
  const paths = enginePaths();
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  if (!(await becomeSole(paths))) {
    tell("ready");
    return;
  }
  const log = pino(
    { base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: foreground ? 2 : paths.log, sync: true, mode: 0o600 }),
  );
  process.on("uncaughtException", (error) => log.error({ err: error }, "unexpected"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unexpected"));

  const engine = new Engine(paths.rules, log);
  await engine.restore();
  let ending = false;
  const end = async (why: string, forget: boolean): Promise<void> => {
    if (ending) return;
    ending = true;
    await server.close();
    await engine.close(forget);
    log.info({}, `ended: ${why}`);
    if (forget) for (const path of [paths.log, paths.lock]) rmSync(path, { force: true });
    // Answers under way are written; the lock goes with the process.
    setTimeout(() => process.exit(0), 20);
  };
  const server = new ControlServer({
    engine,
    path: paths.socket,
    log,
    onStop: () => void end("told to", true),
  });
  await server.listen();
  process.on("SIGTERM", () => void end("SIGTERM, rules kept", false));
  process.on("SIGINT", () => void end("SIGINT, rules kept", false));
  process.on("SIGHUP", () => log.info({}, "SIGHUP ignored"));

  const abandoned = abandonment();
  let idle = 0;
  setInterval(() => {
    idle = engine.idle && server.clients === 0 ? idle + 1 : 0;
    if (idle >= IDLE_CHECKS) void end("nothing to do", true);
    if (abandoned()) void end("its network namespace was removed", true);
  }, IDLE_CHECK_MS);
  const { packetsBy, queue } = engine.status();
  log.info({ packetsBy, queue, socket: existsSync(paths.socket) }, "ready");
  tell("ready");
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown }).code;
  try {
    writeSync(READY_FD, `${JSON.stringify({ code, message })}\n`);
  } catch {
    // Nobody waits.
  }
  process.stderr.write(`lvsd-engine: ${message}\n`);
  process.exit(1);
});
