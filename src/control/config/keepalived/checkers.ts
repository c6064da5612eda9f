/**
 * The checkers inside a real_server: their keywords, spec sheet of keepalived.conf(5) "Healthchecks".
 * @module
 */
import { suggest } from "../suggest.ts";
import { checkAccount } from "./accounts.ts";
import type { CheckerDraft, EndpointDraft, UrlDraft } from "./checker-draft.ts";
import { type Keyword, quotedWords, readBlock, surplus, type Table, table } from "./keyword.ts";
import type { Reader } from "./reader.ts";
import type { Word } from "./text.ts";
import type { Statement } from "./tree.ts";
import { URL_KEYWORDS, urlSpec } from "./urls.ts";
import {
  address,
  commandLine,
  flagKeyword,
  int,
  intKeyword,
  markKeyword,
  quotedKeyword,
  timerKeyword,
  wordKeyword,
} from "./values.ts";

const U32_MAX = 4294967295;
/** Longest connect_timeout, in seconds. */
export const CONNECT_TIMEOUT_MAX_S = 4294.967295;
/** Longest other time, in seconds. */
export const TIMER_MAX_S = 18446744073709.55;
/** Shortest time that is not 0, in seconds. */
export const TIMER_MIN_S = 0.000001;
/** Longest interface name. */
const IFNAME_MAX = 15;

/** Where a check goes: for all kinds that connect. */
const ENDPOINT: Readonly<Record<string, Keyword<EndpointDraft>>> = {
  connect_ip: {
    least: 1,
    read({ words }, into, reader) {
      const found = address(words[1], reader, "Invalid connect_ip address %s - ignoring");
      if (found && into.bindTo && into.bindTo.family !== found.family) {
        mismatch(words[1], "connect_ip", "bindto", reader);
      } else if (found) into.connectIp = found;
    },
  },
  connect_port: intKeyword("connectPort", 1, 65535, "Invalid checker connect_port '%s'"),
  bindto: {
    least: 1,
    read({ words }, into, reader) {
      const found = address(words[1], reader, "Invalid bindto address %s - ignoring");
      if (found && into.connectIp && into.connectIp.family !== found.family) {
        mismatch(words[1], "bindto", "connect_ip", reader);
      } else if (found) {
        into.bindTo = found;
        into.bindWord = words[1];
      }
    },
  },
  bind_port: intKeyword("bindPort", 1, 65535, "Invalid checker bind_port '%s'"),
  bind_if: {
    least: 1,
    read({ words }, into, reader) {
      if (words[1].text.length <= IFNAME_MAX) into.bindIf = words[1].text;
      else {
        reader.error("bad-value", words[1], `interface names have at most ${IFNAME_MAX} characters`, {
          own: "Interface name %s is too long - ignoring",
        });
      }
    },
  },
  connect_timeout: timerKeyword(
    "connectTimeoutMs",
    TIMER_MIN_S,
    CONNECT_TIMEOUT_MAX_S,
    "connect_timeout %s invalid - ignoring",
  ),
  fwmark: intKeyword("fwmark", 0, U32_MAX, "Invalid fwmark connection value '%s'"),
};

function mismatch(word: Word, one: string, other: string, reader: Reader): void {
  reader.error("family-mismatch", word, `${one} and ${other} must be of one address family`, {
    own: `${one} address %s does not match address family of ${other} - skipping`,
  });
}

/** Timing and the like: for all kinds but files. */
const TIMING: Readonly<Record<string, Keyword<CheckerDraft>>> = {
  retry: intKeyword("retry", 0, U32_MAX, "Invalid retry connection value '%s'"),
  delay_before_retry: timerKeyword(
    "delayBeforeRetryMs",
    0,
    TIMER_MAX_S,
    "Invalid delay_before_retry connection value '%s'",
  ),
  warmup: timerKeyword("warmupMs", 0, TIMER_MAX_S, "Invalid warmup connection value '%s'"),
  delay_loop: timerKeyword("delayLoopMs", TIMER_MIN_S, TIMER_MAX_S, "delay_loop '%s' is invalid - ignoring"),
  alpha: flagKeyword("alpha", "Invalid alpha parameter %s"),
  log_all_failures: flagKeyword("logAllFailures", "Invalid log_all_failures parameter %s"),
};

