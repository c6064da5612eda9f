/**
 * `virtual_server` and `real_server`: their keywords.
 * @module
 */
import { IPIP } from "../../../core/destination.ts";
import { SCHED_FLAG } from "../../../core/service.ts";
import { suggest } from "../suggest.ts";
import { checkerDraft } from "./checker-draft.ts";
import { CHECKERS, CONNECT_TIMEOUT_MAX_S, readChecker, TIMER_MAX_S, TIMER_MIN_S } from "./checkers.ts";
import { enough, type Keyword, readBlock, surplus, type Table, table } from "./keyword.ts";
import type { Reader } from "./reader.ts";
import type { Door, Forwarding, RealServerDraft, VirtualServerDraft } from "./server-draft.ts";
import type { Word } from "./text.ts";
import type { Statement } from "./tree.ts";
import {
  address,
  addressOf,
  flag,
  flagKeyword,
  int,
  intKeyword,
  markKeyword,
  scriptKeyword,
  timerKeyword,
  wordKeyword,
} from "./values.ts";

const U32_MAX = 4294967295;
const WEIGHT_MAX = 2147483647;
const PERSISTENCE_MAX_S = 2678400;
/** keepalived's timeout for a bare persistence_timeout, in seconds. */
export const PERSISTENCE_DEFAULT_S = 360;

const SCHEDULERS = [
  "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq", "twos",
]; // biome-ignore format: one line reads better

const METHODS = { NAT: "nat", DR: "dr", TUN: "tun" } as const;

/** `NAT | DR | TUN [type ipip | gue port N [csum..] | gre [csum..]]`. */
function forwarding(statement: Statement, whose: string, reader: Reader): Forwarding | undefined {
  const { words } = statement;
  const [, word] = words;
  const upper = word.text.toUpperCase();
  if (!Object.hasOwn(METHODS, upper)) {
    reader.error("bad-value", word, `forwarding method "${word.text}" is none of NAT, DR, TUN`, {
      own: `PARSER : unknown [%s] routing method for ${whose} server.`,
    });
    return undefined;
  }
  if (upper !== word.text) {
    reader.fix(word, upper);
    reader.warn("letter-case", word, `${word.text} is read as ${upper}`, {
      remedy: `write ${upper}: keepalived does not know it in small letters, and takes NAT`,
      own: `PARSER : unknown [%s] routing method for ${whose} server.`,
    });
  }
  const method = METHODS[upper as keyof typeof METHODS];
  if (method !== "tun") {
    surplus(statement, 2, reader);
    return { method, tunnel: IPIP };
  }
  return tunnelOf(words, whose, reader);
}

function tunnelOf(words: readonly Word[], whose: string, reader: Reader): Forwarding | undefined {
  const plain: Forwarding = { method: "tun", tunnel: IPIP };
  if (words[2] === undefined) return plain;
  if (words[2].text !== "type") {
    reader.error("bad-value", words[2], `"${words[2].text}" is no option of TUN`, {
      remedy: "TUN type ipip, TUN type gue port N, or TUN type gre",
      own: `Invalid tunnel option %s for ${whose} server.`,
    });
    return plain;
  }
  const type = words[3];
  if (type === undefined) {
    reader.error("missing-parameter", words[2], "the tunnel type is missing", {
      remedy: "ipip, gue port N, or gre",
      own: `Missing tunnel type for ${whose} server.`,
    });
    return plain;
  }
  if (type.text !== "ipip" && type.text !== "gue" && type.text !== "gre") {
    reader.error("bad-value", type, `tunnel type "${type.text}" is none of ipip, gue, gre`, {
      own: `Unknown tunnel type %s for ${whose} server.`,
    });
    return plain;
  }
  let port: number | undefined;
  let checksum: "none" | "csum" | "remcsum" = "none";
  for (let i = 4; i < words.length; i++) {
    const { text } = words[i];
    if (text === "port" && words[i + 1] !== undefined) {
      port = int(words[++i], 1, 65535, reader, `Invalid gue tunnel port %s for ${whose} server.`);
      if (port === undefined) return undefined;
    } else if (text === "nocsum" || text === "csum" || text === "remcsum") {
      checksum = text === "nocsum" ? "none" : text;
    } else {
      reader.error("bad-value", words[i], `"${text}" is no option of a tunnel`, {
        own: `Invalid tunnel option %s for ${whose} server.`,
      });
    }
  }
  if ((type.text === "gue") !== (port !== undefined)) {
    reader.error("bad-value", type, "GUE tunnels need a port, the others have none", {
      own: "gue tunnels require port, otherwise cannot have port.",
    });
    if (type.text === "gue") return undefined;
  }
  if (type.text === "gre" && checksum === "remcsum") {
    reader.error("bad-value", type, "GRE has no remote checksum offload", {
      own: "gre tunnels do not support remote checksum option.",
    });
    checksum = "none";
  }
  if (type.text === "ipip" && checksum !== "none") {
    reader.error("bad-value", type, "IPIP has no checksum of its own");
    checksum = "none";
  }
  return {
    method: "tun",
    tunnel: { type: type.text, port: type.text === "gue" ? (port ?? 0) : 0, checksum },
  };
}

