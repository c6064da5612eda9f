/**
 * The data planes that tests run on: engine and eBPF here, the kernel's ip_vs in the virtual machine.
 * @module
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

export type PlaneName = "engine" | "ebpf" | "kernel";

/** The planes that can be had on the machine of the tests. */
export const HERE = ["engine", "ebpf"] as const satisfies readonly PlaneName[];

/** How much longer things may take, compared with the machine of the tests: the virtual machine is emulated. */
export const slowness = Number(process.env["LVSD_TEST_SLOWNESS"] ?? 1);

/** Why the eBPF plane cannot be used on this machine; "" when it can. */
export function noEbpf(): string {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: "" };
  const lvsd = join(process.cwd(), "dist/bin/lvsd");
  const text = execFileSync(lvsd, ["planes", "--json"], { encoding: "utf8", env });
  const planes = JSON.parse(text) as { name: string; works: boolean; details: string[] }[];
  const ebpf = planes.find(({ name }) => name === "ebpf");
  return ebpf?.works ? "" : `the eBPF plane does not work here: ${ebpf?.details.join("; ")}`;
}
