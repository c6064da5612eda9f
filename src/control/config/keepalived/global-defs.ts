/**
 * `global_defs`: identity, mail, scripts, LVS.
 * @module
 */

import { checkAccount } from "./accounts.ts";
import type { FifoDraft, GlobalDraft, SyncDraft } from "./global-draft.ts";
import { GLOBAL_VRRP } from "./global-vrrp.ts";
import { GLOBAL_WITHOUT } from "./global-without.ts";
import { type Keyword, type Table, table } from "./keyword.ts";
import type { Reader } from "./reader.ts";
import type { Word } from "./text.ts";
import type { Statement } from "./tree.ts";
import {
  addressOf,
  flagKeyword,
  int,
  intKeyword,
  markKeyword,
  quotedKeyword,
  script,
  wordKeyword,
} from "./values.ts";

/** Longest IPVS timeout keepalived takes, in seconds. */
const LVS_TIMEOUT_MAX_S = 2678400;
const SCRIPT_TIMEOUT_MAX_S = 1000;

const NAMES = { all: "", lvs: "lvs_", vrrp: "vrrp_" } as const;

function fifo(which: keyof typeof NAMES): Keyword<GlobalDraft> {
  return {
    least: 1,
    most: 3,
    read(statement, into, reader) {
      const [word, path, user, group] = statement.words;
      const draft: FifoDraft = into.fifos[which];
      if (draft.path !== undefined) {
        reader.warn(
          "duplicate-setting",
          word,
          `${word.text} stands here a second time; the first one is used`,
          {
            own: `${NAMES[which]}notify_fifo already specified - ignoring ${path.text}`,
          },
        );
        return;
      }
      draft.path = {
        path: path.text,
        ...(user === undefined ? {} : { user: user.text }),
        ...(group === undefined ? {} : { group: group.text }),
      };
    },
  };
}

function fifoScript(which: keyof typeof NAMES): Keyword<GlobalDraft> {
  return {
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read(statement, into, reader) {
      const [word] = statement.words;
      const draft: FifoDraft = into.fifos[which];
      const value = script(statement, reader);
      if (value === undefined) return;
      if (draft.script === undefined) draft.script = value;
      else {
        reader.warn(
          "duplicate-setting",
          word,
          `${word.text} stands here a second time; the first one is used`,
          {
            own: `${NAMES[which]}notify_fifo_script already specified - ignoring ${value.command.join(" ")}`,
          },
        );
      }
    },
  };
}

function readSmtpServer({ words }: Statement, into: GlobalDraft, reader: Reader): void {
  const [, host, second] = words;
  const own = `Invalid smtp server ${host.text} ${second?.text ?? ""}`.trimEnd();
  const port = second === undefined ? 25 : int(second, 1, 65535, reader, own);
  if (port !== undefined) into.smtpServer = { host: addressOf(host.text)?.address ?? host.text, port };
}

function readTimeouts({ words }: Statement, into: GlobalDraft, reader: Reader): void {
  const timeouts = { tcp: 0, tcpFin: 0, udp: 0 };
  const fields = { tcp: "tcp", tcpfin: "tcpFin", udp: "udp" } as const;
  for (let i = 1; i < words.length; i++) {
    const { text } = words[i];
    if (!Object.hasOwn(fields, text)) {
      reader.error("bad-value", words[i], `"${text}" is none of tcp, tcpfin, udp`, {
        own: "Unknown option %s specified for lvs_timeouts",
      });
      continue;
    }
    const number = words[++i];
    if (number === undefined) {
      reader.error("missing-parameter", words[i - 1], `${text} needs a number of seconds after it`);
      break;
    }
    const own = `Invalid lvs_timeout ${text} (%s) - ignoring`;
    const value = int(number, 0, LVS_TIMEOUT_MAX_S, reader, own);
    if (value !== undefined) timeouts[fields[text as keyof typeof fields]] = value;
  }
  into.timeouts = timeouts;
}

