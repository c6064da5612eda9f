/**
 * One virtual router as a state machine: an event and the time come in, the new state and what to do go out. RFC 9568 §6.4, with what
 * keepalived adds. It knows nothing of sockets; the members of a sync group are tied together in `cluster.ts`.
 * @module
 */
import type { VrrpHappening, VrrpState } from "./messages.ts";
import type { VrrpInstanceSpec } from "./spec.ts";
import { downMs, skewMs } from "./timers.ts";
import type { Conditions } from "./tracking.ts";

/** What an instance remembers. Times are the caller's milliseconds; Infinity is never. */
export interface Instance {
  readonly spec: VrrpInstanceSpec;
  /** A member of a sync group becomes master, and leaves fault, only with the others. */
  readonly grouped: boolean;
  readonly state: VrrpState;
  /** Why, one sentence. */
  readonly reason: string;
  readonly conditions: Conditions;
  /** Effective priority; below `conditions.priority` only for an owner that met another one. */
  readonly priority: number;
  /** Interval that silence is measured by: in version 3 the master's. */
  readonly intervalMs: number;
  /** Master: next advert. Backup: when the master is taken for dead. */
  readonly dueAt: number;
  /** Member of a group: would be master if the others were ready. */
  readonly wantsMaster: boolean;
  /** End of the preemption delay, past or to come; Infinity when none was begun. */
  readonly preemptAt: number;
  /** Until then it replaces no lesser master, unless {@link Event} caughtUp comes. */
  readonly heldUntil: number;
  /** Second round of announcements, after becoming master and after hearing a lesser master. */
  readonly announceAt: number;
  readonly lowerAnnounceAt: number;
  readonly refreshAt: number;
  /** Next announcement on interfaces that adverts do not leave from (garp_extra_if). */
  readonly extraAt: number;
  /** When an unwelcome advert was last answered or told: the next ones of a burst are not. */
  readonly answeredAt: number;
  /** Who was master when last heard; priority 0 when it resigned. */
  readonly master?: { readonly address: string; readonly priority: number };
}

/** A valid advert. */
export interface Advert {
  readonly priority: number;
  readonly intervalMs: number;
  /** Sender's address, canonical text. */
  readonly from: string;
  /** Sender's address minus our own: positive when it is higher, 0 when it is ours. */
  readonly order: number;
}

export type Event =
  | { readonly kind: "start" }
  /** Instead of start: it was master until its process was started again, so lately that nobody has missed an advert that counts. */
  | { readonly kind: "resume" }
  /** Time has come to {@link nextAt}. */
  | { readonly kind: "timeout" }
  | { readonly kind: "advert"; readonly advert: Advert }
  | { readonly kind: "conditions"; readonly conditions: Conditions }
  /** An address, route or rule of a master was taken away by somebody. */
  | { readonly kind: "lost"; readonly what: string }
  /** The peer's connections are here, or nobody has any to give. */
  | { readonly kind: "caughtUp" }
  /** The group has decided. */
  | { readonly kind: "become"; readonly to: "master" | "backup" | "fault"; readonly reason: string }
  /** Another member heard a lesser master. */
  | { readonly kind: "announceLower" }
  | { readonly kind: "stop"; readonly reason: string; readonly deleted?: boolean };

/** What to do, in this order. */
export type Action =
  | { readonly kind: "advert"; readonly instance: string; readonly priority: number }
  /** Make the host's addresses, routes and rules what the specification says. */
  | { readonly kind: "take"; readonly instance: string }
  /** Take them back, and forget announcements that were not sent yet. */
  | { readonly kind: "release"; readonly instance: string }
  | { readonly kind: "announce"; readonly instance: string; readonly repeat: number }
  | { readonly kind: "announceExtra"; readonly instance: string }
  | {
      readonly kind: "tell";
      readonly level: "info" | "warning" | "error";
      readonly text: string;
      readonly happening: VrrpHappening;
    };

