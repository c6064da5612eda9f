/**
 * A director that starts, or had a fault, takes addresses only when it has its peer's connections: waits for the table that the backup
 * sync daemon asks for, with a limit.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SyncStatus } from "../../planes/sync/status.ts";

/** Time after which a peer that was never heard is taken for absent, ms; one that is there says so every second. */
const SILENT_MS = 3000;
/** How often the daemons are looked at, ms. */
const LOOK_MS = 50;

/** What waiting needs. */
export interface WaitOptions {
  /** The plane's word; undefined when it has none. */
  readonly look: () => Promise<SyncStatus | undefined>;
  readonly limitMs: number;
  /** Waiting has become pointless. */
  readonly over: () => boolean;
  readonly say: (level: "info" | "warning", text: string) => void;
  /** What happens without the table, for people: "VRRP starts". */
  readonly next: string;
}

/** Waits. Every way that it ends is told, but for "there is nothing to wait for". Never rejects. */
export async function waitForPeerTable({ look, limitMs, over, say, next }: WaitOptions): Promise<void> {
  const from = performance.now();
  const passed = (): number => performance.now() - from;
  const seconds = (): string => `${(passed() / 1000).toFixed(1)} s`;
  for (let told = false; !over(); await sleep(LOOK_MS)) {
    let status: SyncStatus | undefined;
    try {
      status = await look();
    } catch (error) {
      say("warning", `${next} without a peer's connections: ${(error as Error).message}`);
      return;
    }
    if (status?.keyFailure) say("warning", `the key of connection sync is not used: ${status.keyFailure}`);
    if (!status?.backup || !status.key) return;
    const { peer, connections } = status.backup;
    if (peer?.tableMs !== undefined) {
      say(
        "info",
        `the whole connection table of ${peer.address} is here: ${connections} ${connections === 1 ? "connection" : "connections"}, after ${seconds()}`,
      );
      return;
    }
    if (!told) say("info", "VRRP waits for the connection table of a peer");
    told = true;
    if (!peer && passed() >= Math.min(SILENT_MS, limitMs)) {
      say("info", `no peer announces connections (${seconds()}); ${next}`);
      return;
    }
    if (passed() < limitMs) continue;
    const why = peer?.failure ? `: ${peer.failure}` : "";
    say("warning", `the connection table of ${peer?.address} is not here after ${seconds()}${why}; ${next}`);
    return;
  }
}
