/**
 * The words of a command line as popt takes them: the option table and the reader that walks over the words.
 *
 * What is special about popt: long names cannot be abbreviated, short ones are bundled (`-Lnc`, `-w5`, `-w=5`), plain words may
 * stand anywhere, and an optional argument is absent when the next word begins with a dash.
 * @module
 */

/** Whether an option takes an argument. */
export type ArgumentRule = "none" | "needed" | "optional";

/** One row of the option table. */
export interface OptionRow {
  /** Long name without dashes; what the rest of the code calls the option by. */
  readonly long: string;
  /** Short letters, "" when there is none; the first is the usual one. */
  readonly short: string;
  readonly argument: ArgumentRule;
  /** Commands must be the first option of a line. */
  readonly command: boolean;
}

const row = (long: string, short = "", argument: ArgumentRule = "none"): OptionRow => ({
  long,
  short,
  argument,
  command: false,
});
const command = (long: string, short = "", argument: ArgumentRule = "none"): OptionRow => ({
  long,
  short,
  argument,
  command: true,
});

/** Every option, commands first. */
export const OPTIONS: readonly OptionRow[] = [
  command("add-service", "A"),
  command("edit-service", "E"),
  command("delete-service", "D"),
  command("clear", "C"),
  command("restore", "R"),
  command("save", "S"),
  command("add-server", "a"),
  command("edit-server", "e"),
  command("delete-server", "d"),
  command("list", "Ll"),
  command("zero", "Z"),
  command("set"),
  command("start-daemon", "", "needed"),
  command("stop-daemon", "", "needed"),
  command("help", "h"),
  command("version", "v"),
  row("tcp-service", "t", "needed"),
  row("udp-service", "u", "needed"),
  row("sctp-service", "", "needed"),
  row("fwmark-service", "f", "needed"),
  row("ipv6", "6"),
  row("scheduler", "s", "needed"),
  row("persistent", "p", "optional"),
  row("netmask", "M", "needed"),
  row("pe", "", "needed"),
  row("ops", "o"),
  row("sched-flags", "b", "needed"),
  row("real-server", "r", "needed"),
  row("gatewaying", "g"),
  row("ipip", "i"),
  row("masquerading", "m"),
  row("fullnat"),
  row("weight", "w", "needed"),
  row("u-threshold", "x", "needed"),
  row("l-threshold", "y", "needed"),
  row("tun-type", "", "needed"),
  row("tun-port", "", "needed"),
  row("tun-nocsum"),
  row("tun-csum"),
  row("tun-remcsum"),
  row("numeric", "n"),
  row("connection", "c"),
  row("timeout"),
  row("daemon"),
  row("stats"),
  row("rate"),
  row("thresholds"),
  row("persistent-conn"),
  row("tun-info"),
  row("nosort"),
  row("sort"),
  row("exact", "X"),
  row("mcast-interface", "", "needed"),
  row("syncid", "", "needed"),
  row("sync-maxlen", "", "needed"),
  row("mcast-group", "", "needed"),
  row("mcast-port", "", "needed"),
  row("mcast-ttl", "", "needed"),
  row("local-address", "", "needed"),
  row("json"),
  row("explain"),
  row("full"),
  row("test"),
  row("atomic"),
];

/** What the reader found next. `word` is the last word it took, as written: messages quote that one. */
export type Step =
  | {
      readonly kind: "option";
      readonly option: OptionRow;
      readonly argument: string | undefined;
      readonly word: string;
    }
  | {
      readonly kind: "problem";
      readonly problem: "unknown" | "missing" | "unwanted";
      readonly word: string;
    };

/** Walks over the words of one command line. Plain words are set aside in {@link WordReader.plain}. */
export class WordReader {
  /** Plain words met so far, in order. */
  readonly plain: string[] = [];
  readonly #words: readonly string[];
  #at = 0;
  /** What is left of a bundle of short options. */
  #bundle: string | undefined;
  #onlyPlain = false;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  /** The next option or problem; undefined at the end of the line. */
  next(): Step | undefined {
    while (this.#bundle === undefined) {
      if (this.#at >= this.#words.length) return undefined;
      const word = this.#words[this.#at++];
      if (this.#onlyPlain || word === "-" || !word.startsWith("-")) this.plain.push(word);
      else if (word === "--") this.#onlyPlain = true;
      else if (word.startsWith("--")) return this.#long(word);
      else this.#bundle = word.slice(1);
    }
    return this.#short();
  }

  #long(word: string): Step {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const option = OPTIONS.find((o) => o.long === name);
    if (!option) return { kind: "problem", problem: "unknown", word };
    if (equals < 0) return this.#withArgument(option, undefined);
    if (option.argument === "none") return { kind: "problem", problem: "unwanted", word };
    return this.#withArgument(option, word.slice(equals + 1));
  }

  #short(): Step {
    const bundle = this.#bundle!;
    const option = bundle === "" ? undefined : OPTIONS.find((o) => o.short.includes(bundle[0]));
    if (!option) return { kind: "problem", problem: "unknown", word: this.#words[this.#at - 1] };
    const rest = bundle.slice(1);
    if (option.argument === "none") {
      this.#bundle = rest === "" ? undefined : rest;
      return this.#withArgument(option, undefined);
    }
    this.#bundle = undefined;
    return this.#withArgument(option, rest === "" ? undefined : rest.startsWith("=") ? rest.slice(1) : rest);
  }

  #withArgument(option: OptionRow, attached: string | undefined): Step {
    let argument = attached;
    if (option.argument !== "none" && argument === undefined) {
      const next = this.#words[this.#at];
      if (option.argument === "needed" && next === undefined) {
        return { kind: "problem", problem: "missing", word: this.#words[this.#at - 1] };
      }
      if (option.argument === "needed" || (next !== undefined && !next.startsWith("-"))) {
        argument = next;
        this.#at++;
      }
    }
    return { kind: "option", option, argument, word: this.#words[this.#at - 1] };
  }
}
