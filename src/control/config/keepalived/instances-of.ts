/**
 * From vrrp_instances as written to those that run: defaults, what only fits together, strict mode (vrrp sheet, RFC 9568).
 * @module
 */
import type {
  AnnounceSpec,
  NotifySpec,
  TrackSpec,
  VirtualAddressSpec,
  VrrpInstanceSpec,
} from "../../vrrp/spec.ts";
import { suggest } from "../suggest.ts";
import type { GlobalDraft } from "./global-draft.ts";
import type { More, Reader } from "./reader.ts";
import { placeOf, type Word } from "./text.ts";
import type {
  AddressDraft,
  InstanceDraft,
  NotifyDraft,
  TrackDraft,
  TrackLists,
  VrrpDraft,
} from "./vrrp-draft.ts";

const GROUP4 = "224.0.0.18";
const GROUP6 = "ff02::12";
/** Longest interval of version 3: 12 bits of centiseconds. */
const V3_MAX_MS = 40_950;
const V2_MAX_MS = 255_000;

/** keepalived's remark without a line. */
const remark = (own: string, remedy?: string): More => ({
  own,
  ownWithoutLine: true,
  ...(remedy === undefined ? {} : { remedy }),
});

/** What track_ blocks may name, with the weight of its own. */
export interface Trackable {
  readonly what: string;
  readonly own: string;
  readonly weights: ReadonlyMap<string, { readonly weight: number; readonly reverse: boolean }>;
}

/** The things that track_ blocks may name. */
export function trackables(
  draft: VrrpDraft,
): Record<"trackScripts" | "trackFiles" | "trackProcesses", Trackable> {
  const plain = (each: { weight?: number; reverse?: boolean }) => ({
    weight: each.weight ?? 0,
    reverse: each.reverse ?? false,
  });
  const map = <T extends { weight?: number; reverse?: boolean }>(from: ReadonlyMap<string, T>) =>
    new Map([...from].map(([name, each]) => [name, plain(each)] as const));
  return {
    trackScripts: { what: "vrrp_script", own: "track script", weights: map(draft.scripts) },
    trackFiles: { what: "track_file", own: "track file", weights: map(draft.files) },
    trackProcesses: { what: "vrrp_track_process", own: "track process", weights: map(draft.processes) },
  };
}

/** The members of a track_ block that exist. */
export function tracked(
  list: readonly TrackDraft[],
  among: Trackable,
  whose: string,
  reader: Reader,
): TrackSpec[] {
  return list.flatMap((each) => {
    const name = each.word.text;
    const found = among.weights.get(name);
    if (found !== undefined) {
      return [
        {
          name,
          weight: each.weight ?? found.weight,
          reverse: each.reverse ?? (each.weight === undefined && found.reverse),
        },
      ];
    }
    const near = suggest(name, among.weights.keys());
    reader.error("undefined-reference", each.word, `there is no ${among.what} ${name}; it is left out`, {
      remedy: near === undefined ? `define it: ${among.what} ${name} { ... }` : `the nearest is ${near}`,
      own: `(${whose}) ${among.own} %s not found, ignoring...`,
    });
    return [];
  });
}

/** The members of a track_interface block. */
export function trackedInterfaces(
  list: readonly TrackDraft[],
  whose: string,
  own: string | undefined,
  dynamic: boolean,
  reader: Reader,
): TrackSpec[] {
  return list.flatMap((each) => {
    const name = each.word.text;
    if (name === own) {
      reader.notice(
        "no-effect",
        each.word,
        `${name} is the instance's own interface, which is watched anyway`,
        {
          own: `(${whose}) Ignoring track_interface %s since own interface`,
          ownWithoutLine: true,
        },
      );
      return [];
    }
    if (!dynamic && reader.interfaces && !reader.interfaces.has(name)) {
      reader.error("no-such-interface", each.word, `interface ${name} does not exist here`, {
        own: `(${whose}) tracked interface %s doesn't exist`,
      });
    }
    return [{ name, weight: each.weight ?? 0, reverse: each.reverse ?? false }];
  });
}