/** `lb_kind` and the other words for it. */
function methodKeyword<T>(field: "forwarding" | "sorryForwarding", whose: string): Keyword<T> {
  return {
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read(statement, into, reader) {
      const found = forwarding(statement, whose, reader);
      if (found) (into as Record<string, unknown>)[field] = found;
    },
  };
}

/** Timing keywords, with keepalived's messages. */
function timing<T extends VirtualServerDraft | RealServerDraft>(whose: "virtual" | "real") {
  const before = whose === "virtual" ? "delay before retry" : "delay_before_retry";
  const loop = whose === "virtual" ? "delay loop" : "delay_loop";
  return {
    delay_loop: timerKeyword(
      "delayLoopMs",
      TIMER_MIN_S,
      TIMER_MAX_S,
      `${whose} server ${loop} '%s' invalid - ignoring`,
    ),
    retry: intKeyword("retry", 1, U32_MAX, "retry value invalid - %s"),
    delay_before_retry: timerKeyword(
      "delayBeforeRetryMs",
      0,
      TIMER_MAX_S,
      `${whose} server ${before} '%s' invalid - ignoring`,
    ),
    warmup: timerKeyword("warmupMs", 0, TIMER_MAX_S, `${whose} server warmup '%s' invalid - ignoring`),
    connect_timeout: timerKeyword(
      "connectTimeoutMs",
      TIMER_MIN_S,
      CONNECT_TIMEOUT_MAX_S,
      `${whose} server connect_timeout %s invalid - ignoring`,
    ),
    nb_get_retry: {
      ...intKeyword<{ retry?: number }>("retry", 1, U32_MAX),
      instead: "write retry; keepalived knows nb_get_retry in HTTP_GET and SSL_GET only",
      rename: "retry",
      foreign: true,
    },
  } as unknown as Readonly<Record<string, Keyword<T>>>;
}

const SNMP_NAME: Keyword<unknown> = {
  least: 1,
  absent: "snmp_name missing or extra parameters",
  without: "there is no SNMP here; metrics name servers by address",
};

const REAL_SERVER: Table<RealServerDraft> = table<RealServerDraft>({
  ...timing<RealServerDraft>("real"),
  weight: intKeyword("weight", 0, WEIGHT_MAX, `Real server weight %s is outside range 0-${WEIGHT_MAX}`),
  lvs_method: methodKeyword("forwarding", "real"),
  lb_kind: {
    ...methodKeyword<RealServerDraft>("forwarding", "real"),
    instead: "inside a real_server the word is lvs_method; keepalived does not know lb_kind here",
    rename: "lvs_method",
    foreign: true,
  },
  uthreshold: intKeyword("upper", 0, U32_MAX, "Invalid real_server uthreshold '%s' - ignoring"),
  lthreshold: intKeyword("lower", 0, U32_MAX, "Invalid real_server lthreshold '%s' - ignoring"),
  inhibit_on_failure: flagKeyword("inhibitOnFailure", "Invalid inhibit_on_failure parameter %s"),
  alpha: flagKeyword("alpha", "Invalid alpha parameter %s"),
  notify_up: scriptKeyword("notifyUp", () => "((null)) notify_up script already specified - ignoring %s"),
  notify_down: scriptKeyword(
    "notifyDown",
    () => "((null)) notify_down script already specified - ignoring %s",
  ),
  smtp_alert: flagKeyword("smtpAlert", "Invalid real_server smtp_alert parameter %s"),
  virtualhost: { ...wordKeyword<RealServerDraft>("virtualhost"), absent: "real server virtualhost missing" },
  snmp_name: SNMP_NAME as Keyword<RealServerDraft>,
  ...Object.fromEntries(
    Object.entries(CHECKERS).map(([name, keywords]): [string, Keyword<RealServerDraft>] => [
      name,
      {
        block: keywords as Table<never>,
        most: Number.POSITIVE_INFINITY,
        read(statement, into, reader) {
          const draft = checkerDraft(statement.words[0], statement.close);
          readChecker(statement, draft, reader);
          into.checkers.push(draft);
        },
      },
    ]),
  ),
});

