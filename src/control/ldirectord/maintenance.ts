/**
 * ldirectord's maintenance folder: a server that a file there names is down at once, whatever its checks say.
 * @module
 */
import { readdir } from "node:fs/promises";
import type { Checker, CheckSpec, CheckTarget, Verdict } from "../checks/check.ts";

type MaintenanceSpec = CheckSpec & { readonly kind: "maintenance" };

/** Says the host name of an address; undefined when it has none. */
export type NameOf = (address: string, signal: AbortSignal) => Promise<string | undefined>;

/** How long a host name is believed, ms. */
const NAME_LIFE_MS = 300_000;

/** The C library's answer: hosts(5), then the DNS. */
const systemName: NameOf = async (address) => {
  const { lookupService } = await import("node:dns/promises");
  try {
    const { hostname } = await lookupService(address, 0);
    return hostname === address ? undefined : hostname;
  } catch {
    return undefined;
  }
};

/** File names that mean a server: address, full name and short name, each with and without its port. */
export function fileNames(target: CheckTarget, name: string | undefined): string[] {
  const address = target.family === 6 ? `[${target.address}]` : target.address;
  const hosts = name === undefined ? [address] : [address, name, name.split(".")[0]!];
  return hosts.flatMap((host) => [`${host}:${target.port}`, host]);
}

export class MaintenanceChecker implements Checker {
  readonly #spec: MaintenanceSpec;
  readonly #nameOf: NameOf;
  #name: { readonly text: string | undefined; readonly until: number } | undefined;

  /** `nameOf` looks names up. */
  constructor(spec: MaintenanceSpec, nameOf: NameOf = systemName) {
    this.#spec = spec;
    this.#nameOf = nameOf;
  }

  async check(signal: AbortSignal): Promise<Verdict> {
    const from = performance.now();
    const { target, folder } = this.#spec;
    // An empty folder, or none, is the rule: nobody is asked for a name then.
    const files = new Set(await readdir(folder).catch(() => []));
    const named = (name: string | undefined) => fileNames(target, name).find((file) => files.has(file));
    const file = files.size === 0 ? undefined : (named(undefined) ?? named(await this.#hostName(signal)));
    const latencyMs = performance.now() - from;
    if (file === undefined) return { ok: true, detail: "not in maintenance", latencyMs };
    return { ok: false, detail: `Server in maintenance: ${file}`, latencyMs, reason: "local", final: true };
  }

  close(): void {}

  async #hostName(signal: AbortSignal): Promise<string | undefined> {
    const now = performance.now();
    if (this.#name === undefined || now > this.#name.until) {
      const text = await this.#nameOf(this.#spec.target.address, signal);
      this.#name = { text, until: now + NAME_LIFE_MS };
    }
    return this.#name.text;
  }
}
