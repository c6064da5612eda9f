/**
 * What is asked of a real server: checktype, service and all their words, as the specs of checks.
 * @module
 */
import type { Family } from "../../../core/service.ts";
import { parseAddress } from "../../../wire/address.ts";
import type { CheckSpec, CheckTarget, PatternSpec } from "../../checks/check.ts";
import type { CheckEntry } from "../../wanted.ts";
import type { Place } from "../diagnostic.ts";
import { asBytes, translatePattern } from "../pattern.ts";
import type { Facts } from "./facts.ts";
import { cutHost, readHost } from "./hosts.ts";
import {
  bracketed,
  type LdirectordFile,
  type RealSettings,
  type Receive,
  SERVICE_PORTS,
  type VirtualSettings,
} from "./settings.ts";
import { Fault, type Source, type Span } from "./source.ts";

/** What the original's HTTP library calls itself; some servers answer by it. */
const USER_AGENT = "libwww-perl/6.68";
/** Redirects that are followed. */
const REDIRECTS = 7;
/** Data bytes of a ping. */
const PING_SIZE = 64;

/** Everything about one server while its check is made. */
interface About {
  readonly file: LdirectordFile;
  readonly virtual: VirtualSettings;
  readonly real: RealSettings;
  readonly source: Source;
  readonly facts: Facts;
}

/** A line of the file, as far as messages need it. */
function spanAt(source: Source, at: Place, length: number): Span {
  const line = source.lines[at.line - 1]!;
  return { line, column: at.column, text: line.text.slice(at.column - 1, at.column - 1 + length) };
}

/** Says something once about a place. */
function say(source: Source, at: Place, length: number, fault: Fault): void {
  const same = source.diagnostics.some(
    (d) =>
      d.code === fault.code &&
      d.at.line === at.line &&
      d.at.column === at.column &&
      d.message === fault.message,
  );
  if (!same) source.say(fault, spanAt(source, at, length));
}

/** The port to check: checkport, the real server's, the service's own. 0: there is none. */
export function portToCheck(virtual: VirtualSettings, real: RealSettings): number {
  if (virtual.checkport !== undefined) return virtual.checkport;
  if (real.port !== 0) return real.port;
  return SERVICE_PORTS.find(([, service]) => service === virtual.service)?.[0] ?? 0;
}

/** What is asked, with its slash. */
export const requestOf = (virtual: VirtualSettings, real: RealSettings): string =>
  real.request ?? virtual.request;

/** The expression that the answer must match, when there is one. */
export const receiveOf = (virtual: VirtualSettings, real: RealSettings): Receive | undefined => {
  const receive = real.receive ?? virtual.receive;
  return receive?.text === "" ? undefined : receive;
};

function pattern({ virtual, real, source }: About): PatternSpec | undefined {
  const receive = receiveOf(virtual, real);
  if (receive === undefined) return undefined;
  const translated = translatePattern(asBytes(receive.text), { perl: true });
  if (translated.ok) return translated.pattern;
  const fault = new Fault("bad-pattern", `receive is no regular expression: ${translated.reason}`, {
    remedy: "correct it: an expression that cannot be used would leave the servers unchecked",
  });
  const length = source.lines[receive.at.line - 1]!.text.includes(receive.text) ? receive.text.length : 1;
  say(source, receive.at, length, fault);
  return undefined;
}

