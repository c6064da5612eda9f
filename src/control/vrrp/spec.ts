/**
 * What is wanted of VRRP: plain data, as the configuration reader makes it. Times are in milliseconds unless the name says otherwise.
 * @module
 */
import type { Family } from "../../core/service.ts";
import type { Place } from "../config/diagnostic.ts";
import type { ScriptSpec } from "../wanted.ts";

/** An address to set on an interface. */
export interface VirtualAddressSpec {
  readonly family: Family;
  /** Canonical text. */
  readonly address: string;
  /** Prefix length, 0..32 or 0..128. */
  readonly prefix: number;
  /** Interface name. */
  readonly device: string;
  /** Broadcast address, canonical text; "+" for the computed one; absent: none. */
  readonly broadcast?: string;
  /** rtnetlink scope 0..255 (global 0, site 200, link 253, host 254, nowhere 255). */
  readonly scope: number;
  /** At most 15 characters. */
  readonly label?: string;
  readonly peer?: string;
  /** Further words as ip-address(8) has them: nodad, home, noprefixroute, autojoin, mngtmpaddr. */
  readonly flags: readonly string[];
  /** Seconds, 4294967295 forever. @default forever, but 0 (deprecated: no source of connections) for an IPv6 host address */
  readonly preferredLifetimeS?: number;
  /** Put it on the instance's virtual MAC interface. */
  readonly useVmac?: boolean;
  /** Nothing happens when somebody removes it. */
  readonly noTrack: boolean;
  readonly at: Place;
}

/** A route or rule, in the words of ip-route(8) / ip-rule(8), checked and ordered: `["10.1.0.0/16", "via", "10.0.0.1", "table", "7"]`. */
export interface RouteSpec {
  readonly family: Family;
  readonly words: readonly string[];
  readonly noTrack: boolean;
  readonly at: Place;
}

/** Something that is watched. Weight 0: its failure is a FAULT. */
export interface TrackSpec {
  readonly name: string;
  /** -254..254. */
  readonly weight: number;
  readonly reverse: boolean;
}

/** Programs told of state changes. */
export interface NotifySpec {
  readonly master?: ScriptSpec;
  readonly backup?: ScriptSpec;
  readonly fault?: ScriptSpec;
  readonly stop?: ScriptSpec;
  readonly deleted?: ScriptSpec;
  /** With arguments INSTANCE|GROUP, name, state, priority. */
  readonly any?: ScriptSpec;
  readonly masterRxLowerPri?: ScriptSpec;
}

/** Gratuitous ARP / unsolicited NA. */
export interface AnnounceSpec {
  /** Second round after this, 0 for none. */
  readonly delayMs: number;
  readonly repeat: number;
  /** 0: never. */
  readonly refreshMs: number;
  readonly refreshRepeat: number;
  readonly lowerPrioDelayMs: number;
  readonly lowerPrioRepeat: number;
  /** Between single packets on one interface. */
  readonly arpIntervalMs: number;
  readonly naIntervalMs: number;
  /**
   * Also now and then on interfaces of addresses that adverts do not leave from, so that switches do not forget them: on virtual MAC interfaces,
   * or on all. Absent: never.
   */
  readonly extra?: { readonly everyMs: number; readonly all: boolean };
}

