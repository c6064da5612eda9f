/**
 * What forwarding by BPF needs of a network namespace: a loopback interface that is up and may forward (routes are looked up as
 * for packets of the host itself). What is changed is noted, and taken back with the last rule.
 * @module
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { setLinkUp } from "../../sys/bpf/interfaces.ts";
import type { EbpfPaths } from "./paths.ts";

const WANTED: Readonly<Record<string, string>> = {
  "net/ipv4/conf/lo/forwarding": "1",
  "net/ipv4/conf/lo/accept_local": "1",
  "net/ipv6/conf/lo/forwarding": "1",
};

const noteOf = (paths: EbpfPaths): string => `${paths.run}/ebpf-${paths.cookie}.sysctls`;

const read = (name: string): string | undefined => {
  try {
    return readFileSync(`/proc/sys/${name}`, "utf8").trim();
  } catch {
    return undefined; // a kernel without IPv6
  }
};

const write = (name: string, value: string): boolean => {
  try {
    writeFileSync(`/proc/sys/${name}`, value);
    return true;
  } catch {
    return false;
  }
};

/** Sets what is not set. @returns what could not be set */
export function prepareNamespace(paths: EbpfPaths): string[] {
  const before: Record<string, string> = {};
  const failed: string[] = [];
  for (const [name, value] of Object.entries(WANTED)) {
    const found = read(name);
    if (found === undefined || found === value) continue;
    if (write(name, value)) before[name] = found;
    else failed.push(`${name.replaceAll("/", ".")}=${value}`);
  }
  if (Object.keys(before).length > 0)
    writeFileSync(noteOf(paths), JSON.stringify({ ...noted(paths), ...before }));
  setLinkUp(1);
  return failed;
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
