import { expect, test } from "vitest";
import type { BackupStatus, PeerStatus, SyncStatus } from "../../planes/sync/status.ts";
import { waitForPeerTable } from "./peer-table.ts";

const backup = (peer?: PeerStatus): BackupStatus => ({
  messages: 0,
  refused: 0,
  created: 0,
  updated: 0,
  ignored: 0,
  connections: 7,
  rates: { messagesPerS: 0, bytesPerS: 0 },
  ...(peer && { peer }),
});
const PEER: PeerStatus = { address: "10.0.0.2", heardMs: 10 };

/** Waits with what the plane says one look after the other, the last for ever: what was said. */
async function told(limitMs: number, ...looks: (SyncStatus | undefined | Error)[]): Promise<string[]> {
  const said: string[] = [];
  await waitForPeerTable({
    look: async () => {
      const next = looks.length > 1 ? looks.shift() : looks[0];
      if (next instanceof Error) throw next;
      return next;
    },
    limitMs,
    over: () => false,
    next: "VRRP starts",
    say: (level, text) => said.push(`${level} ${text.replace(/[\d.]+ s\b/, "N s")}`),
  });
  return said;
}

test("nothing is waited for where there is no key, no backup daemon, or a plane that cannot tell", async () => {
  expect(await told(1000, undefined)).toEqual([]);
  expect(await told(1000, { key: true })).toEqual([]);
  expect(await told(1000, { key: false, backup: backup(PEER) })).toEqual([]);
  const keyFailure = "/key: others may use it";
  expect(await told(1000, { key: false, keyFailure, backup: backup(PEER) })).toEqual([
    `warning the key of connection sync is not used: ${keyFailure}`,
  ]);
});

test("the peer's table ends it", async () => {
  const looks = [backup(), backup(PEER), backup({ ...PEER, tableMs: 0 })].map((b) => ({
    key: true,
    backup: b,
  }));
  expect(await told(5000, ...looks)).toEqual([
    "info VRRP waits for the connection table of a peer",
    "info the whole connection table of 10.0.0.2 is here: 7 connections, after N s",
  ]);
});

test("a peer that is not heard is waited for no longer than the limit", async () => {
  expect((await told(100, { key: true, backup: backup() })).at(-1)).toBe(
    "info no peer announces connections (N s); VRRP starts",
  );
});

test("a peer that is heard, but does not give its table, is waited for until the limit, and told why", async () => {
  const failing = { key: true, backup: backup({ ...PEER, failure: "it has another key" }) };
  expect((await told(100, failing)).at(-1)).toBe(
    "warning the connection table of 10.0.0.2 is not here after N s: it has another key; VRRP starts",
  );
});

test("a plane that fails holds nothing up", async () => {
  expect(await told(1000, new Error("gone"))).toEqual([
    "warning VRRP starts without a peer's connections: gone",
  ]);
});
