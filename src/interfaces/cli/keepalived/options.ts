/**
 * The command line of keepalived 2.2.7, read as getopt_long(3) reads it: short ones together, long ones shortened, values joined
 * or apart.
 * @module
 */

/** What was asked for. */
export interface Options {
  file: string;
  /** Halves. */
  vrrpOnly: boolean;
  checkOnly: boolean;
  foreground: boolean;
  /** Log to the terminal too. */
  console: boolean;
  /** Number of times -D was given. */
  detail: number;
  /** Facility number of the system log. */
  facility: number;
  syslog: boolean;
  dump: boolean;
  keepAddresses: boolean;
  keepTable: boolean;
  respawn: boolean;
  pid?: string;
  vrrpPid?: string;
  checkersPid?: string;
  /** -t: check only; messages go to a file when one is named. */
  test: boolean;
  testLog?: string;
  configId?: string;
  allConfig: boolean;
  namespace?: string;
  umask?: number;
  signum?: string;
  /** Words that are no options. */
  stray: string[];
  /** Print and end. */
  show?: "version" | "help";
  /** Options that are taken and do nothing here. */
  withoutEffect: string[];
}

/** A command line that keepalived refuses. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

type Argument = "none" | "required" | "optional";

interface Definition {
  readonly short?: string;
  readonly long: string;
  readonly argument: Argument;
  readonly apply: (options: Options, value: string) => void;
}

const flag = (short: string, long: string, apply: (o: Options) => void): Definition => ({
  short,
  long,
  argument: "none",
  apply,
});

const value = (short: string, long: string, apply: (o: Options, v: string) => void): Definition => ({
  short,
  long,
  argument: "required",
  apply,
});

const idle = (short: string, long: string, argument: Argument = "none"): Definition => ({
  short,
  long,
  argument,
  apply: (o) => void o.withoutEffect.push(`--${long}`),
});

/** Facility numbers of RFC 5424 table 1; a digit is localN. */
function facility(text: string): number {
  const local = /^(?:local)?([0-7])$/.exec(text);
  if (local) return 16 + Number(local[1]);
  if (text === "user") return 1;
  if (text === "daemon") return 3;
  throw new OptionError(`Invalid log facility '${text}'`);
}

const NO_LOG_FILE = "-g requires configure option --enable-log-file";

const DEFINITIONS: readonly Definition[] = [
  value("f", "use-file", (o, v) => {
    o.file = v;
  }),
  flag("P", "vrrp", (o) => {
    o.vrrpOnly = true;
  }),
  flag("C", "check", (o) => {
    o.checkOnly = true;
  }),
  idle("B", "no_bfd"),
  { long: "all", argument: "none", apply: (o) => void o.withoutEffect.push("--all") },
  flag("l", "log-console", (o) => {
    o.console = true;
  }),
  flag("D", "log-detail", (o) => {
    o.detail++;
  }),
  value("S", "log-facility", (o, v) => {
    o.facility = facility(v);
  }),
  flag("G", "no-syslog", (o) => {
    o.syslog = false;
  }),
  value("u", "umask", (o, v) => {
    if (/^0?[0-7]{1,4}$/.test(v)) o.umask = Number.parseInt(v, 8);
    else o.withoutEffect.push(`--umask ${v} (no number)`);
  }),
  flag("X", "release-vips", (o) => {
    o.keepAddresses = false;
  }),
  flag("V", "dont-release-vrrp", (o) => {
    o.keepAddresses = true;
  }),
  flag("I", "dont-release-ipvs", (o) => {
    o.keepTable = true;
  }),
  flag("R", "dont-respawn", (o) => {
    o.respawn = false;
  }),
  flag("n", "dont-fork", (o) => {
    o.foreground = true;
  }),
  flag("d", "dump-conf", (o) => {
    o.dump = true;
  }),
  value("p", "pid", (o, v) => {
    o.pid = v;
  }),
  value("r", "vrrp_pid", (o, v) => {
    o.vrrpPid = v;
  }),
  value("c", "checkers_pid", (o, v) => {
    o.checkersPid = v;
  }),
  idle("b", "bfd_pid", "required"),
  idle("a", "address-monitoring"),
  idle("x", "snmp"),
  idle("A", "snmp-agent-socket", "required"),
  value("s", "namespace", (o, v) => {
    o.namespace = v;
  }),
  idle("m", "core-dump"),
  idle("M", "core-dump-pattern", "optional"),
  flag("e", "all-config", (o) => {
    o.allConfig = true;
  }),
  value("i", "config-id", (o, v) => {
    o.configId = v;
  }),
  {
    long: "signum",
    argument: "required",
    apply(o, v) {
      o.signum = v;
    },
  },
  {
    short: "t",
    long: "config-test",
    argument: "optional",
    apply(o, v) {
      o.test = true;
      if (v !== "") o.testLog = v;
    },
  },
  {
    short: "g",
    long: "log-file",
    argument: "optional",
    apply() {
      throw new OptionError(NO_LOG_FILE);
    },
  },
  {
    long: "flush-log-file",
    argument: "none",
    apply() {
      throw new OptionError(NO_LOG_FILE);
    },
  },
  flag("v", "version", (o) => {
    o.show ??= "version";
  }),
  flag("h", "help", (o) => {
    o.show ??= "help";
  }),
];

/** A long option by its name, or by a beginning that only one has. */
function findLong(name: string): Definition | undefined {
  const exact = DEFINITIONS.find(({ long }) => long === name);
  if (exact) return exact;
  const beginnings = DEFINITIONS.filter(({ long }) => long.startsWith(name));
  return name !== "" && beginnings.length === 1 ? beginnings[0] : undefined;
}

/** Reads the words after `keepalived`. @throws OptionError with keepalived's message */
export function readOptions(words: readonly string[]): Options {
  const options: Options = {
    file: "/etc/keepalived/keepalived.conf",
    vrrpOnly: false,
    checkOnly: false,
    foreground: false,
    console: false,
    detail: 0,
    facility: 3,
    syslog: true,
    dump: false,
    keepAddresses: false,
    keepTable: false,
    respawn: true,
    test: false,
    allConfig: false,
    stray: [],
    withoutEffect: [],
  };
  const rest = [...words];
  const argumentOf = (definition: Definition, joined: string | undefined, shown: string): string => {
    if (joined !== undefined || definition.argument !== "required") return joined ?? "";
    const next = rest.shift();
    if (next === undefined) throw new OptionError(`Missing parameter for option ${shown}`);
    return next;
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      options.stray.push(...rest.splice(0));
    } else if (word.startsWith("--")) {
      const [name, joined] = word.slice(2).split(/=(.*)/s) as [string, string | undefined];
      const definition = findLong(name);
      if (!definition || (joined !== undefined && definition.argument === "none"))
        throw new OptionError(`Unknown option ${word}`);
      definition.apply(options, argumentOf(definition, joined, `--${definition.long}`));
    } else if (word.length > 1 && word.startsWith("-")) {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at]!;
        const definition = DEFINITIONS.find(({ short }) => short === letter);
        if (!definition) throw new OptionError(`Unknown option -${letter}`);
        const joined = definition.argument === "none" ? undefined : word.slice(at + 1) || undefined;
        definition.apply(options, argumentOf(definition, joined, `-${letter}`));
        if (definition.argument !== "none") break;
      }
    } else {
      options.stray.push(word);
    }
  }
  return options;
}