/** One virtual router. */
export interface VrrpInstanceSpec {
  readonly name: string;
  readonly family: Family;
  /** State at start: master only together with priority 255. */
  readonly initial: "master" | "backup";
  readonly interface: string;
  /** 1..255. */
  readonly routerId: number;
  /** 1..255. */
  readonly priority: number;
  readonly version: 2 | 3;
  /** v2: whole seconds; v3: multiples of 10 ms, at most 40950. */
  readonly advertIntMs: number;
  readonly auth?: { readonly type: "pass" | "ah" /** At most 8 bytes. */; readonly password: string };
  readonly addresses: readonly VirtualAddressSpec[];
  /** Set, but not advertised. */
  readonly excluded: readonly VirtualAddressSpec[];
  readonly routes: readonly RouteSpec[];
  readonly rules: readonly RouteSpec[];
  /** Source of adverts; absent: the interface's own. */
  readonly sourceAddress?: string;
  readonly trackSource: boolean;
  /** Multicast group, canonical text. */
  readonly group: string;
  /** Empty: multicast, or with `faultWithoutPeers` nothing but a fault. */
  readonly peers: readonly { readonly address: string; readonly minTtl?: number; readonly maxTtl?: number }[];
  /** Unicast was asked for, peers were not named, and this is no reason for multicast (unicast_fault_no_peer). */
  readonly faultWithoutPeers?: boolean;
  readonly unicastTtl: number;
  readonly checkUnicastSource: boolean;
  readonly vmac?: { readonly name?: string; readonly mac?: string; readonly xmitBase: boolean };
  readonly trackInterfaces: readonly TrackSpec[];
  readonly trackScripts: readonly TrackSpec[];
  readonly trackFiles: readonly TrackSpec[];
  readonly trackProcesses: readonly TrackSpec[];
  readonly dontTrackPrimary: boolean;
  readonly preempt: boolean;
  readonly preemptDelayMs: number;
  /**
   * After it was master or in fault it replaces no lesser master before it is told that the peer's connections are here (connection
   * synchronisation), for so long at most. Absent: at once.
   */
  readonly tableWaitMs?: number;
  /** False: packets to the addresses are dropped unless this host owns them. */
  readonly accept: boolean;
  readonly strict: boolean;
  readonly skipCheckAdvAddr: boolean;
  readonly announce: AnnounceSpec;
  /** Adverts missed before the master is taken for dead. */
  readonly downTimerAdverts: number;
  readonly lowerPrioNoAdvert: boolean;
  readonly higherPrioSendAdvert: boolean;
  /** v3 IPv4: checksum without the pseudo-header (RFC 9568). Received ones of either kind are accepted. */
  readonly checksumWithoutPseudoHeader: boolean;
  readonly promoteSecondaries: boolean;
  readonly notify: NotifySpec;
  readonly notifyPriorityChanges: boolean;
  readonly smtpAlert: boolean;
  readonly at: Place;
}

/** Instances that share one state. */
export interface SyncGroupSpec {
  readonly name: string;
  readonly members: readonly string[];
  readonly trackInterfaces: readonly TrackSpec[];
  readonly trackScripts: readonly TrackSpec[];
  readonly trackFiles: readonly TrackSpec[];
  readonly trackProcesses: readonly TrackSpec[];
  /** Keep weights of members' track items. */
  readonly trackingWeight: boolean;
  readonly notify: NotifySpec;
  readonly notifyPriorityChanges: boolean;
  readonly smtpAlert: boolean;
  readonly at: Place;
}

/** A program whose result moves priorities. */
export interface TrackScriptSpec {
  readonly name: string;
  readonly script: ScriptSpec;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly weight: number;
  readonly reverse: boolean;
  readonly rise: number;
  readonly fall: number;
  readonly at: Place;
}

/** A file whose number moves priorities and weights. */
export interface TrackFileSpec {
  readonly name: string;
  readonly path: string;
  readonly weight: number;
  readonly init?: { readonly value: number; readonly overwrite: boolean };
  readonly at: Place;
}

/** A process whose presence moves priorities. */
export interface TrackProcessSpec {
  readonly name: string;
  readonly command: readonly string[];
  readonly match: "exact" | "initial" | "partial" | "name";
  readonly weight: number;
  readonly quorum: number;
  readonly quorumMax?: number;
  readonly delayMs: number;
  readonly fullCommand: boolean;
  readonly at: Place;
}

/** All of VRRP. */
export interface VrrpSpec {
  readonly instances: readonly VrrpInstanceSpec[];
  readonly groups: readonly SyncGroupSpec[];
  readonly scripts: readonly TrackScriptSpec[];
  readonly files: readonly TrackFileSpec[];
  readonly processes: readonly TrackProcessSpec[];
  readonly staticAddresses: readonly VirtualAddressSpec[];
  readonly staticRoutes: readonly RouteSpec[];
  readonly staticRules: readonly RouteSpec[];
  readonly startupDelayMs: number;
  /** Per interface, milliseconds before a change of its state is believed. */
  readonly linkDelays: readonly {
    readonly interface: string;
    readonly downMs: number;
    readonly upMs: number;
  }[];
  readonly dynamicInterfaces: boolean;
  readonly logUnknownIds: boolean;
}

/** Nothing. */
export const NO_VRRP: VrrpSpec = {
  instances: [],
  groups: [],
  scripts: [],
  files: [],
  processes: [],
  staticAddresses: [],
  staticRoutes: [],
  staticRules: [],
  startupDelayMs: 0,
  linkDelays: [],
  dynamicInterfaces: false,
  logUnknownIds: false,
};
