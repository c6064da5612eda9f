/**
 * What tracked things do to an instance: its effective priority, and what keeps it in fault.
 * @module
 */
import type { SyncGroupSpec, TrackSpec, VrrpInstanceSpec } from "./spec.ts";

/** What is known of the tracked things now. */
export interface Facts {
  /** Interface name → whether it is up; absent: it does not exist. */
  readonly links: ReadonlyMap<string, boolean>;
  /** Name → last result; absent: none yet. */
  readonly scripts: ReadonlyMap<string, boolean>;
  readonly processes: ReadonlyMap<string, boolean>;
  /** Name → number in the file; absent: none yet, which counts as 0. */
  readonly files: ReadonlyMap<string, number>;
  /** Instance name → why it has no source address for its adverts. */
  readonly sourceless: ReadonlyMap<string, string>;
}

/** What the facts mean for one instance. */
export interface Conditions {
  /** What keeps it in fault, for people; empty: nothing. */
  readonly faults: readonly string[];
  /** Scripts and processes whose first result decides whether it may start. */
  readonly waiting: readonly string[];
  /** Effective: 1..254, or 255 for the owner. */
  readonly priority: number;
}

/** The owner of the addresses keeps its priority whatever happens. */
const OWNER = 255;
/** A file that lowers the priority by this much is a fault. */
const FILE_FAULT = -254;
const FILE_MOST = 253;

type Tracks = Pick<SyncGroupSpec, "trackInterfaces" | "trackScripts" | "trackFiles" | "trackProcesses">;

class Sum {
  readonly faults: string[] = [];
  readonly waiting: string[] = [];
  weight = 0;

  /** Something good or bad; `good` undefined: not known yet. `weighted` false turns every weight into a fault. */
  add(track: TrackSpec, good: boolean | undefined, what: string, bad: string, weighted: boolean): void {
    const weight = weighted ? track.weight : 0;
    if (good === undefined) {
      if (weight === 0) this.waiting.push(what);
    } else if (weight === 0) {
      if (good === track.reverse) this.faults.push(good ? `${what} is good, which counts as bad` : bad);
    } else if (weight > 0 === good) this.weight += track.reverse ? -weight : weight;
  }

  /** The number in a file, times its weight. */
  addFile(track: TrackSpec, value: number, weighted: boolean): void {
    const what = `file ${track.name} says ${value}`;
    if (!weighted || track.weight === 0) {
      if ((value !== 0) !== track.reverse) this.faults.push(what);
      return;
    }
    const part = value * track.weight * (track.reverse ? -1 : 1);
    if (part <= FILE_FAULT) this.faults.push(what);
    else this.weight += Math.min(part, FILE_MOST);
  }

  addAll(tracks: Tracks, facts: Facts, weighted: boolean): void {
    for (const t of tracks.trackInterfaces) {
      const up = facts.links.get(t.name);
      const bad = `interface ${t.name} ${up === undefined ? "does not exist" : "is down"}`;
      this.add(t, up ?? false, `interface ${t.name}`, bad, weighted);
    }
    for (const t of tracks.trackScripts)
      this.add(t, facts.scripts.get(t.name), `script ${t.name}`, `script ${t.name} failed`, weighted);
    for (const t of tracks.trackProcesses)
      this.add(t, facts.processes.get(t.name), `process ${t.name}`, `process ${t.name} is missing`, weighted);
    for (const t of tracks.trackFiles) this.addFile(t, facts.files.get(t.name) ?? 0, weighted);
  }
}

/** What the facts mean for an instance, which may be a member of a group. */
export function conditions(
  instance: VrrpInstanceSpec,
  group: SyncGroupSpec | undefined,
  facts: Facts,
): Conditions {
  const sum = new Sum();
  const up = facts.links.get(instance.interface);
  if (instance.faultWithoutPeers && instance.peers.length === 0) sum.faults.push("unicast_peer names nobody");
  if (instance.interface === "") {
    // Unicast by routing.
  } else if (up === undefined) sum.faults.push(`interface ${instance.interface} does not exist`);
  else if (!up && !instance.dontTrackPrimary) sum.faults.push(`interface ${instance.interface} is down`);
  const sourceless = facts.sourceless.get(instance.name);
  if ((up !== undefined || instance.interface === "") && sourceless !== undefined)
    sum.faults.push(sourceless);
  const owner = instance.priority === OWNER;
  // Members of a group must move together, so their own weights would tear it apart.
  sum.addAll(instance, facts, !owner && (group === undefined || group.trackingWeight));
  if (group) sum.addAll(group, facts, !owner);
  return {
    faults: [...new Set(sum.faults)],
    waiting: [...new Set(sum.waiting)],
    priority: owner ? OWNER : Math.max(1, Math.min(OWNER - 1, instance.priority + sum.weight)),
  };
}
