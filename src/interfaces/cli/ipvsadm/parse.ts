/**
 * From the words of a line to a {@link Command}: options are read from left to right, then checked in ipvsadm's order.
 * @module
 */
import type { DaemonState } from "../../../core/daemon.ts";
import { type ForwardingMethod, IPIP, type Tunnel } from "../../../core/destination.ts";
import {
  type Family,
  fullMask,
  type Protocol,
  type ServiceId,
  type ServiceSpec,
} from "../../../core/service.ts";
import { formatAddress, parseAddress } from "../../../wire/address.ts";
import type { Names } from "../names.ts";
import { type Endpoint, isFault, leadingNumber, readEndpoint, readMask, readNumber } from "./address.ts";
import { checkListing, checkOptions, checkTunnel, layoutOf } from "./checks.ts";
import type { Command, CommandName } from "./command.ts";
import { Failure, usage } from "./failure.ts";
import { readFlags } from "./flags.ts";
import { type OptionRow, type Step, WordReader } from "./grammar.ts";
import { tryHelp } from "./texts.ts";

/** Longest timeout in seconds: 31 days. */
const MAX_TIMEOUT_S = 2678400;
const INT_MAX = 2147483647;
/** Persistence timeout of `-p` without a number, seconds. */
const DEFAULT_PERSISTENCE_S = 360;

/** Options whose repetition counts under another name. */
const COLUMN_OF: Readonly<Record<string, string>> = {
  "tcp-service": "service-address",
  "udp-service": "service-address",
  "sctp-service": "service-address",
  "fwmark-service": "service-address",
  gatewaying: "forwarding-method",
  ipip: "forwarding-method",
  masquerading: "forwarding-method",
  fullnat: "forwarding-method",
};
/** Options that may repeat and go with every command. */
const FREE = new Set(["ipv6", "sort", "explain"]);

const METHODS: Readonly<Record<string, ForwardingMethod>> = {
  gatewaying: "dr",
  ipip: "tun",
  masquerading: "nat",
  fullnat: "fullnat",
};

/** What has been read of a line so far. */
class Line {
  readonly given = new Set<string>();
  family: Family = 4;
  protocol: Protocol | undefined;
  service: ServiceId | undefined;
  netmask = fullMask(4);
  scheduler = "wlc";
  timeoutS = 0;
  engine = "";
  flags = "";
  localAddresses: string[] = [];
  server: (Endpoint & { readonly port: number }) | undefined;
  method: ForwardingMethod = "dr";
  weight = 1;
  upper = 0;
  lower = 0;
  tunnel: Tunnel["type"] = "ipip";
  tunnelPort = 0;
  interface = "eth0";
  syncId = 0;
  maxLen = 0;
  group = "";
  port = 0;
  ttl = 0;
}

const numberIn = (option: string, word: string, low: number, high: number, message: string): number => {
  const number = readNumber(word, low, high);
  if (number === undefined) throw usage(message, { kind: "number", option, word, low, high });
  return number;
};

const timeoutIn = (option: string, word: string, low: number): number =>
  numberIn(option, word, low, MAX_TIMEOUT_S, `invalid timeout value \`${word}' specified`);

async function endpoint(
  option: string,
  word: string,
  protocol: Protocol | undefined,
  names: Names,
  message: string,
): Promise<Endpoint> {
  const read = await readEndpoint(word, protocol, names);
  if (isFault(read)) throw usage(message, { kind: "address", option, word, fault: read });
  return read;
}

async function readService(line: Line, option: string, word: string, names: Names): Promise<void> {
  const protocol = option.slice(0, option.indexOf("-")) as Protocol;
  const message = "illegal virtual server address[:port] specified";
  const { family, address, port } = await endpoint(option, word, protocol, names, message);
  line.protocol = protocol;
  line.service = { kind: "address", family, protocol, address, port: port ?? 0 };
  line.family = family;
  if (family === 6) line.netmask = fullMask(6);
}

