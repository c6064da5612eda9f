/**
 * What `lvsd planes` says about the eBPF plane: whether it works, what it cannot do, and which interfaces of this namespace it sees.
 * @module
 */

import { hookReport } from "./hooks.ts";
import { installed } from "./installation.ts";
import { ebpfPaths } from "./paths.ts";
import { ebpfDetails, ebpfMissing } from "./probe.ts";

/** One sentence a finding. */
export function report(): { works: boolean; details: string[] } {
  const missing = ebpfMissing();
  if (missing !== undefined) return { works: false, details: [missing] };
  return { works: true, details: [...ebpfDetails(), ...hookDetails()] };
}

function hookDetails(): string[] {
  const paths = ebpfPaths();
  if (!installed(paths)) return [];
  const { hooked, covered, missing } = hookReport(paths);
  return [
    `it is in this namespace, on ${hooked.join(", ")}`,
    ...covered.map((name) => `${name} is a port: its packets are seen at its bridge or bond`),
    ...missing.map(({ name, reason }) => `${name} is not hooked: ${reason}`),
  ];
}
