/**
 * What goes over the daemon's control socket: one JSON object a line, as with the engine's. Events come as several answers to one
 * request, each with `more`.
 * @module
 */
import type { Diagnostic } from "../../control/config/diagnostic.ts";
import type { Plan, Status } from "../../control/supervision.ts";
import type { VrrpStatus } from "../../control/vrrp/messages.ts";
import type { SyncStatus } from "../../planes/sync/status.ts";

/** A request. */
export interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** An answer. */
export type Answer =
  | { readonly id: number; readonly value?: unknown; readonly more?: true }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } };

/** The last attempt to load a configuration. */
export interface LoadReport {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly ok: boolean;
  readonly errors: number;
  readonly warnings: number;
  /** One line: what came of it. */
  readonly text: string;
}

/** Connection sync: what is configured, and what the plane's daemons tell where they do. */
export interface SyncReport extends Partial<SyncStatus> {
  readonly interface: string;
  readonly syncId: number;
  /** The VRRP instance that decides about the role; absent: both. */
  readonly instance?: string;
  readonly role: "master" | "backup" | "both";
  /** Why one of them does not run, or why they cannot be asked. */
  readonly trouble?: string;
}

/** `status`. */
export interface DaemonStatus {
  readonly pid: number;
  readonly vrrpPid?: number;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly state: "starting" | "running" | "reloading" | "stopping";
  /** Configuration files, the first one first. */
  readonly files: readonly string[];
  readonly reloads: number;
  readonly load: LoadReport;
  /** Scripts that run or wait. */
  readonly scripts: number;
  /** Absent when no virtual servers are configured. */
  readonly lvs?: Status;
  /** Absent when no VRRP is configured. */
  readonly vrrp?: VrrpStatus;
  /** Why VRRP's part is missing, when it should be there. */
  readonly vrrpTrouble?: string;
  /** Absent when no sync daemon is configured. */
  readonly sync?: SyncReport;
}

/** `reload`. */
export interface ReloadAnswer {
  readonly ok: boolean;
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
  /** Changes made to the table. */
  readonly changes: number;
  /** What the table refused. */
  readonly refused: readonly string[];
}

/** `plan`. */
export interface PlanAnswer {
  readonly diagnostics: readonly Diagnostic[];
  /** Absent when the configuration has errors. */
  readonly plan?: Plan;
  /** Differences of VRRP: `instance VI_1: changed`. */
  readonly vrrp: readonly string[];
}