function readFwmark(line: Line, word: string): void {
  const message = `invalid fwmark value \`${word}' specified`;
  const fwmark = numberIn("fwmark-service", word, 1, 4294967295, message);
  line.protocol = "tcp"; // for the names of ports
  line.service = { kind: "fwmark", family: 4, fwmark };
  line.family = 4;
}

function readIpv6(line: Line): void {
  if (line.service?.kind !== "fwmark") throw usage("-6 used before -f\n", { kind: "ipv6-too-early" });
  line.service = { ...line.service, family: 6 };
  line.family = 6;
  line.netmask = fullMask(6);
}

async function readNetmask(line: Line, word: string, names: Names): Promise<void> {
  const reason = { kind: "mask", word, family: line.family } as const;
  if (line.family === 6) {
    const length = leadingNumber(word);
    if (length < 1 || length > 128) throw usage("illegal ipv6 netmask specified", reason);
    line.netmask = length;
    return;
  }
  const mask = await readMask(word, names);
  if (mask === undefined) throw usage("illegal virtual server persistent mask specified", reason);
  line.netmask = mask;
}

function readGroup(word: string): string {
  const family = word.includes(":") ? 6 : 4;
  const parsed = parseAddress(word);
  const multicast = family === 6 ? parsed?.bytes[0] === 0xff : ((parsed?.bytes[0] ?? 0) & 0xf0) === 0xe0;
  if (parsed?.family !== family || !multicast) {
    throw usage(`invalid IPv${family} mcast-group \`${word}'`, { kind: "multicast", word, family });
  }
  return formatAddress(family, parsed.bytes);
}

function readLocalAddresses(word: string): string[] {
  return word.split(",").map((each) => {
    const parsed = parseAddress(each);
    if (parsed) return formatAddress(parsed.family, parsed.bytes);
    throw usage("illegal local address specified", {
      kind: "address",
      option: "local-address",
      word: each,
      fault: "ipv4-range",
    });
  });
}

/** Takes one option into the line. */
async function take(
  line: Line,
  option: OptionRow,
  argument: string | undefined,
  names: Names,
): Promise<void> {
  const name = option.long;
  const column = COLUMN_OF[name] ?? name;
  if (!FREE.has(name)) {
    if (line.given.has(column)) {
      throw usage(`multiple '${column}' options specified`, { kind: "twice", name: column });
    }
    line.given.add(column);
  }
  const word = argument ?? "";
  switch (name) {
    case "tcp-service":
    case "udp-service":
    case "sctp-service":
      return readService(line, name, word, names);
    case "fwmark-service":
      return readFwmark(line, word);
    case "ipv6":
      return readIpv6(line);
    case "scheduler":
      line.scheduler = word.slice(0, 15) || "wlc";
      return;
    case "persistent":
      line.timeoutS = argument === undefined ? DEFAULT_PERSISTENCE_S : timeoutIn(name, argument, 1);
      return;
    case "netmask":
      return readNetmask(line, word, names);
    case "pe":
      line.engine = word.slice(0, 16);
      return;
    case "sched-flags":
      line.flags = word;
      return;
    case "local-address":
      line.localAddresses = readLocalAddresses(word);
      return;
    case "real-server": {
      const message = "illegal real server address[:port] specified";
      const read = await endpoint(name, word, line.protocol, names, message);
      const known = line.service?.kind === "address" ? line.service.port : 0;
      line.server = { ...read, port: read.port ?? known };
      return;
    }
    case "gatewaying":
    case "ipip":
    case "masquerading":
    case "fullnat":
      line.method = METHODS[name];
      return;
    case "weight":
      line.weight = numberIn(name, word, 0, INT_MAX, "illegal weight specified");
      return;
    case "u-threshold":
      line.upper = numberIn(name, word, 0, INT_MAX, "illegal u_threshold specified");
      return;
    case "l-threshold":
      line.lower = numberIn(name, word, 0, INT_MAX, "illegal l_threshold specified");
      return;
    case "tun-type":
      if (word !== "ipip" && word !== "gue" && word !== "gre") {
        const choices = ["ipip", "gue", "gre"];
        throw usage("illegal tunnel type specified", { kind: "choice", option: name, word, choices });
      }
      line.tunnel = word;
      return;
    case "tun-port":
      line.tunnelPort = numberIn(name, word, 1, 65535, "illegal tunnel port specified");
      return;
    case "mcast-interface":
      line.interface = word.slice(0, 15) || "eth0";
      return;
    case "syncid":
      line.syncId = numberIn(name, word, 0, 255, "illegal syncid specified");
      return;
    case "sync-maxlen":
      line.maxLen = numberIn(name, word, 1, 65507, "illegal sync-maxlen specified");
      return;
    case "mcast-group":
      line.group = readGroup(word);
      return;
    case "mcast-port":
      line.port = numberIn(name, word, 1, 65535, "illegal mcast-port specified");
      return;
    case "mcast-ttl":
      line.ttl = numberIn(name, word, 1, 255, "illegal mcast-ttl specified");
      return;
  }
}

