/**
 * The running checks of all virtual servers: which there are, what their verdicts mean for health, and when they rest (ha_suspend).
 * @module
 */
import type { CheckSpec } from "./checks/check.ts";
import type { ProbeReport, Probes } from "./health/probes.ts";
import type { ServerHealth } from "./health/real-server.ts";
import type { VirtualServerEvent, VirtualServerHealth } from "./health/virtual-server.ts";
import { type Watch, watchServers } from "./health/watches.ts";
import type { CheckWords, HealthEvent, SupervisorOptions } from "./supervision.ts";
import type { VirtualServerSpec } from "./wanted.ts";

/** Whom the checks are for. */
export interface WatchingOptions {
  readonly probes: Probes;
  /** A virtual server as it stands now. */
  readonly find: (key: string) => VirtualServerHealth | undefined;
  readonly step: (key: string, event: VirtualServerEvent) => void;
  readonly emit: (event: Omit<HealthEvent, "at">) => void;
  readonly checkWords: CheckWords | undefined;
  readonly onVerdict: SupervisorOptions["onVerdict"];
}

/** See the module's description. */
export class Watching {
  readonly #o: WatchingOptions;
  readonly #watches = new Map<string, Watch[]>();
  #addresses: ReadonlySet<string> | undefined;

  constructor(options: WatchingOptions) {
    this.#o = options;
  }

  /** The running checks of a virtual server. */
  of(key: string): readonly Watch[] {
    return this.#watches.get(key) ?? [];
  }

  /** Makes the running checks those of these virtual servers: new ones begin before others end, so that a probe of both goes on. */
  follow(keys: Iterable<string>): void {
    const all = new Set([...keys, ...this.#watches.keys()]);
    const gone = [...all].map((key) => this.#watch(key));
    for (const watches of gone) for (const watch of watches) watch.subscription.close();
  }

  close(): void {
    for (const watches of this.#watches.values()) for (const w of watches) w.subscription.close();
    this.#watches.clear();
  }

  /** @returns checks that nobody needs any more */
  #watch(key: string): readonly Watch[] {
    const { probes, find } = this.#o;
    const v = find(key);
    const old = this.#watches.get(key) ?? [];
    const suspended = v !== undefined && this.rests(v.spec);
    const resting = new Set(old.filter((w) => w.subscription.suspended));
    const { watches, fresh, gone } = watchServers(probes, v, old, suspended, (watch, report) =>
      this.#reported(key, watch, report),
    );
    if (watches.length > 0) this.#watches.set(key, watches);
    else this.#watches.delete(key);
    for (const watch of fresh) {
      if (!suspended) this.#tell(key, watch, true);
      this.#catchUp(key, watch);
    }
    if (!suspended && resting.size > 0)
      for (const watch of watches) if (resting.has(watch)) this.#catchUp(key, watch);
    return gone;
  }

  /** A probe that ran for others may know more than is known here. */
  #catchUp(key: string, watch: Watch): void {
    const { result, last, suspended } = watch.subscription;
    const view = this.#server(key, watch)?.checks[watch.check];
    if (suspended || !view || !last || result === "unknown") return;
    const turned = (result === "failed") === view.failed ? undefined : result;
    this.#judge(key, watch, { verdict: last, turned, retries: 0, failure: undefined });
  }

  #server(key: string, watch: Watch): ServerHealth | undefined {
    return this.#o.find(key)?.servers.at(watch.place);
  }

  #reported(key: string, watch: Watch, report: ProbeReport): void {
    const v = this.#o.find(key);
    const server = v?.servers.at(watch.place);
    const view = server?.checks[watch.check];
    if (v && server && view) {
      const { spec } = view.entry;
      this.#o.onVerdict?.({ service: v.spec, server: server.name, spec, verdict: report.verdict });
      this.#remark(v, server, watch, report.verdict.remark);
    }
    this.#judge(key, watch, report);
  }

