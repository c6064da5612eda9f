/**
 * Lines of real servers and of fallbacks:
 * `A[->B][:PORT] METHOD [WEIGHT] ["REQUEST", "RECEIVE"] [l:LOWER] [u:UPPER]` and `HOST[:PORT] [METHOD]`.
 *
 * Stricter than the original, which searches for the parts and may take a digit of a string for the weight: the order is as above.
 * @module
 */
import type { Family } from "../../../core/service.ts";
import { format4, parse4 } from "../../../wire/address.ts";
import type { HostNames } from "./facts.ts";
import { cutHost, readHost, readPort } from "./hosts.ts";
import type { FallbackSettings, Forward, RealSettings } from "./settings.ts";
import { Fault, part, type Source, type Span } from "./source.ts";

/** Greatest weight and threshold (ip_vs keeps them in 31 bits). */
const MOST = 0x7fffffff;
/** Servers that one range may name. */
const MOST_OF_RANGE = 65536;

const ORDER = 'the order is ADDRESS[:PORT] METHOD [WEIGHT] ["REQUEST", "RECEIVE"] [l:LOWER] [u:UPPER]';
const METHODS = "gate (direct routing), masq (NAT) or ipip (tunnel)";

const isForward = (word: string): word is Forward => word === "gate" || word === "masq" || word === "ipip";

/** Reads from left to right. */
class Cursor {
  readonly span: Span;
  at = 0;

  constructor(span: Span) {
    this.span = span;
  }

  get rest(): Span {
    return part(this.span, this.at);
  }

  /** Takes what matches at this place. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    const match = pattern.exec(this.rest.text);
    if (match === null || match.index !== 0) return undefined;
    this.at += match[0].length;
    return match;
  }
}

function method(cursor: Cursor): Forward | Fault {
  cursor.take(/[ \t]+/);
  const from = cursor.at;
  const word = cursor.take(/[^\s,;"]+/)?.[0] ?? "";
  if (isForward(word)) return word;
  const span = part(cursor.span, from, Math.max(1, word.length));
  const what = word === "" ? "the forwarding method is missing" : `"${word}" is no forwarding method`;
  return new Fault("bad-method", what, { span, remedy: `write ${METHODS}` });
}

const number = (text: string | undefined, otherwise: number, span: Span): number | Fault => {
  if (text === undefined) return otherwise;
  const value = Number(text);
  return value <= MOST ? value : new Fault("bad-number", `${text} is beyond ${MOST}`, { span });
};

/** Addresses from A to B. */
function range(first: Span, last: Span, family: Family, names: HostNames): readonly string[] | Fault {
  if (family === 6) {
    return new Fault("bad-range", "ranges are for IPv4 addresses only", { span: last });
  }
  const ends = [first, last].map((span) => readHost(span, 4, names));
  const fault = ends.find((end) => end instanceof Fault);
  if (fault instanceof Fault) return fault;
  const [from, to] = ends.map((end) => parse4(end as string)!) as [number, number];
  if (to < from) return new Fault("bad-range", "the last address is below the first", { span: last });
  if (to - from >= MOST_OF_RANGE) {
    return new Fault("bad-range", `the range has more than ${MOST_OF_RANGE} addresses`, { span: last });
  }
  return Array.from({ length: to - from + 1 }, (_, i) => format4(from + i));
}

/** What a line of a real server depends on. */
export interface RealContext {
  readonly source: Source;
  readonly family: Family;
  readonly protocol: "tcp" | "udp";
  readonly names: HostNames;
}

/** Addresses and port at the beginning of a line. */
function who(cursor: Cursor, context: RealContext): { addresses: readonly string[]; port: number } | Fault {
  const { family, protocol, names } = context;
  const address = family === 6 ? "[ADDRESS]" : "an address or a host name";
  const missing = new Fault("bad-address", `a real server begins with ${address}`, { remedy: ORDER });
  // Host names may have a hyphen at their end, but not here, before an arrow.
  const arrow = cursor.span.text.indexOf("->");
  const firstOf = arrow < 0 ? cursor.rest : part(cursor.span, 0, arrow);
  const first = cutHost(firstOf, family);
  if (first === undefined) return missing;
  cursor.at = firstOf.text.length - first.rest.text.length;
  let addresses: readonly string[] | Fault;
  let portText = first.port;
  if (arrow >= 0 && cursor.at === arrow) {
    cursor.at += 2;
    const last = cutHost(cursor.rest, family);
    if (last === undefined) return missing;
    cursor.at = cursor.span.text.length - last.rest.text.length;
    if (last.port !== undefined && portText !== undefined && last.port.text !== portText.text) {
      return new Fault("bad-range", "a range has one port, behind its last address", { span: last.port });
    }
    portText = last.port ?? portText;
    addresses = range(first.host, last.host, family, names);
  } else {
    const found = readHost(first.host, family, names);
    addresses = found instanceof Fault ? found : [found];
  }
  if (addresses instanceof Fault) return addresses;
  const port = portText === undefined ? 0 : readPort(portText, protocol, names);
  return port instanceof Fault ? port : { addresses, port };
}

/** Reads a line of one or more real servers. */
export function readReal(span: Span, context: RealContext): RealSettings[] | Fault {
  const cursor = new Cursor(span);
  const servers = who(cursor, context);
  if (servers instanceof Fault) return servers;
  const gap = /^[ \t]/.test(cursor.rest.text) || cursor.rest.text === "";
  if (!gap) {
    return new Fault("bad-address", `"${cursor.rest.text}" does not belong behind an address`, {
      span: cursor.rest,
      remedy: ORDER,
    });
  }
  const forward = method(cursor);
  if (forward instanceof Fault) return forward;
  cursor.take(/,(?=[ \t]+\d)/); // compat: `gate, 5`

  const weight = number(cursor.take(/[ \t]+(\d+)(?=\s|$)/)?.[1], 1, span);
  const stringsAt = cursor.at;
  // compat: the last quote before the thresholds ends RECEIVE, so that it may have quotes itself.
  const strings = cursor.take(/[ \t]+"([^"]*)"(?:,[ \t]*|[ \t]+)"(.*)"(?=\s|$)/);
  const lower = number(cursor.take(/[ \t]+l:(\d+)(?=\s|$)/)?.[1], 0, span);
  const upper = number(cursor.take(/[ \t]+u:(\d+)(?=\s|$)/)?.[1], 0, span);
  if (cursor.rest.text.trim() !== "") {
    const lead = /^[ \t]*/.exec(cursor.rest.text)![0].length;
    const left = part(cursor.span, cursor.at + lead);
    return new Fault("bad-real", `"${left.text}" does not belong here`, { span: left, remedy: ORDER });
  }
  for (const value of [weight, lower, upper]) if (value instanceof Fault) return value;
  const possible = (lower as number) <= (upper as number);
  if (!possible) {
    const message = `the lower threshold ${lower as number} is more than the upper one, ${upper as number}; it is left out`;
    const remedy = "no table takes such a server: write l:LESS u:MORE";
    context.source.say(new Fault("bad-threshold", message, { severity: "warning", remedy }), span);
  }

