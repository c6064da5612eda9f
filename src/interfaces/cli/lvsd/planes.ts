/**
 * `lvsd planes`: the data planes, what works here, and why others do not.
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
