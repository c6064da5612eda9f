/**
 * The contract of the supervisor: what the daemon and its commands may ask of it, and what it tells.
 *
 * `supervisor.ts` implements it; `plan.ts` makes plans without one. Everything here is plain data that prints as JSON, apart from the
 * functions that the caller hands in.
 * @module
 */
import type { DestinationId, DestinationSpec, ForwardingMethod } from "../core/destination.ts";
import type { Counters, ServiceId, ServiceSpec } from "../core/service.ts";
import type { DataPlane } from "../planes/plane.ts";
import type { Checker, CheckSpec, Verdict } from "./checks/check.ts";
import type { ScriptSpec, VirtualServerSpec, Wanted } from "./wanted.ts";

// --- what happened ----------------------------------------------------------------------------------------------------

/** What an event is about. */
export type EventKind =
  /** One check: a single failure that does not count yet; its turn to failed, to ok. */
  | "check-failure"
  | "check-failed"
  | "check-ok"
  /** Something odd that does not count. */
  | "check-remark"
  /** A check began to run or rests (ha_suspend, reload). */
  | "check-activated"
  | "check-suspended"
  /** A real server's turn; `table` says what became of it there. */
  | "server-up"
  | "server-down"
  | "weight-changed"
  | "quorum-gained"
  | "quorum-lost"
  | "sorry-in"
  | "sorry-out"
  /** All live real servers leave the table for the sorry server, or come back. */
  | "pool-out"
  | "pool-in"
  /** Operator: drain, undrain, weight. */
  | "held"
  | "released"
  /** Reload. */
  | "service-added"
  | "service-edited"
  | "service-removed"
  | "server-added"
  | "server-edited"
  | "server-removed"
  /** A removed server (or a whole removed service, then without `server`) finishes its connections; done; given up at the limit. */
  | "drain-begun"
  | "drain-done"
  | "drain-limit"
  /** The table was not as it should be, and was mended. */
  | "repaired"
  /** The table refused a change. */
  | "refused"
  /** Something beside the table: an interface without hooks, a process that died, a file that cannot be written. */
  | "trouble"
  /** Entries were found at start and taken over. */
  | "adopted"
  | "server-stopped"
  | "service-stopped";

/** One thing that happened. */
export interface HealthEvent {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly kind: EventKind;
  readonly level: "info" | "warning" | "error";
  /** Name of the virtual server, "" when none is meant. */
  readonly service: string;
  /** Name of the real or sorry server: `[10.0.1.1]:tcp:80`. */
  readonly server?: string;
  /** One sentence for people: why. */
  readonly reason: string;
  /** keepalived's words for it, or "" where keepalived says nothing. */
  readonly words: string;
  /** Of the check that decided. */
  readonly latencyMs?: number;
  /** What was done to the entry: server-up, server-down, sorry-in, sorry-out. "none": the table holds it back (sorry server in, suspended). */
  readonly table?: "added" | "enabled" | "removed" | "disabled" | "none";
  /** The weight in the table afterwards, where it makes sense. */
  readonly weight?: number;
  /** check-failure: this is failure `count` of the `limit` that take the server out. */
  readonly failures?: { readonly count: number; readonly limit: number };
}

/**
 * What shall be done about something besides changing the table, in this order and after the table was changed. The supervisor never waits
 * for it.
 */
export type Effect =
  | {
      readonly kind: "script";
      readonly what: ScriptKind;
      readonly service: string;
      readonly server?: string;
      readonly script: ScriptSpec;
    }
  /** A line, without newline, for notify_fifo and lvs_notify_fifo. */
  | { readonly kind: "fifo"; readonly line: string }
  | {
      readonly kind: "mail";
      readonly service: string;
      readonly server?: string;
      /** Subject without the router's name: `Realserver [10.0.1.1]:tcp:80 of virtual server [10.0.0.1]:tcp:80 - DOWN`. */
      readonly subject: string;
      /** `=> TCP CHECK failed on service <=`. */
      readonly body: string;
      /** Whether a check is the reason: `no_checker_emails` is about these. */
      readonly fromChecker: boolean;
    }
  /** ldirectord's fallbackcommand: `COMMAND start|stop VIP:PORT PROTO`. */
  | {
      readonly kind: "fallback-command";
      readonly service: string;
      readonly command: string;
      readonly word: "start" | "stop";
      readonly id: ServiceId;
    };

/** Which script. */
export type ScriptKind = "notify_up" | "notify_down" | "quorum_up" | "quorum_down";

// --- how things stand -------------------------------------------------------------------------------------------------

/** Live connections. */
export interface ConnectionCounts {
  readonly active: number;
  readonly inactive: number;
  /** Persistence templates. */
  readonly persistent: number;
}

