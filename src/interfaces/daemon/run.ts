/**
 * The daemon as a process: namespace, pid files, log, signals, control socket, service manager around a {@link Daemon}.
 * @module
 */
import { existsSync } from "node:fs";
import { formatStats } from "../../control/vrrp/stats-text.ts";
import { enterNetns, namedNetns } from "../../sys/netns.ts";
import { ask, NoDaemonError } from "./control-client.ts";
import { ControlServer } from "./control-server.ts";
import { ConfigurationError, Daemon, type DaemonOptions } from "./daemon.ts";
import { tellOutcome } from "./detach.ts";
import { dumpAll, writeDump } from "./dump.ts";
import { EXIT } from "./exit.ts";
import type { OpenLog } from "./log.ts";
import { type DaemonPaths, daemonPaths } from "./paths.ts";
import { alive, removePid, writePid } from "./pidfile.ts";
import type { DaemonStatus } from "./protocol.ts";
import { removeDeadSockets } from "./remains.ts";
import { type ServiceManager, serviceManager } from "./service-manager.ts";
import { onSignals } from "./signals.ts";
import { vrrpJson } from "./vrrp-json.ts";

/** What a daemon process is made of. */
export interface RunOptions extends Omit<DaemonOptions, "log" | "paths"> {
  readonly log: OpenLog;
  /** Control socket. @default by network namespace, under /run/lvsd */
  readonly control?: string | undefined;
  /** Part of the control socket's name, for several daemons in one namespace. */
  readonly instance?: string | undefined;
  /** Network namespace, by name; else that of the configuration. */
  readonly netns?: string | undefined;
  /** Pid files: of this process, and of the VRRP process. */
  readonly pidFiles?: {
    readonly main?: string | undefined;
    readonly checkers?: string | undefined;
    readonly vrrp?: string | undefined;
  };
  /** A second start is no failure (keepalived). */
  readonly secondStartIsFine?: boolean;
  /** Called when everything runs. */
  readonly onReady?: (daemon: Daemon) => void;
}

const summary = ({ lvs, vrrp }: DaemonStatus): string => {
  const servers = lvs?.virtualServers.flatMap((service) => service.servers) ?? [];
  const up = servers.filter((server) => server.up).length;
  const parts = lvs
    ? [`${lvs.virtualServers.length} virtual servers, ${up} of ${servers.length} real servers up`]
    : [];
  const masters = vrrp?.instances.filter(({ state }) => state === "master").length ?? 0;
  if (vrrp) parts.push(`${vrrp.instances.length} VRRP instances, master of ${masters}`);
  return parts.join("; ") || "nothing configured";
};

/** Whether a daemon answers at a control socket: its process number. */
async function running(path: string): Promise<number | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    return (await ask<DaemonStatus>(path, "status")).pid;
  } catch (error) {
    if (error instanceof NoDaemonError) return undefined;
    throw error;
  }
}

/** Moves into the namespace that is named here or in the configuration, before anything is opened. */
async function enterNamespace(options: RunOptions): Promise<void> {
  const name = options.netns ?? (await configuredNamespace(options));
  if (name !== undefined && name !== "") enterNetns(name.includes("/") ? name : namedNetns(name));
}

async function configuredNamespace(options: RunOptions): Promise<string | undefined> {
  try {
    return (await options.read()).wanted.global.netns;
  } catch {
    return undefined; // told when the daemon reads it
  }
}

/** What a failure to start means to whoever started it. */
function exitStatus(error: unknown): number {
  if (error instanceof ConfigurationError) {
    const missing = error.diagnostics.some(({ code }) => code === "missing-file" || code === "no-file");
    return missing ? EXIT.missingFile : EXIT.config;
  }
  const { code } = error as { code?: unknown };
  if (code === "EPERM" || code === "EACCES") return EXIT.noPermission;
  return EXIT.fatal;
}

/** Where this daemon's files are. */
function pathsOf({ control, instance }: RunOptions): DaemonPaths {
  const base = daemonPaths();
  const named = (path: string, ending: string): string =>
    instance ? path.replace(ending, `-${instance}${ending}`) : path;
  return {
    ...base,
    socket: control ?? named(base.socket, ".sock"),
    state: named(base.state, ".state.json"),
  };
}

