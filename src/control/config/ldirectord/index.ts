/**
 * The door of this folder: an ldirectord.cf as wanted state, with what is to be said about it.
 * @module
 */
import { resolve } from "node:path";
import type { Wanted } from "../../wanted.ts";
import type { Diagnostic } from "../diagnostic.ts";
import { type Facts, machineFacts } from "./facts.ts";
import { readText } from "./read.ts";
import type { LdirectordFile } from "./settings.ts";
import { toWanted } from "./wanted.ts";

export type { Facts, HostNames } from "./facts.ts";
export type { LdirectordFile, VirtualSettings } from "./settings.ts";

/** What came of reading. With an error among the diagnostics nothing of it shall be used. */
export interface LdirectordReading {
  readonly wanted: Wanted;
  /** In the order in which the original would have met them: the first error is the one that it reports. */
  readonly diagnostics: readonly Diagnostic[];
  /** The file's own settings, defaults resolved. */
  readonly tree: LdirectordFile;
}

/** Reads a file. What the machine is asked for can be replaced. */
export function readLdirectord(path: string, options: Partial<Facts> = {}): LdirectordReading {
  const facts: Facts = { ...machineFacts(), ...options };
  const absolute = resolve(path);
  const text = facts.files.read(absolute);
  const { file, source, diagnostics } = readText(absolute, text ?? "", facts);
  if (text === undefined) {
    diagnostics.push({
      severity: "error",
      code: "unreadable",
      at: { file: absolute, line: 1, column: 1 },
      length: 1,
      message: "the file cannot be read",
      source: "",
    });
  }
  const wanted = toWanted(file, source, facts);
  return { wanted, diagnostics, tree: file };
}
