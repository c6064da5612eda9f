/**
 * VRRP's blocks while they are read. Times in ms unless the name says otherwise.
 * @module
 */
import type {
  NotifySpec,
  RouteSpec,
  TrackFileSpec,
  TrackProcessSpec,
  VirtualAddressSpec,
} from "../../vrrp/spec.ts";
import type { ScriptSpec } from "../../wanted.ts";
import type { TrackFileFacts } from "./checks-of.ts";
import type { Word } from "./text.ts";
import type { Address } from "./values.ts";

/** A member of a track_ block: its name, and the weight when it is written. */
export interface TrackDraft {
  readonly word: Word;
  weight?: number;
  reverse?: boolean;
}

/** The four track_ blocks, and BFD's. */
export interface TrackLists {
  readonly trackInterfaces: TrackDraft[];
  readonly trackScripts: TrackDraft[];
  readonly trackFiles: TrackDraft[];
  readonly trackProcesses: TrackDraft[];
}

/** Notify programs, and what goes with them. */
export type NotifyDraft = { -readonly [K in keyof NotifySpec]?: ScriptSpec } & {
  smtpAlert?: boolean;
  notifyPriorityChanges?: boolean;
};

/** An address of a list, before the device is known. */
export interface AddressDraft extends Omit<VirtualAddressSpec, "device" | "at"> {
  readonly word: Word;
  readonly device?: string;
}

/** A vrrp_instance while it is read. */
export interface InstanceDraft extends TrackLists, NotifyDraft {
  readonly word: Word;
  readonly close?: Word | undefined;
  readonly name: string;
  state?: { readonly master: boolean; readonly word: Word };
  interface?: Word;
  routerId?: number;
  priority?: number;
  version?: 2 | 3;
  advertIntMs?: number;
  advertWord?: Word;
  authType?: "pass" | "ah";
  authPassword?: string;
  authWord?: Word;
  readonly addresses: AddressDraft[];
  readonly excluded: AddressDraft[];
  readonly routes: RouteSpec[];
  readonly rules: RouteSpec[];
  source?: { readonly word: Word; readonly address: Address };
  trackSource?: boolean;
  group?: Address;
  readonly peers: { readonly address: Address; readonly word: Word; minTtl?: number; maxTtl?: number }[];
  unicast?: Word;
  unicastTtl?: number;
  faultWithoutPeers?: boolean;
  checkUnicastSource?: boolean;
  vmac?: { name?: string; mac?: string };
  vmacXmitBase?: boolean;
  vmacAddresses?: boolean;
  dontTrackPrimary?: boolean;
  nopreempt?: Word;
  preemptDelayMs?: number;
  preemptDelayWord?: Word;
  accept?: boolean;
  strict?: boolean;
  skipCheckAdvAddr?: boolean;
  garpDelayMs?: number;
  garpRepeat?: number;
  garpRefreshMs?: number;
  garpRefreshRepeat?: number;
  garpExtra?: { readonly everyMs: number; readonly all: boolean };
  lowerPrioDelayMs?: number;
  lowerPrioRepeat?: number;
  downTimerAdverts?: number;
  lowerPrioNoAdvert?: boolean;
  higherPrioSendAdvert?: boolean;
  checksumAsV2?: boolean;
  promoteSecondaries?: boolean;
  syncInterface?: Word;
}

/** A vrrp_sync_group while it is read. */
export interface SyncGroupDraft extends TrackLists, NotifyDraft {
  readonly word: Word;
  readonly name: string;
  readonly members: Word[];
  trackingWeight?: boolean;
}

/** A vrrp_script while it is read. */
export interface ScriptDraft {
  readonly word: Word;
  readonly close?: Word | undefined;
  readonly name: string;
  script?: ScriptSpec;
  user?: string;
  group?: string;
  intervalS?: number;
  timeoutS?: number;
  weight?: number;
  reverse?: boolean;
  rise?: number;
  fall?: number;
}

/** A garp_group: intervals for some interfaces. */
export interface GarpGroupDraft {
  arpIntervalMs?: number;
  naIntervalMs?: number;
  readonly interfaces: string[];
}

/** All of VRRP while it is read. */
export interface VrrpDraft {
  readonly instances: InstanceDraft[];
  readonly groups: SyncGroupDraft[];
  readonly scripts: Map<string, ScriptDraft>;
  readonly files: Map<string, TrackFileSpec & { readonly reverse: boolean }>;
  readonly processes: Map<string, TrackProcessSpec>;
  readonly bfdNames: Set<string>;
  readonly staticAddresses: AddressDraft[];
  readonly staticRoutes: RouteSpec[];
  readonly staticRules: RouteSpec[];
  readonly linkDelays: { readonly interface: string; readonly downMs: number; readonly upMs: number }[];
  readonly garpGroups: GarpGroupDraft[];
  /** For FILE_CHECK. */
  readonly trackFiles: Map<string, TrackFileFacts>;
  /** lvs_sync_daemon_interface of an instance. */
  syncInterface?: { readonly interface: string; readonly instance: string };
}

/** Nothing read. */
export const vrrpDraft = (): VrrpDraft => ({
  instances: [],
  groups: [],
  scripts: new Map(),
  files: new Map(),
  processes: new Map(),
  bfdNames: new Set(),
  staticAddresses: [],
  staticRoutes: [],
  staticRules: [],
  linkDelays: [],
  garpGroups: [],
  trackFiles: new Map(),
});
