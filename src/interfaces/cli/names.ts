/**
 * Names of hosts and ports the way gethostbyname(3), gethostbyaddr(3) and getservbyname(3) give them: /etc/hosts and
 * /etc/services, and the DNS where nsswitch.conf says so. Nothing is read before it is asked for.
 * @module
 */
import { readFileSync } from "node:fs";
import type { Protocol } from "../../core/service.ts";
import { formatAddress, parseAddress } from "../../wire/address.ts";

/** Names ⇄ numbers. */
export interface Names {
  /** IPv4 address of a host, canonical text. */
  hostAddress(name: string): Promise<string | undefined>;
  /** Canonical host names of those addresses that have one. */
  hostNames(addresses: Iterable<string>): Promise<ReadonlyMap<string, string>>;
  portNumber(name: string, protocol: Protocol): number | undefined;
  portName(port: number, protocol: Protocol): string | undefined;
}

/** The part of the DNS that is needed. */
export interface Resolver {
  address(name: string): Promise<string | undefined>;
  /** Names of many addresses at once; gives up as a whole after a time. */
  names(addresses: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** Where names come from; each is called at most once. */
export interface NameSources {
  /** Text in the format of hosts(5). */
  hosts(): string;
  /** Text in the format of services(5). */
  services(): string;
  /** undefined when names come from files only. */
  resolver(): Promise<Resolver | undefined>;
}

/** Lines of words, without comments and blank lines. */
function* rows(text: string): Generator<string[]> {
  for (const line of text.split("\n")) {
    const words = line.replace(/#.*/, "").split(/\s+/).filter(Boolean);
    if (words.length > 1) yield words;
  }
}

/** The IPv4 address that a line of hosts(5) stands for when one is asked for: `::1` and mapped ones count as IPv4. */
function asIpv4(address: string): string | undefined {
  const parsed = parseAddress(address);
  if (!parsed) return undefined;
  if (parsed.family === 4) return formatAddress(4, parsed.bytes);
  const text = formatAddress(6, parsed.bytes);
  if (text === "::1") return "127.0.0.1";
  return text.startsWith("::ffff:") && text.includes(".") ? text.slice(7) : undefined;
}

/** Names out of the given sources. */
export function makeNames(sources: NameSources): Names {
  let hostTable: { byName: Map<string, string>; byAddress: Map<string, string> } | undefined;
  let portTable: { byName: Map<string, number>; byPort: Map<string, string> } | undefined;
  let resolver: Promise<Resolver | undefined> | undefined;

  const hosts = () => {
    if (hostTable) return hostTable;
    hostTable = { byName: new Map(), byAddress: new Map() };
    for (const [address, ...names] of rows(sources.hosts())) {
      const parsed = parseAddress(address);
      if (!parsed) continue;
      const canonical = formatAddress(parsed.family, parsed.bytes);
      if (!hostTable.byAddress.has(canonical)) hostTable.byAddress.set(canonical, names[0]);
      const ipv4 = asIpv4(address);
      for (const name of ipv4 === undefined ? [] : names) {
        const key = name.toLowerCase();
        if (!hostTable.byName.has(key)) hostTable.byName.set(key, ipv4!);
      }
    }
    return hostTable;
  };
  const ports = () => {
    if (portTable) return portTable;
    portTable = { byName: new Map(), byPort: new Map() };
    for (const [name, where, ...aliases] of rows(sources.services())) {
      const [port, protocol] = where.split("/");
      for (const each of [name, ...aliases]) {
        const key = `${each}/${protocol}`;
        if (!portTable.byName.has(key)) portTable.byName.set(key, Number(port));
      }
      if (!portTable.byPort.has(where)) portTable.byPort.set(where, name);
    }
    return portTable;
  };
  const dns = () => {
    resolver ??= sources.resolver();
    return resolver;
  };

  return {
    async hostAddress(name) {
      return hosts().byName.get(name.toLowerCase()) ?? (await dns())?.address(name);
    },
    async hostNames(addresses) {
      const found = new Map<string, string>();
      const missing: string[] = [];
      for (const address of new Set(addresses)) {
        const name = hosts().byAddress.get(address);
        if (name === undefined) missing.push(address);
        else found.set(address, name);
      }
      if (missing.length > 0) {
        for (const [address, name] of (await (await dns())?.names(missing)) ?? []) found.set(address, name);
      }
      return found;
    },
    portNumber: (name, protocol) => ports().byName.get(`${name}/${protocol}`),
    portName: (port, protocol) => ports().byPort.get(`${port}/${protocol}`),
  };
}

const readOr = (path: string, otherwise: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
};

/** Whether nsswitch.conf(5) sends host names to the DNS. glibc's default, without the file, does. */
export function usesDns(nsswitch: string): boolean {
  const line = /^\s*hosts:(.*)$/m.exec(nsswitch.replace(/#.*/g, ""));
  return line === null || /\b(dns|resolve)\b/.test(line[1]);
}

/** The names of this machine. A listing waits for the DNS at most three seconds, asked for all addresses at once. */
export const systemNames = (): Names =>
  makeNames({
    hosts: () => readOr("/etc/hosts", ""),
    services: () => readOr("/etc/services", ""),
    resolver: async () => {
      if (!usesDns(readOr("/etc/nsswitch.conf", ""))) return undefined;
      const { dnsResolver } = await import("./dns.ts");
      return dnsResolver(3000);
    },
  });
