/**
 * `vrrp_instance`: its keywords.
 * @module
 */
import { readAddress } from "./addresses.ts";
import { type Keyword, readBlock, type Table, table } from "./keyword.ts";
import { NOTIFY } from "./notify.ts";
import type { Reader } from "./reader.ts";
import { readRoute, readRule } from "./routes.ts";
import type { Word } from "./text.ts";
import { TRACK_LISTS, taken } from "./tracking.ts";
import type { Statement } from "./tree.ts";
import { address, extraAnnouncements, flag, flagKeyword, int, markKeyword, timer } from "./values.ts";
import type { InstanceDraft, VrrpDraft } from "./vrrp-draft.ts";

const U32_MAX = 4294967295;
const IFNAME_MAX = 15;

type InstanceKeyword = Keyword<InstanceDraft>;

/** A whole number; `own` has `NAME` for the instance. */
function number(field: keyof InstanceDraft, least: number, most: number, own: string): InstanceKeyword {
  return {
    least: 1,
    read({ words }, into, reader) {
      const value = int(
        words[1],
        least,
        most,
        reader,
        own.replace("NAME", () => into.name),
      );
      if (value !== undefined) (into as unknown as Record<string, unknown>)[field] = value;
    },
  };
}

/** A whole number of seconds, kept as ms. */
function seconds(field: keyof InstanceDraft, own: string): InstanceKeyword {
  return {
    least: 1,
    read({ words }, into, reader) {
      const value = int(
        words[1],
        0,
        4294,
        reader,
        own.replace("NAME", () => into.name),
      );
      if (value !== undefined) (into as unknown as Record<string, unknown>)[field] = value * 1000;
    },
  };
}

/** A count that is at least 1; 0 is raised. */
function count(field: keyof InstanceDraft, name: string): InstanceKeyword {
  return {
    least: 1,
    read({ words }, into, reader) {
      const value = int(words[1], 0, U32_MAX, reader, `(${into.name}): ${name} '%s' invalid - ignoring`);
      if (value === 0) {
        reader.warn("value-raised-to-minimum", words[1], `${name} is at least 1; that is used`, {
          own: `(${into.name}): ${name} must be greater than 0, setting to 1`,
        });
      }
      if (value !== undefined) (into as unknown as Record<string, unknown>)[field] = value || 1;
    },
  };
}

/** An interface that should exist. */
function device(word: Word, name: string, reader: Reader): boolean {
  if (word.text.length > IFNAME_MAX) {
    reader.error("bad-value", word, `interface names have at most ${IFNAME_MAX} characters`, {
      own: "Interface name '%s' too long - ignoring",
    });
    return false;
  }
  if (reader.interfaces && !reader.interfaces.has(word.text)) {
    reader.error("no-such-interface", word, `interface ${word.text} does not exist here`, {
      own: `WARNING - interface %s for vrrp_instance ${name} doesn't exist`,
    });
  }
  return true;
}

const ADVERT_INT: InstanceKeyword = {
  least: 1,
  read({ words }, into, reader) {
    const value = timer(
      words[1],
      0.01,
      255,
      reader,
      `(${into.name}) Advert interval (%s) not valid! Must be > 0 - ignoring`,
    );
    if (value === undefined) return;
    into.advertIntMs = value;
    into.advertWord = words[1];
  },
};

interface AuthDraft {
  readonly instance: InstanceDraft;
}

const AUTHENTICATION: Table<AuthDraft> = table<AuthDraft>({
  auth_type: {
    least: 1,
    read({ words }, { instance }, reader) {
      const { text } = words[1];
      if (text === "PASS" || text === "AH") instance.authType = text === "PASS" ? "pass" : "ah";
      else {
        reader.error("bad-value", words[1], `authentication type "${text}" is neither PASS nor AH`, {
          own: `(${instance.name}) unknown authentication type '%s'`,
        });
      }
    },
  },
  auth_pass: {
    least: 1,
    read({ words }, { instance }, reader) {
      const bytes = new TextEncoder().encode(words[1].text);
      if (bytes.length > 8) {
        if (bytes.length === words[1].text.length) reader.fix(words[1], words[1].text.slice(0, 8));
        reader.warn(
          "password-truncated",
          words[1],
          "passwords have at most 8 characters; the rest is cut off",
          {
            remedy: `write ${words[1].text.slice(0, 8)}`,
            own: "Truncating auth_pass to 8 characters",
          },
        );
      }
      instance.authPassword = new TextDecoder().decode(bytes.subarray(0, 8)).replace(/\ufffd+$/, "");
    },
  },
});

