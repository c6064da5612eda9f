/**
 * Things that are watched: vrrp_script, vrrp_track_process, track_file, bfd_instance, and the track_ blocks that name them.
 * @module
 */

import { USER_KEYWORD } from "./checkers.ts";
import { type Keyword, readBlock, type Table, table } from "./keyword.ts";
import type { Reader } from "./reader.ts";
import { placeOf, type Word } from "./text.ts";
import type { Statement } from "./tree.ts";
import { commandLine, int, intKeyword, markKeyword, quotedKeyword, scriptKeyword, timer } from "./values.ts";
import type { ScriptDraft, TrackDraft, TrackLists, VrrpDraft } from "./vrrp-draft.ts";

const INT_MAX = 2147483647;
/** Longest interval, in seconds. */
const INTERVAL_MAX_S = 4294;

/** `weight N [reverse]`; `limit` is the largest absolute value. */
function weightKeyword<T extends { weight?: number; reverse?: boolean }>(
  limit: number,
  own: string,
): Keyword<T> {
  return {
    least: 1,
    most: 2,
    read({ words }, into, reader) {
      const value = int(words[1], -limit, limit, reader, own);
      if (value !== undefined) into.weight = value;
      reversed(words[2], into, "vrrp_track_process", reader);
    },
  };
}

function reversed(word: Word | undefined, into: { reverse?: boolean }, whose: string, reader: Reader): void {
  if (word === undefined) return;
  if (word.text === "reverse" || word.text === "noreverse") into.reverse = word.text === "reverse";
  else {
    reader.error("bad-value", word, `"${word.text}" is neither reverse nor noreverse`, {
      own: `${whose} unknown weight option %s`,
    });
  }
}

const SCRIPT: Table<ScriptDraft> = table<ScriptDraft>({
  script: scriptKeyword("script"),
  interval: {
    least: 1,
    read({ words }, into, reader) {
      const own = `(${into.name}): vrrp script interval '%s' must be between 1 and ${INTERVAL_MAX_S} - ignoring`;
      const value = int(words[1], 0, INTERVAL_MAX_S, reader, own);
      if (value === 0) {
        reader.warn("value-raised-to-minimum", words[1], "the shortest interval is 1 s; it is used", {
          own: `(${into.name}): vrrp script interval must be greater than 0, setting to 1`,
        });
      }
      if (value !== undefined) into.intervalS = value || 1;
    },
  },
  timeout: {
    least: 1,
    read({ words }, into, reader) {
      const value = int(
        words[1],
        0,
        INTERVAL_MAX_S,
        reader,
        `(${into.name}): vrrp script timeout '%s' invalid - ignoring`,
      );
      if (value !== undefined) into.timeoutS = value;
    },
  },
  weight: {
    least: 1,
    most: 2,
    read({ words }, into, reader) {
      const value = int(
        words[1],
        -253,
        253,
        reader,
        `vrrp_script ${into.name} weight %s must be in [-253, 253]`,
      );
      if (value !== undefined) into.weight = value;
      reversed(words[2], into, `vrrp_script ${into.name}`, reader);
    },
  },
  rise: {
    least: 1,
    read({ words }, into, reader) {
      const own = `(${into.name}): vrrp script rise value '%s' invalid, defaulting to 1`;
      const value = int(words[1], 1, INT_MAX, reader, own);
      if (value !== undefined) into.rise = value;
    },
  },
  fall: {
    least: 1,
    read({ words }, into, reader) {
      const own = `(${into.name}): vrrp script fall value '%s' invalid, defaulting to 1`;
      const value = int(words[1], 1, INT_MAX, reader, own);
      if (value !== undefined) into.fall = value;
    },
  },
  user: USER_KEYWORD as Keyword<ScriptDraft>,
  init_fail: { without: "an instance waits for the first result of its scripts anyway" },
});

interface FileDraft {
  path?: string;
  weight?: number;
  reverse?: boolean;
  init?: { value: number; overwrite: boolean };
}

const FILE: Table<FileDraft> = table<FileDraft>({
  file: quotedKeyword("path"),
  weight: weightKeyword(254, "Weight (%s) for track_file must be between [-254..254] inclusive. Ignoring..."),
  init_file: {
    most: 2,
    read({ words }, into, reader) {
      const number = words[1] !== undefined && words[1].text !== "overwrite" ? words[1] : undefined;
      const value = number === undefined ? 0 : int(number, -INT_MAX, INT_MAX, reader);
      const overwrite = words.slice(1).some(({ text }) => text === "overwrite");
      if (value !== undefined) into.init = { value, overwrite };
    },
  },
});