/** `nb_get_retry` where keepalived does not know it; tutorials have it everywhere. */
const NB_GET_RETRY: Keyword<CheckerDraft> = {
  ...intKeyword<CheckerDraft>("retry", 0, U32_MAX),
  instead: "write retry; keepalived knows nb_get_retry in HTTP_GET and SSL_GET only",
  rename: "retry",
  foreign: true,
};

const CONNECTING = { ...(ENDPOINT as Readonly<Record<string, Keyword<CheckerDraft>>>), ...TIMING };

const HTTP: Table<CheckerDraft> = table<CheckerDraft>({
  ...CONNECTING,
  url: {
    block: URL_KEYWORDS as Table<never>,
    read(statement, into, reader) {
      const draft: UrlDraft = {
        word: statement.words[0],
        close: statement.close,
        statusCodes: [],
        regexOptions: new Set(),
      };
      readBlock(statement.block ?? [], URL_KEYWORDS, draft, "url", reader);
      const spec = urlSpec(draft, reader);
      if (spec) into.urls.push(spec);
    },
  },
  virtualhost: { ...wordKeyword<CheckerDraft>("virtualhost"), absent: "HTTP_GET virtualhost name missing" },
  http_protocol: {
    least: 1,
    absent: "Missing http_protocol version",
    read({ words }, into, reader) {
      const { text } = words[1];
      const version = text.toUpperCase();
      if (version === "1.0" || version === "1.0C" || version === "1.1") into.httpVersion = version;
      else {
        reader.error("bad-value", words[1], `http_protocol "${text}" is none of 1.0, 1.0C, 1.1`, {
          own: "Invalid http_protocol version %s",
        });
      }
    },
  },
  fast_recovery: flagKeyword("fastRecovery", "Invalid fast_recovery parameter %s"),
  enable_sni: flagKeyword("enableSni", "Invalid enable_sni parameter %s"),
  sni_name: { ...wordKeyword<CheckerDraft>("sniName"), foreign: true },
  tls_compliant: {
    most: 1,
    foreign: true,
    without: "connections that end without a TLS close are accepted anyway",
  },
  nb_get_retry: {
    ...intKeyword<CheckerDraft>("retry", 0, U32_MAX, "Invalid nb_get_retry value '%s'"),
    instead: "write retry",
    rename: "retry",
    own: "nb_get_retry is deprecated - please use 'retry'",
  },
});

const DNS_TYPES = ["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY"];

/** Hex digits without blanks; undefined when they are none, or no whole bytes. `x` is any digit in a reply. */
function hexBytes(words: readonly Word[], reader: Reader, what: "payload" | "reply"): string | undefined {
  const text = words
    .map((word) => word.text.replace(/\s+/g, ""))
    .join("")
    .toLowerCase();
  if ((what === "reply" ? /^([0-9a-fx]{2})+$/ : /^([0-9a-f]{2})+$/).test(text)) return text;
  const digits = what === "reply" ? "hexadecimal digits, or x for any" : "hexadecimal digits";
  reader.error("bad-value", words[0], `"${text}" is not pairs of ${digits}`, {
    // compat: keepalived takes an odd number of digits too.
    ...((what === "reply" ? /^[0-9a-fx]+$/ : /^[0-9a-f]+$/).test(text)
      ? {}
      : { own: `Invalid hex string for UDP_CHECK ${what}` }),
  });
  return undefined;
}

/** `user U [G]`. */
export const USER_KEYWORD: Keyword<{ user?: string; group?: string }> = {
  least: 1,
  most: 2,
  read({ words }, into, reader) {
    into.user = words[1].text;
    if (words[2]) into.group = words[2].text;
    checkAccount(words[1], words[2], reader, "Failed to set uid/gid for the script - removing");
  },
};

