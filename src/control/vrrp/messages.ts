/**
 * The messages between the daemon and the process that speaks VRRP, over node's IPC channel: plain JSON.
 *
 * VRRP has a process of its own so that nothing else delays its adverts. That process sends and receives adverts, and sets addresses, routes
 * and rules; it starts no program of the administrator. The daemon runs notify scripts, mail and FIFOs from the events, and the track
 * scripts, whose results it sends.
 *
 * The daemon says `configure` first, and again at a reload. When the channel closes without `stop`, the VRRP process stops as if told
 * `stop` with `addresses: "remove"`.
 * @module
 */
import type { VrrpSpec } from "./spec.ts";

/** Name of the bundle in dist/. Fork it with an IPC channel; its standard streams carry only what nobody foresaw. */
export const VRRP_PROCESS = "lvsd-vrrp.cjs";

/** State of an instance or a group. init: not started yet, or it waits for the first result of a script; stop: it has ended. */
export type VrrpState = "init" | "backup" | "master" | "fault" | "stop";

/** What concerns the process, not the routers. */
export interface VrrpOptions {
  /** SCHED_RR priority 1..99, 0 for none (vrrp_rt_priority). @default 1, silently none where it is not allowed */
  readonly realtimePriority?: number;
  /** -20..19 (vrrp_priority). */
  readonly nice?: number;
  /** Leave addresses, routes and rules at a stop that says nothing else (keepalived's -V). @default false */
  readonly keepAddresses?: boolean;
}

/** An instance that was master when its process died: it goes on as master, and its addresses stay, while nobody can have noticed. */
export interface Resumption {
  readonly instance: string;
  /** Until then; milliseconds of CLOCK_BOOTTIME, which all processes share. */
  readonly untilMs: number;
}

/** To the VRRP process. */
export type ToVrrp =
  | {
      readonly kind: "configure";
      readonly spec: VrrpSpec;
      readonly options?: VrrpOptions;
      /** For a process that replaces one that died. */
      readonly resume?: readonly Resumption[];
    }
  | TrackResult
  /** An instance that waits for a peer's connections (`tableWaitMs`) need not wait any longer. */
  | { readonly kind: "caughtUp"; readonly instance: string }
  /** Answered by `stopped`, then the process ends by itself: about 0.1 s when nothing was master. */
  | { readonly kind: "stop"; readonly addresses?: "remove" | "keep" }
  | { readonly kind: "status"; readonly id: number }
  | {
      readonly kind: "stats";
      readonly id: number /** Counters start again from 0. */;
      readonly clear?: boolean;
    };

/** The newest result of something tracked, whatever instances track it. Sent when it changes, and once for each first result. */
export interface TrackResult {
  readonly kind: "track";
  readonly item: "script" | "file" | "process";
  readonly name: string;
  /** script, process: 1 is good, 0 is not. file: the number in it. */
  readonly value: number;
}

/** From the VRRP process. */
export type FromVrrp =
  /** Once, before anything else: send `configure` now or at any time before (node keeps messages). */
  | { readonly kind: "ready"; readonly pid: number }
  /** The answer to `configure`. With problems nothing was changed. */
  | { readonly kind: "configured"; readonly problems: readonly string[] }
  | { readonly kind: "event"; readonly event: VrrpEvent }
  | { readonly kind: "status"; readonly id: number; readonly status: VrrpStatus }
  | { readonly kind: "stats"; readonly id: number; readonly stats: readonly VrrpStats[] }
  | { readonly kind: "stopped" };

/** Something that happened. `text` is a line for the log, in keepalived's words where it has some. */
export type VrrpEvent = {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly level: "info" | "warning" | "error";
  readonly text: string;
} & VrrpHappening;

