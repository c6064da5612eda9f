/**
 * What each plane can do on this machine, found by trying.
 * @module
 */
import { readFileSync } from "node:fs";
import { defaultPlane, holders, kernelPresent } from "./select.ts";

/** One plane's report. */
export interface PlaneReport {
  readonly name: "ebpf" | "kernel" | "engine";
  readonly works: boolean;
  /** One sentence a finding: why not, or by what means. */
  readonly details: readonly string[];
  /** The plane that commands use when none is asked for. */
  readonly chosen: boolean;
}

type Finding = Omit<PlaneReport, "chosen">;

/** Tries every plane. Nothing of it stays, and no traffic is touched: what is tried is tried in a namespace of its own. */
export async function planes(): Promise<PlaneReport[]> {
  const chosen = await defaultPlane();
  const findings = [await ebpfReport(), await kernelReport(), await engineReport()];
  const withRules = await holders();
  return findings.map(({ name, works, details }) => ({
    name,
    works,
    details: withRules.includes(name) ? ["it has rules in this network namespace", ...details] : details,
    chosen: works && name === chosen,
  }));
}

async function ebpfReport(): Promise<Finding> {
  try {
    const { report } = await import("./ebpf/ebpf.ts");
    return { name: "ebpf", ...report() };
  } catch (error) {
    return { name: "ebpf", works: false, details: [messageOf(error)] };
  }
}

async function kernelReport(): Promise<Finding> {
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
    return report(false, messageOf(error));
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

async function engineReport(): Promise<Finding> {
  const no = (...details: string[]) => ({ name: "engine", works: false, details }) as const;
  if (process.geteuid?.() !== 0) return no("it needs root: netfilter queues and raw sockets are root's");
  try {
    const { enginePossible } = await import("./engine/probe.ts");
    return { name: "engine", works: true, details: enginePossible() };
  } catch (error) {
    return no(messageOf(error));
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
