/**
 * Lines of virtual_routes, static_routes, virtual_rules and static_rules: checked word by word, kept in the words of ip(8).
 * @module
 */
import type { Family } from "../../../wire/address.ts";
import type { RouteSpec } from "../../vrrp/spec.ts";
import { suggest } from "../suggest.ts";
import type { Reader } from "./reader.ts";
import { placeOf, type Word } from "./text.ts";
import type { Statement } from "./tree.ts";
import { addressOf } from "./values.ts";

const TYPES = [
  "unicast",
  "local",
  "broadcast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
  "nat",
];
/** Words with one value, and what the value must be. */
const ROUTE_VALUES: Readonly<Record<string, "address" | "number" | "word">> = {
  via: "address",
  gw: "address",
  src: "address",
  from: "word",
  dev: "word",
  oif: "word",
  table: "word",
  scope: "word",
  tos: "word",
  dsfield: "word",
  protocol: "word",
  proto: "word",
  metric: "number",
  priority: "number",
  preference: "number",
  mtu: "number",
  hoplimit: "number",
  advmss: "number",
  rtt: "word",
  rttvar: "word",
  reordering: "number",
  window: "number",
  cwnd: "number",
  ssthresh: "number",
  realms: "word",
  rto_min: "word",
  initcwnd: "number",
  initrwnd: "number",
  quickack: "number",
  congctl: "word",
  features: "word",
  vrf: "word",
  expires: "number",
  pref: "word",
  weight: "number",
  "ttl-propagate": "word",
};
const ROUTE_PLAIN = ["fastopen_no_cookie", "onlink", "append", "nexthop", "lock", "pervasive"];
/** What ip(8) calls it otherwise. */
const ROUTE_NAMES: Readonly<Record<string, string>> = {
  gw: "via",
  oif: "dev",
  preference: "metric",
  priority: "metric",
};

const RULE_VALUES: Readonly<Record<string, "number" | "word">> = {
  from: "word",
  to: "word",
  table: "word",
  lookup: "word",
  goto: "number",
  preference: "number",
  priority: "number",
  order: "number",
  iif: "word",
  dev: "word",
  oif: "word",
  tos: "word",
  dsfield: "word",
  fwmark: "word",
  realms: "word",
  suppress_prefixlength: "number",
  suppress_ifgroup: "word",
  uidrange: "word",
  ipproto: "word",
  sport: "word",
  dport: "word",
  protocol: "word",
  tun_id: "number",
};
const RULE_PLAIN = ["not", "l3mdev", "nop", "blackhole", "unreachable", "prohibit"];
const RULE_NAMES: Readonly<Record<string, string>> = {
  order: "preference",
  priority: "preference",
  dev: "iif",
};

/** A network, `default`, or an address. */
function network(text: string): { family: Family } | "default" | undefined {
  if (text === "default" || text === "all" || text === "any") return "default";
  const [address, length, more] = text.split("/");
  const found = addressOf(address);
  if (!found || more !== undefined) return undefined;
  if (length !== undefined && !(/^\d+$/.test(length) && Number(length) <= (found.family === 4 ? 32 : 128)))
    return undefined;
  return { family: found.family };
}

interface Draft {
  readonly words: string[];
  family: Family | undefined;
  noTrack: boolean;
  usable: boolean;
}

function bad(word: Word, message: string, own: string, draft: Draft, reader: Reader): void {
  draft.usable = false;
  reader.error("bad-value", word, `${message}; the line is left out`, { own });
}

/** Notes the family an address shows. */
function familyOf(text: string, draft: Draft): void {
  const found = network(text);
  if (found !== undefined && found !== "default") draft.family ??= found.family;
}

/** Options that both kinds of lines share. @returns how many words were used, 0 when it is none of them */
function common(words: readonly Word[], i: number, draft: Draft, reader: Reader): number {
  const { text } = words[i];
  if (text === "no_track") {
    draft.noTrack = true;
    return 1;
  }
  if (text !== "track_group") return 0;
  reader.notice("no-effect", words[i], "track_group has no effect: a static route is set once, at start");
  return 2;
}

/** A value of a route's or rule's option. */
function value(option: Word, given: Word | undefined, kind: string, draft: Draft, reader: Reader): void {
  if (given === undefined) {
    draft.usable = false;
    reader.error("missing-parameter", option, `${option.text} needs a word after it`, {
      own: `*** Configuration line starting \`${option.text}\` is missing a parameter after keyword \`${option.text}\` at word position 2`,
      status: 2,
    });
    return;
  }
  const { text } = given;
  if (kind === "address" && addressOf(text) === undefined) {
    bad(given, `"${text}" is no address`, `invalid route ${option.text} address ${text}`, draft, reader);
  } else if (kind === "number" && !/^(0x[0-9a-f]+|\d+)$/i.test(text)) {
    bad(given, `"${text}" is no number`, `Invalid ${option.text} %s specified for route`, draft, reader);
  } else if (/^(via|gw|src|from|to)$/.test(option.text)) familyOf(text, draft);
}

