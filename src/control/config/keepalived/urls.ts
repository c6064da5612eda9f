/**
 * The `url` blocks of HTTP_GET and SSL_GET.
 * @module
 */
import type { PatternSpec, UrlSpec } from "../../checks/check.ts";
import { asBytes, type PatternOptions, translatePattern } from "../pattern.ts";
import { suggest } from "../suggest.ts";
import type { UrlDraft } from "./checker-draft.ts";
import { quotedWords, surplus, table } from "./keyword.ts";
import type { Reader } from "./reader.ts";
import type { Word } from "./text.ts";
import { int, markKeyword, quotedKeyword, wordKeyword } from "./values.ts";

/** regex_options that change nothing for us: PCRE's ways to be faster, or what JavaScript does anyway. */
const OPTIONS_WITHOUT_EFFECT = new Set([
  "never_ucp",
  "never_utf",
  "no_auto_capture",
  "no_auto_possess",
  "no_start_optimize",
  "no_dotstar_anchor",
  "ucp",
  "utf",
  "allow_empty_class",
  "alt_bsux",
  "never_backslash_c",
  "auto_callout",
  "match_unset_backref",
  "use_offset_limit",
]);
const OPTIONS: Readonly<Record<string, keyof PatternOptions>> = {
  anchored: "anchored",
  caseless: "ignoreCase",
  dollar_endonly: "dollarEndOnly",
  dotall: "dotAll",
  extended: "extended",
  multiline: "multiline",
};
const OPTIONS_REFUSED = ["alt_circumflex", "alt_verbnames", "dupnames", "firstline", "ungreedy"];

/** One word of status_code: `200` or `200-299`; undefined, with a message, when it is neither. */
function statusRange(word: Word, reader: Reader): [number, number] | undefined {
  const found = /^(\d+)(?:-(\d+))?$/.exec(word.text);
  const low = Number(found?.[1]);
  const high = Number(found?.[2] ?? found?.[1]);
  if (found && low >= 100 && high <= 599 && low <= high) return [low, high];
  reader.error("bad-value", word, `"${word.text}" is no status code 100..599, nor a range like 200-299`, {
    own: "Invalid HTTP_GET status code '%s'",
    ownCode: "bad-number",
  });
  return undefined;
}

/** The keywords of a url block. */
export const URL_KEYWORDS = table<UrlDraft>({
  path: quotedKeyword("path"),
  digest: {
    least: 1,
    read({ words }, into, reader) {
      const { text } = words[1];
      if (/^[0-9a-f]{32}$/i.test(text)) {
        into.digest = text.toLowerCase();
        return;
      }
      const at = [...text].findIndex((c) => !/[0-9a-f]/i.test(c)) & ~1;
      reader.error(
        "bad-value",
        words[1],
        `a digest has 32 hexadecimal digits; this has ${text.length} characters`,
        {
          remedy: "genhash prints the digest of a page",
          own:
            text.length === 32
              ? `Unable to interpret hex digit in '${text.slice(at, at + 2)}' at offset ${at}/${at + 1}`
              : `digest '%s' character length should be 32 rather than ${text.length}`,
        },
      );
    },
  },
  status_code: {
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read({ words }, into, reader) {
      for (const word of words.slice(1)) {
        const range = statusRange(word, reader);
        if (range) into.statusCodes.push(range);
      }
    },
  },
  virtualhost: { ...wordKeyword<UrlDraft>("virtualhost"), absent: "Missing HTTP_GET virtualhost name" },
  regex: {
    least: 1,
    absent: "regex missing or too many fields",
    most: Number.POSITIVE_INFINITY,
    read(statement, into, reader) {
      const words = quotedWords(statement);
      if (words.length > 1) {
        surplus({ ...statement, words: [statement.words[0], ...words] }, 2, reader);
        reader.say("bad-value", "regex missing or too many fields", { from: words[0].from });
      }
      const [word] = words;
      into.regex = { word, text: word?.text ?? "" };
    },
  },
  regex_no_match: markKeyword("negated", true),
  regex_options: {
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read({ words }, into, reader) {
      for (const word of words.slice(1)) {
        const name = word.text.toLowerCase();
        if (Object.hasOwn(OPTIONS, name)) into.regexOptions.add(name);
        else if (OPTIONS_WITHOUT_EFFECT.has(name)) {
          reader.notice("no-effect", word, `regex option ${name} has no effect here`);
        } else {
          const known = [...Object.keys(OPTIONS), ...OPTIONS_WITHOUT_EFFECT];
          const near = suggest(name, known);
          const refused = OPTIONS_REFUSED.includes(name);
          reader.error(
            "bad-value",
            word,
            refused ? `regex option ${name} has no counterpart here` : `regex option ${name} is unknown`,
            near === undefined || refused ? {} : { remedy: `the nearest is ${near}` },
          );
        }
      }
    },
  },
  regex_min_offset: {
    least: 1,
    read({ words }, into, reader) {
      const value = int(
        words[1],
        0,
        Number.MAX_SAFE_INTEGER,
        reader,
        "Invalid regex_min_offset %s specified",
      );
      if (value !== undefined) into.minOffset = value;
    },
  },
  regex_max_offset: {
    least: 1,
    read({ words }, into, reader) {
      const value = int(
        words[1],
        0,
        Number.MAX_SAFE_INTEGER,
        reader,
        "Invalid regex_max_offset %s specified",
      );
      if (value !== undefined) into.maxOffset = value;
    },
  },
  regex_stack: { least: 1, most: 2, without: "patterns need no stack here; remove it" },
});