/** Answers signals from now on. */
function listenToSignals(daemon: Daemon, log: OpenLog, manager: ServiceManager, stop: () => void): void {
  const attempt = (what: string, work: () => Promise<unknown>) => (): void => {
    work().catch((error: Error) => log.log.error({ err: error }, `${what} failed: ${error.message}`));
  };
  let asked = 0;
  onSignals({
    stop() {
      // Who asks twice does not want to wait for scripts, mail and the plane.
      if (++asked > 1) process.exit(EXIT.fatal);
      stop();
    },
    reload: attempt("reload", async () => {
      log.reopen();
      manager.reloading();
      await daemon.reload();
      manager.ready(summary(await daemon.status()));
    }),
    dump: attempt("dump", async () => {
      for (const path of dumpAll(daemon.wanted, await daemon.status()))
        log.log.info(`Printing daemon data for process ${process.pid} on signal: ${path}`);
    }),
    stats: (clear) =>
      attempt("statistics", async () => writeDump("stats", formatStats(await daemon.vrrpStats(clear))))(),
    json: attempt("JSON", async () => {
      const { vrrp } = await daemon.status();
      const stats = await daemon.vrrpStats(false);
      writeDump("json", vrrpJson(daemon.wanted?.vrrp.instances ?? [], vrrp?.instances ?? [], stats));
    }),
  });
  for (const event of ["uncaughtException", "unhandledRejection"] as const)
    process.on(event, (error: unknown) => log.log.error({ err: error }, `unexpected: ${String(error)}`));
}

/** Runs until it is told to stop. @returns exit status */
export async function runDaemon(options: RunOptions): Promise<number> {
  const { log } = options.log;
  const fail = (status: number, message: string): number => {
    log.error(message);
    tellOutcome(status, message);
    return status;
  };
  const manager = serviceManager();
  try {
    await enterNamespace(options);
  } catch (error) {
    return fail(EXIT.fatal, (error as Error).message);
  }
  const paths = pathsOf(options);
  const { main, checkers, vrrp } = options.pidFiles ?? {};
  const other = (main === undefined ? undefined : alive(main)) ?? (await running(paths.socket));
  if (other !== undefined) {
    const status = options.secondStartIsFine ? EXIT.ok : EXIT.fatal;
    return fail(status, `daemon is already running (process ${other})`);
  }
  if (process.getuid!() !== 0)
    return fail(EXIT.noPermission, "the daemon changes the network: run it as root");

  let vrrpPid: number | undefined;
  const onVrrpStart = (pid: number): void => {
    vrrpPid = pid;
    if (vrrp !== undefined) writePid(vrrp, pid);
  };
  const removePids = (): void => {
    for (const path of [main, checkers]) if (path !== undefined) removePid(path, process.pid);
    if (vrrp !== undefined && vrrpPid !== undefined) removePid(vrrp, vrrpPid);
  };
  const daemon = new Daemon({ ...options, log, paths, hooks: { ...options.hooks, onVrrpStart } });
  let stop: () => void = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = () => {
      daemon.leave();
      resolve();
    };
  });
  const server = new ControlServer({ daemon, path: paths.socket, log, onStop: stop });
  listenToSignals(daemon, options.log, manager, stop);
  try {
    await server.listen();
    void removeDeadSockets(paths).catch(() => undefined);
    if (main !== undefined) writePid(main, process.pid);
    await daemon.start();
    if (checkers !== undefined) writePid(checkers, process.pid);
  } catch (error) {
    if (error instanceof ConfigurationError) daemon.tellDiagnostics(error.diagnostics);
    await daemon.stop();
    server.close();
    removePids();
    return fail(exitStatus(error), (error as Error).message);
  }
  manager.ready(summary(await daemon.status()));
  tellOutcome(EXIT.ok, "ready");
  options.onReady?.(daemon);
  const statusLine = setInterval(() => {
    void daemon.status().then(
      (status) => manager.status(summary(status)),
      () => undefined,
    );
  }, STATUS_LINE_MS);

  await stopped;
  clearInterval(statusLine);
  manager.stopping();
  await daemon.stop();
  server.close();
  removePids();
  manager.close();
  return EXIT.ok;
}

/** How often the service manager's status line is renewed. */
const STATUS_LINE_MS = 10_000;
