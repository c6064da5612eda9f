/**
 * `-R`: command lines from stdin, one after the other; `--test` and `--atomic` read them all first.
 * @module
 */
import { TableError } from "../../../core/errors.ts";
import type { Command } from "./command.ts";
import { type Executable, execute, type Surroundings } from "./execute.ts";
import { Failure } from "./failure.ts";
import { parse } from "./parse.ts";
import { refusal, tryHelp } from "./texts.ts";

/** What the lines are run with. */
export interface RestoreContext extends Surroundings {
  /** Prints a failure. `line` counts from 1. */
  report(failure: Failure, line: number, note?: string): Promise<void>;
  /** Prints help or version. */
  tell(kind: "help" | "version"): Promise<void>;
  /** Clear the table before the first line, as ipvsadm-restore does. */
  readonly clear?: boolean;
}

/** A line of words that is not empty. */
interface Numbered {
  readonly number: number;
  readonly words: readonly string[];
}

/** Lines as words. Every word "ipvsadm" is dropped; there are no quotes and no comments. */
async function* lines(chunks: AsyncIterable<string>): AsyncGenerator<Numbered> {
  let rest = "";
  let number = 0;
  const split = (line: string): Numbered => ({
    number: ++number,
    words: line.split(/[ \t\r]+/).filter((w) => w !== "" && w !== "ipvsadm"),
  });
  for await (const chunk of chunks) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop()!;
    for (const part of parts) {
      const line = split(part);
      if (line.words.length > 0) yield line;
    }
  }
  const line = split(rest);
  if (line.words.length > 0) yield line;
}

async function parseLine(words: readonly string[], around: RestoreContext): Promise<Command> {
  const command = await parse(words, around.names, around.io.program);
  if (command.kind === "restore") {
    throw new Failure(tryHelp(around.io.program), 255, true, { kind: "no-restore-inside" });
  }
  return command;
}

/** Runs the lines as they arrive. Returns the exit status: the last line's, or that of the line that ended the run. */
export async function restore(around: RestoreContext): Promise<number> {
  let status = 0;
  for await (const { number, words } of lines(around.io.stdin())) {
    try {
      const command = await parseLine(words, around);
      if (command.kind === "help" || command.kind === "version") {
        await around.tell(command.kind);
        return 0;
      }
      await execute(command as Executable, around);
      status = 0;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await around.report(error, number);
      status = error.status;
      if (error.stops) return status;
    }
  }
  return status;
}

/** Reads every line before anything else. Returns undefined after reporting the faulty ones. */
async function readAll(
  around: RestoreContext,
): Promise<{ commands: [number, Executable][]; status: number }> {
  const commands: [number, Executable][] = [];
  let status = 0;
  for await (const { number, words } of lines(around.io.stdin())) {
    try {
      const command = await parseLine(words, around);
      if (command.kind !== "help" && command.kind !== "version") {
        commands.push([number, command as Executable]);
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await around.report(error, number, "nothing was changed");
      status ||= error.status;
    }
  }
  return { commands, status };
}

/** `--test`: says everything that is wrong with the lines, and changes nothing. */
export async function rehearse(around: RestoreContext): Promise<number> {
  const [{ Rehearsal }, { snapshot }] = await Promise.all([
    import("./rehearsal.ts"),
    import("./rollback.ts"),
  ]);
  let { commands, status } = await readAll(around);
  const paper = new Rehearsal(await snapshot(around.plane));
  if (around.clear) paper.play({ kind: "flush" });
  for (const [number, command] of commands) {
    try {
      paper.play(command);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      const reason = { kind: "refused", command, code: error.code, detail: error.message } as const;
      await around.report(new Failure(refusal(command.kind, error.code), 255, false, reason), number);
      status ||= 255;
    }
  }
  return status;
}

/** `--atomic`: all lines or none. A refusal puts the former table back. */
export async function restoreAtomically(around: RestoreContext): Promise<number> {
  const { rollBack, snapshot } = await import("./rollback.ts");
  const { commands, status } = await readAll(around);
  if (status !== 0) return status;
  const before = await snapshot(around.plane);
  let line = 0;
  try {
    if (around.clear) await around.plane.flush();
    for (const [number, command] of commands) {
      line = number;
      await execute(command, around);
    }
    return 0;
  } catch (error) {
    await rollBack(around.plane, before);
    if (!(error instanceof Failure)) throw error;
    await around.report(error, line, "the former table was put back");
    return error.status;
  }
}