/** The pattern of a url, translated; undefined, with a message, when it cannot be. */
function patternOf(url: UrlDraft, reader: Reader): PatternSpec | undefined {
  if (url.regex === undefined) return undefined;
  const { word, text } = url.regex;
  const options: PatternOptions = Object.fromEntries(
    [...url.regexOptions].map((name) => [OPTIONS[name], true]),
  );
  const translated = translatePattern(asBytes(text), options);
  if (translated.ok) return { ...translated.pattern, ...(url.negated ? { negated: true } : {}) };
  reader.error("bad-pattern", word, `the pattern cannot be used: ${translated.reason}`, {
    remedy: `at character ${translated.at + 1} of ${text}`,
  });
  return undefined;
}

/** The finished url; undefined, with a message, without a path. A pattern that cannot be used is told as an error and left out. */
export function urlSpec(url: UrlDraft, reader: Reader): UrlSpec | undefined {
  if (url.path === undefined || url.path === "") {
    reader.error("incomplete-checker", url.word, "this url has no path; it is left out", {
      remedy: "add a line like: path /",
      own: "HTTP/SSL_GET checker url has no path - ignoring",
      ownAt: url.close,
    });
    return undefined;
  }
  const pattern = patternOf(url, reader);
  const { minOffset: min = 0, maxOffset: max } = url;
  if (max !== undefined && max < min) {
    reader.error("bad-range", url.word, `regex_min_offset ${min} is beyond regex_max_offset ${max}`, {
      own: `regex min offset ${min} > regex_max_offset ${max} - ignoring`,
    });
  }
  const offsets = url.minOffset !== undefined || max !== undefined;
  if (url.regex === undefined && (url.negated || offsets || url.regexOptions.size > 0)) {
    reader.warn("no-effect", url.word, "the regex_ words of this url have no effect without a regex", {
      remedy: 'add a line like: regex "^OK"',
    });
  }
  return {
    path: url.path,
    statusCodes: url.statusCodes,
    reportLength: true,
    ...(url.digest === undefined ? {} : { digest: url.digest }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(pattern !== undefined && offsets && !(max !== undefined && max < min)
      ? { patternOffset: { min, max: max ?? Number.MAX_SAFE_INTEGER } }
      : {}),
    ...(url.virtualhost === undefined ? {} : { virtualhost: url.virtualhost }),
  };
}