/** An address of the instance's own family, told of otherwise when all is read. */
function peer({ words: [word, ...options] }: Statement, into: InstanceDraft, reader: Reader): void {
  const own = `Configuration error: VRRP instance[${into.name}] malformed unicast peer address[%s]. Skipping...`;
  const found = address(word, reader, own);
  if (found === undefined) return;
  const entry: InstanceDraft["peers"][number] = { address: found, word };
  for (let i = 0; i < options.length; i++) {
    const { text } = options[i];
    const value = options[i + 1];
    if ((text === "min_ttl" || text === "max_ttl") && value !== undefined) {
      const ttl = int(
        options[++i],
        0,
        255,
        reader,
        `(${into.name}): TTL '%s' not valid - must be between 0 & 255`,
      );
      if (ttl !== undefined) entry[text === "min_ttl" ? "minTtl" : "maxTtl"] = ttl;
    } else {
      reader.error("bad-value", options[i], `"${text}" is no option of a peer`, {
        remedy: "min_ttl N, max_ttl N",
        own: `(${into.name}) unknown unicast_peer option %s`,
      });
    }
  }
  into.peers.push(entry);
}

function source(word: Word, into: InstanceDraft, reader: Reader): void {
  const own = `Configuration error: VRRP instance[${into.name}] malformed src address[%s]. Skipping...`;
  const found = address(word, reader, own);
  if (found) into.source = { word, address: found };
}

const SOURCE: InstanceKeyword = {
  least: 1,
  read({ words }, into, reader) {
    source(words[1], into, reader);
  },
};

const VMAC: InstanceKeyword = {
  most: 2,
  read({ words }, into, reader) {
    into.vmac ??= {};
    for (const word of words.slice(1)) {
      const mac = word.text.toLowerCase();
      if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) {
        if (Number.parseInt(mac.slice(0, 2), 16) & 1) {
          reader.error("bad-mac", word, `${word.text} is a multicast address; it is ignored`, {
            own: "VMAC MAC address is multicast %s - ignoring",
          });
        } else into.vmac.mac = mac;
      } else if (word.text.length > IFNAME_MAX || /[/\s:]/.test(word.text)) {
        const looksLikeMac = word.text.includes(":");
        reader.error(
          looksLikeMac ? "bad-mac" : "bad-value",
          word,
          looksLikeMac ? `"${word.text}" is no MAC address` : `"${word.text}" is no interface name`,
          {
            own: looksLikeMac
              ? "VMAC invalid MAC address %s - ignored"
              : "VMAC interface name '%s' too long or invalid characters - ignoring",
          },
        );
      } else into.vmac.name = word.text;
    }
  },
};

const SYNC_INTERFACE: InstanceKeyword = {
  least: 1,
  instead: "write lvs_sync_daemon INTERFACE INSTANCE into global_defs",
  read({ words }, into, reader) {
    into.syncInterface = words[1];
    if (words[0].text !== "lvs_sync_daemon_interface") return;
    const own = `(${into.name}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated.`;
    reader.say("deprecated-keyword", own, { from: words[0].from });
  },
};

const EXTRA: InstanceKeyword = {
  least: 1,
  most: 2,
  read({ words }, into, reader) {
    const own = `(${into.name}) ${words[0].text} '%s' invalid - ignoring`;
    const extra = extraAnnouncements(words, reader, own);
    if (extra) into.garpExtra = extra;
  },
};

const GARP = {
  garp_master_delay: seconds("garpDelayMs", "(NAME): garp_master_delay '%s' invalid - ignoring"),
  garp_master_repeat: count("garpRepeat", "garp_master_repeat"),
  garp_master_refresh: seconds("garpRefreshMs", "(NAME): Invalid garp_master_refresh '%s' - ignoring"),
  garp_master_refresh_repeat: count("garpRefreshRepeat", "garp_master_refresh_repeat"),
  garp_lower_prio_delay: seconds("lowerPrioDelayMs", "(NAME): garp_lower_prio_delay '%s' invalid - ignoring"),
  garp_lower_prio_repeat: number(
    "lowerPrioRepeat",
    0,
    U32_MAX,
    "(NAME): Invalid garp_lower_prio_repeat '%s'",
  ),
  garp_extra_if: EXTRA,
  vmac_garp_intvl: { ...EXTRA, rename: "garp_extra_if" },
} satisfies Record<string, InstanceKeyword>;

