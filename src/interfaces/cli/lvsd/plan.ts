/**
 * `lvsd plan`: what a configuration would change, and what that costs in live connections.
 * @module
 */
import { resolve } from "node:path";
import type { Diagnostic } from "../../../control/config/diagnostic.ts";
import { formatDiagnostic } from "../../../control/config/diagnostic.ts";
import type { Plan } from "../../../control/supervision.ts";
import { ask, NoDaemonError } from "../../daemon/control-client.ts";
import type { PlanAnswer } from "../../daemon/protocol.ts";
import { complain, print, type SocketOption, socketOf } from "./daemon-socket.ts";

const plural = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;

/** Prints what a reader had to say; notices only when there is worse. */
export function tellDiagnostics(diagnostics: readonly Diagnostic[]): void {
  for (const d of diagnostics) if (d.severity !== "notice") complain(formatDiagnostic(d));
}

/** The lines of a plan. */
export function planLines(plan: Plan, vrrp: readonly string[]): string[] {
  const { untouched, drained, cut } = plan.connections;
  const { services, servers, checks } = plan.unchanged;
  const changes = [...plan.changes.map(({ text }) => text), ...vrrp];
  return [
    ...(changes.length > 0 ? changes.map((line) => `  ${line}`) : ["nothing would change"]),
    "",
    `unchanged: ${plural(services, "service")}, ${plural(servers, "server")}, ${plural(checks, "check")}`,
    `live connections: ${untouched} untouched, ${drained} may finish first, ${cut} cut`,
  ];
}

/** What commander hands over. */
interface PlanWords extends SocketOption {
  readonly json?: true;
  readonly plane?: string;
}

/** Without a daemon: the file against the table as it is. */
async function planAlone(file: string, plane: string | undefined): Promise<PlanAnswer> {
  const { readConfig } = await import("../../../control/config/read.ts");
  const { wanted, diagnostics } = await readConfig(file);
  if (diagnostics.some(({ severity }) => severity === "error")) return { diagnostics, vrrp: [] };
  const { openPlane } = await import("../../../planes/select.ts");
  const { planFromTable } = await import("../../../control/plan.ts");
  const { vrrpDifferences } = await import("../../daemon/vrrp-plan.ts");
  const { NO_VRRP } = await import("../../../control/vrrp/spec.ts");
  const opened = await openPlane({ plane, start: false });
  try {
    const plan = planFromTable(await opened.services(), wanted);
    return { diagnostics, plan, vrrp: vrrpDifferences(NO_VRRP, wanted.vrrp) };
  } finally {
    await opened.close();
  }
}

/** Prints the plan. @returns 0: nothing to do, 2: there are changes (as `diff` and `terraform plan` tell), 1: the file has errors */
export async function plan(file: string | undefined, options: PlanWords): Promise<number> {
  const path = file === undefined ? undefined : resolve(file);
  let answer: PlanAnswer;
  try {
    answer = await ask<PlanAnswer>(socketOf(options), "plan", path);
  } catch (error) {
    if (!(error instanceof NoDaemonError) || path === undefined) throw error;
    answer = await planAlone(path, options.plane);
    if (!options.json) complain("no daemon runs here: compared with the table as it is");
  }
  if (options.json) print(JSON.stringify(answer, null, 2));
  else tellDiagnostics(answer.diagnostics);
  if (!answer.plan) return 1;
  if (!options.json) print(planLines(answer.plan, answer.vrrp).join("\n"));
  return answer.plan.changes.length + answer.vrrp.length > 0 ? 2 : 0;
}