/** Characters of a URL that stay as they are (RFC 3986 reserved, unreserved and %). */
const escapePath = (path: string): string =>
  path.replace(/[^;/?:@&=+$,[\]A-Za-z0-9\-_.!~*'()%]/gu, (c) =>
    /[\ud800-\udfff]/.test(c) && c.length === 1 ? "%3F" : encodeURIComponent(c),
  );

/** Where an http check goes: `http://host[:port]/path` as request names another server than the real one. */
function elsewhere(
  about: About,
  scheme: string,
  request: string,
): { target: CheckTarget; path: string } | undefined {
  const prefix = `/${scheme}://`;
  if (!request.startsWith(prefix)) return undefined;
  const { real, source, facts, virtual } = about;
  const rest = request.slice(prefix.length);
  const slash = rest.search(/[/?]/);
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const path = slash < 0 ? "/" : rest.slice(slash).replace(/^\?/, "/?");
  const line = source.lines[real.at.line - 1]!;
  const span: Span = { line, column: real.at.column, text: authority };
  const family: Family = authority.startsWith("[") ? 6 : 4;
  const host = cutHost(span, family);
  const address =
    host === undefined
      ? new Fault("bad-address", `"${authority}" is no host`)
      : readHost(host.host, family, facts.names);
  const standard = scheme === "https" ? 443 : 80;
  const port = Number(host?.port?.text ?? standard);
  if (address instanceof Fault || !(port >= 1 && port <= 65535)) {
    const message = address instanceof Fault ? address.message : `"${authority}" has no usable port`;
    say(source, virtual.at, 1, new Fault("bad-request", `request of a real server: ${message}`));
    return undefined;
  }
  return { target: { family, address, port: port }, path };
}

function http(about: About, base: { target: CheckTarget; timeoutMs: number }): CheckSpec {
  const { virtual, real } = about;
  const { service, httpmethod, virtualhost } = virtual;
  const tls = service === "https";
  const request = requestOf(virtual, real);
  const other = service === "http_proxy" ? undefined : elsewhere(about, tls ? "https" : "http", request);
  // A proxy is asked for whole urls.
  const path =
    other?.path ?? (service === "http_proxy" ? request.replace(/^\/(?=https?:\/\/)/, "") : request);
  const expected = pattern(about);
  return {
    kind: "http",
    ...base,
    ...(other !== undefined && { target: other.target }),
    tls,
    ...(tls &&
      virtualhost !== undefined &&
      parseAddress(virtualhost) === undefined && { sni: virtualhost.replace(/:\d+$/, "") }),
    version: "1.1",
    method: httpmethod,
    urls: [
      {
        path: escapePath(path),
        statusCodes: [[200, 299]],
        virtualhost: virtualhost ?? bracketed(virtual.id.family, real.address),
        ...(expected !== undefined && { pattern: expected }),
      },
    ],
    redirects: REDIRECTS,
    decodeBody: true,
    userAgent: USER_AGENT,
  };
}

/** The name under which an address is looked up the other way round (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseName(address: string): string | undefined {
  const parsed = parseAddress(address);
  if (parsed === undefined) return undefined;
  if (parsed.family === 4) return `${[...parsed.bytes].reverse().join(".")}.in-addr.arpa`;
  const nibbles = [...parsed.bytes].flatMap((byte) => [byte >> 4, byte & 15]);
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join(".")}.ip6.arpa`;
}

function dns(about: About, base: { target: CheckTarget; timeoutMs: number }): CheckSpec {
  const { virtual, real } = about;
  const name = requestOf(virtual, real).slice(1);
  const reverse = reverseName(name);
  const expected = pattern(about);
  if (receiveOf(virtual, real) === undefined) {
    neverUp(
      about,
      "dns",
      "a dns check without receive never succeeds",
      'write receive="ADDRESS": what the answer must match',
    );
    return { kind: "always", ...base, up: false };
  }
  return {
    kind: "dns",
    ...base,
    name: reverse ?? (name === "" ? "." : name),
    type: reverse === undefined ? "A" : "PTR",
    transport: virtual.id.kind === "address" && virtual.id.protocol === "tcp" ? "tcp" : "udp",
    ...(expected !== undefined && { pattern: expected }),
  };
}

/** A setting with which no server can ever be up: worth a word, but the original runs with it. */
function neverUp({ source, virtual }: About, service: string, message: string, remedy: string): void {
  say(
    source,
    virtual.at,
    "virtual".length,
    new Fault(`never-up-${service}`, message, { severity: "warning", remedy }),
  );
}

function sql(
  about: About,
  engine: "mysql" | "pgsql" | "oracle",
  base: { target: CheckTarget; timeoutMs: number },
): CheckSpec {
  const { virtual, real, facts, source } = about;
  const refusal = facts.sqlRefusal(engine);
  if (refusal !== undefined) {
    say(
      source,
      virtual.at,
      "virtual".length,
      new Fault("no-client", `service=${engine}: ${refusal}`, {
        remedy: "or check the port only: checktype=connect",
      }),
    );
  }
  const query = requestOf(virtual, real).slice(1);
  if (virtual.login === "" || query === "") {
    const remedy = 'write login="USER" and request="SELECT 1"';
    neverUp(about, engine, `a ${engine} check without login and request never succeeds`, remedy);
    return { kind: "always", ...base, up: false };
  }
  const { login, passwd, database } = virtual;
  return { kind: "sql", ...base, engine, login, password: passwd, database, query };
}

/** What negotiate asks. */
function negotiate(about: About, target: CheckTarget): CheckSpec {
  const { virtual, real, facts } = about;
  const { service, login, passwd: password } = virtual;
  const base = { target, timeoutMs: virtual.negotiatetimeout * 1000 };
  const short = { target, timeoutMs: virtual.checktimeout * 1000 };
  const request = requestOf(virtual, real);
  const expect = (): { pattern?: PatternSpec } => {
    const expected = pattern(about);
    return expected === undefined ? {} : { pattern: expected };
  };
  switch (service) {
    case "http":
    case "https":
    case "http_proxy":
      return http(about, base);
    case "smtp":
    case "submission":
      return { kind: "smtp", ...base, helo: facts.hostName, ehlo: true };
    case "pop":
    case "pops":
    case "imap":
    case "imaps":
      return {
        kind: "dialogue",
        ...base,
        protocol: service.startsWith("pop") ? "pop" : "imap",
        tls: service.endsWith("s"),
        login,
        password,
        request: "",
      };
    case "nntp":
      return { kind: "dialogue", ...base, protocol: "nntp", tls: false, login, password, request: "" };
    case "ftp":
    case "simpletcp":
      return {
        kind: "dialogue",
        ...base,
        protocol: service,
        tls: false,
        login,
        password,
        request,
        ...expect(),
      };
    case "ldap":
    case "ldaps":
      return {
        kind: "ldap",
        ...short,
        tls: service === "ldaps",
        login: password === "" ? "" : login,
        password: login === "" ? "" : password,
        base: request.slice(1),
        ...expect(),
      };
    case "dns":
      return dns(about, base);
    case "radius":
      return { kind: "radius", ...short, login, password, secret: virtual.secret };
    case "mysql":
    case "pgsql":
    case "oracle":
      return sql(about, service, base);
    case "sip": {
      const udp = virtual.id.kind === "address" && virtual.id.protocol === "udp";
      return { kind: "sip", ...base, login, transport: udp ? "udp" : "tcp" };
    }
    case "none":
      return { kind: "always", ...base, up: true };
  }
}

/** A connection; for udp, where nothing connects, a ping. */
function connect({ virtual }: About, target: CheckTarget): CheckSpec {
  const timeoutMs = virtual.checktimeout * 1000;
  const udp = virtual.id.kind === "address" && virtual.id.protocol === "udp";
  return udp ? ping(virtual, target) : { kind: "tcp", target, timeoutMs };
}

const ping = (virtual: VirtualSettings, target: CheckTarget): CheckSpec => ({
  kind: "ping",
  target,
  timeoutMs: virtual.checktimeout * 1000,
  attempts: virtual.checkcount ?? 1,
  size: PING_SIZE,
});

/** The arguments of external checks: VIP or mark, its port or 0, RIP, its port. */
const externalWords = ({ id }: VirtualSettings, real: RealSettings): string[] => [
  id.kind === "fwmark" ? String(id.fwmark) : bracketed(id.family, id.address),
  id.kind === "fwmark" ? "0" : String(id.port),
  bracketed(id.family, real.address),
  String(real.port),
];

/** The check of a real server. */
function specOf(about: About): CheckSpec {
  const { virtual, real } = about;
  const target: CheckTarget = {
    family: virtual.id.family,
    address: real.address,
    port: portToCheck(virtual, real),
  };
  const timeoutMs = virtual.checktimeout * 1000;
  const { checktype, checkcommand } = virtual;
  const misc = (command: string[]): CheckSpec => ({
    kind: "misc",
    target,
    timeoutMs,
    command: [...command, ...externalWords(virtual, real)],
    dynamic: false,
  });
  if (typeof checktype === "number") {
    const full = negotiate(about, target);
    const udp = virtual.id.kind === "address" && virtual.id.protocol === "udp";
    const cheap: CheckSpec = udp
      ? { kind: "always", target, timeoutMs, up: true }
      : { kind: "tcp", target, timeoutMs };
    return checktype === 0 ? full : { kind: "hybrid", target, timeoutMs, full, cheap, count: checktype };
  }
  switch (checktype) {
    case "negotiate":
      return negotiate(about, target);
    case "connect":
      return connect(about, target);
    case "ping":
      return ping(virtual, target);
    case "external":
      return misc([checkcommand]);
    case "external-perl":
      return misc(["perl", checkcommand]);
    case "on":
    case "off":
      return { kind: "always", target, timeoutMs, up: checktype === "on" };
  }
}

const needsPort = (spec: CheckSpec): boolean =>
  spec.kind === "hybrid"
    ? needsPort(spec.full) || needsPort(spec.cheap)
    : !["always", "ping", "misc", "maintenance"].includes(spec.kind);

/** Services whose answers are compared with receive. */
const MATCHING: readonly string[] = [
  "dns",
  "ftp",
  "http",
  "https",
  "http_proxy",
  "ldap",
  "ldaps",
  "simpletcp",
];

const asksNothing = ({ checktype }: VirtualSettings): boolean =>
  typeof checktype !== "number" && checktype !== "negotiate";

const matches = (virtual: VirtualSettings): boolean =>
  !asksNothing(virtual) && MATCHING.includes(virtual.service);

/** The checks of a real server: what is asked, and whether a maintenance file names it. */
export function checksOf(about: About): CheckEntry[] {
  const { file, virtual, real } = about;
  const spec = specOf(about);
  if (spec.target.port === 0 && needsPort(spec)) {
    neverUp(
      about,
      "port",
      `${virtual.name}: there is no port to check on ${real.address}`,
      "set checkport, or checktype=ping",
    );
  }
  if (virtual.checktype === "external-perl" && virtual.checkcommand === "/bin/true") {
    neverUp(
      about,
      "perl",
      "external-perl needs a checkcommand: /bin/true is no Perl",
      'write checkcommand="FILE"',
    );
  }
  const external = virtual.checktype === "external" || virtual.checktype === "external-perl";
  const kind = external ? about.facts.files.kind(virtual.checkcommand) : undefined;
  if (external && kind !== "executable" && !(virtual.checktype === "external-perl" && kind === "file")) {
    const what = kind === undefined ? "does not exist" : "is not executable";
    const remedy = /\s/.test(virtual.checkcommand)
      ? "arguments are not possible: write a script that calls it"
      : "servers are down until it can be run";
    neverUp(about, "external", `checkcommand ${virtual.checkcommand} ${what}`, remedy);
  }
  if (receiveOf(virtual, real) !== undefined && !matches(virtual)) {
    const message = `receive has no effect with ${asksNothing(virtual) ? `checktype=${virtual.checktype}` : `service=${virtual.service}`}`;
    const { at } = receiveOf(virtual, real)!;
    say(about.source, at, 1, new Fault("no-effect", message, { severity: "notice", remedy: "remove it" }));
  }
  if (spec.kind === "http" && spec.method === "HEAD" && receiveOf(virtual, real) !== undefined) {
    neverUp(about, "head", "the answer to HEAD has no body that receive could match", "write httpmethod=GET");
  }
  const intervalMs = virtual.checkinterval * 1000;
  const timing = {
    delayLoopMs: intervalMs,
    retry: virtual.failurecount - 1,
    delayBeforeRetryMs: intervalMs,
    warmupMs: 0,
    firstFailureCounts: false,
    downDelayMs: intervalMs,
  };
  const entry: CheckEntry = { spec, timing, alpha: true, at: real.at };
  const folder = file.globals.maintenancedir;
  if (folder === undefined) return [entry];
  const target: CheckTarget = { family: virtual.id.family, address: real.address, port: real.port };
  const maintenance: CheckSpec = {
    kind: "maintenance",
    target,
    timeoutMs: virtual.checktimeout * 1000,
    folder,
  };
  return [{ ...entry, spec: maintenance }, entry];
}

/** What the original takes for the identity of a server's check, as monitor files show it. */
export function realId(virtual: VirtualSettings, real: RealSettings): string {
  const { checktype } = virtual;
  const hybrid = typeof checktype === "number";
  const way = hybrid
    ? `${checktype}:${virtual.service}`
    : checktype === "negotiate"
      ? `negotiate:${virtual.service}`
      : checktype.startsWith("external")
        ? `${checktype}:${virtual.checkcommand}`
        : checktype;
  const protocol = virtual.id.kind === "fwmark" ? "fwm" : virtual.id.protocol;
  return [
    way,
    protocol,
    bracketed(virtual.id.family, real.address),
    real.port,
    virtual.virtualhost ?? "",
    virtual.checkport ?? "",
    real.weight,
    real.forward,
    requestOf(virtual, real),
    receiveOf(virtual, real)?.text ?? "",
  ].join(":");
}
