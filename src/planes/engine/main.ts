/**
 * The engine process: one a network namespace, started by the first command that changes something.
 *
 * It ends when the table is empty, nothing else is set, no connection is left and no client is connected.
 * @module
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { connect } from "node:net";
import pino from "pino";
import { raw } from "../../sys/libc.ts";
import { Engine } from "./engine.ts";
import { type EnginePaths, enginePaths } from "./paths.ts";
import { ControlServer } from "./server.ts";

const LOCK_EXCLUSIVE_NOW = 2 | 4; // LOCK_EX | LOCK_NB
const LOCK_WAIT_MS = 10_000;
const LOCK_RETRY_MS = 20;
const IDLE_CHECK_MS = 250;
/** Checks in a row that find nothing to do before the engine ends. */
const IDLE_CHECKS = 4;
/** The descriptor on which whoever started this waits for a line: "ready", or what is wrong. */
const READY_FD = 3;

const HELP = `Usage: lvsd-engine [--foreground]

The engine plane's process for the network namespace it is started in. Commands start it themselves.

  --foreground  log to standard error; say nothing to whoever started it
  --help        this text
`;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Takes the lock of this namespace: false when a running engine holds it. The descriptor stays open until the end. */
async function lock(paths: EnginePaths): Promise<boolean> {
  const giveUpAt = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    const fd = openSync(paths.lock, "w", 0o600);
    // An engine that ends removes the file: a lock on a file that is gone keeps nobody out.
    if (raw.flock(fd, LOCK_EXCLUSIVE_NOW) === 0 && stillThere(paths.lock, fstatSync(fd).ino)) return true;
    closeSync(fd);
    // It is either running, or ending and will let go of the lock.
    if (await answers(paths.socket)) return false;
    if (performance.now() > giveUpAt)
      throw new Error(`${paths.lock} is held by an engine that does not answer`);
    await sleep(LOCK_RETRY_MS);
  }
}

/** Name under which `ip netns` knows this process's namespace, if any. */
function namespacePath(): string | undefined {
  const inode = statSync("/proc/self/ns/net").ino;
  try {
    return readdirSync("/run/netns")
      .map((name) => `/run/netns/${name}`)
      .find((path) => statSync(path).ino === inode);
  } catch {
    return undefined;
  }
}

function stillThere(path: string, inode: number): boolean {
  try {
    return statSync(path).ino === inode;
  } catch {
    return false;
  }
}

/** Whether any other process is in the namespace. */
function inhabited(inode: number): boolean {
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return statSync(`/proc/${pid}/ns/net`).ino === inode;
    } catch {
      return false;
    }
  });
}

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
  if (!(await lock(paths))) {
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
  if (await engine.restore()) log.info({}, "rules restored; the connections of the former engine are gone");
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

  const inode = statSync("/proc/self/ns/net").ino;
  const named = namespacePath();
  let idle = 0;
  setInterval(() => {
    idle = engine.idle && server.clients === 0 ? idle + 1 : 0;
    if (idle >= IDLE_CHECKS) void end("nothing to do", true);
    // `ip netns del` cannot remove a namespace that this process is in: it ends when it is the last.
    if (named && !stillThere(named, inode) && !inhabited(inode))
      void end("its network namespace was removed", true);
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
