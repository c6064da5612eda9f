/**
 * `lvsd sync key`: makes the key that the directors of a pair share, or shows whether it can be used.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { readSyncKey, SYNC_KEY_FILE } from "../../../planes/sync/key.ts";
import { print } from "./daemon-socket.ts";

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
