/**
 * VRRP's blocks at the top level, and all of VRRP once everything is read.
 * @module
 */
import type {
  SyncGroupSpec,
  TrackScriptSpec,
  VirtualAddressSpec,
  VrrpInstanceSpec,
  VrrpSpec,
} from "../../vrrp/spec.ts";
import { readAddress } from "./addresses.ts";
import type { GlobalDraft } from "./global-draft.ts";
import { INSTANCE, readInstance } from "./instances.ts";
import {
  addressSpec,
  FinishingInstance,
  notifyOf,
  trackables,
  tracked,
  trackedInterfaces,
} from "./instances-of.ts";
import { type Keyword, readBlock, type Table, table } from "./keyword.ts";
import { NOTIFY } from "./notify.ts";
import type { Reader } from "./reader.ts";
import { readRoute, readRule } from "./routes.ts";
import { placeOf, type Word } from "./text.ts";
import { TRACK_LISTS, TRACKED_BLOCKS, taken } from "./tracking.ts";
import type { Statement } from "./tree.ts";
import { int, markKeyword, timerKeyword } from "./values.ts";
import type { GarpGroupDraft, ScriptDraft, SyncGroupDraft, VrrpDraft } from "./vrrp-draft.ts";

export { type VrrpDraft, vrrpDraft } from "./vrrp-draft.ts";

/** Names of a group block: one or several a line. */
const names = ({ block }: Statement): Word[] => (block ?? []).flatMap(({ words }) => words);

const SYNC_GROUP: Table<SyncGroupDraft> = table<SyncGroupDraft>({
  group: {
    block: "items",
    read(statement, into, reader) {
      const found = names(statement);
      if (found.length === 0) {
        reader.warn("empty-sync-group", statement.words[0], `sync group ${into.name} names no instance`, {
          own: `Warning - sync group ${into.name} has empty group block`,
          ownAt: statement.close,
        });
      }
      into.members.push(...found);
    },
  },
  ...(TRACK_LISTS as Readonly<Record<string, Keyword<SyncGroupDraft>>>),
  ...(NOTIFY as Readonly<Record<string, Keyword<SyncGroupDraft>>>),
  sync_group_tracking_weight: markKeyword("trackingWeight", true),
  global_tracking: {
    without: "what a group tracks is written into the group",
    read({ words: [word] }, { name }, reader) {
      const own = `(${name}) global_tracking is deprecated. Use track_interface/script/file on the sync group`;
      reader.say("deprecated-keyword", own, { from: word.from });
    },
  },
});

function readSyncGroup(statement: Statement, into: VrrpDraft, reader: Reader): void {
  const [word, name] = statement.words;
  const draft: SyncGroupDraft = {
    word,
    name: name.text,
    members: [],
    trackInterfaces: [],
    trackScripts: [],
    trackFiles: [],
    trackProcesses: [],
  };
  readBlock(statement.block ?? [], SYNC_GROUP, draft, "vrrp_sync_group", reader);
  if (into.groups.some((each) => each.name === draft.name)) {
    taken("vrrp_sync_group", name, reader, `vrrp sync group ${name.text} already defined`);
  } else into.groups.push(draft);
}

const GARP_GROUP: Table<GarpGroupDraft> = table<GarpGroupDraft>({
  garp_interval: timerKeyword("arpIntervalMs", 0, 4294, "garp_group garp_interval '%s' invalid"),
  gna_interval: timerKeyword("naIntervalMs", 0, 4294, "garp_group gna_interval '%s' invalid"),
  interface: {
    least: 1,
    read({ words }, into) {
      into.interfaces.push(words[1].text);
    },
  },
  interfaces: {
    block: "items",
    read(statement, into) {
      into.interfaces.push(...names(statement).map(({ text }) => text));
    },
  },
});

const TRACK_GROUP: Table<object> = table<object>({ group: { block: "items" } });

/** `IF DOWN [UP]`, seconds. */
function readDelays({ block }: Statement, into: VrrpDraft, reader: Reader): void {
  for (const { words } of block ?? []) {
    const [device, down, up] = words;
    if (down === undefined) {
      reader.error("missing-parameter", device, `${device.text} has no times`, {
        remedy: "write: INTERFACE DOWN [UP], in seconds",
        own: "No timeouts specified for %s up/down delays",
      });
      continue;
    }
    const downS = int(down, 0, 255, reader, `Invalid down delay %s for ${device.text}`);
    const upS = up === undefined ? downS : int(up, 0, 255, reader, `Invalid up delay %s for ${device.text}`);
    if (downS === undefined || upS === undefined) continue;
    into.linkDelays.push({ interface: device.text, downMs: downS * 1000, upMs: upS * 1000 });
  }
}

