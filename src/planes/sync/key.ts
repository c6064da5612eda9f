/**
 * The key that directors of one pair share.
 * @module
 */
import { readFileSync, statSync } from "node:fs";

/** Where the key lies; `LVSD_SYNC_KEY` names another file. */
export const SYNC_KEY_FILE = "/etc/lvsd/sync.key";
const SHORTEST = 16;
const OTHERS = 0o077;

/** A key, or why there is none that can be used. */
export type SyncKey =
  | { readonly kind: "key"; readonly key: Buffer }
  | { readonly kind: "none" }
  | { readonly kind: "unusable"; readonly why: string };

/** Reads the key: every byte of the file, but for blanks at its ends. At least 16 bytes; nobody but its owner may read the file. */
export function readSyncKey(path = process.env["LVSD_SYNC_KEY"] ?? SYNC_KEY_FILE): SyncKey {
  try {
    if (statSync(path).mode & OTHERS)
      return { kind: "unusable", why: `${path}: others than its owner may use it; chmod 600 ${path}` };
    const key = Buffer.from(readFileSync(path, "latin1").trim(), "latin1");
    if (key.length < SHORTEST)
      return { kind: "unusable", why: `${path}: ${key.length} bytes, expects at least ${SHORTEST}` };
    return { kind: "key", key };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? { kind: "none" } : { kind: "unusable", why: `${path}: ${message}` };
  }
}
