/**
 * Reads a configuration of either language: keepalived.conf or ldirectord.cf.
 * @module
 */
import { posix } from "node:path";
import type { Wanted } from "../wanted.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { DISK } from "./files.ts";
import type { Edit } from "./fixes.ts";
import { type ReadOptions, readKeepalivedText, type Said } from "./keepalived/index.ts";
import { readLdirectord } from "./ldirectord/index.ts";

/** What reading any configuration gives. */
export interface ConfigReading {
  readonly wanted: Wanted;
  readonly diagnostics: readonly Diagnostic[];
  /** keepalived.conf only: what `keepalived -t` says. */
  readonly said?: readonly Said[];
  /** keepalived.conf only: corrections for what can be corrected without asking. */
  readonly fixes?: readonly Edit[];
}

/**
 * The language of a configuration: by its content, which is `word = value` lines for ldirectord and blocks in braces for
 * keepalived; by the name `*.cf` when the content tells nothing.
 */
export function languageOf(path: string, text: string): Wanted["language"] {
  let keepalived = 0;
  let ldirectord = 0;
  for (const line of text.split("\n")) {
    const bare = line.replace(/^[\s\u00a0]+/, "");
    if (bare === "" || /^[#!$@~]/.test(bare)) continue;
    if (/^[A-Za-z_][\w-]*\s*=/.test(bare)) ldirectord++;
    else if (
      /[{}]/.test(bare) ||
      /^(include\w?|global_defs|vrrp_\w+|virtual_server\w*|net_namespace|instance)\b/.test(bare)
    ) {
      keepalived++;
    }
  }
  if (keepalived === 0 && ldirectord === 0) return path.endsWith(".cf") ? "ldirectord" : "keepalived";
  return ldirectord > keepalived ? "ldirectord" : "keepalived";
}

/**
 * Reads a file of either language.
 * @throws Error when the file itself cannot be read
 */
export async function readConfig(path: string, options: ReadOptions = {}): Promise<ConfigReading> {
  const absolute = posix.resolve(path);
  const text = (options.files ?? DISK).read(absolute);
  if (text === undefined) throw new Error(`cannot read ${path}`);
  if (languageOf(absolute, text) === "keepalived") return readKeepalivedText(absolute, text, options);
  return readLdirectord(absolute, options.files ? { files: options.files } : {});
}