interface ProcessDraft {
  command?: string[];
  match: "exact" | "initial" | "partial";
  weight?: number;
  reverse?: boolean;
  quorum?: number;
  quorumMax?: number;
  delayMs?: number;
  fullCommand?: boolean;
}

const delayKeyword: Keyword<ProcessDraft> = {
  least: 1,
  read({ words }, into, reader) {
    const own = `${words[0].text} (%s) for vrrp_track_process must be between [0.000001..3600] inclusive. Ignoring...`;
    const value = timer(words[1], 0.000001, 3600, reader, own);
    if (value !== undefined) into.delayMs = Math.max(into.delayMs ?? 0, value);
  },
};

const PROCESS: Table<ProcessDraft> = table<ProcessDraft>({
  process: {
    least: 1,
    most: Number.POSITIVE_INFINITY,
    read(statement, into) {
      into.command = commandLine(statement);
    },
  },
  param_match: {
    least: 1,
    read({ words }, into, reader) {
      const { text } = words[1];
      if (text === "exact" || text === "initial" || text === "partial") into.match = text;
      else {
        reader.error("bad-value", words[1], `"${text}" is neither initial nor partial`, {
          own: "Invalid param_match type %s - ignoring",
        });
      }
    },
  },
  weight: weightKeyword(
    254,
    "Weight (%s) for vrrp_track_process must be between [-254..254] inclusive. Ignoring...",
  ),
  quorum: intKeyword(
    "quorum",
    1,
    65535,
    "Quorum (%s) for vrrp_track_process must be between [1..65535] inclusive. Ignoring...",
  ),
  quorum_max: intKeyword(
    "quorumMax",
    0,
    65535,
    "quorum_max (%s) for vrrp_track_process must be between [0..65535] inclusive. Ignoring...",
  ),
  delay: delayKeyword,
  fork_delay: delayKeyword,
  terminate_delay: delayKeyword,
  full_command: markKeyword("fullCommand", true),
});

/** BFD is not spoken here; its blocks are known words. */
const BFD: Table<object> = table<object>(
  Object.fromEntries(
    [
      "neighbor_ip",
      "neighbour_ip",
      "source_ip",
      "min_rx",
      "min_tx",
      "idle_tx",
      "multiplier",
      "passive",
      "ttl",
      "hoplimit",
      "max_hops",
      "weight",
      "vrrp",
      "checker",
      "multihop",
    ].map((word) => [word, { most: 2 }]),
  ),
);

/** Tells of a name that is taken; the later one is left out. */
export function taken(what: string, word: Word, reader: Reader, own?: string): void {
  reader.error("duplicate-name", word, `there is a ${what} ${word.text} already; this one is left out`, {
    remedy: "give it another name",
    ...(own === undefined ? {} : { own }),
  });
}

function readScript(statement: Statement, into: VrrpDraft, reader: Reader): void {
  const [word, name] = statement.words;
  const draft: ScriptDraft = { word, close: statement.close, name: name.text };
  readBlock(statement.block ?? [], SCRIPT, draft, "vrrp_script", reader);
  if (into.scripts.has(name.text)) {
    taken("vrrp_script", name, reader);
    return;
  }
  if (draft.script === undefined) {
    reader.error("incomplete-script", name, `vrrp_script ${name.text} names no program; it is left out`, {
      remedy: 'add a line: script "/path/to/program"',
      own: `No script set for vrrp_script ${name.text} - removing`,
      ownAt: statement.close,
    });
    return;
  }
  into.scripts.set(name.text, draft);
}

function readFile(statement: Statement, into: VrrpDraft, reader: Reader): void {
  const [, name] = statement.words;
  const draft: FileDraft = {};
  readBlock(statement.block ?? [], FILE, draft, "track_file", reader);
  if (into.files.has(name.text)) {
    taken("track_file", name, reader, `track_file ${name.text} already specified`);
    return;
  }
  if (draft.path === undefined || draft.path === "") {
    reader.error("missing-parameter", name, `track_file ${name.text} names no file; it is left out`, {
      remedy: "add a line: file PATH",
      own: `No file set for track_file ${name.text} - ignoring`,
      ownAt: statement.close,
    });
    return;
  }
  const weight = draft.weight ?? 1;
  const reverse = draft.reverse ?? false;
  into.files.set(name.text, {
    name: name.text,
    path: draft.path,
    weight,
    reverse,
    ...(draft.init === undefined ? {} : { init: draft.init }),
    at: placeOf(statement.words[0]),
  });
  into.trackFiles.set(name.text, { path: draft.path, weight, reverse });
}