function finish(draft: Draft, item: Statement): RouteSpec | undefined {
  if (!draft.usable) return undefined;
  return {
    family: draft.family ?? 4,
    words: draft.words,
    noTrack: draft.noTrack,
    at: placeOf(item.words[0]),
  };
}

/** A route; undefined, with a message, when it cannot be used. */
export function readRoute(item: Statement, reader: Reader): RouteSpec | undefined {
  const { words } = item;
  const draft: Draft = { words: [], family: undefined, noTrack: false, usable: true };
  let destination = false;
  for (let i = 0; i < words.length; ) {
    const word = words[i];
    const { text } = word;
    const used = common(words, i, draft, reader);
    if (used > 0) {
      i += used;
    } else if (i === 0 && TYPES.includes(text)) {
      draft.words.push(text);
      i++;
    } else if (!destination) {
      if (text === "to") {
        i++;
        continue;
      }
      destination = true;
      i++;
      if (network(text) === undefined) {
        bad(word, `"${text}" is no network`, "VRRP parsed invalid IP %s. skipping IP...", draft, reader);
      } else familyOf(text, draft);
      draft.words.push(text);
    } else if (text === "encap") {
      draft.words.push(...words.slice(i).map((each) => each.text));
      i = words.length;
    } else if (text === "or") {
      draft.words.push("nexthop", "via", words[i + 1]?.text ?? "");
      value(word, words[i + 1], "address", draft, reader);
      i += 2;
    } else if (Object.hasOwn(ROUTE_VALUES, text)) {
      if (text === "gw") {
        reader.fix(word, "via");
        reader.notice("deprecated-keyword", word, "gw is an old word", {
          remedy: "write via",
          own: '"gw" for routes is deprecated. Please use "via"',
        });
      }
      // Metrics may be locked: "mtu lock 1400".
      const lock = words[i + 1]?.text === "lock" ? 1 : 0;
      value(word, words[i + 1 + lock], ROUTE_VALUES[text], draft, reader);
      const name = Object.hasOwn(ROUTE_NAMES, text) ? ROUTE_NAMES[text] : text;
      draft.words.push(name, ...words.slice(i + 1, i + 2 + lock).map((each) => each.text));
      i += 2 + lock;
    } else if (ROUTE_PLAIN.includes(text)) {
      draft.words.push(text);
      i++;
    } else {
      const near = suggest(text, [...Object.keys(ROUTE_VALUES), ...ROUTE_PLAIN]);
      reader.error("unknown-route-option", word, `"${text}" is no option of a route; the line is left out`, {
        ...(near === undefined ? {} : { remedy: `the nearest is ${near}` }),
        own: "unknown route keyword %s",
      });
      draft.usable = false;
      i++;
    }
  }
  if (!destination && draft.usable)
    bad(words[0], "a route needs a destination", "Route must have a destination", draft, reader);
  return finish(draft, item);
}

/** A rule; undefined, with a message, when it cannot be used. */
export function readRule(item: Statement, reader: Reader): RouteSpec | undefined {
  const { words } = item;
  const draft: Draft = { words: [], family: undefined, noTrack: false, usable: true };
  for (let i = 0; i < words.length; ) {
    const word = words[i];
    const { text } = word;
    const used = common(words, i, draft, reader);
    if (used > 0) i += used;
    else if (text === "inet" || text === "inet6") {
      draft.family = text === "inet" ? 4 : 6;
      i++;
    } else if (Object.hasOwn(RULE_VALUES, text)) {
      const given = words[i + 1];
      value(word, given, RULE_VALUES[text], draft, reader);
      if ((text === "from" || text === "to") && given !== undefined && network(given.text) === undefined) {
        bad(given, `"${given.text}" is no network`, `Invalid rule ${text} address %s`, draft, reader);
      }
      draft.words.push(Object.hasOwn(RULE_NAMES, text) ? RULE_NAMES[text] : text, given?.text ?? "");
      i += 2;
    } else if (RULE_PLAIN.includes(text)) {
      draft.words.push(text);
      i++;
    } else {
      const near = suggest(text, [...Object.keys(RULE_VALUES), ...RULE_PLAIN]);
      reader.error("unknown-route-option", word, `"${text}" is no option of a rule; the line is left out`, {
        ...(near === undefined
          ? {}
          : { remedy: text === "ip_proto" ? "write ipproto" : `the nearest is ${near}` }),
        own: "unknown rule keyword %s",
      });
      draft.usable = false;
      i++;
    }
  }
  return finish(draft, item);
}
