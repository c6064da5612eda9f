/**
 * `global_defs` and the words outside of blocks, while they are read.
 * @module
 */
import type { FifoSpec, ScriptSpec } from "../../wanted.ts";
import type { Word } from "./text.ts";

/** Defaults of VRRP instances; times in ms unless the name says otherwise. */
export interface VrrpDefaults {
  version?: 2 | 3;
  group4?: string;
  group6?: string;
  garpDelayMs?: number;
  garpRepeat?: number;
  garpRefreshMs?: number;
  garpRefreshRepeat?: number;
  lowerPrioDelayMs?: number;
  lowerPrioRepeat?: number;
  arpIntervalMs?: number;
  naIntervalMs?: number;
  minGarp?: boolean;
  garpExtra?: { readonly everyMs: number; readonly all: boolean };
  realtimePriority?: number;
  nice?: number;
  downTimerAdverts?: number;
  lowerPrioNoAdvert?: boolean;
  higherPrioSendAdvert?: boolean;
  checkUnicastSource?: boolean;
  skipCheckAdvAddr?: boolean;
  strict?: boolean;
  startupDelayMs?: number;
  notifyPriorityChanges?: boolean;
  logUnknownIds?: boolean;
  dynamicInterfaces?: boolean;
  defaultInterface?: string;
  checksumAsV2?: boolean;
}

/** A notify pipe, its parts in two keywords. */
export interface FifoDraft {
  path?: Omit<FifoSpec, "script">;
  script?: ScriptSpec;
}

/** lvs_sync_daemon. */
export interface SyncDraft {
  readonly word: Word;
  readonly interface: string;
  instance?: Word;
  syncId?: number;
  maxLen?: number;
  port?: number;
  ttl?: number;
  group?: string;
}

/** All that is global. */
export interface GlobalDraft {
  routerId?: string;
  readonly notificationEmail: string[];
  emailFrom?: string;
  smtpServer?: { host: string; port: number };
  smtpHelo?: string;
  smtpTimeoutS?: number;
  smtpAlert?: boolean;
  smtpAlertVrrp?: boolean;
  smtpAlertChecker?: boolean;
  noFaultEmails?: boolean;
  noCheckerEmails?: boolean;
  logAllFailures?: boolean;
  startupScript?: ScriptSpec;
  shutdownScript?: ScriptSpec;
  startupTimeoutS?: number;
  shutdownTimeoutS?: number;
  scriptUser?: { user: string; group?: string };
  scriptSecurity?: boolean;
  timeouts?: { tcp: number; tcpFin: number; udp: number };
  flush?: boolean;
  flushOnStop?: "all" | "services";
  sync?: SyncDraft;
  rsInitNotifies?: boolean;
  readonly fifos: { readonly all: FifoDraft; readonly lvs: FifoDraft; readonly vrrp: FifoDraft };
  readonly vrrp: VrrpDefaults;
  netns?: string;
  instance?: string;
  /** The SSL block. */
  client?: { ca?: string; certificate?: string; key?: string; password?: string };
}

/** Nothing said. */
export const globalDraft = (): GlobalDraft => ({
  notificationEmail: [],
  fifos: { all: {}, lvs: {}, vrrp: {} },
  vrrp: {},
});