  const at = context.source.place(span);
  const asked = strings?.[1] ?? "";
  const receiveAt = strings === undefined ? 0 : stringsAt + strings[0].length - 1 - (strings[2] ?? "").length;
  return servers.addresses.map((address) => ({
    address,
    port: servers.port,
    forward,
    weight: weight as number,
    lower: possible ? (lower as number) : 0,
    upper: upper as number,
    ...(strings !== undefined && {
      request: withSlash(asked),
      receive: { text: strings[2] ?? "", at: { ...at, column: at.column + receiveAt } },
    }),
    at,
  }));
}

/** Requests are kept with one leading slash. */
export const withSlash = (request: string): string => (request.startsWith("/") ? request : `/${request}`);

/** A fallback as it stands: names not looked up. */
export interface FallbackText {
  readonly host: Span;
  readonly port: Span | undefined;
  readonly forward: Forward;
  readonly span: Span;
}

/** Takes a fallback apart. Undefined: none is given. */
export function parseFallback(span: Span, family: Family): FallbackText | Fault | undefined {
  if (span.text.trim() === "") return undefined;
  const text = cutHost(span, family);
  if (text === undefined) {
    const example = family === 6 ? "[::1]:80" : "127.0.0.1:80";
    return new Fault("bad-address", `"${span.text}" is no host`, { remedy: `write ${example} gate` });
  }
  const { host, port } = text;
  const tail = text.rest.text.trim();
  if (tail === "") return { host, port, forward: "gate", span };
  if (isForward(tail) && /^[ \t]/.test(text.rest.text)) return { host, port, forward: tail, span };
  const lead = text.rest.text.indexOf(tail);
  return new Fault("bad-method", `"${tail}" is no forwarding method`, {
    span: part(text.rest, lead, tail.length),
    remedy: `write ${METHODS}, and nothing behind it`,
  });
}

/** Looks the names of a fallback up. */
export function resolveFallback(text: FallbackText, context: RealContext): FallbackSettings | Fault {
  const { family, protocol, names, source } = context;
  const address = readHost(text.host, family, names);
  if (address instanceof Fault) return address;
  const port = text.port === undefined ? undefined : readPort(text.port, protocol, names);
  if (port instanceof Fault) return port;
  const at = source.place(text.span);
  return { address, forward: text.forward, at, ...(port !== undefined && { port }) };
}
