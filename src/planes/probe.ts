/**
 * What each plane can do on this machine, found by trying.
 * @module
 */
import { existsSync, readFileSync } from "node:fs";

/** One plane's report. */
export interface PlaneReport {
  readonly name: "ebpf" | "kernel" | "engine";
  readonly works: boolean;
  /** One sentence a finding: why not, or by what means. */
  readonly details: readonly string[];
  /** The plane that commands use when none is asked for. */
  readonly chosen: boolean;
}

/** Tries every plane. Nothing of it stays, and no traffic is touched: what is tried is tried in a namespace of its own. */
export async function planes(): Promise<PlaneReport[]> {
  const engine = await engineReport();
  return [
    {
      name: "ebpf",
      works: false,
      details: ["this version of lvsd does not have it yet"],
      chosen: false,
    },
    kernelReport(),
    { ...engine, chosen: engine.works },
  ];
}

function kernelReport(): PlaneReport {
  // Its proc files are there in every namespace once the module is loaded or built in.
  const present = existsSync("/proc/net/ip_vs");
  const found = present
    ? "the kernel's ip_vs is loaded"
    : moduleInstalled()
      ? "the kernel's ip_vs is installed but not loaded (modprobe ip_vs)"
      : "this kernel has no ip_vs";
  return {
    name: "kernel",
    works: false,
    details: [found, "this version of lvsd does not drive it yet"],
    chosen: false,
  };
}

function moduleInstalled(): boolean {
  try {
    const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
    return /\/ip_vs\.ko/.test(readFileSync(`/lib/modules/${release}/modules.dep`, "utf8"));
  } catch {
    return false;
  }
}

async function engineReport(): Promise<Omit<PlaneReport, "chosen">> {
  const no = (...details: string[]) => ({ name: "engine", works: false, details }) as const;
  if (process.geteuid?.() !== 0) return no("it needs root: netfilter queues and raw sockets are root's");
  try {
    const { enginePossible } = await import("./engine/probe.ts");
    return { name: "engine", works: true, details: enginePossible() };
  } catch (error) {
    return no(error instanceof Error ? error.message : String(error));
  }
}
