/**
 * What each plane can do on this machine, found by trying.
 * @module
 */
import { readFileSync } from "node:fs";
import { defaultPlane, kernelPresent } from "./select.ts";

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
  const [kernel, engine] = [await kernelReport(), await engineReport()];
  const chosen = defaultPlane();
  return [
    {
      name: "ebpf",
      works: false,
      details: ["this version of lvsd does not have it yet"],
      chosen: false,
    },
    { ...kernel, chosen: kernel.works && chosen === "kernel" },
    { ...engine, chosen: engine.works && chosen === "engine" },
  ];
}

async function kernelReport(): Promise<Omit<PlaneReport, "chosen">> {
  const report = (works: boolean, ...details: string[]) => ({ name: "kernel", works, details }) as const;
  if (!kernelPresent()) {
    return moduleInstalled()
      ? report(true, "the kernel's ip_vs is installed but not loaded; LVSD_PLANE=kernel loads it")
      : report(false, "this kernel has no ip_vs");
  }
  try {
    const { kernelPlane } = await import("./kernel/kernel.ts");
    const plane = kernelPlane();
    const { version, tableSize } = await plane.info();
    await plane.close();
    const dotted = `${version >> 16}.${(version >> 8) & 0xff}.${version & 0xff}`;
    return report(true, `the kernel's ip_vs ${dotted} is loaded, with ${tableSize} buckets of connections`);
  } catch (error) {
    return report(false, error instanceof Error ? error.message : String(error));
  }
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
