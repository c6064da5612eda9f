/**
 * What a configuration file asks for: the one model behind keepalived.conf and ldirectord.cf. Plain data, comparable, prints as JSON;
 * reading a file touches no kernel.
 * @module
 */
import type { DestinationId, ForwardingMethod, Tunnel } from "../core/destination.ts";
import type { ServiceId, ServiceSpec } from "../core/service.ts";
import type { Timeouts } from "../core/timeouts.ts";
import type { CheckSpec } from "./checks/check.ts";
import type { Place } from "./config/diagnostic.ts";
import type { VrrpSpec } from "./vrrp/spec.ts";

/** A program to run: no shell, unless it is one. */
export interface ScriptSpec {
  readonly command: readonly string[];
  /** @default the global script user */
  readonly user?: string;
  readonly group?: string;
  /** Seconds after which it is ended. @default 60 */
  readonly timeoutS?: number;
}

/** When a check runs, and how many failures count. All times in milliseconds. */
export interface CheckTiming {
  /** From the end of one check to the next while all is well (misc: from start to start). */
  readonly delayLoopMs: number;
  /** Failures that are forgiven before the server is down. */
  readonly retry: number;
  readonly delayBeforeRetryMs: number;
  /** The first check comes after 1 s and a random part of this. 0: no spread. */
  readonly warmupMs: number;
  /** keepalived: a server that fails its very first check is down at once. */
  readonly firstFailureCounts: boolean;
  /** Wait between checks of a server that is down. @default as keepalived has it for the kind */
  readonly downDelayMs?: number;
  /** Report single failures too. */
  readonly logAllFailures?: boolean;
}

/** A check of one real server. */
export interface CheckEntry {
  readonly spec: CheckSpec;
  readonly timing: CheckTiming;
  /** Begin as failed until the first success. */
  readonly alpha: boolean;
  readonly at: Place;
}

/** A real server of a virtual server. */
export interface RealServerSpec {
  readonly id: DestinationId;
  readonly method: ForwardingMethod;
  readonly tunnel: Tunnel;
  readonly weight: number;
  /** Connection thresholds, 0 for none. */
  readonly upper: number;
  readonly lower: number;
  /** A failed server stays in the table with weight 0 (inhibit_on_failure, quiescent). */
  readonly inhibitOnFailure: boolean;
  /** All must succeed; none: always up. */
  readonly checks: readonly CheckEntry[];
  readonly notifyUp?: ScriptSpec;
  readonly notifyDown?: ScriptSpec;
  readonly smtpAlert: boolean;
  readonly virtualhost?: string;
  /** Colon-separated identity of its check, as ldirectord's monitor files show it. */
  readonly monitorId?: string;
  readonly at: Place;
}

/** The server of last resort. */
export interface SorryServerSpec {
  readonly id: DestinationId;
  readonly method: ForwardingMethod;
  readonly tunnel: Tunnel;
  /** Stays in the table with weight 0 while unused. */
  readonly inhibit: boolean;
}

/** One virtual server: one service, or as many as its group has members, with one set of real servers and checks. */
export interface VirtualServerSpec {
  /** What names it across reloads and in logs, as keepalived writes it: `[10.0.0.1]:tcp:80`, `FWM 9`, `[GROUP]:0`. */
  readonly name: string;
  readonly ids: readonly ServiceId[];
  /** What all its services have in common. */
  readonly service: Omit<ServiceSpec, "id">;
  readonly servers: readonly RealServerSpec[];
  readonly sorry?: SorryServerSpec;
  /** Sum of weights needed, and how far it must be passed in either direction. */
  readonly quorum: number;
  readonly hysteresis: number;
  readonly quorumUp?: ScriptSpec;
  readonly quorumDown?: ScriptSpec;
  /** Run the down scripts at stop for what was up. */
  readonly omega: boolean;
  /** Check only while the VIP is on this host. */
  readonly haSuspend: boolean;
  /** Leave service and servers in the table at stop (ldirectord's cleanstop=no). */
  readonly keepOnStop: boolean;
  readonly smtpAlert: boolean;
  /** Shell command of ldirectord's fallbackcommand. */
  readonly fallbackCommand?: string;
  /** Overrides of the global mail settings (ldirectord). */
  readonly mail?: Partial<MailSpec>;
  /** File that gets a line for every check result (ldirectord). */
  readonly monitorFile?: string;
  /** Name and comment in mails (ldirectord's servicename and comment). */
  readonly label?: string;
  readonly comment?: string;
  readonly at: Place;
}

