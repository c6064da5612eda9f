/**
 * `lvsd fmt`: a keepalived.conf in its one form, comments kept.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { decodeText } from "../../../control/config/files.ts";
import { formatConfig } from "../../../control/config/format.ts";

/** Options of the command. */
export interface FmtOptions {
  /** Rewrite the files. */
  readonly write?: true;
  /** Only tell which files are not in the form. */
  readonly check?: true;
}

/** Formats files to standard output, or in place. @returns 1 when `check` finds one that is not in the form */
export function fmt(paths: readonly string[], options: FmtOptions): number {
  let different = 0;
  for (const path of paths) {
    const before = decodeText(readFileSync(path));
    const after = formatConfig(resolve(path), before);
    if (!options.write && !options.check) {
      process.stdout.write(after);
      continue;
    }
    if (after === before) continue;
    different++;
    process.stdout.write(`${path}\n`);
    if (options.write && !options.check) writeFileSync(path, after);
  }
  return options.check && different > 0 ? 1 : 0;
}