function readProcess(statement: Statement, into: VrrpDraft, reader: Reader): void {
  const [, name] = statement.words;
  const draft: ProcessDraft = { match: "exact" };
  readBlock(statement.block ?? [], PROCESS, draft, "vrrp_track_process", reader);
  if (into.processes.has(name.text)) {
    taken("vrrp_track_process", name, reader);
    return;
  }
  if (!draft.command?.[0]) {
    reader.error(
      "missing-parameter",
      name,
      `vrrp_track_process ${name.text} names no process; it is left out`,
      {
        remedy: "add a line: process NAME",
        own: `track process '${name.text}' process name not specified`,
        ownAt: statement.close,
      },
    );
    return;
  }
  // Without parameters, and without full_command, only the name of the program counts.
  const match =
    draft.command.length === 1 && draft.match === "exact" && !draft.fullCommand ? "name" : draft.match;
  into.processes.set(name.text, {
    name: name.text,
    command: draft.command,
    match,
    weight: (draft.weight ?? 1) * (draft.reverse ? -1 : 1),
    quorum: draft.quorum ?? 1,
    ...(draft.quorumMax === undefined ? {} : { quorumMax: draft.quorumMax }),
    delayMs: draft.delayMs ?? 0,
    fullCommand: draft.fullCommand ?? false,
    at: placeOf(statement.words[0]),
  });
}

const TRACK_FILE: Keyword<VrrpDraft> = { block: FILE as Table<never>, least: 1, read: readFile };

/** The blocks of things to watch. */
export const TRACKED_BLOCKS: Readonly<Record<string, Keyword<VrrpDraft>>> = {
  vrrp_script: { block: SCRIPT as Table<never>, least: 1, read: readScript },
  track_file: TRACK_FILE,
  vrrp_track_file: {
    ...TRACK_FILE,
    instead: "write track_file",
    rename: "track_file",
  },
  vrrp_track_process: { block: PROCESS as Table<never>, least: 1, read: readProcess },
  track_process: { block: PROCESS as Table<never>, least: 1, foreign: true, read: readProcess },
  bfd_instance: {
    block: BFD as Table<never>,
    least: 1,
    without: "there are no BFD sessions here; use shorter adverts (version 3) instead",
    read(statement, into, reader) {
      into.bfdNames.add(statement.words[1].text);
      readBlock(statement.block ?? [], BFD, {}, "bfd_instance", reader);
    },
  },
};

/** One line of a track_ block: `NAME [weight N [reverse]]`. */
function readTracked(item: Statement, limit: number, whose: string, reader: Reader): TrackDraft {
  const [word, ...options] = item.words;
  const draft: TrackDraft = { word };
  for (let i = 0; i < options.length; i++) {
    const option = options[i];
    if (option.text === "weight" && options[i + 1] !== undefined) {
      const value = int(
        options[++i],
        -limit,
        limit,
        reader,
        `(${whose}) weight %s for ${word.text} must be between [-${limit}..${limit}] inclusive. Ignoring...`,
      );
      if (value !== undefined) draft.weight = value;
    } else if (option.text === "weight") {
      reader.error("missing-parameter", option, "weight needs a number after it", {
        own: `weight without value specified for ${word.text} - ignoring`,
      });
    } else if (option.text === "reverse" || option.text === "noreverse")
      draft.reverse = option.text === "reverse";
    else {
      reader.error("bad-value", option, `"${option.text}" is no option of what is tracked`, {
        remedy: "NAME, then perhaps: weight N, then perhaps: reverse",
        own: `unknown track option ${option.text} - ignoring`,
      });
    }
  }
  return draft;
}

function trackBlock(field: keyof TrackLists, limit: number): Keyword<TrackLists & { readonly name: string }> {
  return {
    block: "items",
    read({ block }, into, reader) {
      for (const item of block ?? []) {
        const draft = readTracked(item, limit, into.name, reader);
        const list: TrackDraft[] = into[field];
        if (list.some((each) => each.word.text === draft.word.text)) {
          reader.warn(
            "duplicate-setting",
            draft.word,
            `${draft.word.text} is tracked already; the first one is used`,
            {
              own: `(${into.name}) duplicate ${wordOf(field)} %s - ignoring`,
            },
          );
        } else list.push(draft);
      }
    },
  };
}

/** `trackScripts` as `track_script`. */
const wordOf = (field: keyof TrackLists): string =>
  field === "trackProcesses"
    ? "track_process"
    : field.replace("track", "track_").toLowerCase().replace(/s$/, "");

/** The track_ blocks of instances and groups. */
export const TRACK_LISTS: Readonly<Record<string, Keyword<TrackLists & { readonly name: string }>>> = {
  track_interface: trackBlock("trackInterfaces", 253),
  track_script: trackBlock("trackScripts", 253),
  track_file: trackBlock("trackFiles", 254),
  track_process: trackBlock("trackProcesses", 254),
  track_bfd: { block: "items", without: "there are no BFD sessions here" },
};
