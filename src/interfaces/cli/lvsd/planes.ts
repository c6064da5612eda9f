/**
 * `lvsd planes`: the data planes, what works here, and why others do not; `lvsd planes reset`.
 * @module
 */
import { type PlaneReport, planes as probe } from "../../../planes/probe.ts";

/** The lines that show the reports: a mark, the name, and its findings below each other. */
export function show(reports: readonly PlaneReport[]): string[] {
  return reports.flatMap(({ name, works, chosen, details }) => {
    const verdict = works ? `works${chosen ? ", used by default" : ""}` : "does not work here";
    return [`${name.padEnd(6)}  ${verdict}`, ...details.map((detail) => `        ${detail}`)];
  });
}

/** Prints them; exit status 0 when at least one works. */
export async function planes(options: { json?: true }): Promise<number> {
  const reports = await probe();
  const text = options.json ? JSON.stringify(reports, null, 2) : show(reports).join("\n");
  process.stdout.write(`${text}\n`);
  return reports.some(({ works }) => works) ? 0 : 1;
}

/** Removes everything of the eBPF plane from this namespace. */
export async function reset(): Promise<number> {
  // A file of its own in dist/, as for every command.
  const { ebpfPlane } = await import("../../../planes/ebpf/ebpf.ts");
  const plane = ebpfPlane();
  await plane.reset();
  await plane.close();
  return 0;
}
