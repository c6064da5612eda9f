/**
 * What reading an ldirectord.cf needs to know of the machine: names and files, handed in, so that tests need neither.
 * @module
 */
import { execFileSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { dirname } from "node:path";
import type { Family } from "../../../core/service.ts";
import { formatAddress, parseAddress } from "../../../wire/address.ts";
import { sqlObstacle } from "../../checks/sql.ts";
import { DISK, type FileAccess } from "../files.ts";

/** Names of hosts and ports. */
export interface HostNames {
  /** Address of a host, canonical text. */
  address(name: string, family: Family): string | undefined;
  /** Port of a name of services(5). */
  port(name: string, protocol: "tcp" | "udp"): number | undefined;
}

/** Everything together. */
export interface Facts {
  readonly files: FileAccess;
  readonly names: HostNames;
  /** Why a file cannot be written at its end; undefined when it can. Nothing is created. */
  readonly appendRefusal: (path: string) => string | undefined;
  /** Name of this host in default logins and mails. */
  readonly hostName: string;
  /** Name of the user, for the sender of mails. */
  readonly userName: string;
  /** Why a database cannot be asked: its client library is not there. Undefined when it can. */
  readonly sqlRefusal: (engine: "mysql" | "pgsql" | "oracle") => string | undefined;
}

function appendRefusal(path: string): string | undefined {
  const reason = (target: string): string | undefined => {
    try {
      accessSync(target, constants.W_OK);
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === "ENOENT" ? "No such file or directory" : "Permission denied";
    }
  };
  const refused = reason(path);
  return refused === "No such file or directory" ? reason(dirname(path)) : refused;
}

/** Ports by `name/protocol`, out of text in the format of services(5). */
export function readServices(text: string): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [name, where, ...aliases] = line.replace(/#.*/, "").split(/\s+/).filter(Boolean);
    if (name === undefined || where === undefined) continue;
    const [port, protocol] = where.split("/");
    for (const each of [name, ...aliases]) {
      if (!ports.has(`${each}/${protocol}`)) ports.set(`${each}/${protocol}`, Number(port));
    }
  }
  return ports;
}

/** Seconds that the search for one name may take. */
const PATIENCE_S = 10;

/**
 * Names as the C library finds them (hosts(5), the DNS), by getent(1): reading a configuration is done at once, and node has no other
 * way to wait for the DNS.
 */
export function machineNames(): HostNames {
  const known = new Map<string, string | undefined>();
  let ports: ReadonlyMap<string, number> | undefined;
  const ask = (name: string, family: Family): string | undefined => {
    try {
      const output = execFileSync("getent", [family === 4 ? "ahostsv4" : "ahostsv6", "--", name], {
        encoding: "utf8",
        timeout: PATIENCE_S * 1000,
        stdio: ["ignore", "pipe", "ignore"],
      });
      const parsed = parseAddress(output.split(/\s/)[0] ?? "");
      return parsed?.family === family ? formatAddress(family, parsed.bytes) : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    address(name, family) {
      const key = `${family} ${name}`;
      if (!known.has(key)) known.set(key, ask(name, family));
      return known.get(key);
    },
    port(name, protocol) {
      if (ports === undefined) {
        try {
          ports = readServices(readFileSync("/etc/services", "utf8"));
        } catch {
          ports = new Map();
        }
      }
      return ports.get(`${name}/${protocol}`);
    },
  };
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return "root"; // an account without a name
  }
}

/** The facts of this machine. */
export const machineFacts = (): Facts => ({
  files: DISK,
  names: machineNames(),
  appendRefusal,
  hostName: process.env["HOSTNAME"] || hostname(),
  userName: accountName(),
  sqlRefusal: (engine) => sqlObstacle(engine),
});
