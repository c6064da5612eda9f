/**
 * The process that speaks VRRP. The daemon forks it and talks to it by the messages of `control/vrrp/messages.ts`; with `--spec FILE` it runs by
 * itself, prints its events as JSON lines, and stops politely at SIGTERM (`--keep`: leaves the addresses).
 *
 * It imports little and does nothing but VRRP, so that no check, reload or script of the daemon delays an advert.
 * @module
 */
import { readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { VrrpDriver } from "../../control/vrrp/driver.ts";
import { LinuxHost } from "../../control/vrrp/linux-host.ts";
import type { FromVrrp, ToVrrp, VrrpOptions } from "../../control/vrrp/messages.ts";
import type { VrrpSpec } from "../../control/vrrp/spec.ts";
import { createTrackers } from "../../control/vrrp/trackers.ts";
import { becomeRealtime } from "../../sys/scheduling.ts";

/** A last advert needs a moment to leave before the interface may go. */
const LINGER_MS = 100;
const DEFAULT_REALTIME = 1;

const forked = process.send !== undefined;

const log = (text: string): void =>
  send({ kind: "event", event: { atMs: Date.now(), level: "warning", text, kind: "log" } });

const host: LinuxHost = new LinuxHost({
  wake: () => driver.wake(),
  readable: () => driver.readable(),
  changed: (lost) => driver.changed(lost),
  log,
});

const driver: VrrpDriver = new VrrpDriver(host, (event) => send({ kind: "event", event }));

let stopping = false;
let options: VrrpOptions = {};
let realtime: number | undefined;

function send(message: FromVrrp): void {
  if (!forked) {
    if (message.kind === "event" || message.kind === "status")
      process.stdout.write(`${JSON.stringify(message)}\n`);
    return;
  }
  // A daemon that has gone hears nothing, and `disconnect` ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function tune(wanted: VrrpOptions): void {
  const former = options;
  options = wanted;
  if (wanted.nice !== undefined && wanted.nice !== former.nice) {
    try {
      setPriority(wanted.nice);
    } catch (error) {
      log(`cannot set priority ${wanted.nice}: ${(error as Error).message}`);
    }
  }
  const priority = wanted.realtimePriority ?? DEFAULT_REALTIME;
  if (priority === 0 || priority === realtime) return;
  realtime = priority;
  try {
    becomeRealtime(priority);
    driver.realtimePriority = priority;
  } catch (error) {
    if (wanted.realtimePriority !== undefined) log(`cannot run in real time: ${(error as Error).message}`);
  }
}

async function stop(keep: boolean): Promise<void> {
  if (stopping) return;
  stopping = true;
  const { masters } = driver;
  driver.stop(keep);
  await host.settled();
  if (masters) await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
  send({ kind: "stopped" });
  host.close();
  // The channel delivers what was sent before it closes.
  setImmediate(() => process.exit(0));
}

function handle(message: ToVrrp): void {
  if (stopping) return;
  switch (message.kind) {
    case "configure":
      tune(message.options ?? {});
      send({ kind: "configured", problems: driver.configure(message.spec, message.resume) });
      return;
    case "track":
      driver.track(message);
      return;
    case "caughtUp":
      driver.caughtUp(message.instance);
      return;
    case "status":
      send({ kind: "status", id: message.id, status: driver.status() });
      return;
    case "stats":
      send({ kind: "stats", id: message.id, stats: driver.stats(message.clear) });
      return;
    case "stop":
      void stop(message.addresses ? message.addresses === "keep" : (options.keepAddresses ?? false));
  }
}

function runAlone(args: readonly string[]): void {
  const file = args[args.indexOf("--spec") + 1];
  if (!args.includes("--spec") || file === undefined) {
    process.stderr.write(
      "usage: lvsd-vrrp --spec FILE.json [--keep] [--no-realtime]; or started by lvsd run\n",
    );
    process.exit(2);
  }
  const read = (): VrrpSpec => JSON.parse(readFileSync(file, "utf8")) as VrrpSpec;
  const trackers = createTrackers({ onResult: (result) => driver.track(result), log });
  const configure = (): void => {
    const spec = read();
    const problems = driver.configure(spec);
    trackers.configure(spec);
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    if (problems.length > 0) process.exit(1);
  };
  tune(args.includes("--no-realtime") ? { realtimePriority: 0 } : {});
  configure();
  process.on("SIGHUP", configure);
  process.on("SIGUSR1", () => send({ kind: "status", id: 0, status: driver.status() }));
  process.on("SIGUSR2", () =>
    process.stdout.write(`${JSON.stringify({ kind: "stats", stats: driver.stats() })}\n`),
  );
  const end = (): void => {
    trackers.close();
    void stop(args.includes("--keep"));
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

if (forked) {
  process.on("message", (message) => handle(message as ToVrrp));
  process.on("disconnect", () => void stop(options.keepAddresses ?? false));
  // The terminal sends these to the whole group; the daemon decides when this process ends.
  process.on("SIGINT", () => {});
  process.on("SIGHUP", () => {});
  process.on("SIGTERM", () => void stop(options.keepAddresses ?? false));
  send({ kind: "ready", pid: process.pid });
} else runAlone(process.argv.slice(2));
