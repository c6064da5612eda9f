/**
 * Talking to systemd by its notify protocol (sd_notify(3)): readiness, status text, reloads, the watchdog.
 * @module
 */
import { DatagramSender } from "../../sys/unix-datagram.ts";

/** What the service manager is told. Without one every call does nothing. */
export interface ServiceManager {
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
  status(text: string): void;
  close(): void;
}

const NOBODY: ServiceManager = {
  ready() {},
  reloading() {},
  stopping() {},
  status() {},
  close() {},
};

const MICROSECONDS = 1000;

/**
 * Opens the door that the environment names (NOTIFY_SOCKET), and feeds the watchdog twice in its time (WATCHDOG_USEC, when it is
 * meant for this process): from the event loop, so that a daemon whose loop stands still is noticed. The variables are taken out
 * of the environment: programs that this one starts have nothing to tell.
 */
export function serviceManager(env: NodeJS.ProcessEnv = process.env): ServiceManager {
  const path = env["NOTIFY_SOCKET"];
  const watchdogUs = Number(env["WATCHDOG_USEC"]);
  const meant = env["WATCHDOG_PID"] === undefined || Number(env["WATCHDOG_PID"]) === process.pid;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  if (!path) return NOBODY;
  const sender = new DatagramSender(path);
  const say = (...lines: string[]): void => void sender.send(lines.join("\n"));
  let timer: NodeJS.Timeout | undefined;
  if (watchdogUs > 0 && meant) {
    timer = setInterval(() => say("WATCHDOG=1"), Math.max(1, watchdogUs / MICROSECONDS / 2));
    timer.unref();
  }
  const monotonicUs = (): string => String(process.hrtime.bigint() / 1000n);
  return {
    ready: (status) => say("READY=1", `STATUS=${status}`, `MAINPID=${process.pid}`),
    reloading: () => say("RELOADING=1", `MONOTONIC_USEC=${monotonicUs()}`),
    stopping: () => say("STOPPING=1"),
    status: (text) => say(`STATUS=${text}`),
    close() {
      clearInterval(timer);
      sender.close();
    },
  };
}
