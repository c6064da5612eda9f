/**
 * What commands say to the sync process, a JSON line each, and hear from it.
 * @module
 */
import type { TableErrorCode } from "../../../core/errors.ts";
import type { SyncStatus } from "../../sync/status.ts";

/**
 * apply: make the daemons as the rules now say, and tell how it went. status: tell what they did. expect: another director was master too,
 * ask the next backup for its connections. end: finish, for one of another
 * lvsd to come; the daemons stay in the rules.
 */
export type Request = "apply" | "status" | "expect" | "end";

/** What the process tells of itself. */
export interface ProcessStatus {
  readonly pid: number;
  /** Hash of the programs that it was built with. */
  readonly image: string;
  readonly sync: SyncStatus;
}

/** An answer. */
export type Answer =
  | { readonly value: ProcessStatus }
  | { readonly error: { readonly code: TableErrorCode; readonly message: string } };