/** The blocks a real_server may hold. */
export const CHECKERS: Readonly<Record<string, Table<CheckerDraft>>> = {
  TCP_CHECK: table({ ...CONNECTING, nb_get_retry: NB_GET_RETRY }),
  HTTP_GET: HTTP,
  SSL_GET: HTTP,
  SMTP_CHECK: table<CheckerDraft>({
    ...CONNECTING,
    nb_get_retry: NB_GET_RETRY,
    helo_name: { ...quotedKeyword<CheckerDraft>("helo"), absent: "SMTP_CHECK helo name missing" },
    host: {
      block: table<EndpointDraft>(ENDPOINT) as Table<never>,
      instead: "write its keywords into the SMTP_CHECK; several hosts: several SMTP_CHECK blocks",
      read(statement, into, reader) {
        const host: EndpointDraft = {};
        readBlock(statement.block ?? [], table<EndpointDraft>(ENDPOINT), host, "host", reader);
        into.hosts.push(host);
      },
    },
  }),
  DNS_CHECK: table<CheckerDraft>({
    ...CONNECTING,
    nb_get_retry: NB_GET_RETRY,
    type: {
      least: 1,
      read({ words }, into, reader) {
        const { text } = words[1];
        const type = text.toUpperCase();
        if (DNS_TYPES.includes(type)) into.dnsType = type;
        else {
          const near = suggest(type, DNS_TYPES);
          reader.error("bad-value", words[1], `DNS type "${text}" is none of ${DNS_TYPES.join(", ")}`, {
            ...(near === undefined ? {} : { remedy: `the nearest is ${near}` }),
            own: "Unknown DNS check type %s - ignoring",
          });
        }
      },
    },
    name: {
      least: 1,
      read({ words }, into, reader) {
        const { text } = words[1];
        if (text === "." || !/^\.|\.\./.test(text)) into.dnsName = text;
        else {
          reader.error("bad-value", words[1], `"${text}" has an empty label`, {
            own: "DNS_CHECK name '%s' has empty label - ignoring",
          });
        }
      },
    },
  }),
  MISC_CHECK: table<CheckerDraft>({
    ...TIMING,
    nb_get_retry: NB_GET_RETRY,
    misc_path: {
      least: 1,
      most: Number.POSITIVE_INFINITY,
      read(statement, into, reader) {
        into.command = commandLine(statement);
        reader.runs(statement.words[1]);
      },
    },
    misc_timeout: intKeyword("miscTimeoutS", 0, U32_MAX, "Invalid misc_timeout value '%s'"),
    misc_dynamic: markKeyword("dynamic", true),
    user: {
      ...(USER_KEYWORD as Keyword<CheckerDraft>),
      absent: "No user specified for misc checker script",
    },
  }),
  UDP_CHECK: table<CheckerDraft>({
    ...CONNECTING,
    nb_get_retry: NB_GET_RETRY,
    payload: {
      least: 1,
      absent: "UDP_CHECK payload requires a payload",
      most: Number.POSITIVE_INFINITY,
      read(statement, into, reader) {
        const bytes = hexBytes(quotedWords(statement), reader, "payload");
        if (bytes !== undefined) into.payload = bytes;
      },
    },
    require_reply: {
      most: Number.POSITIVE_INFINITY,
      read(statement, into, reader) {
        into.requireReply = true;
        const words = quotedWords(statement);
        const bytes = words.length > 0 ? hexBytes(words, reader, "reply") : undefined;
        if (bytes !== undefined) into.reply = bytes;
      },
    },
    min_reply_length: intKeyword(
      "minReply",
      0,
      65535,
      "UDP_CHECK min length %s not valid - must be between 0 & 65535",
    ),
    max_reply_length: intKeyword(
      "maxReply",
      0,
      65535,
      "UDP_CHECK max length %s not valid - must be between 0 & 65535",
    ),
  }),
  PING_CHECK: table({ ...CONNECTING, nb_get_retry: NB_GET_RETRY }),
  FILE_CHECK: table<CheckerDraft>({
    track_file: {
      least: 1,
      read({ words }, into) {
        into.trackFile = words[1];
      },
    },
    weight: {
      least: 1,
      most: 2,
      read({ words }, into, reader) {
        const value = int(words[1], -2147483647, 2147483647, reader);
        if (value !== undefined) into.weight = value;
        if (words[2]?.text === "reverse") into.reverse = true;
        else if (words[2] !== undefined && words[2].text !== "noreverse") {
          reader.error("bad-value", words[2], `"${words[2].text}" is neither reverse nor noreverse`, {
            own: "unknown track file weight option %s - ignoring",
          });
        }
      },
    },
  }),
  BFD_CHECK: table<CheckerDraft>({
    name: {
      least: 1,
      read({ words }, into) {
        into.bfd = words[1];
      },
    },
    alpha: { most: 1 },
  }),
};

/** Reads a checker's block. */
export function readChecker(statement: Statement, draft: CheckerDraft, reader: Reader): void {
  const [word] = statement.words;
  readBlock(statement.block ?? [], CHECKERS[word.text], draft, word.text, reader);
  surplus(statement, 1, reader);
}