const OWNER = 255;
const RESIGN = 0;
/** After an unwelcome advert, further ones are not answered for this part of our interval: a flood of them shall not make one of ours. */
const QUIET_PART = 0.1;
/** An advert later than this part of its interval is told. */
const LATE_PART = 0.1;
/** Who waits for the peer's connections after a fault listens for so long before it takes it that there is no peer, ms: links may be slow to pass packets. */
const LISTEN_MS = 3000;

/** An instance that has not started. */
export function createInstance(spec: VrrpInstanceSpec, grouped: boolean): Instance {
  return {
    spec,
    grouped,
    state: "init",
    reason: "starting",
    conditions: { faults: [], waiting: [], priority: spec.priority },
    priority: spec.priority,
    intervalMs: spec.advertIntMs,
    dueAt: Number.POSITIVE_INFINITY,
    wantsMaster: false,
    ...NOTHING_DUE,
  };
}

const NOTHING_DUE = {
  preemptAt: Number.POSITIVE_INFINITY,
  heldUntil: Number.NEGATIVE_INFINITY,
  announceAt: Number.POSITIVE_INFINITY,
  lowerAnnounceAt: Number.POSITIVE_INFINITY,
  refreshAt: Number.POSITIVE_INFINITY,
  extraAt: Number.POSITIVE_INFINITY,
  answeredAt: Number.NEGATIVE_INFINITY,
} as const;

/** When it wants to hear `timeout`. */
export const nextAt = (i: Instance): number =>
  Math.min(i.dueAt, i.announceAt, i.lowerAnnounceAt, i.refreshAt, i.extraAt);

/** Silence after which this instance, as backup, becomes master. */
export const downOf = (i: Instance, intervalMs = i.intervalMs): number =>
  downMs(i.spec.version, i.priority, intervalMs, i.spec.downTimerAdverts);

/** End of the time in which unwelcome adverts are not answered again. */
const quietUntil = (i: Instance): number => i.answeredAt + i.spec.advertIntMs * QUIET_PART;

const skewOf = (i: Instance, priority = i.priority): number => skewMs(i.spec.version, priority, i.intervalMs);

/** Collects actions while an event is worked on. */
class Step {
  readonly actions: Action[] = [];
  readonly name: string;
  now: number;

  constructor(name: string, now: number) {
    this.name = name;
    this.now = now;
  }

  advert(priority: number): void {
    this.actions.push({ kind: "advert", instance: this.name, priority });
  }

  act(kind: "take" | "release"): void {
    this.actions.push({ kind, instance: this.name });
  }

  announce(repeat: number): void {
    if (repeat > 0) this.actions.push({ kind: "announce", instance: this.name, repeat });
  }

  tell(
    text: string,
    level: "info" | "warning" | "error" = "info",
    happening: VrrpHappening = { kind: "log" },
  ): void {
    this.actions.push({ kind: "tell", level, text: `(${this.name}) ${text}`, happening });
  }

  /** Tells of a new state, after the things that go with it. */
  state(i: Instance, to: Exclude<VrrpState, "init"> | "deleted", text: string, reason: string): void {
    const happening = {
      kind: "state",
      instance: this.name,
      from: i.state,
      to,
      priority: i.priority,
      reason,
    } as const;
    this.tell(text, to === "fault" ? "warning" : "info", happening);
  }
}

/** Works on one event. */
export function step(before: Instance, event: Event, now: number): [Instance, Action[]] {
  const s = new Step(before.spec.name, now);
  const i = event.kind === "stop" ? before : afterGap(before, s);
  switch (event.kind) {
    case "start":
      return [settle(i, s), s.actions];
    case "resume":
      return [resume(i, s), s.actions];
    case "timeout":
      return [timeout(i, s), s.actions];
    case "advert":
      return [heard(i, event.advert, s), s.actions];
    case "conditions":
      return [newConditions(i, event.conditions, s), s.actions];
    case "lost":
      return [lost(i, event.what, s), s.actions];
    case "caughtUp":
      return [caughtUp(i, s), s.actions];
    case "become":
      return [become(i, event.to, event.reason, s), s.actions];
    case "announceLower":
      return [announceLower(i, s), s.actions];
    case "stop":
      return [stop(i, event.reason, event.deleted ?? false, s), s.actions];
  }
}