/** A port word; 0 when it is absent. */
export function port(word: Word | undefined, reader: Reader): number | undefined {
  return word === undefined ? 0 : int(word, 1, 65535, reader);
}

function readRealServer(statement: Statement, into: VirtualServerDraft, reader: Reader): void {
  const [word, ip, portWord] = statement.words;
  const own = `Invalid real server ip address/port ${ip.text}/${portWord?.text ?? "(null)"} - skipping`;
  const found = addressOf(ip.text);
  const number = port(portWord, reader);
  surplus(statement, 3, reader);
  if (found === undefined) address(ip, reader, own);
  else if (number === undefined) reader.say("bad-address", own, { from: ip.from });
  if (found === undefined || number === undefined) return;
  const draft: RealServerDraft = { word, close: statement.close, address: found, port: number, checkers: [] };
  readBlock(statement.block ?? [], REAL_SERVER, draft, "real_server", reader);
  into.servers.push(draft);
}

/** `flag-1` and its names: those of one scheduler count for that one only, once it is named. */
const schedulerFlag = (name: string, bit: number): Keyword<VirtualServerDraft> => ({
  read({ words }, into, reader) {
    const owner = /^(sh|mh)-/.exec(name)?.[1];
    if (owner === undefined || into.scheduler === owner) into.schedFlags |= bit;
    else {
      reader.warn(
        "no-effect",
        words[0],
        `${name} is for the scheduler ${owner}, which is not chosen above it`,
        {
          remedy: `write lb_algo ${owner} before it, or remove it`,
          own: `${name} only applies to sh scheduler - ignoring`, // compat: keepalived-2.2.7 says sh for mh too
        },
      );
    }
  },
});

const FLAG_BITS: Readonly<Record<string, number>> = {
  "flag-1": SCHED_FLAG.fallback,
  "flag-2": SCHED_FLAG.port,
  "flag-3": SCHED_FLAG.third,
  "sh-fallback": SCHED_FLAG.fallback,
  "sh-port": SCHED_FLAG.port,
  "mh-fallback": SCHED_FLAG.fallback,
  "mh-port": SCHED_FLAG.port,
};

const LB_ALGO: Keyword<VirtualServerDraft> = {
  least: 1,
  most: Number.POSITIVE_INFINITY,
  read({ words }, into, reader) {
    const [, word, ...flags] = words;
    if (SCHEDULERS.includes(word.text)) into.scheduler = word.text;
    else {
      const near = suggest(word.text, SCHEDULERS);
      reader.error("bad-value", word, `scheduler "${word.text}" is unknown; wlc is used`, {
        remedy: near === undefined ? `one of ${SCHEDULERS.join(" ")}` : `the nearest is ${near}`,
        own: "Invalid lvs_scheduler '%s' - ignoring",
      });
    }
    for (const each of flags) {
      if (Object.hasOwn(FLAG_BITS, each.text)) into.schedFlags |= FLAG_BITS[each.text];
      else reader.warn("surplus-words", each, `"${each.text}" is no flag of a scheduler; it is ignored`);
    }
  },
};

const PROTOCOLS = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