/** What happened, for programs. */
export type VrrpHappening =
  /** Run notify_STATE, then notify; FIFO line INSTANCE; mail. In this order of arrival: members first, then their group. */
  | {
      readonly kind: "state";
      readonly instance: string;
      readonly from: VrrpState;
      readonly to: Exclude<VrrpState, "init"> | "deleted";
      /** Effective priority. */
      readonly priority: number;
      /** One sentence: why. */
      readonly reason: string;
    }
  | { readonly kind: "group"; readonly group: string; readonly to: Exclude<VrrpState, "init"> | "deleted" }
  /** FIFO lines MASTER_PRIORITY / BACKUP_PRIORITY with notify_priority_changes. */
  | {
      readonly kind: "priority";
      readonly instance: string;
      readonly state: VrrpState;
      readonly from: number;
      readonly to: number;
      readonly reason: string;
    }
  /** A master heard a lesser one: notify_master_rx_lower_pri, FIFO MASTER_RX_LOWER_PRI. */
  | {
      readonly kind: "masterRxLowerPri";
      readonly instance: string;
      readonly priority: number;
      readonly from: string;
    }
  /** Another master with the same priority, or with our own address. */
  | {
      readonly kind: "duplicate";
      readonly instance: string;
      readonly priority: number;
      readonly from: string;
    }
  /** A packet that was not believed: what is wrong with it. The same problem of the same sender is told once a minute. */
  | { readonly kind: "refused"; readonly instance: string; readonly problem: string; readonly from: string }
  /** This process or machine stood still for so long that its view of the others was worthless. */
  | { readonly kind: "gap"; readonly instance: string; readonly gapMs: number }
  /** An advert left late by more than a tenth of its interval. */
  | { readonly kind: "late"; readonly instance: string; readonly lateMs: number }
  /** An address, route or rule could not be set, vanished, or was on the host before. */
  | { readonly kind: "address"; readonly instance: string; readonly address: string }
  | { readonly kind: "log" };

/** One instance now. */
export interface VrrpInstanceStatus {
  readonly name: string;
  readonly group?: string;
  readonly state: VrrpState;
  /** Milliseconds since 1970, of the last change of state. */
  readonly sinceMs: number;
  /** Why it is in this state: one sentence. */
  readonly reason: string;
  readonly interface: string;
  readonly family: 4 | 6;
  readonly version: 2 | 3;
  readonly routerId: number;
  /** Configured. */
  readonly basePriority: number;
  /** With all tracking. */
  readonly priority: number;
  /** Source of our adverts; absent while the interface has none. */
  readonly source?: string;
  /** Who was master when last heard (ourselves: our source); absent: none heard yet. */
  readonly master?: string;
  readonly masterPriority?: number;
  /** Interval that counts now, learnt in v3. */
  readonly advertIntMs: number;
  readonly addresses: readonly string[];
  readonly excluded: readonly string[];
  /** What keeps it in fault: `interface eth1 is down`, `script chk failed`. */
  readonly faults: readonly string[];
  /** Scripts without a first result. */
  readonly waitingFor: readonly string[];
}

/** All instances and groups now. */
export interface VrrpStatus {
  readonly instances: readonly VrrpInstanceStatus[];
  readonly groups: readonly {
    readonly name: string;
    readonly state: VrrpState;
    readonly members: readonly string[];
  }[];
  /** Real-time priority in force, 0 for none. */
  readonly realtimePriority: number;
  /** Latest departure of an advert after its time since the last `configure`, milliseconds. */
  readonly worstLateMs: number;
}

/** Counters of an instance, in the words of keepalived's statistics file. */
export interface VrrpStats {
  readonly name: string;
  readonly advertsReceived: number;
  readonly advertsSent: number;
  readonly becameMaster: number;
  readonly releasedMaster: number;
  readonly lengthErrors: number;
  readonly ttlErrors: number;
  readonly invalidTypes: number;
  readonly intervalErrors: number;
  readonly addressListErrors: number;
  readonly invalidAuthTypes: number;
  readonly authTypeMismatches: number;
  readonly authFailures: number;
  readonly priorityZeroReceived: number;
  readonly priorityZeroSent: number;
  /** Not in keepalived's file: */
  readonly versionErrors: number;
  readonly checksumErrors: number;
}