/**
 * A master whose advert is overdue by the time in which the others take it for dead was asleep (SIGSTOP, suspend): somebody else is
 * master now. It steps back before it looks at anything else; a backup begins to listen anew.
 */
function afterGap(i: Instance, s: Step): Instance {
  const gapMs = s.now - i.dueAt;
  const limit = downOf(i, i.state === "master" ? i.spec.advertIntMs : i.intervalMs);
  if ((i.state !== "master" && i.state !== "backup") || gapMs <= limit) return i;
  const seconds = (gapMs / 1000).toFixed(1);
  const happening = { kind: "gap", instance: i.spec.name, gapMs } as const;
  if (i.state === "backup") {
    s.tell(`stood still for ${seconds} s, listening anew`, "warning", happening);
    return { ...i, dueAt: s.now + downOf(i) };
  }
  s.tell(`stood still for ${seconds} s, stepping back`, "warning", happening);
  s.advert(RESIGN);
  return toBackup(i, `stood still for ${seconds} s`, s.now + downOf(i), s);
}

/** Leaves init and fault when nothing is in the way. */
function settle(i: Instance, s: Step): Instance {
  const { faults, waiting } = i.conditions;
  if (faults.length > 0)
    return i.state === "fault" ? { ...i, reason: faults.join(", ") } : toFault(i, faults.join(", "), s);
  if (waiting.length > 0 && i.state === "init") return { ...i, reason: `waiting for ${waiting.join(", ")}` };
  if (i.state === "fault" && i.grouped) return i; // the group decides
  if (i.state !== "init" && i.state !== "fault") return i;
  const reason = i.state === "init" ? "started" : "all failures are gone";
  const waits = i.state === "fault" && i.spec.tableWaitMs !== undefined;
  if (i.priority !== OWNER || waits) return toBackup(i, reason, s.now + downOf(i), s);
  if (!i.grouped) return toMaster(i, `${reason}, owner of the addresses`, s);
  return toBackup(i, reason, s.now, s);
}

/** Goes on as master, unless something is in the way. */
function resume(i: Instance, s: Step): Instance {
  const { faults, waiting } = i.conditions;
  if (i.state !== "init" || faults.length + waiting.length > 0) return settle(i, s);
  return toMaster(i, "it was master until its process was started again", s);
}

/** Takes over what a reload changed: timers that were set by the former specification are set by the new one. */
export function respecify(before: Instance, spec: VrrpInstanceSpec, grouped: boolean, now: number): Instance {
  const master = before.state === "master";
  const i = {
    ...before,
    spec,
    grouped,
    intervalMs: spec.version === 2 || master ? spec.advertIntMs : before.intervalMs,
    heldUntil: spec.tableWaitMs === undefined ? Number.NEGATIVE_INFINITY : before.heldUntil,
  };
  const { refreshMs, extra } = spec.announce;
  const former = before.spec.announce;
  if (master)
    return {
      ...i,
      // The others may believe in a shorter interval from now on.
      dueAt: Math.min(i.dueAt, now + spec.advertIntMs),
      refreshAt: refreshMs === former.refreshMs ? i.refreshAt : later(now, refreshMs),
      extraAt: extra?.everyMs === former.extra?.everyMs ? i.extraAt : later(now, extra?.everyMs ?? 0),
    };
  return i.state === "backup" ? { ...i, dueAt: Math.min(i.dueAt, now + downOf(i)) } : i;
}

/** After a while, which is never for 0. */
const later = (now: number, afterMs: number): number =>
  afterMs > 0 ? now + afterMs : Number.POSITIVE_INFINITY;