/** How a check stands. */
export interface CheckStatus {
  readonly kind: CheckSpec["kind"];
  /** `10.0.1.1:80`. */
  readonly target: string;
  /** unknown: has not come to a result yet. suspended: does not run now; what it last found still counts. */
  readonly state: "unknown" | "ok" | "failed";
  readonly suspended: boolean;
  /** Since when, milliseconds since 1970. */
  readonly since: number;
  /** Of the last verdict; "" before the first. */
  readonly detail: string;
  readonly latencyMs?: number;
  /** Milliseconds since 1970. */
  readonly lastAt?: number;
  readonly nextAt?: number;
  /** Failures in a row that do not count yet. */
  readonly failures: number;
}

/** How a real server stands. */
export interface ServerStatus {
  /** `[10.0.1.1]:tcp:80`. */
  readonly name: string;
  readonly id: DestinationId;
  readonly method: ForwardingMethod;
  /** By its checks. */
  readonly up: boolean;
  /** Since when, milliseconds since 1970. */
  readonly since: number;
  /** Why: the sentence of the check that decided, `no check`, `not checked yet`. */
  readonly reason: string;
  /** As configured. */
  readonly configuredWeight: number;
  /** With dynamic parts and the operator's word. */
  readonly weight: number;
  /** In the table now, as last seen; undefined when it is not there. */
  readonly tableWeight?: number;
  /** What the operator said. */
  readonly hold?: Hold;
  readonly checks: readonly CheckStatus[];
  readonly connections: ConnectionCounts;
  readonly stats: Counters;
}

