/**
 * The director's settings as the kernel's sysctls under net.ipv4.vs, those of the network namespace this process is in.
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { TableError, type TableErrorCode } from "../../core/errors.ts";
import { checkSetting, isSetting, type Settings } from "../../core/settings.ts";
import { noFullNat } from "./translate.ts";

/** Where the kernel has them. */
export const SYSCTLS = "/proc/sys/net/ipv4/vs";

/** Codes of the file system that the table knows too. */
const CODES: readonly TableErrorCode[] = ["EINVAL", "EPERM", "ENOMEM"];

/** Those that this kernel has; which ones differs between versions. @throws TableError */
export function readSettings(directory = SYSCTLS): Partial<Settings> {
  const found: Record<string, number | string> = {};
  let names: string[];
  try {
    names = readdirSync(directory).filter(isSetting).sort();
  } catch {
    throw new TableError("ENOPROTOOPT", `${directory} is not there: ip_vs is not loaded`);
  }
  for (const name of names) {
    const text = readFileSync(`${directory}/${name}`, "utf8").trim().replace(/\s+/g, " ");
    found[name] = name === "sync_threshold" ? text : Number(text);
  }
  return found;
}

/** Checks all, then writes them one by one. @throws TableError, UnsupportedError for what only other planes have */
export function writeSettings(change: Partial<Settings>, directory = SYSCTLS): void {
  const wanted = Object.entries(change) as [keyof Settings, number | string][];
  const present = readSettings(directory);
  for (const [name, value] of wanted) {
    if (name === "fullnat_toa") noFullNat();
    checkSetting(name, value);
    if (!Object.hasOwn(present, name))
      throw new TableError("ENOENT", `this kernel's ip_vs has no setting ${name}`);
  }
  for (const [name, value] of wanted) {
    try {
      writeFileSync(`${directory}/${name}`, String(checkSetting(name, value)));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const known = code === "EACCES" ? "EPERM" : CODES.find((c) => c === code);
      throw new TableError(known ?? "EIO", `${name} = ${value}: ${message}`);
    }
  }
}
