/**
 * `lvsd sync`: the key that the directors of a pair share, and what the sync daemons of this network namespace do.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DaemonStatus } from "../../../core/daemon.ts";
import { openPlane } from "../../../planes/select.ts";
import { readSyncKey, SYNC_KEY_FILE } from "../../../planes/sync/key.ts";
import type { SyncStatus } from "../../../planes/sync/status.ts";
import { print } from "./daemon-socket.ts";
import { describeSync } from "./sync-words.ts";

const KEY_BYTES = 32;
const FINGERPRINT_DIGITS = 16;

/** Tells keys apart without telling them. */
const fingerprint = (key: Buffer): string =>
  createHash("sha256").update("lvsd sync key").update(key).digest("hex").slice(0, FINGERPRINT_DIGITS);

/** Makes a key file that only root reads, or looks at one. A file that is there is never written over. */
export function key(file: string | undefined, options: { readonly generate?: true }): number {
  const path = resolve(file ?? process.env["LVSD_SYNC_KEY"] ?? SYNC_KEY_FILE);
  if (options.generate) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${randomBytes(KEY_BYTES).toString("base64")}\n`, { mode: 0o600, flag: "wx" });
  }
  const found = readSyncKey(path);
  if (found.kind !== "key") throw new Error(found.kind === "none" ? `${path} is not there` : found.why);
  print(`${path}: fingerprint ${fingerprint(found.key)}`);
  return 0;
}

/** Which daemons run, and what they did as far as it can be told. */
async function look(): Promise<{
  readonly plane: string;
  readonly daemons: readonly DaemonStatus[];
  readonly sync?: SyncStatus | undefined;
  readonly trouble?: string;
}> {
  const plane = await openPlane({});
  try {
    const daemons = await plane.daemons();
    let trouble = "their process is not there; the next command starts it";
    const sync = await plane.syncStatus?.().catch((error: Error) => {
      trouble = error.message;
      return undefined;
    });
    const silent = !sync && daemons.length > 0 && plane.name !== "kernel";
    return { plane: plane.name, daemons, sync, ...(silent && { trouble }) };
  } finally {
    await plane.close();
  }
}

const show = ({ plane, daemons, sync, trouble }: Awaited<ReturnType<typeof look>>): string[] => [
  ...daemons.map((d) => `${d.state} on ${d.interface}, id ${d.syncId}, on the ${plane} plane`),
  ...(sync && daemons.length > 0 ? describeSync(sync).map((line) => `  ${line}`) : []),
  ...(trouble ? [`  ${trouble}`] : []),
];

/** What {@link status} shows; nothing when no daemon runs. */
export const statusLines = async (): Promise<string[]> => show(await look());

/** Shows which daemons run and what they did; exit status 3 when none does, as of init scripts. */
export async function status(options: { readonly json?: true }): Promise<number> {
  const { sync, ...rest } = await look();
  if (options.json) print(JSON.stringify({ ...rest, ...sync }, null, 2));
  else if (rest.daemons.length === 0) print("no sync daemon runs in this network namespace");
  else for (const line of show({ ...rest, sync })) print(line);
  return rest.daemons.length === 0 ? 3 : 0;
}
