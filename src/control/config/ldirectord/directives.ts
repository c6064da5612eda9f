/**
 * The directives: name by name, what their value is read into. Both tables hold the shared ones.
 * @module
 */
import { schedulerByName } from "../../../core/schedulers/index.ts";
import type { Family } from "../../../core/service.ts";
import { parse4 } from "../../../wire/address.ts";
import type { Facts } from "./facts.ts";
import { withSlash } from "./real.ts";
import {
  type BlockSettings,
  CHECK_TYPES,
  type CheckType,
  type GlobalSettings,
  SERVICES,
  type Service,
  type SharedSettings,
} from "./settings.ts";
import { Fault, type Source, type Span } from "./source.ts";
import * as value from "./values.ts";

/** What a directive may need besides its value. */
export interface Context {
  readonly source: Source;
  readonly facts: Facts;
  /** Of the block. */
  readonly family?: Family;
  /** Settings so far, at the top or of the block. */
  readonly execute?: readonly string[];
  readonly block?: BlockSettings;
}

/** Reads a value into settings; a fault of severity "warning" is said, and nothing set. */
export type Directive<S> = (span: Span, context: Context) => Partial<S> | Fault;

/** A directive of one setting. */
const setting =
  <S, K extends keyof S>(name: K, read: (span: Span, context: Context) => S[K] | Fault): Directive<S> =>
  (span, context) => {
    const got = read(span, context);
    return got instanceof Fault ? got : ({ [name]: got } as unknown as Partial<S>);
  };

const shared: Record<string, Directive<SharedSettings>> = {
  checktimeout: setting("checktimeout", value.positive),
  negotiatetimeout: setting("negotiatetimeout", value.positive),
  checkinterval: setting("checkinterval", value.positive),
  checkcount: setting("checkcount", value.positive),
  failurecount: setting("failurecount", value.positive),
  quiescent: setting("quiescent", value.yesOrNo),
  cleanstop: setting("cleanstop", value.yesOrNo),
  emailalert: setting("emailalert", value.receivers),
  emailalertfreq: setting("emailalertfreq", value.leadingNumber),
  emailalertstatus: setting("emailalertstatus", value.states),
  smtp: setting("smtp", value.hostWord),
};

const removed =
  (instead: string): Directive<GlobalSettings> =>
  () =>
    new Fault("removed", "this directive was removed long ago", { remedy: `use ${instead}` });

function logfile(span: Span, { facts }: Context): Partial<GlobalSettings> | Fault {
  const inner = value.quotedSpan(span);
  if (inner === undefined) {
    return new Fault("missing-quotes", "the value must stand in double quotes", {
      remedy: 'write logfile="/var/log/ldirectord.log" or logfile="local0"',
    });
  }
  if (inner.text === "") return {};
  const refusal = inner.text.startsWith("/") ? facts.appendRefusal(inner.text) : undefined;
  if (refusal !== undefined) {
    return new Fault("cannot-open", `the log file cannot be opened: ${refusal}`, { span: inner });
  }
  return { logfile: inner.text };
}

function callback(span: Span): Partial<GlobalSettings> | Fault {
  const inner = value.quotedSpan(span);
  if (inner === undefined) {
    return new Fault("missing-quotes", "the program must stand in double quotes");
  }
  return inner.text === "" ? {} : { callback: inner.text };
}

function maintenancedir(span: Span): Partial<GlobalSettings> | Fault {
  return span.text === "" ? new Fault("empty", "no folder is given") : { maintenancedir: span.text };
}

/** Everything that may stand in column 1, but for virtual and the fallbacks. */
export const GLOBAL: Readonly<Record<string, Directive<GlobalSettings>>> = {
  ...(shared as Record<string, Directive<GlobalSettings>>),
  fallbackcommand: setting("fallbackcommand", (span) =>
    span.text === "" ? new Fault("empty", "no command is given") : span.text,
  ),
  autoreload: setting("autoreload", value.yesOrNo),
  callback,
  logfile,
  emailalertfrom: setting("emailalertfrom", (span) =>
    span.text === "" ? new Fault("empty", "no mail address is given") : span.text,
  ),
  execute: (span, { execute }) => ({
    execute: [...(execute ?? []), ...(span.text === "" ? [] : [span.text])],
  }),
  supervised: setting("supervised", value.yesOrNo),
  fork: setting("fork", value.yesOrNo),
  readdquiescent: setting("readdquiescent", value.yesOrNo),
  maintenancedir,
  timeout: removed("checktimeout and negotiatetimeout"),
  connecttimeout: removed("checktimeout and negotiatetimeout"),
};

const firstWord = (span: Span): string => /\w+/.exec(span.text)?.[0] ?? "";

/** A word that is one of some. */
const oneOf =
  <T extends string>(what: string, known: readonly T[], pick: (span: Span) => string = firstWord) =>
  (span: Span): T | Fault => {
    const word = pick(span);
    if ((known as readonly string[]).includes(word)) return word as T;
    return new Fault("bad-word", `"${word}" is no ${what}`, { remedy: `known are ${known.join(" ")}` });
  };

