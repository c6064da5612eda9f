/**
 * The sync process of the eBPF plane: one a network namespace, started by the command that starts a daemon, ended with the last daemon. It
 * sends and receives; packets are the BPF programs' affair. Whoever finds it gone starts it again, and nothing but time is lost.
 * @module
 */
import { chmodSync, mkdirSync, rmSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import pino from "pino";
import { TableError } from "../../../core/errors.ts";
import { Routes } from "../../../sys/route.ts";
import { abandonment, becomeSole } from "../../sole-process.ts";
import { READY_FD } from "../../start-process.ts";
import { SyncDaemons } from "../../sync/daemons.ts";
import { image } from "../image.ts";
import { ebpfPaths } from "../paths.ts";
import { clock, MapDirector } from "./director.ts";
import { syncPaths } from "./paths.ts";
import type { Answer, Request } from "./protocol.ts";

/** Rules, maps and the namespace are looked at this often, ms. */
const LOOK_MS = 250;
/** A daemon that could not be started, as its interface was missing, is tried again after this long, ms. */
const AGAIN_MS = 5000;
/** How often events are looked for: between these, by whether there were any, ms. */
const POLL_MS = { least: 5, most: 40 } as const;

const HELP = `Usage: lvsd-sync [--foreground]

The process that synchronises connections of the eBPF plane, for the network namespace it is started in. "ipvsadm --start-daemon" starts it.

  --foreground  log to standard error; say nothing to whoever started it
  --help        this text
`;

async function main(args: readonly string[]): Promise<void> {
  if (args.includes("--help")) {
    process.stdout.write(HELP);
    return;
  }
  const foreground = args.includes("--foreground");
  const paths = ebpfPaths();
  const files = syncPaths(paths);
  mkdirSync(paths.run, { recursive: true, mode: 0o755 });
  if (!(await becomeSole(files))) {
    tell("ready");
    return;
  }
  const log = pino(
    { base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: foreground ? 2 : files.log, sync: true, mode: 0o600 }),
  );
  process.on("uncaughtException", (error) => log.error({ err: error }, "unexpected"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unexpected"));

  const director = new MapDirector(paths, (text) => log.info({}, text));
  const routes = new Routes();
  const daemons = new SyncDaemons(director, routes, clock);
  const abandoned = abandonment();
  let ending = false;
  const end = (why: string, forget: boolean): void => {
    if (ending) return;
    ending = true;
    rmSync(files.socket, { force: true });
    server.close();
    daemons.close();
    log.info({}, `ended: ${why}`);
    if (forget) for (const path of [files.log, files.lock]) rmSync(path, { force: true });
    // Answers under way are written; the lock goes with the process.
    setTimeout(() => process.exit(0), 20);
  };

  let triedAt = 0;
  /** What was said last of a daemon that cannot be started: it is tried every few seconds. */
  let complaint = "";
  /** Everything as it is now. @throws TableError when a daemon cannot be started */
  const apply = (): void => {
    triedAt = performance.now();
    if (director.refresh() === "foreign") {
      end("another lvsd's programs are there", false);
      return;
    }
    const wanted = director.arrange();
    daemons.apply();
    if (!wanted) end("no daemon is to run", true);
  };
  const look = (): void => {
    if (ending) return;
    if (abandoned()) {
      end("its network namespace was removed", true);
      return;
    }
    const found = director.refresh();
    if (found === "same" && performance.now() - triedAt < AGAIN_MS) return;
    try {
      apply();
      complaint = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== complaint) log.warn({}, message);
      complaint = message;
    }
  };

  const answer = (request: Request): Answer => {
    try {
      if (request === "apply") apply();
      if (request === "expect") daemons.expectTable();
      if (request === "end") end("another lvsd is to go on", false);
      const { lost } = director;
      const sync = daemons.status();
      const master = sync.master && { ...sync.master, unheard: lost };
      return {
        value: { pid: process.pid, image: image().hash, sync: { ...sync, ...(master && { master }) } },
      };
    } catch (error) {
      const code = error instanceof TableError ? error.code : "EIO";
      return { error: { code, message: (error as Error).message } };
    }
  };
  // Who asks a process that is ending is to find it gone, and starts another.
  const server = createServer((socket) => serve(socket, (request) => (ending ? undefined : answer(request))));
  rmSync(files.socket, { force: true });
  const umask = process.umask(0o177);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(files.socket, resolve);
  });
  process.umask(umask);
  chmodSync(files.socket, 0o600);
  process.on("SIGTERM", () => end("SIGTERM", false));
  process.on("SIGINT", () => end("SIGINT", false));
  process.on("SIGHUP", () => log.info({}, "SIGHUP ignored"));

  look();
  setInterval(look, LOOK_MS);
  let wait: number = POLL_MS.least;
  const poll = (): void => {
    if (ending) return;
    try {
      wait = director.poll() > 0 ? POLL_MS.least : Math.min(2 * wait, POLL_MS.most);
    } catch (error) {
      log.error({ err: error }, "a bug");
    }
    setTimeout(poll, wait);
  };
  poll();
  log.info({}, "ready");
  if (!foreground) tell("ready");
}

/** One line in, one line out, any number of times. */
function serve(socket: Socket, answer: (request: Request) => Answer | undefined): void {
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("error", () => socket.destroy());
  socket.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!.slice(0, 1000);
    for (const line of lines) {
      const known = (["apply", "status", "expect", "end"] as const).find((r) => JSON.stringify(r) === line);
      const answered = known && answer(known);
      if (answered) socket.write(`${JSON.stringify(answered)}\n`);
      else socket.destroy();
    }
  });
}

/** To whoever started this; nobody waits where it was started by hand. */
function tell(line: string): void {
  try {
    writeSync(READY_FD, `${line}\n`);
  } catch {
    // Started by hand.
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  tell(JSON.stringify({ code: (error as { code?: unknown }).code, message }));
  process.stderr.write(`lvsd-sync: ${message}\n`);
  process.exit(1);
});
