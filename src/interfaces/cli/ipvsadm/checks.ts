/**
 * Which options go with which command: the matrix of ipvsadm and its messages.
 * @module
 */
import type { CommandName, Layout } from "./command.ts";
import { type Failure, usage } from "./failure.ts";

/** Columns of the matrix in the order in which they are checked; names are those of the messages. Ours come last. */
export const COLUMNS = [
  "numeric",
  "connection",
  "service-address",
  "scheduler",
  "persistent",
  "netmask",
  "real-server",
  "forwarding-method",
  "weight",
  "u-threshold",
  "l-threshold",
  "mcast-interface",
  "timeout",
  "daemon",
  "stats",
  "rate",
  "thresholds",
  "persistent-conn",
  "nosort",
  "syncid",
  "exact",
  "ops",
  "pe",
  "sched-flags",
  "mcast-group",
  "mcast-port",
  "mcast-ttl",
  "sync-maxlen",
  "tun-info",
  "tun-type",
  "tun-port",
  "tun-nocsum",
  "tun-csum",
  "tun-remcsum",
  "local-address",
  "json",
  "full",
  "test",
  "atomic",
] as const;

/** One of {@link COLUMNS}. */
export type Column = (typeof COLUMNS)[number];

/** What a command or tunnel type makes of options: needed, allowed, at most one of these. What is not named is illegal. */
interface Rule {
  readonly needs?: string;
  readonly allows?: string;
  readonly oneOf?: string;
}

const SERVICE: Rule = {
  needs: "service-address",
  allows: "scheduler persistent netmask ops pe sched-flags local-address",
};
const SERVER: Rule = {
  needs: "service-address real-server",
  allows:
    "forwarding-method weight u-threshold l-threshold tun-type tun-port tun-nocsum tun-csum tun-remcsum",
};

const MATRIX: Readonly<Record<Exclude<CommandName, "help" | "version">, Rule>> = {
  "add-service": SERVICE,
  "edit-service": SERVICE,
  "delete-service": { needs: "service-address" },
  list: {
    allows: "numeric stats rate thresholds persistent-conn nosort syncid exact tun-info json",
    oneOf: "connection service-address timeout daemon",
  },
  "add-server": SERVER,
  "edit-server": SERVER,
  "delete-server": { needs: "service-address real-server" },
  "start-daemon": { allows: "mcast-interface syncid mcast-group mcast-port mcast-ttl sync-maxlen" },
  "stop-daemon": { allows: "syncid" },
  save: { allows: "numeric full" },
  zero: { allows: "service-address" },
  restore: { allows: "test atomic" },
  flush: {},
  set: {},
};

const TUNNELS: Readonly<Record<string, Rule>> = {
  ipip: {},
  gue: { needs: "tun-port", oneOf: "tun-nocsum tun-csum tun-remcsum" },
  gre: { oneOf: "tun-nocsum tun-csum" },
};

const has = (list: string | undefined, name: string): boolean => list?.split(" ").includes(name) ?? false;

/** @param where ends the message: `the 'list' command`. */
function checkRule(
  rule: Rule,
  given: ReadonlySet<string>,
  columns: readonly string[],
  where: string,
  name: string,
): void {
  let chosen: string | undefined;
  for (const column of columns) {
    if (!given.has(column)) {
      if (has(rule.needs, column)) {
        throw usage(`You need to supply the '${column}' option for ${where}`, {
          kind: "needed",
          name: column,
          command: name,
        });
      }
    } else if (has(rule.oneOf, column)) {
      if (chosen !== undefined) {
        throw usage(`The option '${column}' conflicts with the '${chosen}' option in ${where}`, {
          kind: "conflict",
          name: column,
          other: chosen,
        });
      }
      chosen = column;
    } else if (!has(rule.needs, column) && !has(rule.allows, column)) {
      throw usage(`Illegal '${column}' option with ${where}`, {
        kind: "illegal",
        name: column,
        command: name,
      });
    }
  }
}

/** Checks the options of a line against its command. */
export function checkOptions(
  command: Exclude<CommandName, "help" | "version">,
  given: ReadonlySet<string>,
): void {
  checkRule(MATRIX[command], given, COLUMNS, `the '${command}' command`, command);
}

/** Checks the options of a tunnel against its type. */
export function checkTunnel(type: string, given: ReadonlySet<string>): void {
  const columns = ["tun-port", "tun-nocsum", "tun-csum", "tun-remcsum"];
  checkRule(TUNNELS[type], given, columns, `the '${type}' tunnel type`, type);
}

/** Checks that the ways of listing asked for go together. */
export function checkListing(given: ReadonlySet<string>): void {
  const replaced = ["connection", "timeout", "daemon"].some((c) => given.has(c));
  const counters = ["stats", "rate", "thresholds"].some((c) => given.has(c));
  const fixed = given.has("timeout") || given.has("daemon");
  if ((replaced && counters) || (fixed && given.has("persistent-conn"))) throw listConflict(given);
}

function listConflict(given: ReadonlySet<string>): Failure {
  const find = (names: readonly string[]) => names.find((n) => given.has(n)) ?? "";
  return usage("options conflicts in the list command", {
    kind: "conflict",
    name: find(["stats", "rate", "thresholds", "persistent-conn"]),
    other: find(["connection", "timeout", "daemon"]),
  });
}

/** The layout of a listing: of several asked for the first of this order. */
export const layoutOf = (given: ReadonlySet<string>): Layout =>
  (["stats", "rate", "thresholds", "persistent-conn", "tun-info"] as const).find((l) => given.has(l)) ??
  "plain";
