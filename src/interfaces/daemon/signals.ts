/**
 * Signals: reload, stop, dumps and statistics, with keepalived's numbers.
 * @module
 */
import { onSignalNumber } from "../../sys/signals.ts";
import { SIGNUM } from "./signal-numbers.ts";

/** What each signal is for. */
export interface SignalHandlers {
  readonly stop: () => void;
  readonly reload: () => void;
  readonly dump: () => void;
  readonly stats: (clear: boolean) => void;
  readonly json: () => void;
}

/** Listens. */
export function onSignals(handlers: SignalHandlers): void {
  process.on("SIGTERM", handlers.stop);
  process.on("SIGINT", handlers.stop);
  process.on("SIGHUP", handlers.reload);
  process.on("SIGUSR1", handlers.dump); // node would open its debugger otherwise
  process.on("SIGUSR2", () => handlers.stats(false));
  process.on("SIGPIPE", () => {});
  onSignalNumber(SIGNUM["STATS_CLEAR"]!, () => handlers.stats(true));
  onSignalNumber(SIGNUM["JSON"]!, handlers.json);
}
