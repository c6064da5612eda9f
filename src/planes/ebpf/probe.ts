/**
 * Whether the eBPF plane works on this machine, found by trying what it needs.
 * @module
 */
import { endianness } from "node:os";
import { features } from "../../sys/bpf/features.ts";
import { DEVIATIONS, REFUSALS } from "./refusals.ts";

/** Why it does not work here, one sentence; undefined when it does. */
export function ebpfMissing(): string | undefined {
  if (process.geteuid?.() !== 0) return "it needs root: BPF programs and maps are root's";
  if (endianness() !== "LE") return "its programs are built for little-endian processors";
  const missing = features().filter((f) => f.required && !f.present);
  if (missing.length === 0) return undefined;
  const [first] = missing;
  if (missing.every((f) => f.reason === first!.reason) && first!.reason) return first!.reason;
  return `missing: ${missing.map((f) => f.reason ?? `${f.name} (Linux ${f.since})`).join(", ")}`;
}

/** How it works here, and what it has not; a sentence each. */
export function ebpfDetails(): string[] {
  const tcx = features().find((f) => f.name === "TCX links")?.present;
  return [
    `programs hook interfaces by ${tcx ? "TCX links" : "classic TC filters (TCX needs Linux 6.6)"}`,
    ...REFUSALS,
    ...DEVIATIONS,
  ];
}
