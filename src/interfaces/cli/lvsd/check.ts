/**
 * `lvsd check`: everything there is to say about a configuration, with the lines it is about; `--fix` corrects what can be
 * corrected without asking.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Diagnostic, formatDiagnostic } from "../../../control/config/diagnostic.ts";
import { decodeText } from "../../../control/config/files.ts";
import { fixConfig } from "../../../control/config/format.ts";
import { machineInterfaces } from "../../../control/config/interfaces.ts";
import { type ConfigReading, readConfig } from "../../../control/config/read.ts";

/** Options of the command. */
export interface CheckOptions {
  readonly json?: true;
  readonly fix?: true;
  /** Also that the interfaces exist on this machine. */
  readonly interfaces?: true;
  readonly configId?: string;
}

/** `2 errors, 1 warning`; empty when there is nothing. */
function summary(diagnostics: readonly Diagnostic[]): string {
  return (["error", "warning", "notice"] as const)
    .map((severity) => [diagnostics.filter((each) => each.severity === severity).length, severity] as const)
    .filter(([count]) => count > 0)
    .map(([count, severity]) => `${count} ${severity}${count === 1 ? "" : "s"}`)
    .join(", ");
}

/** `3 virtual servers, 2 VRRP instances`. */
function contents({ wanted }: ConfigReading): string {
  const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
  const servers = wanted.virtualServers.reduce((sum, each) => sum + each.servers.length, 0);
  const parts = [
    plural(wanted.virtualServers.length, "virtual server"),
    plural(servers, "real server"),
    plural(wanted.vrrp.instances.length, "VRRP instance"),
  ];
  return parts.join(", ");
}

/** Writes the clean form of every file that has corrections, and of the first one. @returns the files that changed */
function fix({ wanted, fixes }: ConfigReading): string[] {
  if (wanted.language !== "keepalived") throw new Error("--fix is for keepalived.conf only");
  const edits = fixes ?? [];
  return wanted.files.filter((file, i) => {
    if (i > 0 && !edits.some((each) => each.file === file)) return false;
    const before = decodeText(readFileSync(file));
    const after = fixConfig(file, before, edits);
    if (after === before) return false;
    writeFileSync(file, after);
    return true;
  });
}

/** Checks a file. @returns 0 when it can be used as it stands (warnings allowed), 1 when there are errors */
export async function check(path: string, options: CheckOptions): Promise<number> {
  const file = resolve(path);
  const settings = {
    ...(options.configId === undefined ? {} : { configId: options.configId }),
    ...(options.interfaces ? { interfaces: machineInterfaces() } : {}),
  };
  let reading = await readConfig(file, settings);
  let fixed: string[] = [];
  if (options.fix) {
    fixed = fix(reading);
    reading = await readConfig(file, settings);
  }
  const { diagnostics, wanted } = reading;
  const ok = !diagnostics.some(({ severity }) => severity === "error");
  if (options.json) {
    const answer = { ok, language: wanted.language, files: wanted.files, fixed, diagnostics };
    process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
    return ok ? 0 : 1;
  }
  for (const each of fixed) process.stdout.write(`${each}: rewritten\n`);
  for (const each of diagnostics) process.stdout.write(`${formatDiagnostic(each)}\n`);
  const counts = summary(diagnostics);
  process.stdout.write(`${path}: ${contents(reading)}${counts === "" ? ": fine" : `: ${counts}`}\n`);
  return ok ? 0 : 1;
}
