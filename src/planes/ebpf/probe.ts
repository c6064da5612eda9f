/**
 * Whether the eBPF plane works on this machine, found by trying what it needs.
 * @module
 */
import { readFileSync } from "node:fs";
import { endianness, release } from "node:os";
import { isBpffs } from "../../sys/bpf/bpffs.ts";
import { features } from "../../sys/bpf/features.ts";
import { image, loadImage, wantedEntries } from "./image.ts";
import { forwardingMissing } from "./namespace.ts";
import { ebpfPaths } from "./paths.ts";
import { DEVIATIONS, REFUSALS } from "./refusals.ts";

/** The oldest kernel that the programs are tested with. */
const MINIMUM = [6, 1] as const;
const CAP_SYS_ADMIN = 21n;

/** Why it does not work here, one sentence; undefined when it does. */
export function ebpfMissing(): string | undefined {
  if (process.geteuid?.() !== 0) return "it needs root: BPF programs and maps are root's";
  if (endianness() !== "LE") return "its programs are built for little-endian processors";
  const missing = features().filter((f) => f.required && !f.present);
  if (missing.length === 0) return nowhereToPin() ?? forwardingMissing(4) ?? refusedByOld();
  const [first] = missing;
  if (missing.every((f) => f.reason === first!.reason) && first!.reason) return first!.reason;
  return `missing: ${missing.map((f) => f.reason ?? `${f.name} (Linux ${f.since})`).join(", ")}`;
}

/** Pins need a file system that only CAP_SYS_ADMIN may mount. */
function nowhereToPin(): string | undefined {
  const effective = /^CapEff:\s*(\w+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  if ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n || isBpffs(ebpfPaths().bpffs)) return undefined;
  return "it needs CAP_SYS_ADMIN, to mount the file system that its pins are in";
}

/** Older kernels may have everything by their distributor's care, or lack what no feature tells: there, loading tells. */
function refusedByOld(): string | undefined {
  const [major = 0, minor = 0] = release()
    .split(".")
    .map((part) => Number.parseInt(part, 10));
  const [wantedMajor, wantedMinor] = MINIMUM;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return undefined;
  try {
    loadImage(image().bytes, wantedEntries()).close();
    return undefined;
  } catch (error) {
    return `it needs Linux ${MINIMUM.join(".")}: this ${release()} refuses its programs (${(error as Error).message})`;
  }
}

/** How it works here, and what it has not; a sentence each. */
export function ebpfDetails(): { readonly by: string; readonly otherwise: readonly string[] } {
  const tcx = features().find((f) => f.name === "TCX links")?.present;
  return {
    by: `programs hook interfaces by ${tcx ? "TCX links" : "classic TC filters (TCX needs Linux 6.6)"}`,
    otherwise: [...REFUSALS, ...DEVIATIONS],
  };
}
