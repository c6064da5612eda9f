/**
 * Which running checks stand for which checks of a virtual server, across reloads.
 * @module
 */
import type { ProbeReport, Probes, Subscription } from "./probes.ts";
import type { VirtualServerHealth } from "./virtual-server.ts";

/** A running check of one server. */
export interface Watch {
  /** Key of the server. */
  readonly server: string;
  /** Which of the servers it is, and which of its checks: both may change at a reload. */
  place: number;
  check: number;
  readonly key: string;
  /** What it last found odd. */
  remark: string | undefined;
  readonly subscription: Subscription;
}

/**
 * Makes the running checks those of a virtual server: unchanged ones go on untouched, new ones begin.
 * @returns all of them, those that are new, and those that have no server any more: the caller's to close
 */
export function watchServers(
  probes: Probes,
  v: VirtualServerHealth | undefined,
  old: readonly Watch[],
  suspended: boolean,
  report: (watch: Watch, report: ProbeReport) => void,
): { watches: Watch[]; fresh: Watch[]; gone: Watch[] } {
  const free = new Map<string, Watch[]>();
  for (const watch of old) {
    const place = `${watch.server} ${watch.key}`;
    const same = free.get(place);
    if (same) same.push(watch);
    else free.set(place, [watch]);
  }
  const watches: Watch[] = [];
  const fresh: Watch[] = [];
  for (const [place, server] of (v && !v.removed ? v.servers.all : []).entries()) {
    for (const [check, { entry, key }] of server.checks.entries()) {
      const kept = free.get(`${server.key} ${key}`)?.shift();
      if (kept) {
        kept.place = place;
        kept.check = check;
        kept.subscription.retime(entry.timing);
        if (kept.subscription.suspended !== suspended) {
          if (suspended) kept.subscription.suspend();
          else kept.subscription.resume();
        }
        watches.push(kept);
        continue;
      }
      const subscription = probes.subscribe(entry.spec, entry.timing, suspended, (r) => report(watch, r));
      const watch: Watch = { server: server.key, place, check, key, remark: undefined, subscription };
      watches.push(watch);
      fresh.push(watch);
    }
  }
  return { watches, fresh, gone: [...free.values()].flat() };
}