/** Notify programs alone. */
export function notifyOf(draft: NotifyDraft): NotifySpec {
  const { master, backup, fault, stop, deleted, any, masterRxLowerPri } = draft;
  const all = { master, backup, fault, stop, deleted, any, masterRxLowerPri };
  return Object.fromEntries(Object.entries(all).filter(([, script]) => script !== undefined));
}

/** An address with its device. */
export function addressSpec(draft: AddressDraft, device: string): VirtualAddressSpec {
  const { word, ...rest } = draft;
  return { ...rest, device: draft.device ?? device, at: placeOf(word) };
}

/** One instance being finished. */
export class FinishingInstance {
  readonly draft: InstanceDraft;
  readonly global: GlobalDraft;
  readonly reader: Reader;

  constructor(draft: InstanceDraft, global: GlobalDraft, reader: Reader) {
    this.draft = draft;
    this.global = global;
    this.reader = reader;
  }

  #warn(
    code: string,
    message: string,
    own: string | undefined,
    remedy?: string,
    word = this.draft.word,
  ): void {
    const text = own === undefined ? undefined : `(${this.draft.name}) ${own}`;
    this.reader.warn(
      code,
      word,
      message,
      text === undefined ? (remedy === undefined ? {} : { remedy }) : remark(text, remedy),
    );
  }

  /** The instance; undefined, with a message, when it cannot run. */
  finish(among: ReturnType<typeof trackables>): VrrpInstanceSpec | undefined {
    const { draft, global } = this;
    const defaults = global.vrrp;
    if (!this.#complete()) return undefined;
    const family =
      draft.addresses[0]?.family ?? draft.source?.address.family ?? draft.peers[0]?.address.family ?? 4;
    const version = this.#version(family);
    const strict = draft.strict ?? defaults.strict ?? false;
    if (!this.#addresses(family, version, strict)) return undefined;
    // compat: keepalived 2.2.7 makes a MASTER without a priority the owner.
    const priority = draft.priority ?? (draft.state?.master ? 255 : 100);
    const master = draft.state?.master ?? priority === 255;
    const unicast = this.#unicast(family, strict);
    const device = draft.interface?.text ?? defaults.defaultInterface ?? (unicast.length > 0 ? "" : "eth0");
    const { preempt, preemptDelayMs } = this.#preemption(master, priority, strict);
    const source = this.#source(family);
    const auth = this.#auth(version, family, strict);
    if (draft.vmacXmitBase && draft.vmac === undefined) {
      this.reader.warn("no-effect", draft.word, "vmac_xmit_base has no effect without use_vmac", {
        own: `(${draft.name}) vmac_xmit_base is only valid with a vmac`,
        ownWithoutLine: true,
      });
    }
    const vmac = draft.vmac && {
      ...draft.vmac,
      xmitBase: strict ? false : (draft.vmacXmitBase ?? (draft.vmac !== undefined && unicast.length > 0)),
    };
    const withVmac = (address: AddressDraft): AddressDraft =>
      draft.vmacAddresses && address.useVmac === undefined ? { ...address, useVmac: true } : address;
    const dynamic = defaults.dynamicInterfaces ?? false;
    const lists: TrackLists = draft;
    return {
      name: draft.name,
      family,
      initial: master ? "master" : "backup",
      interface: device,
      routerId: draft.routerId ?? 0,
      priority,
      version,
      advertIntMs: this.#advert(version),
      ...(auth === undefined ? {} : { auth }),
      addresses: draft.addresses.map((each) => addressSpec(withVmac(each), device)),
      excluded: draft.excluded.map((each) => addressSpec(withVmac(each), device)),
      routes: draft.routes,
      rules: draft.rules,
      ...(source === undefined ? {} : { sourceAddress: source }),
      trackSource: draft.trackSource ?? false,
      group: this.#group(family),
      peers: unicast,
      ...(draft.faultWithoutPeers && draft.unicast && unicast.length === 0
        ? { faultWithoutPeers: true }
        : {}),
      unicastTtl: draft.unicastTtl ?? 255,
      checkUnicastSource: draft.checkUnicastSource ?? defaults.checkUnicastSource ?? false,
      ...(vmac === undefined ? {} : { vmac }),
      trackInterfaces: trackedInterfaces(lists.trackInterfaces, draft.name, device, dynamic, this.reader),
      trackScripts: tracked(lists.trackScripts, among.trackScripts, draft.name, this.reader),
      trackFiles: tracked(lists.trackFiles, among.trackFiles, draft.name, this.reader),
      trackProcesses: tracked(lists.trackProcesses, among.trackProcesses, draft.name, this.reader),
      dontTrackPrimary: draft.dontTrackPrimary ?? false,
      preempt,
      preemptDelayMs,
      accept: strict && draft.accept !== true ? priority === 255 : (draft.accept ?? true),
      strict,
      skipCheckAdvAddr: draft.skipCheckAdvAddr ?? defaults.skipCheckAdvAddr ?? false,
      announce: this.#announce(strict),
      downTimerAdverts: strict ? 3 : (draft.downTimerAdverts ?? defaults.downTimerAdverts ?? 3),
      // compat: keepalived 2.2.7; strict routers do not answer lower adverts.
      lowerPrioNoAdvert: strict || (draft.lowerPrioNoAdvert ?? defaults.lowerPrioNoAdvert ?? false),
      higherPrioSendAdvert: strict
        ? false
        : (draft.higherPrioSendAdvert ?? defaults.higherPrioSendAdvert ?? false),
      checksumWithoutPseudoHeader: draft.checksumAsV2 ?? defaults.checksumAsV2 ?? false,
      promoteSecondaries: draft.promoteSecondaries ?? false,
      notify: notifyOf(draft),
      notifyPriorityChanges: draft.notifyPriorityChanges ?? defaults.notifyPriorityChanges ?? false,
      smtpAlert: draft.smtpAlert ?? global.smtpAlertVrrp ?? global.smtpAlert ?? false,
      at: placeOf(draft.word),
    };
  }

  #complete(): boolean {
    const { draft, reader } = this;
    if (draft.routerId === undefined) {
      reader.error(
        "vrid-missing",
        draft.word,
        `instance ${draft.name} has no virtual_router_id; it is left out`,
        remark(`(${draft.name}) the virtual router id must be set`, "add a line: virtual_router_id 51"),
      );
      return false;
    }
    if (
      draft.interface === undefined &&
      draft.unicast === undefined &&
      this.global.vrrp.defaultInterface === undefined
    ) {
      reader.error(
        "interface-missing",
        draft.word,
        `instance ${draft.name} names no interface; it is left out`,
        remark(`(${draft.name}) Unknown interface!`, "add a line: interface eth0"),
      );
      return false;
    }
    return true;
  }

  #version(family: 4 | 6): 2 | 3 {
    const { draft } = this;
    const wanted = draft.version ?? (family === 6 ? 3 : this.global.vrrp.version);
    // compat: keepalived lets version 2 stand for IPv6 when it comes before the addresses; no other router understands that.
    if (wanted === 2 && family === 6) {
      this.#warn(
        "bad-value",
        "IPv6 needs version 3; it is used",
        "cannot use IPv6 with VRRP version 2; setting version 3",
      );
      return 3;
    }
    return wanted ?? 2;
  }

  #addresses(family: 4 | 6, version: 2 | 3, strict: boolean): boolean {
    const { draft } = this;
    const [first] = draft.addresses;
    if (first === undefined) {
      const fatal = version === 3 || strict;
      if (fatal) {
        this.reader.error(
          "vip-missing-fatal",
          draft.word,
          `instance ${draft.name} has no virtual_ipaddress; it is left out`,
          remark(
            `(${draft.name}) No VIP specified; at least one is required`,
            "add virtual_ipaddress { IP/LENGTH }",
          ),
        );
        return false;
      }
      this.#warn(
        "vip-missing",
        `instance ${draft.name} has no virtual_ipaddress`,
        "No VIP specified; at least one is sensible",
        "add virtual_ipaddress { IP/LENGTH }",
      );
    } else if (family === 6 && !/^fe[89ab]/.test(first.address)) {
      this.#warn(
        "vip-not-link-local",
        "the first IPv6 address of an instance should be link-local (RFC 9568 §5.2.9)",
        strict ? "the first IPv6 VIP address must be link local" : undefined,
        "write an fe80:: address first",
        first.word,
      );
    }
    return true;
  }

  #unicast(family: 4 | 6, strict: boolean): VrrpInstanceSpec["peers"] {
    const { draft, reader } = this;
    const peers = draft.peers.filter(({ address, word }) => {
      if (address.family === family) return true;
      reader.error(
        "family-mismatch",
        word,
        `peer ${address.address} is IPv${address.family}, the instance IPv${family}`,
        {
          own: `Configuration error: VRRP instance[${draft.name}] and unicast peer address[${address.address}] MUST be of the same family !!! Skipping...`,
          ownWithoutLine: true,
        },
      );
      return false;
    });
    if (draft.unicast && peers.length === 0) {
      this.#warn(
        "unicast-without-peers",
        draft.faultWithoutPeers
          ? "unicast_peer names nobody; the instance stays in fault"
          : "unicast_peer names nobody; adverts are multicast",
        draft.faultWithoutPeers
          ? "Cannot use unicast without any peers - going to fault state"
          : "A unicast keyword has been specified without any unicast peers. Defaulting to multicast. This usage is deprecated - please update your configuration.",
        "name the other routers, one a line",
        draft.unicast,
      );
    }
    if (peers.length > 0 && strict) {
      this.#warn(
        "strict",
        "strict mode knows no unicast peers; they are left out",
        "Unicast peers are not supported in strict mode",
        "remove vrrp_strict or unicast_peer",
        draft.unicast ?? draft.word,
      );
      return [];
    }
    return peers.map(({ address, minTtl, maxTtl }) => ({
      address: address.address,
      ...(minTtl === undefined ? {} : { minTtl }),
      ...(maxTtl === undefined ? {} : { maxTtl }),
    }));
  }

  #preemption(
    master: boolean,
    priority: number,
    strict: boolean,
  ): { preempt: boolean; preemptDelayMs: number } {
    const { draft } = this;
    let preempt = draft.nopreempt === undefined;
    let preemptDelayMs = draft.preemptDelayMs ?? 0;
    if (!preempt && priority === 255) {
      this.#warn(
        "nopreempt-with-owner",
        "the owner of the addresses (priority 255) always preempts; nopreempt is left out",
        "nopreempt is incompatible with priority 255. resetting nopreempt",
        undefined,
        draft.nopreempt,
      );
      preempt = true;
    }
    if (!preempt && master) {
      this.#warn(
        "nopreempt-with-master",
        "nopreempt needs state BACKUP; it is left out",
        "Warning - nopreempt will not work with initial state MASTER - clearing",
        "write state BACKUP on all routers; the highest priority wins at start",
        draft.nopreempt,
      );
      preempt = true;
    }
    if (preemptDelayMs > 0) {
      const word = draft.preemptDelayWord as Word;
      const clear = (code: string, message: string, own: string) => {
        this.#warn(code, message, own, undefined, word);
        preemptDelayMs = 0;
      };
      if (strict)
        clear(
          "strict",
          "strict mode has no preempt_delay",
          "preempt_delay is incompatible with strict mode - resetting",
        );
      else if (master) {
        clear(
          "preempt-delay-with-master",
          "preempt_delay needs state BACKUP; it is left out",
          "Warning - preempt delay will not work with initial state MASTER - clearing",
        );
      } else if (!preempt) {
        clear(
          "no-effect",
          "preempt_delay has no effect with nopreempt",
          "preempt_delay is incompatible with nopreempt mode - resetting",
        );
      }
    }
    return { preempt, preemptDelayMs };
  }

  #source(family: 4 | 6): string | undefined {
    const { source, name } = this.draft;
    if (source === undefined || source.address.family === family) return source?.address.address;
    const { address } = source.address;
    this.reader.error(
      "family-mismatch",
      source.word,
      `source ${address} is not IPv${family} as the instance is`,
      {
        own: `Configuration error: VRRP instance[${name}] and src address[${address}] MUST be of the same family !!! Skipping...`,
        ownWithoutLine: true,
      },
    );
    return undefined;
  }

  #group(family: 4 | 6): string {
    const { group } = this.draft;
    const { group4, group6 } = this.global.vrrp;
    if (group?.family === family) return group.address;
    return family === 4 ? (group4 ?? GROUP4) : (group6 ?? GROUP6);
  }

  #auth(version: 2 | 3, family: 4 | 6, strict: boolean): VrrpInstanceSpec["auth"] {
    const { authType, authPassword, authWord } = this.draft;
    if (authType === undefined) return undefined;
    const word = authWord ?? this.draft.word;
    if (strict) {
      this.#warn(
        "strict",
        "strict mode has no authentication; it is left out",
        "Strict mode does not support authentication. Ignoring.",
        undefined,
        word,
      );
    } else if (version === 3) {
      this.#warn(
        "auth-with-v3",
        "version 3 has no authentication; it is left out",
        "VRRP version 3 does not support authentication. Ignoring.",
        "remove the authentication block, or write version 2",
        word,
      );
    } else if (authPassword === undefined || authPassword === "") {
      this.#warn(
        "auth-without-password",
        "authentication has no auth_pass; it is left out",
        "Authentication specified but no password given. Ignoring",
        "add a line: auth_pass SECRET",
        word,
      );
    } else if (authType === "ah" && family === 6) {
      this.#warn(
        "bad-value",
        "AH is for IPv4 only; it is left out",
        "Cannot use AH authentication with IPv6. ignoring",
        undefined,
        word,
      );
    } else return { type: authType, password: authPassword };
    return undefined;
  }

  #advert(version: 2 | 3): number {
    const { advertIntMs, advertWord } = this.draft;
    if (advertIntMs === undefined || advertWord === undefined) return 1000;
    const seconds = advertIntMs / 1000;
    const say = (message: string, own: string) =>
      this.#warn("advert-int-rounded", message, own, undefined, advertWord);
    if (version === 2) {
      if (advertIntMs % 1000 === 0) return Math.min(advertIntMs, V2_MAX_MS);
      const rounded = Math.max(1, Math.round(seconds)) * 1000;
      say(
        `version 2 counts in whole seconds; ${rounded / 1000} s are used (version 3 knows shorter ones)`,
        `VRRPv2 advertisement interval ${seconds.toFixed(6)}s must be an integer. rounding`,
      );
      return rounded;
    }
    if (advertIntMs > V3_MAX_MS) {
      say(
        `version 3 knows at most ${V3_MAX_MS / 1000} s; they are used`,
        `VRRPv3 advertisement interval ${seconds.toFixed(2)}s is out of range. Must be less than 40.96s. Setting to ${(V3_MAX_MS / 1000).toFixed(2)}s`,
      );
      return V3_MAX_MS;
    }
    if (advertIntMs % 10 === 0) return advertIntMs;
    say(
      "version 3 counts in units of 10 ms; the interval is rounded",
      `VRRPv3 advertisement interval ${seconds.toFixed(6)}s must be in units of 10ms - rounding`,
    );
    return Math.max(10, Math.round(advertIntMs / 10) * 10);
  }

  #announce(strict: boolean): AnnounceSpec {
    const { draft } = this;
    const { vrrp } = this.global;
    const least = vrrp.minGarp ?? false;
    const extra = draft.garpExtra ?? vrrp.garpExtra;
    const delayMs = draft.garpDelayMs ?? vrrp.garpDelayMs ?? (least ? 0 : 5000);
    const repeat = draft.garpRepeat ?? vrrp.garpRepeat ?? (least ? 1 : 5);
    return {
      delayMs,
      repeat,
      refreshMs: strict ? 0 : (draft.garpRefreshMs ?? vrrp.garpRefreshMs ?? 0),
      refreshRepeat: draft.garpRefreshRepeat ?? vrrp.garpRefreshRepeat ?? 1,
      lowerPrioDelayMs: draft.lowerPrioDelayMs ?? vrrp.lowerPrioDelayMs ?? delayMs,
      lowerPrioRepeat: draft.lowerPrioRepeat ?? vrrp.lowerPrioRepeat ?? repeat,
      arpIntervalMs: vrrp.arpIntervalMs ?? 0,
      naIntervalMs: vrrp.naIntervalMs ?? 0,
      ...(extra === undefined || extra.everyMs === 0 ? {} : { extra }),
    };
  }
}