/** Mail alerts. */
export interface MailSpec {
  /** Receivers; none: no mail. */
  readonly to: readonly string[];
  readonly from: string;
  /** SMTP server; absent: no mail (keepalived), the local sendmail (ldirectord). */
  readonly server?: { readonly host: string; readonly port: number };
  readonly helo: string;
  readonly connectTimeoutS: number;
  /** Seconds between repeated mails about a server that stays down, 0 for none (ldirectord). */
  readonly repeatS: number;
  /** Daemon states in which mail is sent (ldirectord). @default all */
  readonly states?: readonly ("starting" | "running" | "stopping" | "reloading")[];
}

/** Connection sync daemon (lvs_sync_daemon). */
export interface SyncDaemonSpec {
  readonly interface: string;
  /** VRRP instance whose state decides between master and backup; absent: both run. */
  readonly instance?: string;
  /** 0..255. */
  readonly syncId: number;
  /** 0 and "" for the default. */
  readonly maxLen: number;
  readonly port: number;
  readonly ttl: number;
  readonly group: string;
}

/** What concerns the whole daemon. */
export interface GlobalSpec {
  /** Name in mail subjects. */
  readonly routerId: string;
  readonly mail?: MailSpec;
  readonly noCheckerEmails: boolean;
  readonly noFaultEmails: boolean;
  /** Values of 0 are left alone; put back at stop. */
  readonly timeouts?: Timeouts;
  /** Empty the whole table at start. */
  readonly flush: boolean;
  /** At stop: leave to the normal removal, flush all, or delete services without naming their servers. */
  readonly flushOnStop: "no" | "all" | "services";
  readonly sync?: SyncDaemonSpec;
  readonly scriptUser?: { readonly user: string; readonly group?: string };
  readonly scriptSecurity: boolean;
  readonly startupScript?: ScriptSpec;
  readonly shutdownScript?: ScriptSpec;
  /** Named pipes: both kinds of lines, virtual servers only, VRRP only. */
  readonly notifyFifo?: FifoSpec;
  readonly lvsNotifyFifo?: FifoSpec;
  readonly vrrpNotifyFifo?: FifoSpec;
  /** Run notify_up for servers that are up at start. */
  readonly rsInitNotifies: boolean;
  /** How the process that speaks VRRP is scheduled: SCHED_RR priority 1..99, and nice value -20..19. */
  readonly vrrpProcess?: { readonly realtimePriority?: number; readonly nice?: number };
  /** Network namespace to run in. */
  readonly netns?: string;
  readonly instance?: string;
  /** ldirectord's: */
  readonly logFile?: string;
  readonly maintenanceDir?: string;
  readonly autoReload?: boolean;
  readonly callback?: string;
  readonly supervised?: boolean;
  readonly execute?: readonly string[];
}

/** A notify pipe, and the script that reads it. */
export interface FifoSpec {
  readonly path: string;
  readonly user?: string;
  readonly group?: string;
  readonly script?: ScriptSpec;
}

/** Everything one configuration asks for. */
export interface Wanted {
  readonly language: "keepalived" | "ldirectord";
  /** The files that were read, absolute, the first one first. */
  readonly files: readonly string[];
  readonly global: GlobalSpec;
  readonly virtualServers: readonly VirtualServerSpec[];
  readonly vrrp: VrrpSpec;
}