/** The keywords of a virtual_server. */
export const VIRTUAL_SERVER: Table<VirtualServerDraft> = table<VirtualServerDraft>({
  ...timing<VirtualServerDraft>("virtual"),
  lb_algo: LB_ALGO,
  lvs_sched: LB_ALGO,
  lb_kind: methodKeyword("forwarding", "virtual"),
  lvs_method: methodKeyword("forwarding", "virtual"),
  protocol: {
    least: 1,
    read({ words }, into, reader) {
      const name = words[1].text.toUpperCase();
      if (Object.hasOwn(PROTOCOLS, name)) into.protocol = PROTOCOLS[name as keyof typeof PROTOCOLS];
      else {
        reader.error("bad-value", words[1], `protocol "${words[1].text}" is none of TCP, UDP, SCTP`, {
          own: "Unknown protocol %s - ignoring",
        });
      }
    },
  },
  persistence_timeout: {
    most: 1,
    read({ words }, into, reader) {
      const value =
        words[1] === undefined
          ? PERSISTENCE_DEFAULT_S
          : int(words[1], 1, PERSISTENCE_MAX_S, reader, "persistence_timeout invalid");
      if (value !== undefined) into.persistenceS = value;
    },
  },
  persistence_granularity: {
    least: 1,
    read({ words }, into) {
      into.granularity = words[1];
    },
  },
  persistence_engine: {
    least: 1,
    read({ words }, into, reader) {
      if (words[1].text === "sip") into.engine = "sip";
      else
        reader.error("bad-value", words[1], `persistence engine "${words[1].text}" is unknown; there is sip`);
    },
  },
  nat_mask: {
    least: 1,
    without: "its mask was dropped from keepalived in 1.2.20; remove it",
    drop: true,
    foreign: true,
  },
  ops: markKeyword("onePacket", true),
  hashed: {
    without: "the kernel sets this flag itself; remove it",
    read(statement, into, reader) {
      const [{ from }] = statement.words;
      if (into.scheduler === "sh") return;
      reader.say("no-effect", "hashed only applies to sh scheduler - ignoring", { from });
    },
  },
  ...Object.fromEntries(Object.entries(FLAG_BITS).map(([name, bit]) => [name, schedulerFlag(name, bit)])),
  ip_family: {
    least: 1,
    read({ words }, into, reader) {
      if (words[1].text === "inet") into.family = 4;
      else if (words[1].text === "inet6") into.family = 6;
      else {
        reader.error("bad-value", words[1], `"${words[1].text}" is neither inet nor inet6`, {
          own: "unknown address family %s",
        });
      }
    },
  },
  inhibit_on_failure: flagKeyword("inhibitOnFailure"),
  alpha: flagKeyword("alpha"),
  omega: flagKeyword("omega"),
  quorum: intKeyword("quorum", 1, U32_MAX, `Quorum %s must be in [1, ${U32_MAX}]. Setting to 1.`),
  hysteresis: intKeyword("hysteresis", 0, U32_MAX, `Hysteresis %s must be in [0, ${U32_MAX}] - ignoring`),
  quorum_up: scriptKeyword("quorumUp", () => "((null)) quorum_up script already specified - ignoring %s"),
  quorum_down: scriptKeyword(
    "quorumDown",
    () => "((null)) quorum_down script already specified - ignoring %s",
  ),
  weight: intKeyword("weight", 1, WEIGHT_MAX, `Virtual server weight %s is outside range 1-${WEIGHT_MAX}`),
  virtualhost: {
    ...wordKeyword<VirtualServerDraft>("virtualhost"),
    absent: "virtual server virtualhost missing",
  },
  snmp_name: SNMP_NAME as Keyword<VirtualServerDraft>,
  ha_suspend: markKeyword("haSuspend", true),
  smtp_alert: {
    most: 1,
    read(statement, into, reader) {
      const value = flag(statement, reader, "Invalid virtual_server smtp_alert parameter %s");
      if (value !== undefined) into.smtpAlert = value;
    },
  },
  sorry_server: {
    least: 1,
    most: 2,
    read({ words }, into, reader) {
      const found = address(words[1], reader, "Invalid sorry server IP address %s - skipping");
      const number = port(words[2], reader);
      if (found && number !== undefined) into.sorry = { word: words[1], address: found, port: number };
    },
  },
  sorry_server_inhibit: markKeyword("sorryInhibit", true),
  sorry_server_lvs_method: methodKeyword("sorryForwarding", "sorry"),
  real_server: {
    block: REAL_SERVER as Table<never>,
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read: readRealServer,
  },
});

/** What the words after `virtual_server` name; undefined, with a message, when they name nothing. */
function doorOf(statement: Statement, reader: Reader): Door | undefined {
  const [, first, second] = statement.words;
  if (first.text === "fwmark" || first.text === "group") {
    if (!enough(statement, 2, reader)) return undefined;
    surplus(statement, 3, reader);
    if (first.text === "group") return { kind: "group", group: second };
    const fwmark = int(
      second,
      1,
      U32_MAX,
      reader,
      `virtual server fwmark '%s' must be in [0, ${U32_MAX}] - ignoring`,
    );
    return fwmark === undefined ? undefined : { kind: "fwmark", fwmark };
  }
  const found = addressOf(first.text);
  const number = port(second, reader);
  surplus(statement, 3, reader);
  const own = `Invalid virtual server IP address${second ? "/port" : ""} ${first.text}${second ? `/${second.text}` : ""} - skipping`;
  if (found === undefined) address(first, reader, own);
  else if (number === undefined) reader.say("bad-address", own, { from: first.from });
  return found && number !== undefined ? { kind: "address", address: found, port: number } : undefined;
}

/** Reads a virtual_server; undefined, with a message, when it names no service: then it is left out as a whole. */
export function readVirtualServer(statement: Statement, reader: Reader): VirtualServerDraft | undefined {
  const door = doorOf(statement, reader);
  if (door === undefined) return undefined;
  const draft: VirtualServerDraft = { word: statement.words[0], door, schedFlags: 0, servers: [] };
  readBlock(statement.block ?? [], VIRTUAL_SERVER, draft, "virtual_server", reader);
  return draft;
}