/** A switch of an instance, by its keyword. */
function onOff(
  field: "skipCheckAdvAddr" | "strict" | "lowerPrioNoAdvert" | "higherPrioSendAdvert",
  word: string,
): InstanceKeyword {
  return {
    most: 1,
    read(statement, into, reader) {
      const value = flag(statement, reader, `(${into.name}) invalid ${word} %s specified`);
      if (value !== undefined) into[field] = value;
    },
  };
}

function addressList(field: "addresses" | "excluded"): InstanceKeyword {
  return {
    block: "items",
    read({ block }, into, reader) {
      for (const item of block ?? []) {
        const found = readAddress(item, "virtual", reader);
        if (found === undefined) continue;
        const first = into.addresses[0];
        if (field === "addresses" && first !== undefined && first.family !== found.family) {
          reader.error(
            "family-mismatch",
            found.word,
            `${found.address} is IPv${found.family}, the instance is IPv${first.family}; it is left out`,
            {
              remedy: "put it into virtual_ipaddress_excluded, or make an instance for it",
              own: `(${into.name}): address family must match VRRP instance [${found.word.text}] - ignoring`,
            },
          );
        } else into[field].push(found);
      }
    },
  };
}

function routeList(field: "routes" | "rules"): InstanceKeyword {
  return {
    block: "items",
    read({ block }, into, reader) {
      for (const item of block ?? []) {
        const found = (field === "routes" ? readRoute : readRule)(item, reader);
        if (found) into[field].push(found);
      }
    },
  };
}

const NO_VALUE: InstanceKeyword = { most: 1, without: "nothing of the kind is done here" };

