/**
 * Runs golden cases: command lines in, a transcript out.
 *
 * A case has one command a line, words split at blanks. `#< text` is a line for its stdin, `#<% text` the same with escapes and
 * without a line feed, other `#` lines are comments. The transcript of a command is `$ COMMAND`, its stdout, its stderr with
 * `! ` before each line, `= STATUS`.
 * @module
 */

import type { Io } from "../../src/interfaces/cli/ipvsadm/io.ts";
import { type OpenPlane, run } from "../../src/interfaces/cli/ipvsadm/main.ts";
import { restore, save } from "../../src/interfaces/cli/ipvsadm/wrappers.ts";
import type { Names } from "../../src/interfaces/cli/names.ts";

/** One command of a case. */
export interface Step {
  readonly line: string;
  readonly stdin: string;
}

/** What a command did. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\" };

const expand = (text: string): string =>
  text.replace(/\\(0[0-7]{1,3}|[nrt\\])/g, (_, what: string) =>
    what[0] === "0" ? String.fromCharCode(Number.parseInt(what, 8)) : ESCAPES[what],
  );

/** Reads the text of a case. */
export function readCase(text: string): Step[] {
  const steps: { line: string; stdin: string }[] = [];
  for (const line of text.split("\n")) {
    const last = steps.at(-1);
    if (line.startsWith("#<%")) last!.stdin += expand(line.slice(3).replace(/^ /, ""));
    else if (line.startsWith("#<")) last!.stdin += `${line.slice(2).replace(/^ /, "")}\n`;
    else if (line !== "" && !line.startsWith("#")) steps.push({ line, stdin: "" });
  }
  return steps;
}

const prefixed = (text: string, prefix: string): string =>
  text === ""
    ? ""
    : `${text
        .replace(/\n$/, "")
        .split("\n")
        .map((l) => prefix + l)
        .join("\n")}\n`;

/** The transcript of one command. */
export const transcript = (step: Step, { stdout, stderr, status }: Outcome): string =>
  `$ ${step.line}\n${prefixed(stdout, "")}${prefixed(stderr, "! ")}= ${status}\n`;

/** Runs a command line in this process. */
export async function runHere(
  line: string,
  stdin: string,
  names: Names,
  openPlane: OpenPlane,
): Promise<Outcome> {
  const [program, ...words] = line.split(/\s+/).filter(Boolean);
  let stdout = "";
  let stderr = "";
  const io: Io = {
    program,
    async *stdin() {
      yield stdin;
    },
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    stderrIsTerminal: () => false,
  };
  const main = { ipvsadm: run, "ipvsadm-save": save, "ipvsadm-restore": restore }[program];
  if (!main) throw new Error(`${program} is not one of our commands`);
  const status = await main(words, io, names, openPlane);
  return { stdout, stderr, status };
}