function checktype(span: Span): CheckType | Fault {
  const digits = /\d+/.exec(span.text)?.[0];
  if (digits !== undefined) return Number(digits);
  const word = /[\w-]*\w/.exec(span.text)?.[0] ?? "";
  const known = CHECK_TYPES.find((type) => type === word);
  const remedy = `known are ${CHECK_TYPES.join(" ")}, and a number N: one negotiate after every N connects`;
  return known ?? new Fault("bad-word", `"${word}" is no way of checking`, { remedy });
}

function netmask(span: Span, { family }: Context): number | Fault {
  if (family === 6) {
    const length = /^\d+$/.test(span.text) ? Number(span.text) : 0;
    const fine = length >= 1 && length <= 128;
    return fine ? length : new Fault("bad-netmask", "an IPv6 netmask is a prefix length from 1 to 128");
  }
  const mask = parse4(span.text);
  return (
    mask ??
    new Fault("bad-netmask", `"${value.printable(span.text)}" is no dotted quad`, {
      remedy: "write 255.255.255.0",
    })
  );
}

function port(span: Span): number | Fault {
  const number = value.natural(span);
  if (number instanceof Fault || (number >= 1 && number <= 65535)) return number;
  return new Fault("bad-port", "a port to check is 1..65535");
}

function monitorfile(span: Span, { facts }: Context): string | Fault {
  const path = value.maybeQuoted(span);
  const refusal = facts.appendRefusal(path);
  if (refusal === undefined) return path;
  return new Fault("cannot-open", `the monitor file cannot be opened: ${refusal}`);
}

function httpmethod(span: Span): "GET" | "HEAD" | Fault {
  const word = firstWord(span).toUpperCase();
  return word === "GET" || word === "HEAD" ? word : new Fault("bad-word", "the method is GET or HEAD");
}

function scheduler(span: Span, { source }: Context): string | Fault {
  const word = /[a-z]+/.exec(span.text)?.[0];
  if (word === undefined) return new Fault("bad-scheduler", "a scheduler's name has small letters only");
  if (schedulerByName(word) === undefined) {
    source.say(
      new Fault("unknown-scheduler", `lvsd knows no scheduler "${word}"`, {
        severity: "warning",
        remedy: "the kernel plane takes it when the kernel has a module for it",
      }),
      span,
    );
  }
  return word;
}

function persistent(span: Span): number | Fault {
  const seconds = value.natural(span);
  if (seconds instanceof Fault || seconds <= 2678400) return seconds;
  return new Fault("bad-number", `${seconds} s is more than the 2678400 (31 days) that persistence can last`);
}

const schedflags = (span: Span): string | Fault =>
  /\S+/.exec(span.text)?.[0] ?? new Fault("empty", "no flag is given");

function request(span: Span): Partial<BlockSettings> | Fault {
  const text = value.quoted(span);
  return text instanceof Fault ? text : { request: withSlash(text) };
}

function receive(span: Span, { source }: Context): Partial<BlockSettings> | Fault {
  const text = value.quoted(span);
  if (text instanceof Fault) return text;
  return { receive: { text, at: source.place(value.quotedSpan(span)!) } };
}

/** `service=` fills in what is still empty of the login, where the protocol wants one. */
function service(span: Span, { facts, block }: Context): Partial<BlockSettings> | Fault {
  const named = oneOf<Service>("service", SERVICES)(span);
  if (named instanceof Fault) return named;
  const myself = `ldirectord@${facts.hostName}`;
  const login = block?.login || (named === "ftp" ? "anonymous" : named === "sip" ? myself : "");
  const passwd = block?.passwd || (named === "ftp" ? myself : "");
  return { service: named, login, passwd };
}

/** Everything that may stand in a block, but for real, fallback and protocol. */
export const BLOCK: Readonly<Record<string, Directive<BlockSettings>>> = {
  ...(shared as Record<string, Directive<BlockSettings>>),
  fallbackcommand: setting("fallbackcommand", value.someText),
  service,
  checktype: setting("checktype", checktype),
  checkcommand: setting("checkcommand", value.someText),
  checkport: setting("checkport", port),
  request,
  receive,
  httpmethod: setting("httpmethod", httpmethod),
  virtualhost: (span) => {
    const host = value.maybeQuoted(span);
    return host === "" ? {} : { virtualhost: host };
  },
  login: setting("login", value.quoted),
  passwd: setting("passwd", value.quoted),
  database: setting("database", value.quoted),
  secret: setting("secret", value.quoted),
  load: setting("load", value.quoted),
  scheduler: setting("scheduler", scheduler),
  persistent: setting("persistent", persistent),
  netmask: setting("netmask", netmask),
  schedflags: setting("schedflags", schedflags),
  ops: setting("ops", value.yesOrNo),
  monitorfile: setting("monitorfile", monitorfile),
  servicename: setting("servicename", (span) => span.text),
  comment: setting("comment", (span) => span.text),
};

/** Settings of a block before its first line. */
export const BLOCK_DEFAULTS: BlockSettings = {
  checktype: "negotiate",
  checkcommand: "/bin/true",
  request: "/",
  httpmethod: "GET",
  login: "",
  passwd: "",
  database: "",
  secret: "",
  scheduler: "wrr",
  ops: false,
};