/** Numbers that lvs_sync_daemon takes: field, range, name in keepalived's message. */
const SYNC_NUMBERS = {
  id: ["syncId", 0, 255, "Invalid syncid (%s) - defaulting to vrid"],
  maxlen: ["maxLen", 1, 65507, "Invalid lvs_sync_daemon maxlen (%s) - ignoring"],
  port: ["port", 1, 65535, "Invalid lvs_sync_daemon port (%s) - ignoring"],
  ttl: ["ttl", 1, 255, "Invalid lvs_sync_daemon ttl (%s) - ignoring"],
} as const;

function multicast(word: Word, reader: Reader): string | undefined {
  const found = addressOf(word.text);
  const first = found && Number.parseInt(found.address, found.family === 4 ? 10 : 16);
  if (
    found &&
    (found.family === 4
      ? (first as number) >= 224 && (first as number) < 240
      : (first as number) >> 8 === 255)
  ) {
    return found.address;
  }
  reader.error("bad-address", word, `"${word.text}" is no multicast address`, {
    own: found
      ? "lvs_sync_daemon group address %s is not multicast - ignoring"
      : "Invalid lvs_sync_daemon group (%s) - ignoring",
  });
  return undefined;
}

function readSync({ words }: Statement, into: GlobalDraft, reader: Reader): void {
  const [word, device, ...rest] = words;
  if (into.sync !== undefined) {
    reader.warn(
      "duplicate-setting",
      word,
      "lvs_sync_daemon stands here a second time; the first one is used",
      {
        own: `lvs_sync_daemon has already been specified as ${into.sync.interface} ${into.sync.instance?.text ?? ""} - ignoring`,
      },
    );
    return;
  }
  const draft: SyncDraft = { word, interface: device.text };
  for (let i = 0; i < rest.length; i++) {
    const { text } = rest[i];
    const value = rest[i + 1];
    const takesWord = text === "inst" || text === "group" || Object.hasOwn(SYNC_NUMBERS, text);
    if (takesWord && value === undefined) {
      reader.error("missing-parameter", rest[i], `${text} needs a word after it`);
    } else if (text === "inst") {
      draft.instance = rest[++i];
    } else if (text === "group") {
      const group = multicast(rest[++i], reader);
      if (group !== undefined) draft.group = group;
    } else if (takesWord) {
      const [field, least, most, own] = SYNC_NUMBERS[text as keyof typeof SYNC_NUMBERS];
      const number = int(rest[++i], least, most, reader, own);
      if (number !== undefined) draft[field] = number;
    } else if (i === 0) draft.instance = rest[i];
    else if (i === 1 && draft.instance !== undefined && /^\d+$/.test(text)) {
      reader.notice("deprecated-keyword", rest[i], "the sync id stands here without the word id", {
        remedy: `write: lvs_sync_daemon ${device.text} ${draft.instance.text} id ${text}`,
        own: 'Please use keyword "id" before lvs_sync_daemon SYNCID',
      });
      const number = int(rest[i], 0, 255, reader, "Invalid syncid (%s) - defaulting to vrid");
      if (number !== undefined) draft.syncId = number;
    } else {
      reader.error("bad-value", rest[i], `"${text}" is no option of lvs_sync_daemon`, {
        remedy: "id N, maxlen N, port N, ttl N, group ADDRESS",
        own: "Unknown option %s specified for lvs_sync_daemon",
      });
    }
  }
  into.sync = draft;
}

const FLUSH_ON_STOP: Keyword<GlobalDraft> = {
  most: 1,
  read({ words }, into, reader) {
    if (words[1] === undefined) into.flushOnStop = "all";
    else if (words[1].text === "VS") into.flushOnStop = "services";
    else {
      reader.error("bad-value", words[1], `"${words[1].text}" is not VS`, {
        own: "Unknown lvs_flush_on_stop type %s",
      });
    }
  },
};

const scriptOf = (field: "startupScript" | "shutdownScript", name: string): Keyword<GlobalDraft> => ({
  least: 1,
  most: Number.POSITIVE_INFINITY,
  read(statement, into, reader) {
    const value = script(statement, reader);
    if (value === undefined) return;
    if (into[field] === undefined) into[field] = value;
    else {
      const [word] = statement.words;
      reader.warn(
        "duplicate-setting",
        word,
        `${word.text} stands here a second time; the first one is used`,
        {
          own: `${name} script already specified`,
        },
      );
    }
  },
});

