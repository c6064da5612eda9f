/**
 * `global_defs`: the defaults of VRRP instances.
 * @module
 */
import type { GlobalDraft, VrrpDefaults } from "./global-draft.ts";
import type { Keyword } from "./keyword.ts";
import { addressOf, extraAnnouncements, flag, int, timer } from "./values.ts";

const U32_MAX = 4294967295;
/** Longest advert delay keepalived can count, in seconds. */
const DELAY_MAX_S = 4294;

/** A whole number of seconds, kept as ms. */
function seconds(field: keyof VrrpDefaults, own: string): Keyword<GlobalDraft> {
  return {
    least: 1,
    read({ words }, into, reader) {
      const value = int(words[1], 0, DELAY_MAX_S, reader, own);
      if (value !== undefined) (into.vrrp as Record<string, unknown>)[field] = value * 1000;
    },
  };
}

function number(field: keyof VrrpDefaults, least: number, most: number, own: string): Keyword<GlobalDraft> {
  return {
    least: 1,
    read({ words }, into, reader) {
      const value = int(words[1], least, most, reader, own);
      if (value !== undefined) (into.vrrp as Record<string, unknown>)[field] = value;
    },
  };
}

/** A count that is at least 1; 0 is raised. */
function count(field: keyof VrrpDefaults, name: string): Keyword<GlobalDraft> {
  return {
    least: 1,
    read({ words }, into, reader) {
      const value = int(words[1], 0, U32_MAX, reader, `${name} '%s' invalid - ignoring`);
      if (value === 0) {
        reader.warn("value-raised-to-minimum", words[1], `${name} is at least 1; that is used`, {
          own: `${name} must be greater than 0, setting to 1`,
        });
      }
      if (value !== undefined) (into.vrrp as Record<string, unknown>)[field] = value || 1;
    },
  };
}

function interval(field: keyof VrrpDefaults, name: string): Keyword<GlobalDraft> {
  return {
    least: 1,
    read({ words }, into, reader) {
      const value = timer(words[1], 0, DELAY_MAX_S, reader, `${name} '%s' is invalid`);
      if (value !== undefined) (into.vrrp as Record<string, unknown>)[field] = value;
    },
  };
}

function onOff(field: keyof VrrpDefaults, own?: string): Keyword<GlobalDraft> {
  return {
    most: 1,
    read(statement, into, reader) {
      const value = flag(statement, reader, own);
      if (value !== undefined) (into.vrrp as Record<string, unknown>)[field] = value;
    },
  };
}

/** vrrp_mcast_group4 and 6. */
function group(field: "group4" | "group6", family: 4 | 6): Keyword<GlobalDraft> {
  return {
    least: 1,
    read({ words }, into, reader) {
      const [keyword, word] = words;
      const found = addressOf(word.text);
      const first = found && Number.parseInt(found.address, family === 4 ? 10 : 16);
      const multicast =
        found?.family === family &&
        (family === 4 ? (first as number) >= 224 && (first as number) < 240 : (first as number) >> 8 === 255);
      if (found && multicast) {
        into.vrrp[field] = found.address;
        return;
      }
      const name = keyword.text;
      reader.error("bad-address", word, `"${word.text}" is no IPv${family} multicast address`, {
        own: !found
          ? `Can't parse ${name} [%s]. Skipping`
          : found.family !== family
            ? `${name} [%s] is not IPv${family}. Skipping`
            : `${name} [%s] is not multicast. Skipping`,
      });
    },
  };
}

/** Keywords of global_defs about VRRP. */
export const GLOBAL_VRRP: Readonly<Record<string, Keyword<GlobalDraft>>> = {
  vrrp_version: {
    least: 1,
    read({ words }, into, reader) {
      const value = int(words[1], 2, 3, reader, "VRRP Error: Version must be either 2 or 3");
      if (value !== undefined) into.vrrp.version = value as 2 | 3;
    },
  },
  vrrp_mcast_group4: group("group4", 4),
  vrrp_mcast_group6: group("group6", 6),
  vrrp_garp_master_delay: seconds("garpDelayMs", "vrrp_garp_master_delay '%s' invalid - ignoring"),
  vrrp_garp_master_repeat: count("garpRepeat", "vrrp_garp_master_repeat"),
  vrrp_garp_master_refresh: seconds("garpRefreshMs", "Invalid vrrp_garp_master_refresh '%s' - ignoring"),
  vrrp_garp_master_refresh_repeat: count("garpRefreshRepeat", "vrrp_garp_master_refresh_repeat"),
  vrrp_garp_lower_prio_delay: seconds(
    "lowerPrioDelayMs",
    "vrrp_garp_lower_prio_delay '%s' invalid - ignoring",
  ),
  vrrp_garp_lower_prio_repeat: number(
    "lowerPrioRepeat",
    0,
    U32_MAX,
    "Invalid vrrp_garp_lower_prio_repeat '%s'",
  ),
  vrrp_garp_interval: interval("arpIntervalMs", "vrrp_garp_interval"),
  vrrp_gna_interval: interval("naIntervalMs", "vrrp_gna_interval"),
  vrrp_min_garp: onOff("minGarp"),
  vrrp_garp_extra_if: {
    least: 1,
    most: 2,
    read({ words }, into, reader) {
      const extra = extraAnnouncements(words, reader, "Invalid vrrp_garp_extra_if '%s' - ignoring");
      if (extra) into.vrrp.garpExtra = extra;
    },
  },
  vrrp_rt_priority: number("realtimePriority", 1, 99, "vrrp process real-time priority '%s' invalid"),
  vrrp_priority: number("nice", -20, 19, "Invalid vrrp process priority specified"),
  vrrp_down_timer_adverts: number("downTimerAdverts", 1, 100, "Invalid vrrp_down_timer_adverts [1:100] '%s'"),
  vrrp_lower_prio_no_advert: onOff("lowerPrioNoAdvert"),
  vrrp_higher_prio_send_advert: onOff("higherPrioSendAdvert"),
  vrrp_check_unicast_src: onOff("checkUnicastSource"),
  vrrp_skip_check_adv_addr: onOff("skipCheckAdvAddr"),
  vrrp_strict: onOff("strict"),
  vrrp_startup_delay: interval("startupDelayMs", "vrrp_startup_delay"),
  vrrp_notify_priority_changes: onOff(
    "notifyPriorityChanges",
    "Invalid value '%s' for global vrrp_notify_priority_changes specified",
  ),
  log_unknown_vrids: onOff("logUnknownIds"),
  dynamic_interfaces: {
    most: 1,
    read({ words }, into, reader) {
      if (words[1] === undefined || words[1].text === "allow_if_changes") into.vrrp.dynamicInterfaces = true;
      else {
        reader.error("bad-value", words[1], `"${words[1].text}" is not allow_if_changes`, {
          own: "Unknown dynamic_interfaces option '%s'",
        });
      }
    },
  },
  default_interface: {
    least: 1,
    read({ words }, into, reader) {
      const { text } = words[1];
      into.vrrp.defaultInterface = text;
      if (reader.interfaces && !reader.interfaces.has(text)) {
        reader.warn("no-such-interface", words[1], `interface ${text} does not exist here`);
      }
    },
  },
  v3_checksum_as_v2: { ...onOff("checksumAsV2"), foreign: true },
};