function newConditions(before: Instance, conditions: Conditions, s: Step): Instance {
  const demoted = before.priority < before.conditions.priority && before.conditions.priority === OWNER;
  const priority = demoted && conditions.priority === OWNER ? before.priority : conditions.priority;
  let i: Instance = { ...before, conditions, priority };
  if (priority !== before.priority) {
    const { state } = before;
    if (state === "backup") i = { ...i, dueAt: i.dueAt + skewOf(i, priority) - skewOf(i, before.priority) };
    const happening = { from: before.priority, to: priority, reason: "tracking" } as const;
    const text = `Changing effective priority from ${before.priority} to ${priority}`;
    s.tell(text, "info", { kind: "priority", instance: s.name, state, ...happening });
  }
  return i.state === "stop" ? i : settle(i, s);
}

function timeout(before: Instance, s: Step): Instance {
  let i = before;
  if (i.state === "master") {
    if (i.dueAt <= s.now) {
      const lateMs = s.now - i.dueAt;
      const interval = i.spec.advertIntMs;
      s.advert(i.priority);
      if (lateMs > interval * LATE_PART)
        s.tell(`an advert left ${lateMs.toFixed(0)} ms late`, "warning", {
          kind: "late",
          instance: s.name,
          lateMs,
        });
      // On a fixed beat, unless a beat was missed altogether.
      i = { ...i, dueAt: lateMs < interval ? i.dueAt + interval : s.now + interval };
    }
    const { announce } = i.spec;
    if (i.announceAt <= s.now) {
      s.announce(announce.repeat);
      i = { ...i, announceAt: Number.POSITIVE_INFINITY };
    }
    if (i.lowerAnnounceAt <= s.now) {
      s.announce(announce.lowerPrioRepeat);
      i = { ...i, lowerAnnounceAt: Number.POSITIVE_INFINITY };
    }
    if (i.refreshAt <= s.now) {
      s.announce(announce.refreshRepeat);
      i = { ...i, refreshAt: s.now + announce.refreshMs };
    }
    if (i.extraAt <= s.now) {
      s.actions.push({ kind: "announceExtra", instance: s.name });
      i = { ...i, extraAt: later(s.now, announce.extra?.everyMs ?? 0) };
    }
    return i;
  }
  if (i.state !== "backup" || i.dueAt > s.now) return i;
  if (i.priority !== OWNER && !i.wantsMaster) s.tell("Receive advertisement timeout");
  if (i.grouped) return { ...i, wantsMaster: true, dueAt: s.now + downOf(i) };
  if (i.master === undefined) return toMaster(i, "no advert from anybody", s);
  const { address, priority } = i.master;
  return toMaster(i, priority === RESIGN ? `${address} resigned` : `no advert from ${address}`, s);
}

function heard(i: Instance, advert: Advert, s: Step): Instance {
  if (i.state === "backup") return heardAsBackup(i, advert, s);
  if (i.state === "master") return heardAsMaster(i, advert, s);
  return advert.priority === RESIGN
    ? i
    : { ...i, master: { address: advert.from, priority: advert.priority } };
}

function heardAsBackup(before: Instance, advert: Advert, s: Step): Instance {
  const { priority, from } = advert;
  let i = before;
  const quiet = s.now < quietUntil(i);
  if (priority === RESIGN) {
    if (!quiet) s.tell(`Backup received priority 0 advertisement from ${from}`);
    i = { ...i, answeredAt: quiet ? i.answeredAt : s.now };
    const master = { address: from, priority: RESIGN };
    return { ...i, master, dueAt: s.now + skewOf(i), preemptAt: Number.POSITIVE_INFINITY };
  }
  i = { ...i, master: { address: from, priority } };
  const { spec } = i;
  if (priority >= i.priority) {
    if (i.preemptAt !== Number.POSITIVE_INFINITY) {
      if (i.preemptAt > s.now) s.tell("stop preempt delay");
      i = { ...i, preemptAt: Number.POSITIVE_INFINITY };
    }
  } else if (spec.preempt || i.priority === OWNER) {
    if (spec.preemptDelayMs > 0 && i.preemptAt === Number.POSITIVE_INFINITY) {
      s.tell(`start preempt delay (${(spec.preemptDelayMs / 1000).toFixed(6)})`);
      i = { ...i, preemptAt: s.now + spec.preemptDelayMs };
    }
    if ((spec.preemptDelayMs === 0 || i.preemptAt <= s.now) && i.heldUntil <= s.now) {
      if (quiet) return i;
      s.tell(`received lower priority (${priority}) advert from ${from} - discarding`);
      return { ...i, answeredAt: s.now }; // the timer goes on: when it ends we are master
    }
  }
  if (spec.version === 3 && advert.intervalMs !== i.intervalMs) {
    s.tell(`advertisement interval updated from ${i.intervalMs}ms to ${advert.intervalMs}ms by master`);
    i = { ...i, intervalMs: advert.intervalMs };
  }
  return { ...i, wantsMaster: false, dueAt: s.now + downOf(i) };
}