/** The keywords of global_defs. */
export const GLOBAL_DEFS: Table<GlobalDraft> = table<GlobalDraft>({
  router_id: { ...wordKeyword<GlobalDraft>("routerId"), absent: "routerid name missing - ignoring" },
  lvs_id: {
    ...wordKeyword<GlobalDraft>("routerId"),
    instead: "write router_id; keepalived has not known lvs_id since 1.0",
    rename: "router_id",
    foreign: true,
  },
  notification_email: {
    block: "items",
    read({ block }, into) {
      for (const { words } of block ?? []) into.notificationEmail.push(...words.map(({ text }) => text));
    },
  },
  notification_email_from: wordKeyword("emailFrom"),
  smtp_server: { least: 1, most: 2, read: readSmtpServer },
  smtp_helo_name: wordKeyword("smtpHelo"),
  smtp_connect_timeout: {
    least: 1,
    read({ words }, into, reader) {
      const value = int(
        words[1],
        0,
        4294,
        reader,
        "smtp_connect_timeout '%s' must be in [0, 4294] - ignoring",
      );
      if (value !== undefined) into.smtpTimeoutS = value || 1;
    },
  },
  smtp_alert: flagKeyword("smtpAlert", "Invalid value '%s' for global smtp_alert specified"),
  smtp_alert_vrrp: flagKeyword("smtpAlertVrrp", "Invalid value '%s' for global smtp_alert_vrrp specified"),
  smtp_alert_checker: flagKeyword(
    "smtpAlertChecker",
    "Invalid value '%s' for global smtp_alert_checker specified",
  ),
  no_email_faults: markKeyword("noFaultEmails", true),
  no_checker_emails: flagKeyword(
    "noCheckerEmails",
    "Invalid value '%s' for global no_checker_emails specified",
  ),
  checker_log_all_failures: flagKeyword("logAllFailures"),
  startup_script: scriptOf("startupScript", "startup"),
  shutdown_script: scriptOf("shutdownScript", "shutdown"),
  startup_script_timeout: intKeyword(
    "startupTimeoutS",
    1,
    SCRIPT_TIMEOUT_MAX_S,
    "startup_script_timeout '%s' must be in [1, 1000] - ignoring",
  ),
  shutdown_script_timeout: intKeyword(
    "shutdownTimeoutS",
    1,
    SCRIPT_TIMEOUT_MAX_S,
    "shutdown_script_timeout '%s' must be in [1, 1000] - ignoring",
  ),
  script_user: {
    least: 1,
    most: 2,
    read({ words }, into, reader) {
      checkAccount(words[1], words[2], reader);
      into.scriptUser = { user: words[1].text, ...(words[2] ? { group: words[2].text } : {}) };
    },
  },
  enable_script_security: markKeyword("scriptSecurity", true),
  lvs_timeouts: { least: 2, most: 6, read: readTimeouts },
  lvs_flush: markKeyword("flush", true),
  lvs_flush_on_stop: FLUSH_ON_STOP,
  lvs_flush_onstop: FLUSH_ON_STOP,
  lvs_sync_daemon: { least: 1, most: Number.POSITIVE_INFINITY, read: readSync },
  rs_init_notifies: flagKeyword("rsInitNotifies", "Invalid value '%s' for global rs_init_notifies specified"),
  notify_fifo: fifo("all"),
  notify_fifo_script: fifoScript("all"),
  lvs_notify_fifo: fifo("lvs"),
  lvs_notify_fifo_script: fifoScript("lvs"),
  vrrp_notify_fifo: fifo("vrrp"),
  vrrp_notify_fifo_script: fifoScript("vrrp"),
  ...(GLOBAL_VRRP as Readonly<Record<string, Keyword<GlobalDraft>>>),
  ...(GLOBAL_WITHOUT as Readonly<Record<string, Keyword<GlobalDraft>>>),
});

/** The keywords of the SSL block. */
export const SSL: Table<NonNullable<GlobalDraft["client"]>> = table({
  password: quotedKeyword("password"),
  ca: quotedKeyword("ca"),
  certificate: quotedKeyword("certificate"),
  key: quotedKeyword("key"),
});