/** The blocks that VRRP reads. */
export const VRRP_BLOCKS: Readonly<Record<string, Keyword<VrrpDraft>>> = {
  vrrp_instance: { block: INSTANCE as Table<never>, least: 1, read: readInstance },
  vrrp_sync_group: { block: SYNC_GROUP as Table<never>, least: 1, read: readSyncGroup },
  ...TRACKED_BLOCKS,
  track_group: {
    block: TRACK_GROUP as Table<never>,
    least: 1,
    without: "static addresses and routes are set once, at start",
  },
  static_ipaddress: {
    block: "items",
    read({ block }, into, reader) {
      for (const item of block ?? []) {
        const found = readAddress(item, "static", reader);
        if (found) into.staticAddresses.push(found);
      }
    },
  },
  static_routes: {
    block: "items",
    read({ block }, into, reader) {
      for (const item of block ?? []) into.staticRoutes.push(...[readRoute(item, reader) ?? []].flat());
    },
  },
  static_rules: {
    block: "items",
    read({ block }, into, reader) {
      for (const item of block ?? []) into.staticRules.push(...[readRule(item, reader) ?? []].flat());
    },
  },
  linkbeat_interfaces: { block: "items", without: "the kernel tells of links going down" },
  interface_up_down_delays: { block: "items", read: readDelays },
  garp_group: {
    block: GARP_GROUP as Table<never>,
    read(statement, into, reader) {
      const draft: GarpGroupDraft = { interfaces: [] };
      readBlock(statement.block ?? [], GARP_GROUP, draft, "garp_group", reader);
      into.garpGroups.push(draft);
    },
  },
};

function scriptSpec(draft: ScriptDraft): TrackScriptSpec {
  const intervalMs = (draft.intervalS ?? 1) * 1000;
  const script = draft.script ?? { command: [] };
  return {
    name: draft.name,
    script: {
      ...script,
      ...(draft.user === undefined ? {} : { user: draft.user }),
      ...(draft.group === undefined ? {} : { group: draft.group }),
    },
    intervalMs,
    timeoutMs: draft.timeoutS ? draft.timeoutS * 1000 : intervalMs,
    weight: draft.weight ?? 0,
    reverse: draft.reverse ?? false,
    rise: draft.rise ?? 1,
    fall: draft.fall ?? 1,
    at: placeOf(draft.word),
  };
}

/** Instances without those that have the same id, interface, family and group as one before. */
function withoutConflicts(
  instances: readonly VrrpInstanceSpec[],
  words: ReadonlyMap<string, Word>,
  reader: Reader,
): VrrpInstanceSpec[] {
  const seen = new Map<string, string>();
  return instances.filter((each) => {
    const where =
      each.peers.length > 0 ? `${each.sourceAddress} ${each.peers.map((p) => p.address)}` : each.group;
    const key = `${each.routerId} ${each.interface} ${each.family} ${where}`;
    const other = seen.get(key);
    if (other === undefined) return Boolean(seen.set(key, each.name));
    const word = words.get(each.name) as Word;
    reader.error(
      "vrid-conflict",
      word,
      `${other} has virtual_router_id ${each.routerId} on ${each.interface} too; ${each.name} is left out`,
      {
        remedy: "give each instance of an interface an id of its own",
        own: `(${each.name}) duplicate VRID conflict with ${other} VRID ${each.routerId}`,
        ownWithoutLine: true,
      },
    );
    return false;
  });
}

