/**
 * Kinds of values: numbers, yes and no, strings. What the original takes is taken, however odd it looks.
 * @module
 */
import { DAEMON_STATES, type DaemonState } from "./settings.ts";
import { Fault, part, type Span } from "./source.ts";

/** compat: the first run of digits anywhere: `4 seconds` is 4, `-7` is 7. */
const digits = (text: string): number | undefined => {
  const run = /\d+/.exec(text)?.[0];
  return run === undefined ? undefined : Number(run);
};

/** A number of at least 1. */
export function positive(span: Span): number | Fault {
  const number = digits(span.text);
  if (number === undefined) {
    return new Fault("bad-number", `"${span.text}" has no number in it`, { remedy: "write digits: 5" });
  }
  return number > 0 ? number : new Fault("bad-number", "the number must be at least 1");
}

/** A number, 0 allowed. */
export function natural(span: Span): number | Fault {
  return digits(span.text) ?? new Fault("bad-number", `"${span.text}" has no number in it`);
}

/** Digits must come first. */
export function leadingNumber(span: Span): number | Fault {
  const run = /^\d+/.exec(span.text)?.[0];
  return run === undefined
    ? new Fault("bad-number", `"${span.text}" does not begin with a number`)
    : Number(run);
}

/** Exactly `yes` or `no`. */
export function yesOrNo(span: Span): boolean | Fault {
  if (span.text === "yes") return true;
  if (span.text === "no") return false;
  const word = /^(yes|no)\b/i.exec(span.text)?.[1];
  const remedy =
    word === undefined
      ? "write yes or no"
      : `write ${word.toLowerCase()} and nothing behind it: no blank, no comment, no carriage return`;
  return new Fault("bad-yes-no", `"${printable(span.text)}" is neither "yes" nor "no"`, { remedy });
}

/** A text with its invisible characters shown. */
export const printable = (text: string): string => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');

/** Between the first and the last double quote; what stands behind is ignored. Undefined when the quotes are missing. */
export function quotedSpan(span: Span): Span | undefined {
  const last = span.text.lastIndexOf('"');
  return span.text.startsWith('"') && last > 0 ? part(span, 1, last - 1) : undefined;
}

/** compat: a tab counts as four blanks in every line of a block. */
const untabbed = (text: string): string => text.replaceAll("\t", "    ");

/** A text that needs double quotes. */
export function quoted(span: Span): string | Fault {
  const inner = quotedSpan(span);
  if (inner === undefined) {
    return new Fault("missing-quotes", "the value must stand in double quotes", {
      remedy: `write "${span.text.replaceAll('"', "").trim()}"; a # begins a comment, also within quotes`,
    });
  }
  return inner.text === "" ? new Fault("empty", "the value is empty") : untabbed(inner.text);
}

/** A text with or without double quotes. */
export function maybeQuoted(span: Span): string {
  return untabbed(quotedSpan(span)?.text ?? span.text);
}

/** Like {@link maybeQuoted}; not empty. */
export function someText(span: Span): string | Fault {
  return maybeQuoted(span) || new Fault("empty", "the value is empty");
}

/** Receivers of mail: as written, without one pair of quotes. */
export function receivers(span: Span): string | Fault {
  const text = span.text.replace(/^"/, "").replace(/"$/, "");
  return text || new Fault("empty", "no mail address is given");
}

/** Daemon states, separated by commas. */
export function states(span: Span): readonly DaemonState[] | Fault {
  if (span.text === "") return [];
  const words = span.text.replace(/(\s*,)+$/, "").split(/\s*,\s*/);
  const known: readonly string[] = ["all", "none", ...DAEMON_STATES];
  const wrong = words.find((word) => !known.includes(word));
  if (wrong !== undefined) {
    return new Fault("bad-word", `"${printable(wrong)}" is no state of the daemon`, {
      remedy: `the words are ${known.join(", ")}, separated by commas`,
    });
  }
  if (words.includes("none")) {
    return words.length > 1 ? new Fault("bad-word", '"none" excludes every other word') : [];
  }
  return words.includes("all") ? DAEMON_STATES : DAEMON_STATES.filter((state) => words.includes(state));
}

/** The first host name in a value, as the SMTP server's. */
export function hostWord(span: Span): string | Fault {
  const host = /^[0-9A-Za-z._+-]+/.exec(span.text)?.[0];
  return host ?? new Fault("bad-host", `"${span.text}" is no host name`);
}