function heardAsMaster(before: Instance, advert: Advert, s: Step): Instance {
  const { priority, from, order } = advert;
  let i = before;
  const { spec } = i;
  const better = priority > i.priority || (priority === i.priority && (order > 0 || priority === OWNER));
  if (!better) {
    if (s.now < quietUntil(i))
      return order === 0 ? i : { ...i, lowerAnnounceAt: Math.min(i.lowerAnnounceAt, quietUntil(i)) };
    i = { ...i, answeredAt: s.now };
  }
  if (priority === RESIGN) {
    // Somebody was master too: whoever learnt its hardware address must learn ours again.
    s.advert(i.priority);
    return announceLower({ ...i, dueAt: s.now + spec.advertIntMs }, s);
  }
  const duplicate = { kind: "duplicate", instance: s.name, priority, from } as const;
  if (priority === OWNER && i.priority === OWNER) {
    s.tell(
      `CONFIGURATION ERROR: local instance and a remote instance (${from}) are both configured with priority 255, please fix - reverting local instance to priority 254`,
      "error",
      duplicate,
    );
    i = { ...i, priority: OWNER - 1 };
  }
  if (priority === i.priority) {
    const which =
      order > 0 ? "it has the higher address, so it stays" : "ours is the higher address, so it must go";
    if (order === 0) {
      s.tell(
        `received an advert with our own address ${from} and priority ${priority}: is this address configured twice?`,
        "warning",
        duplicate,
      );
      return i;
    }
    s.tell(
      `${from} is master with the same priority ${priority}: ${which}. Give each router a priority of its own`,
      "warning",
      duplicate,
    );
  }
  if (priority > i.priority || (priority === i.priority && order > 0)) {
    const text =
      priority > i.priority
        ? `Master received advert from ${from} with higher priority ${priority}, ours ${i.priority}`
        : `Master received advert from ${from} with same priority ${priority} but higher IP address than ours`;
    s.tell(text);
    // A winner that did not hear of us cannot know that hosts learnt our hardware address: one advert tells it to announce again.
    if (spec.higherPrioSendAdvert || !spec.strict) s.advert(i.priority);
    const learnt = spec.version === 3 ? advert.intervalMs : spec.advertIntMs;
    i = { ...i, intervalMs: learnt, master: { address: from, priority } };
    return toBackup(
      i,
      `${from} is master with ${priority === i.priority ? "the higher address" : `priority ${priority}`}`,
      s.now + downOf(i),
      s,
    );
  }
  s.tell(
    `Received advert from ${from} with lower priority ${priority}, ours ${i.priority}, forcing new election`,
    "info",
    {
      kind: "masterRxLowerPri",
      instance: s.name,
      priority,
      from,
    },
  );
  if (!spec.lowerPrioNoAdvert) {
    s.advert(i.priority);
    i = { ...i, dueAt: s.now + spec.advertIntMs };
  }
  return announceLower(i, s);
}