/** The failure for a word that popt cannot make sense of. */
function badOption(step: Extract<Step, { kind: "problem" }>): Failure {
  const text = {
    unknown: "unknown option",
    missing: "missing argument",
    unwanted: "option does not take an argument",
  }[step.problem];
  const reason = { kind: "option", problem: step.problem, word: step.word } as const;
  return new Failure(`${step.word}: ${text}`, 255, false, reason);
}

/** The command a line begins with, as far as it can be told from its first option. */
export function commandOf(words: readonly string[]): CommandName | undefined {
  if (words.length === 0) return "list";
  const step = new WordReader(words).next();
  return step?.kind === "option" && step.option.command ? nameOf(step.option) : undefined;
}

const nameOf = (option: OptionRow): CommandName =>
  option.long === "clear" ? "flush" : (option.long as CommandName);

/**
 * Reads a line.
 * @param program the name in "Try" messages.
 * @throws Failure
 */
export async function parse(words: readonly string[], names: Names, program: string): Promise<Command> {
  if (words.length === 0) return listCommand(new Line());
  const reader = new WordReader(words);
  const first = reader.next();
  if (first?.kind !== "option" || !first.option.command) {
    throw new Failure(tryHelp(program), 255, true, {
      kind: "no-command",
      word: first?.word ?? reader.plain[0],
    });
  }
  const command = nameOf(first.option);
  if (command === "help" || command === "version") return { kind: command };
  const state = daemonState(command, first.argument ?? "");
  const line = new Line();
  for (let step = reader.next(); step; step = reader.next()) {
    if (step.kind === "problem") throw badOption(step);
    if (step.option.command) {
      throw usage(`invalid option \`${step.word}'`, {
        kind: "second-command",
        word: step.word,
        first: command,
      });
    }
    await take(line, step.option, step.argument, names);
  }
  const values = command === "set" ? readTimeouts(reader.plain) : undefined;
  const leftover = reader.plain[values ? 3 : 0];
  if (leftover !== undefined) {
    throw usage(`unexpected argument ${leftover}`, { kind: "leftover", word: leftover });
  }
  const schedFlags = readFlags(line.flags, line.scheduler);
  checkOptions(command, line.given);
  const service = line.service!;
  switch (command) {
    case "add-service":
    case "edit-service":
      return { kind: command, spec: serviceSpec(line, service, schedFlags) };
    case "add-server":
    case "edit-server":
      return serverCommand(command, line, service);
    case "delete-server": {
      const { family, address, port } = line.server!;
      return { kind: command, service, destination: { family, address, port } };
    }
    case "delete-service":
      return { kind: command, service };
    case "list":
      checkListing(line.given);
      return listCommand(line);
    case "zero":
      return { kind: command, service: line.service };
    case "save":
      return { kind: command, numeric: line.given.has("numeric"), full: line.given.has("full") };
    case "restore":
      return { kind: command, test: line.given.has("test"), atomic: line.given.has("atomic") };
    case "flush":
      return { kind: command };
    case "set":
      return { kind: command, timeouts: { tcp: values![0], tcpFin: values![1], udp: values![2] } };
    case "stop-daemon":
      return { kind: command, state: state! };
    case "start-daemon": {
      const { interface: name, syncId, maxLen, group, port, ttl } = line;
      return { kind: command, spec: { state: state!, interface: name, syncId, maxLen, group, port, ttl } };
    }
  }
}