/** An operator's word on a server: lasts over reloads until it is taken back. */
export interface Hold {
  readonly kind: "drain" | "weight";
  /** 0 for drain. */
  readonly weight: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** A removed server or service that finishes its connections. */
export interface LeavingStatus {
  readonly id: DestinationId;
  readonly name: string;
  readonly connections: ConnectionCounts;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly until: number;
}

/** How a virtual server stands. */
export interface VirtualServerStatus {
  readonly name: string;
  readonly ids: readonly ServiceId[];
  readonly service: Omit<ServiceSpec, "id">;
  /** The quorum is met. */
  readonly up: boolean;
  /** Since when, milliseconds since 1970. */
  readonly since: number;
  readonly quorum: { readonly needed: number; readonly hysteresis: number; readonly weight: number };
  readonly sorry?: {
    readonly id: DestinationId;
    readonly name: string;
    readonly serving: boolean;
  } & Partial<ConnectionCounts>;
  /** Checks rest because the VIP is elsewhere. */
  readonly suspended: boolean;
  /** Removed from the configuration; goes when its connections have ended. */
  readonly leaving: boolean;
  readonly servers: readonly ServerStatus[];
  readonly leavingServers: readonly LeavingStatus[];
  /** Destinations in our services that are not ours. */
  readonly foreign: readonly DestinationSpec[];
  readonly connections: ConnectionCounts;
  /** Of all its services together. */
  readonly stats: Counters;
}

/** Everything. */
export interface Status {
  readonly language: Wanted["language"] | undefined;
  readonly plane: DataPlane["name"];
  /** Milliseconds since 1970 of the last `apply`. */
  readonly appliedAt?: number;
  readonly virtualServers: readonly VirtualServerStatus[];
  /** Probes: distinct checks that run, and entries of the configuration that they serve. */
  readonly probes: { readonly distinct: number; readonly entries: number; readonly running: number };
  /** Changes of the table that wait for the plane. */
  readonly pendingWrites: number;
  /** The last refusal of the plane that still stands, if any. */
  readonly trouble?: string;
}

// --- what would happen ------------------------------------------------------------------------------------------------

/** A value that differs. */
export interface FieldChange {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** One difference between what is and what is wanted. */
export interface PlanChange {
  readonly kind: "add" | "edit" | "drain" | "remove";
  readonly what: "service" | "server" | "sorry-server" | "check" | "global";
  /** Name of the virtual server. */
  readonly service: string;
  /** The one service meant, when the virtual server has several. */
  readonly id?: ServiceId;
  readonly server?: string;
  readonly fields: readonly FieldChange[];
  /** Live connections concerned: active and inactive. */
  readonly connections: number;
  /** What becomes of them: nothing; they may finish; they are cut. */
  readonly cost: "none" | "drained" | "cut";
  /** `drain server [10.0.1.1]:tcp:80 of [10.0.0.1]:tcp:80: 12 connections finish first (at most 300 s)`. */
  readonly text: string;
}

/** What a new configuration would change; nothing is done. */
export interface Plan {
  /** In the order in which it would be done. Empty: nothing to do. */
  readonly changes: readonly PlanChange[];
  readonly unchanged: { readonly services: number; readonly servers: number; readonly checks: number };
  readonly connections: { readonly untouched: number; readonly drained: number; readonly cut: number };
}

// --- what can be asked ------------------------------------------------------------------------------------------------

/** How a server that left the configuration leaves the table. */
export interface Removal {
  /** drain: weight 0, removed once its connections have ended. immediate: removed at once, as keepalived does. */
  readonly mode: "drain" | "immediate";
  /** A draining server is removed after this at the latest. */
  readonly limitMs: number;
}

/** The default: drain, five minutes at most. */
export const DEFAULT_REMOVAL: Removal = { mode: "drain", limitMs: 300_000 };

/** Time, as the supervisor needs it. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970. */
  date(): number;
  /** Calls back once after `ms`; the result takes that back. */
  after(ms: number, callback: () => void): () => void;
}

/** Texts that keepalived logs and mails about a check (`checks/words.ts`). "" for silence. */
export type CheckWords = (
  spec: CheckSpec,
  what: "ok" | "failed" | "failure",
  verdict: Verdict,
  names: { readonly service: string; readonly server: string; readonly retries: number },
) => { readonly log: string; readonly mail: string };

/** What a supervisor is made of. */
export interface SupervisorOptions {
  readonly plane: DataPlane;
  readonly createChecker: (spec: CheckSpec) => Checker;
  /** Equal exactly for checks that one probe can serve. @default the spec as JSON */
  readonly checkKey?: (spec: CheckSpec) => string;
  readonly checkWords?: CheckWords;
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads the first checks. */
  readonly random: () => number;
  readonly onEvent?: (event: HealthEvent) => void;
  readonly onEffect?: (effect: Effect) => void;
  /** Every verdict, once for each server it is about (ldirectord's monitorfile). */
  readonly onVerdict?: (about: {
    readonly service: VirtualServerSpec;
    readonly server: string;
    readonly spec: CheckSpec;
    readonly verdict: Verdict;
  }) => void;
  /** @default DEFAULT_REMOVAL */
  readonly removal?: Removal;
  /** Compare the table with what it should be this often, and mend it; 0: never. @default 10000 */
  readonly repairMs?: number;
  /** Destinations in our services that nobody asked for. @default "remove" for ldirectord, "keep" for keepalived */
  readonly foreign?: "keep" | "remove";
  /** Words of the operator that a former daemon was told. */
  readonly holds?: Memory["holds"];
  /** What a former daemon put into the table: what of it is not in the configuration any more leaves as at a reload. */
  readonly former?: Memory["virtualServers"];
  /** Whenever it differs: what the next daemon has to be told (`holds`, `former`) should this one be killed. */
  readonly onMemory?: (memory: Memory) => void;
  /** One of the callbacks above threw: told here, and the work goes on. @default thrown where nobody catches it */
  readonly onBug?: (error: unknown) => void;
}

/** What outlives a daemon that is killed. Plain data. */
export interface Memory {
  readonly holds: readonly { readonly service: string; readonly server: string; readonly hold: Hold }[];
  readonly virtualServers: readonly {
    readonly name: string;
    /** Its services, those that finish their connections included. */
    readonly ids: readonly ServiceId[];
    readonly servers: readonly DestinationId[];
  }[];
}

/** Keeps a plane equal to what is wanted and healthy. */
export interface Supervisor {
  /**
   * Makes `wanted` the configuration: the first one starts everything, every further one is a reload. Resolves when the table holds it.
   * Refusals of the table do not reject: they are events (and `refused` of the result), and are tried again at every repair.
   */
  apply(wanted: Wanted): Promise<ApplyResult>;
  /** What `apply` would do now. */
  plan(wanted: Wanted): Promise<Plan>;
  status(): Promise<Status>;
  /**
   * Weight 0 until `undrain`; resolves when the table has it. Follow `connections` of the server in `status`.
   * @throws SupervisorError unknown-service, unknown-server
   */
  drain(service: string, server: string): Promise<void>;
  /** Takes back a drain or a weight. */
  undrain(service: string, server: string): Promise<void>;
  /** Sets the weight until it is taken back with `undrain`. 0..2147483647. @throws SupervisorError also bad-weight */
  weight(service: string, server: string, weight: number): Promise<void>;
  /** Which addresses this host has, canonical text: `ha_suspend` virtual servers are checked only while theirs is among them. */
  setAddresses(addresses: ReadonlySet<string>): void;
  /** The state of a VRRP instance decides which sync daemon runs (lvs_sync_daemon with an instance). */
  setSyncRole(role: "master" | "backup"): Promise<void>;
  /** Starts the backup sync daemon anew: it asks the peer for its whole table again. */
  renewSyncBackup(): Promise<void>;
  /** Why a sync daemon that is wanted does not run; undefined when all do. It is tried again at every repair. */
  readonly syncTrouble: string | undefined;
  /** Ends the sync daemons, for good: to be called before the addresses go to whoever takes over. */
  endSync(): Promise<void>;
  /** Compares the table with what it should be, mends it. @returns changes made */
  repair(): Promise<number>;
  /** Ends all checks. Removes what is ours from the table, unless it is to be kept; then it does not wait for the plane. */
  stop(options?: { readonly keep?: boolean }): Promise<void>;
}

/** What came of an apply. */
export interface ApplyResult {
  /** Changes made to the table. */
  readonly changes: number;
  readonly refused: readonly string[];
}

/** The operator asked for something that is not there. */
export class SupervisorError extends Error {
  override readonly name = "SupervisorError";
  readonly code: "unknown-service" | "unknown-server" | "ambiguous" | "bad-weight" | "stopped";
  constructor(code: SupervisorError["code"], message: string) {
    super(message);
    this.code = code;
  }
}