function announceLower(i: Instance, s: Step): Instance {
  if (i.state !== "master") return i;
  const { lowerPrioRepeat, lowerPrioDelayMs } = i.spec.announce;
  s.announce(lowerPrioRepeat);
  return {
    ...i,
    lowerAnnounceAt: lowerPrioDelayMs > 0 ? s.now + lowerPrioDelayMs : Number.POSITIVE_INFINITY,
  };
}

function lost(i: Instance, what: string, s: Step): Instance {
  if (i.state !== "master") return i;
  s.tell(`${what} was removed by somebody`, "warning", { kind: "address", instance: s.name, address: what });
  resign(s);
  return toBackup(i, `${what} was removed`, s.now + skewOf(i), s);
}

function caughtUp(i: Instance, s: Step): Instance {
  const free = { ...i, heldUntil: Number.NEGATIVE_INFINITY };
  return i.state === "backup" ? { ...free, dueAt: Math.min(i.dueAt, s.now + downOf(i)) } : free;
}

function resign(s: Step): void {
  s.advert(RESIGN);
  s.tell("sent 0 priority");
}

function become(i: Instance, to: "master" | "backup" | "fault", reason: string, s: Step): Instance {
  if (i.state === to || i.state === "stop") return i;
  switch (to) {
    case "master":
      return i.state === "backup" ? toMaster(i, reason, s) : i;
    case "fault":
      return toFault(i, reason, s);
    case "backup":
      if (i.state === "init") return i; // it still waits for something of its own
      if (i.state === "master") resign(s);
      return toBackup(i, reason, s.now + downOf(i), s);
  }
}

function toMaster(i: Instance, reason: string, s: Step): Instance {
  const { spec } = i;
  if (i.intervalMs !== spec.advertIntMs)
    s.tell(`changing advert interval from ${i.intervalMs}ms to locally configured ${spec.advertIntMs}ms`);
  s.advert(i.priority);
  s.act("take");
  s.announce(spec.announce.repeat);
  s.state(i, "master", "Entering MASTER STATE", reason);
  const { delayMs, refreshMs, extra } = spec.announce;
  return {
    ...i,
    ...NOTHING_DUE,
    state: "master",
    reason,
    wantsMaster: false,
    intervalMs: spec.advertIntMs,
    dueAt: s.now + spec.advertIntMs,
    announceAt: later(s.now, delayMs),
    refreshAt: later(s.now, refreshMs),
    extraAt: later(s.now, extra?.everyMs ?? 0),
  };
}

function toBackup(i: Instance, reason: string, dueAt: number, s: Step): Instance {
  if (i.state === "master") s.act("release");
  s.state(i, "backup", `Entering BACKUP STATE${i.state === "init" ? " (init)" : ""}`, reason);
  const next = { ...i, ...NOTHING_DUE, state: "backup", reason, wantsMaster: false, dueAt } as const;
  const { tableWaitMs = 0 } = i.spec;
  if (tableWaitMs === 0 || i.state === "init") return next;
  const listenMs = i.state === "fault" ? Math.min(LISTEN_MS, tableWaitMs) : 0;
  return { ...next, heldUntil: s.now + tableWaitMs, dueAt: Math.max(dueAt, s.now + listenMs) };
}

function toFault(i: Instance, reason: string, s: Step): Instance {
  if (i.state === "master") {
    resign(s);
    s.act("release");
  }
  s.state(i, "fault", "Entering FAULT STATE", reason);
  return {
    ...i,
    ...NOTHING_DUE,
    state: "fault",
    reason,
    wantsMaster: false,
    dueAt: Number.POSITIVE_INFINITY,
  };
}

function stop(i: Instance, reason: string, deleted: boolean, s: Step): Instance {
  if (i.state === "stop") return i;
  if (i.state === "master") {
    resign(s);
    s.act("release");
  }
  s.state(i, deleted ? "deleted" : "stop", deleted ? "removed from the configuration" : "stopped", reason);
  return { ...i, ...NOTHING_DUE, state: "stop", reason, wantsMaster: false, dueAt: Number.POSITIVE_INFINITY };
}
