/**
 * The command line of ldirectord: `[-d] [--] [CONFIG] COMMAND`.
 * @module
 */

/** Words that mean something to a daemon, or start one. */
export const COMMANDS = [
  "start",
  "stop",
  "restart",
  "try-restart",
  "reload",
  "force-reload",
  "status",
] as const;
/** One of {@link COMMANDS}. */
export type CommandWord = (typeof COMMANDS)[number];

/** A command line that was understood. */
export type Invocation =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "usage" }
  | {
      readonly kind: "command";
      readonly debug: boolean;
      /** As given; undefined: the default. */
      readonly config: string | undefined;
      readonly command: CommandWord;
    };

const SHORT: Readonly<Record<string, string>> = { d: "debug", h: "help", "?": "help", v: "version" };
const LONG: readonly string[] = ["debug", "help", "version"];

/** Reads the words. Options come before all others, `--` ends them, short ones may be bundled. */
export function parseWords(words: readonly string[]): Invocation {
  const seen = new Set<string>();
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--") {
      at++;
      break;
    }
    if (!word.startsWith("-") || word === "-") break;
    const names = word.startsWith("--")
      ? [LONG.find((name) => word === `--${name}`)]
      : [...word.slice(1)].map((letter) => SHORT[letter]);
    for (const name of names) {
      if (name === undefined) return { kind: "usage" };
      seen.add(name);
    }
  }
  if (seen.has("help")) return { kind: "help" };
  if (seen.has("version")) return { kind: "version" };
  const rest = words.slice(at);
  const config = rest.length >= 2 ? rest[0] : undefined;
  const command = COMMANDS.find((known) => known === rest[rest.length >= 2 ? 1 : 0]);
  return command === undefined
    ? { kind: "usage" }
    : { kind: "command", debug: seen.has("debug"), config, command };
}
