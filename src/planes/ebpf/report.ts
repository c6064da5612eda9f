/**
 * What `lvsd planes` says about the eBPF plane: whether it works, what it cannot do, and which interfaces of this namespace it sees.
 * @module
 */
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { hookReport } from "./hooks.ts";
import { installed } from "./installation.ts";
import { DROP, STATE } from "./layout.ts";
import { Maps } from "./maps.ts";
import { unprepared } from "./namespace.ts";
import { type EbpfPaths, ebpfPaths } from "./paths.ts";
import { ebpfDetails, ebpfMissing } from "./probe.ts";

/** One sentence a finding. */
export function report(): { works: boolean; details: string[] } {
  const missing = ebpfMissing();
  if (missing !== undefined) return { works: false, details: [missing] };
  const { by, otherwise } = ebpfDetails();
  return { works: true, details: [by, ...hookDetails(), ...otherwise] };
}

function hookDetails(): string[] {
  const paths = ebpfPaths();
  if (!installed(paths)) return [];
  const { hooked, xdp, covered, missing } = hookReport(paths);
  const shown = hooked.map((name) => `${name} (${xdp.includes(name) ? "XDP and TC" : "TC"})`);
  return [
    `it is in this namespace, on ${shown.join(", ")}`,
    ...dropDetails(paths),
    ...covered.map((name) => `${name} is a port: its packets are seen at its bridge or bond`),
    ...unprepared().map(
      (name) => `packets do not go on: ${name} is not 1 any more; the next ipvsadm command sets it`,
    ),
    ...missing.map(({ name, reason }) => `${name} is not hooked: ${reason}`),
  ];
}

/** A table that is full is seen nowhere else. */
function dropDetails(paths: EbpfPaths): string[] {
  const maps = new Maps(`${paths.pins}/maps`);
  try {
    const refused = maps.array("state").view.getBigUint64(STATE.at.drops + 8 * DROP.tableFull, LITTLE_ENDIAN);
    const { maxEntries } = maps.map("slab").info;
    return refused === 0n
      ? []
      : [
          `its table of ${maxEntries} connections was full ${refused} times: LVSD_EBPF_CONNECTIONS=… gives more after "lvsd planes reset"`,
        ];
  } finally {
    maps.close();
  }
}