/** Groups with the members that exist; those without any are left out. */
function groupsOf(
  draft: VrrpDraft,
  global: GlobalDraft,
  instances: readonly VrrpInstanceSpec[],
  reader: Reader,
): SyncGroupSpec[] {
  const among = trackables(draft);
  const used = new Map<string, string>();
  return draft.groups.flatMap((group) => {
    const remark = (own: string) => ({ own, ownWithoutLine: true }) as const;
    const members = group.members.flatMap((word) => {
      const name = word.text;
      if (!instances.some((each) => each.name === name)) {
        reader.error(
          "undefined-reference",
          word,
          `there is no vrrp_instance ${name}; it is left out of group ${group.name}`,
          {
            ...remark(
              `Virtual router ${name} specified in sync group ${group.name} doesn't exist - ignoring`,
            ),
          },
        );
        return [];
      }
      if (used.has(name)) {
        reader.error("undefined-reference", word, `${name} is in sync group ${used.get(name)} already`, {
          ...remark(
            `Virtual router ${name} cannot exist in more than one sync group; ignoring ${group.name}`,
          ),
        });
        return [];
      }
      used.set(name, group.name);
      return [name];
    });
    if (members.length === 0) {
      const own =
        group.members.length === 0
          ? `Sync group ${group.name} has no virtual router(s). removing`
          : `Sync group ${group.name}, no matching virtual router found in group declaration - removing`;
      reader.error(
        "empty-sync-group",
        group.word,
        `sync group ${group.name} has no instance; it is left out`,
        remark(own),
      );
      return [];
    }
    if (members.length === 1) {
      reader.warn("single-member-group", group.word, `sync group ${group.name} has one instance only`, {
        remedy: "a group of one does nothing",
        ...remark(
          `Sync group ${group.name} has only 1 virtual router(s) - this probably isn't what you want`,
        ),
      });
    }
    const dynamic = global.vrrp.dynamicInterfaces ?? false;
    return [
      {
        name: group.name,
        members,
        trackInterfaces: trackedInterfaces(group.trackInterfaces, group.name, undefined, dynamic, reader),
        trackScripts: tracked(group.trackScripts, among.trackScripts, group.name, reader),
        trackFiles: tracked(group.trackFiles, among.trackFiles, group.name, reader),
        trackProcesses: tracked(group.trackProcesses, among.trackProcesses, group.name, reader),
        trackingWeight: group.trackingWeight ?? false,
        notify: notifyOf(group),
        notifyPriorityChanges: group.notifyPriorityChanges ?? global.vrrp.notifyPriorityChanges ?? false,
        smtpAlert: group.smtpAlert ?? global.smtpAlertVrrp ?? global.smtpAlert ?? false,
        at: placeOf(group.word),
      },
    ];
  });
}

/** Scripts that nobody tracks never run; keepalived tells so in its log only. */
function unusedScripts(spec: VrrpSpec, draft: VrrpDraft, reader: Reader): void {
  const used = new Set(
    [...spec.instances, ...spec.groups].flatMap(({ trackScripts }) => trackScripts.map(({ name }) => name)),
  );
  for (const [name, { word }] of draft.scripts) {
    if (used.has(name)) continue;
    reader.warn("unused-script", word, `vrrp_script ${name} is tracked by nobody; it never runs`, {
      remedy: `add track_script { ${name} } to an instance, or remove it`,
    });
  }
}

/** Intervals of garp_groups, on the instances of their interfaces. */
function withGarpGroups(instance: VrrpInstanceSpec, groups: readonly GarpGroupDraft[]): VrrpInstanceSpec {
  const group = groups.find(({ interfaces }) => interfaces.includes(instance.interface));
  if (group === undefined) return instance;
  return {
    ...instance,
    announce: {
      ...instance.announce,
      arpIntervalMs: group.arpIntervalMs ?? instance.announce.arpIntervalMs,
      naIntervalMs: group.naIntervalMs ?? instance.announce.naIntervalMs,
    },
  };
}

/** All of VRRP. */
export function finishVrrp(draft: VrrpDraft, global: GlobalDraft, reader: Reader): VrrpSpec {
  const among = trackables(draft);
  const finished = draft.instances.flatMap(
    (each) => new FinishingInstance(each, global, reader).finish(among) ?? [],
  );
  const words = new Map(draft.instances.map((each) => [each.name, each.word]));
  const instances = withoutConflicts(finished, words, reader).map((each) =>
    withGarpGroups(each, draft.garpGroups),
  );
  const { defaultInterface } = global.vrrp;
  const staticAddresses = draft.staticAddresses.flatMap((each): VirtualAddressSpec[] => {
    if (
      each.device !== undefined ||
      defaultInterface !== undefined ||
      !reader.interfaces ||
      reader.interfaces.has("eth0")
    ) {
      return [addressSpec(each, defaultInterface ?? "eth0")];
    }
    reader.error(
      "no-such-interface",
      each.word,
      `${each.address} names no interface, and there is no eth0 here`,
      {
        remedy: "add dev INTERFACE, or default_interface in global_defs",
        own: `Static address ${each.address} requires either an interface or default interface must exist`,
      },
    );
    return [];
  });
  const spec: VrrpSpec = {
    instances,
    groups: groupsOf(draft, global, instances, reader),
    scripts: [...draft.scripts.values()].map(scriptSpec),
    files: [...draft.files.values()].map(({ reverse, weight, ...rest }) => ({
      ...rest,
      weight: reverse ? -weight : weight,
    })),
    processes: [...draft.processes.values()],
    staticAddresses,
    staticRoutes: draft.staticRoutes,
    staticRules: draft.staticRules,
    startupDelayMs: global.vrrp.startupDelayMs ?? 0,
    linkDelays: draft.linkDelays,
    dynamicInterfaces: global.vrrp.dynamicInterfaces ?? false,
    logUnknownIds: global.vrrp.logUnknownIds ?? false,
  };
  unusedScripts(spec, draft, reader);
  return spec;
}
