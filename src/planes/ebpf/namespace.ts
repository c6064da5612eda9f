/**
 * What forwarding by BPF needs of a network namespace: a loopback interface that is up and may forward (routes are looked up as
 * for packets of the host itself). What is changed is noted, and taken back with the last rule.
 * @module
 */
import { accessSync, constants, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { UnsupportedError } from "../../core/errors.ts";
import { setLinkUp } from "../../sys/bpf/interfaces.ts";
import type { EbpfPaths } from "./paths.ts";

/** Without these no route is found for what is to go on. */
const FORWARDING = {
  4: "net/ipv4/conf/lo/forwarding",
  6: "net/ipv6/conf/lo/forwarding",
} as const;
const WANTED: Readonly<Record<string, string>> = {
  [FORWARDING[4]]: "1",
  "net/ipv4/conf/lo/accept_local": "1",
  [FORWARDING[6]]: "1",
};

const noteOf = (paths: EbpfPaths): string => `${paths.run}/ebpf-${paths.cookie}.sysctls`;

const read = (name: string): string | undefined => {
  try {
    return readFileSync(`/proc/sys/${name}`, "utf8").trim();
  } catch {
    return undefined; // a kernel without IPv6
  }
};

const write = (name: string, value: string): void => {
  try {
    writeFileSync(`/proc/sys/${name}`, value);
  } catch {
    // Read-only: whoever needs it is told.
  }
};

/**
 * Why packets of a family cannot go on here; undefined when they can, or what it takes can be set. In containers /proc/sys is read-only
 * as a rule.
 */
export function forwardingMissing(family: 4 | 6): string | undefined {
  const name = FORWARDING[family];
  const found = read(name);
  if (found === undefined || found === WANTED[name]) return undefined;
  try {
    accessSync(`/proc/sys/${name}`, constants.W_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `routes are found with ${name.replaceAll("/", ".")}=1 only, which has to be set from outside: /proc/sys cannot be written here (${code})`;
  }
}

/** Refuses services whose packets could not go on. @throws UnsupportedError */
export function checkForwarding(family: 4 | 6): void {
  const why = forwardingMissing(family);
  if (why) throw new UnsupportedError(`services of IPv${family}: ${why}; the engine plane does without`);
}

/** Names of what is not set: also sysctls that were, when net.ipv4.ip_forward was written, which counts for every interface. */
export function unprepared(): string[] {
  const wrong = Object.entries(WANTED).filter(([name, value]) => (read(name) ?? value) !== value);
  return wrong.map(([name]) => name.replaceAll("/", "."));
}

/** Sets what is not set. */
export function prepareNamespace(paths: EbpfPaths): void {
  const before = Object.entries(WANTED).flatMap(([name, value]) => {
    const found = read(name);
    return found === undefined || found === value ? [] : [[name, found] as const];
  });
  if (before.length > 0) {
    // Who is killed here has not lost what there was.
    const temporary = `${noteOf(paths)}.new`;
    writeFileSync(temporary, JSON.stringify({ ...noted(paths), ...Object.fromEntries(before) }));
    renameSync(temporary, noteOf(paths));
  }
  for (const [name] of before) write(name, WANTED[name]!);
  setLinkUp(1);
}

function noted(paths: EbpfPaths): Record<string, string> {
  try {
    return JSON.parse(readFileSync(noteOf(paths), "utf8")) as Record<string, string>;
  } catch {
    return {};
  }
}

/** Sets back what {@link prepareNamespace} had set. The loopback interface stays up. */
export function restoreNamespace(paths: EbpfPaths): void {
  for (const [name, value] of Object.entries(noted(paths))) write(name, value);
  rmSync(noteOf(paths), { force: true });
}