function daemonState(command: CommandName, word: string): DaemonState | undefined {
  if (command !== "start-daemon" && command !== "stop-daemon") return undefined;
  if (word === "master" || word === "backup") return word;
  const message =
    command === "start-daemon"
      ? "illegal start-daemon parameter specified"
      : "illegal start_daemon specified";
  throw usage(message, { kind: "choice", option: command, word, choices: ["master", "backup"] });
}

function readTimeouts(plain: readonly string[]): number[] {
  if (plain.length < 3) {
    throw usage("--set option requires 3 timeout values", { kind: "set-words", count: plain.length });
  }
  return plain.slice(0, 3).map((word) => timeoutIn("set", word, 0));
}

function serviceSpec(line: Line, id: ServiceId, schedFlags: number): ServiceSpec {
  const persistent = line.given.has("persistent");
  if (id.kind === "address" && id.port === 0 && !persistent) {
    const reason = { kind: "zero-port", address: id.address } as const;
    throw usage("Zero port specified for non-persistent service", reason);
  }
  const onePacket = line.given.has("ops");
  if (onePacket && id.kind === "address" && id.protocol !== "udp") {
    throw usage("One-Packet Scheduling is only for UDP virtual services", { kind: "one-packet" });
  }
  const stranger = line.localAddresses.find((a) => (a.includes(":") ? 6 : 4) !== id.family);
  if (stranger !== undefined) {
    throw usage("illegal local address specified", { kind: "local-family", word: stranger });
  }
  return {
    id,
    scheduler: line.scheduler,
    schedFlags,
    persistent,
    timeoutS: line.timeoutS,
    netmask: line.netmask,
    engine: line.engine,
    onePacket,
    ...(line.localAddresses.length > 0 ? { localAddresses: line.localAddresses } : {}),
  };
}

function serverCommand(kind: "add-server" | "edit-server", line: Line, service: ServiceId): Command {
  const { family, address, port } = line.server!;
  const { method, weight, upper, lower } = line;
  if (family !== service.family && method !== "tun") {
    const message = "Different address family is allowed only for tunneling servers";
    throw usage(message, { kind: "mixed-family" });
  }
  const tunnelOptions = [...line.given].some((column) => column.startsWith("tun-"));
  if (tunnelOptions && method !== "tun") {
    throw usage("Tunnel options conflict with forward method", { kind: "tunnel-option" });
  }
  checkTunnel(line.tunnel, line.given);
  // Without address translation the server sees the packet's own port.
  const own = method === "nat" || method === "fullnat" || service.kind === "fwmark";
  return {
    kind,
    service,
    spec: {
      family,
      address,
      port: own ? port : service.port,
      method,
      weight,
      upper,
      lower,
      tunnel: method === "tun" ? tunnelOf(line) : IPIP,
    },
  };
}

function tunnelOf(line: Line): Tunnel {
  const checksum = line.given.has("tun-csum") ? "csum" : line.given.has("tun-remcsum") ? "remcsum" : "none";
  return { type: line.tunnel, port: line.tunnelPort, checksum };
}

function listCommand(line: Line): Command {
  const { given } = line;
  return {
    kind: "list",
    what: given.has("connection")
      ? "connections"
      : given.has("timeout")
        ? "timeouts"
        : given.has("daemon")
          ? "daemons"
          : "table",
    service: line.service,
    layout: layoutOf(given),
    engineData: given.has("persistent-conn"),
    numeric: given.has("numeric"),
    exact: given.has("exact"),
    sorted: !given.has("nosort"),
    json: given.has("json"),
  };
}