/** The keywords of a vrrp_instance. */
export const INSTANCE: Table<InstanceDraft> = table<InstanceDraft>({
  state: {
    least: 1,
    read({ words }, into, reader) {
      const { text } = words[1];
      if (text === "MASTER" || text === "BACKUP") {
        if (into.state?.master && text === "BACKUP") {
          reader.warn("duplicate-setting", words[1], "state stands here a second time; MASTER is used", {
            own: `(${into.name}) state previously set as MASTER - ignoring BACKUP`,
          });
        } else into.state = { master: text === "MASTER", word: words[1] };
      } else {
        reader.error("bad-value", words[1], `state "${text}" is neither MASTER nor BACKUP; BACKUP is used`, {
          own: `(${into.name}) unknown state '%s', defaulting to BACKUP`,
        });
      }
    },
  },
  interface: {
    least: 1,
    read({ words }, into, reader) {
      if (device(words[1], into.name, reader)) into.interface = words[1];
    },
  },
  virtual_router_id: number("routerId", 1, 255, "(NAME): VRID '%s' not valid - must be between 1 & 255"),
  priority: number(
    "priority",
    1,
    255,
    "(NAME) Priority not valid! must be between 1 & 255. Using default 100",
  ),
  version: {
    least: 1,
    read({ words }, into, reader) {
      const value = int(words[1], 2, 3, reader, `(${into.name}): Version must be either 2 or 3`);
      if (value === undefined) return;
      if (value === 2 && into.addresses[0]?.family === 6) {
        reader.warn("bad-value", words[1], "IPv6 needs version 3; it is used", {
          own: `(${into.name}) vrrp_version 2 conflicts with configured or deduced version 3; ignoring.`,
        });
      } else into.version = value as 2 | 3;
    },
  },
  advert_int: ADVERT_INT,
  authentication: {
    block: AUTHENTICATION as Table<never>,
    read(statement, into, reader) {
      [into.authWord] = statement.words;
      readBlock(statement.block ?? [], AUTHENTICATION, { instance: into }, "authentication", reader);
    },
  },
  virtual_ipaddress: addressList("addresses"),
  virtual_ipaddress_excluded: addressList("excluded"),
  virtual_routes: routeList("routes"),
  virtual_rules: routeList("rules"),
  promote_secondaries: markKeyword("promoteSecondaries", true),
  mcast_src_ip: SOURCE,
  unicast_src_ip: SOURCE,
  track_src_ip: markKeyword("trackSource", true),
  mcast_dst_ip: {
    least: 1,
    read({ words }, into, reader) {
      const found = address(words[1], reader, `(${into.name}) malformed mcast dest address %s. Skipping...`);
      if (found) into.group = found;
    },
  },
  unicast_peer: {
    block: "items",
    read(statement, into, reader) {
      [into.unicast] = statement.words;
      for (const item of statement.block ?? []) peer(item, into, reader);
    },
  },
  unicast_ttl: number("unicastTtl", 0, 255, "(NAME): TTL '%s' not valid - must be between 0 & 255"),
  check_unicast_src: {
    most: 1,
    read(statement, into, reader) {
      into.unicast ??= statement.words[0];
      const value = flag(statement, reader);
      if (value !== undefined) into.checkUnicastSource = value;
    },
  },
  unicast_fault_no_peer: markKeyword("faultWithoutPeers", true),
  old_unicast_checksum: { most: 1, without: "both checksums are accepted, the right one is sent" },
  use_vmac: VMAC,
  use_vmac_addr: {
    read(_, into) {
      into.vmac ??= {};
      into.vmacAddresses = true;
    },
  },
  vmac_xmit_base: markKeyword("vmacXmitBase", true),
  use_ipvlan: { most: 4, without: "use use_vmac, or the interface itself" },
  vrf: { least: 1, without: "name the interface instead" },
  native_ipv6: {
    without: "the family is that of the addresses",
  },
  ...(TRACK_LISTS as Readonly<Record<string, InstanceKeyword>>),
  dont_track_primary: flagKeyword("dontTrackPrimary"),
  preempt: {
    read(_, into) {
      delete into.nopreempt;
    },
  },
  nopreempt: {
    read({ words }, into) {
      [into.nopreempt] = words;
    },
  },
  preempt_delay: {
    least: 1,
    read({ words }, into, reader) {
      const value = timer(
        words[1],
        0,
        1000,
        reader,
        `(${into.name}) Preempt_delay not valid! must be between 0-1000`,
      );
      if (value === undefined) return;
      into.preemptDelayMs = value;
      into.preemptDelayWord = words[1];
    },
  },
  accept: markKeyword("accept", true),
  no_accept: markKeyword("accept", false),
  skip_check_adv_addr: onOff("skipCheckAdvAddr", "skip_check_adv_addr"),
  strict_mode: onOff("strict", "strict_mode"),
  ...GARP,
  down_timer_adverts: number("downTimerAdverts", 1, 100, "(NAME): Invalid down_timer_adverts [1:100] '%s'"),
  lower_prio_no_advert: onOff("lowerPrioNoAdvert", "lower_prio_no_advert"),
  higher_prio_send_advert: onOff("higherPrioSendAdvert", "higher_prio_send_advert"),
  kernel_rx_buf_size: {
    least: 1,
    absent: "invalid kernel_rx_buf_size specified",
    without: "socket buffers grow by themselves",
  },
  ...(NOTIFY as Readonly<Record<string, InstanceKeyword>>),
  lvs_sync_daemon_interface: SYNC_INTERFACE,
  lvs_sync_daemon_inteface: { ...SYNC_INTERFACE, rename: "lvs_sync_daemon_interface", foreign: true },
  debug: { least: 1, without: "the log tells" },
  linkbeat_use_polling: {
    without: "the kernel tells of links going down",
    read({ words: [word] }, { name }, reader) {
      const own = `(${name}) 'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block`;
      reader.say("deprecated-keyword", own, { from: word.from });
    },
  },
  v3_checksum_as_v2: { ...flagKeyword<InstanceDraft>("checksumAsV2"), foreign: true },
  timer_expired_backup: { ...NO_VALUE, foreign: true },
  thread_timer_expired: { ...NO_VALUE, foreign: true },
  owner_ignore_adverts: { ...NO_VALUE, foreign: true },
});

/** Reads a vrrp_instance. */
export function readInstance(statement: Statement, into: VrrpDraft, reader: Reader): void {
  const [word, name] = statement.words;
  const draft: InstanceDraft = {
    word,
    close: statement.close,
    name: name.text,
    addresses: [],
    excluded: [],
    routes: [],
    rules: [],
    peers: [],
    trackInterfaces: [],
    trackScripts: [],
    trackFiles: [],
    trackProcesses: [],
  };
  const known = into.instances.some((each) => each.name === draft.name);
  if (known) taken("vrrp_instance", name, reader, `vrrp instance ${name.text} already defined`);
  readBlock(statement.block ?? [], INSTANCE, draft, "vrrp_instance", reader);
  if (known) return;
  into.instances.push(draft);
  if (draft.syncInterface)
    into.syncInterface ??= { interface: draft.syncInterface.text, instance: draft.name };
}
