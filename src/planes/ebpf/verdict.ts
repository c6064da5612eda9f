/**
 * Whether the eBPF plane works here, as it was found out before: trying takes longer than a command should take to start. Loads
 * nothing of the plane itself.
 * @module
 */
import { accessSync, constants, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { bootId } from "../../sys/boot-id.ts";

/** What {@link circumstances} or what is tried means another thing than before. */
const VERSION = 2;

/** Milliseconds for which a "does not work" is believed: what stood in the way may have been mended, or have been passing. */
const NO_FOR_MS = 60_000;

const fileOf = (directory: string): string => `${directory}/ebpf-works.json`;

const orNothing = (read: () => string): string => {
  try {
    return read().trim();
  } catch {
    return "";
  }
};

/** Whether this process may set sysctls: of two that share the folder one may be in a container. */
function setsSysctls(): string {
  try {
    accessSync("/proc/sys/net/ipv4/conf/lo/forwarding", constants.W_OK);
    return "sets sysctls";
  } catch {
    return `finds ${orNothing(() => readFileSync("/proc/sys/net/ipv4/conf/lo/forwarding", "utf8"))}`;
  }
}

/** What the answer depends on: kernel, its compiler, libraries that are installed, what this process may. */
const circumstances = (): string =>
  [
    VERSION,
    bootId(),
    release(),
    orNothing(() => readFileSync("/proc/sys/net/core/bpf_jit_enable", "utf8")),
    orNothing(() => String(statSync("/etc/ld.so.cache").mtimeMs)),
    setsSysctls(),
    orNothing(() => /^CapEff:\s*(\w+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? ""),
  ].join(" ");

/** What was found out, or {@link find}s out now and writes it down. @returns why the plane does not work; undefined when it does */
export async function knownMissing(
  directory: string,
  find: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const now = circumstances();
  const path = fileOf(directory);
  try {
    const { when, missing } = JSON.parse(readFileSync(path, "utf8")) as { when: string; missing?: string };
    const age = Date.now() - statSync(path).mtimeMs;
    if (when === now && (missing === undefined || age < NO_FOR_MS)) return missing;
  } catch {
    // Never tried, or not ours to read.
  }
  const missing = await find();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify({ when: now, missing }), { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    // It is found out again next time.
  }
  return missing;
}