  /** Tells what a check found odd, once. */
  #remark(v: VirtualServerHealth, { name }: ServerHealth, watch: Watch, remark: string | undefined): void {
    if (remark === watch.remark) return;
    watch.remark = remark;
    if (remark === undefined) return;
    this.#o.emit({
      kind: "check-remark",
      level: "info",
      service: v.spec.name,
      server: name,
      reason: remark,
      words: "",
    });
  }

  #judge(key: string, watch: Watch, report: ProbeReport): void {
    const v = this.#o.find(key);
    const server = v?.servers.at(watch.place);
    const view = server?.checks[watch.check];
    if (!v || !server || !view || v.removed) return;
    const { verdict, turned, failure } = report;
    const { spec, timing } = view.entry;
    if (failure && !view.failed && (timing.logAllFailures || v.habit === "ldirectord")) {
      this.#o.emit({
        kind: "check-failure",
        level: "info",
        service: v.spec.name,
        server: server.name,
        reason: verdict.detail,
        words: this.#words(v, server, spec, "failure", report).log,
        latencyMs: verdict.latencyMs,
        failures: failure,
      });
    }
    const sameWeight = !verdict.ok || sameAsking(verdict.weight, view.weight);
    if (turned === undefined && sameWeight) return;
    const words = turned === undefined ? SILENCE : this.#words(v, server, spec, turned, report);
    this.#o.step(key, {
      kind: "verdict",
      server: watch.server,
      check: watch.check,
      verdict,
      to: turned,
      words,
    });
  }

  #words(
    v: VirtualServerHealth,
    server: ServerHealth,
    spec: CheckSpec,
    what: "ok" | "failed" | "failure",
    { verdict, retries }: ProbeReport,
  ): { readonly log: string; readonly mail: string } {
    const names = { service: v.spec.name, server: server.name, retries };
    const words = this.#o.checkWords?.(spec, what, verdict, names);
    return words ?? { log: "", mail: `=> check ${what}: ${verdict.detail} <=` };
  }

  // --- ha_suspend -----------------------------------------------------------------------------------------------------

  /** Whether the checks of a virtual server rest: its addresses are on another host. */
  rests(spec: VirtualServerSpec): boolean {
    if (!spec.haSuspend) return false;
    const addresses = spec.ids.flatMap((id) => (id.kind === "address" ? [id.address] : []));
    if (addresses.length === 0) return false;
    return !addresses.some((a) => this.#addresses?.has(a));
  }

  /** The addresses that this host has now. */
  setAddresses(addresses: ReadonlySet<string>): void {
    this.#addresses = addresses;
    for (const [key, watches] of this.#watches) {
      const v = this.#o.find(key);
      if (!v?.spec.haSuspend || v.removed) continue;
      const rests = this.rests(v.spec);
      for (const watch of watches) {
        if (watch.subscription.suspended === rests) continue;
        if (rests) watch.subscription.suspend();
        else watch.subscription.resume();
        this.#tell(key, watch, !rests);
        this.#catchUp(key, watch);
      }
    }
  }

  #tell(key: string, watch: Watch, active: boolean): void {
    const v = this.#o.find(key);
    const server = this.#server(key, watch);
    if (!v || !server) return;
    this.#o.emit({
      kind: active ? "check-activated" : "check-suspended",
      level: "info",
      service: v.spec.name,
      server: server.name,
      reason: v.spec.haSuspend
        ? `the address is ${active ? "on this host" : "not on this host"}`
        : "configured",
      words: `${active ? "Activating" : "Deactivating"} healthchecker for service ${server.name} for VS ${v.spec.name}`,
    });
  }
}

const SILENCE = { log: "", mail: "" };

type Asking = ServerHealth["checks"][number]["weight"];

const sameAsking = (a: Asking, b: Asking): boolean => a?.kind === b?.kind && a?.value === b?.value;
