/**
 * Who may have written a script that the daemon is about to run: keepalived's rules of `enable_script_security`, and the user
 * that scripts run as when none is named.
 * @module
 */
import { accessSync, constants, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { findUser } from "./account.ts";

/** The account that keepalived looks for when no script_user is named. */
export const DEFAULT_SCRIPT_USER = "keepalived_script";

/** What of the file system is looked at. */
export interface ScriptFiles {
  /** Absolute path without symbolic links. @throws when there is none */
  realpath(path: string): string;
  stat(path: string): Pick<Stats, "uid" | "gid" | "mode">;
  executable(path: string): boolean;
}

const DISK: ScriptFiles = {
  realpath: (path) => realpathSync(path),
  stat: (path) => statSync(path),
  executable(path) {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  },
};

/** The file that a command's first word names: itself with a slash in it, else the first in PATH. */
export function findProgram(
  word: string,
  search = process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
  files: ScriptFiles = DISK,
): string | undefined {
  if (word.includes("/")) return word;
  return search
    .split(":")
    .map((folder) => join(folder || ".", word))
    .find((path) => files.executable(path));
}

const WRITABLE_BY_OTHERS = 0o002;
const WRITABLE_BY_GROUP = 0o020;
const STICKY = 0o1000;
const TYPE = 0o170000;
const DIRECTORY = 0o040000;

/** Why somebody other than root may change what lies at `path`; undefined when only root can. */
function weakness(path: string, { uid, gid, mode }: Pick<Stats, "uid" | "gid" | "mode">): string | undefined {
  if (uid !== 0) return `${path} belongs to user ${uid}, not to root`;
  // In a sticky directory nobody removes what is root's.
  if ((mode & TYPE) === DIRECTORY && (mode & STICKY) !== 0) return undefined;
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return `${path} is writable by everybody`;
  if (gid !== 0 && (mode & WRITABLE_BY_GROUP) !== 0) return `${path} is writable by group ${gid}`;
  return undefined;
}

/**
 * Why a program, run as root, is not safe: it, or a directory on the way to it, can be changed by others. Undefined when it is
 * safe, and when it does not exist: that shows when it is run.
 */
export function insecurity(program: string, files: ScriptFiles = DISK): string | undefined {
  let path: string;
  try {
    path = files.realpath(program);
  } catch {
    return undefined;
  }
  for (let part = path; ; part = dirname(part)) {
    const found = weakness(part, files.stat(part));
    if (found !== undefined) return found;
    if (part === "/") return undefined;
  }
}

/** What concerns every script of a configuration. */
export interface ScriptPolicy {
  /** User and group of scripts that name none; absent: those of this process. */
  readonly user?: string;
  readonly group?: string;
  /** Refuse what {@link insecurity} finds, when it would run as root. */
  readonly enforce: boolean;
}

/** The policy a configuration asks for. keepalived's default user is taken where it exists. */
export function scriptPolicy(
  wanted: {
    readonly language: "keepalived" | "ldirectord";
    readonly global: {
      readonly scriptUser?: { readonly user: string; readonly group?: string };
      readonly scriptSecurity: boolean;
    };
  },
  exists: (user: string) => boolean = (user) => findUser(user) !== undefined,
): ScriptPolicy {
  const { scriptUser, scriptSecurity } = wanted.global;
  const enforce = scriptSecurity;
  if (scriptUser) return { ...scriptUser, enforce };
  if (wanted.language === "keepalived" && exists(DEFAULT_SCRIPT_USER))
    return { user: DEFAULT_SCRIPT_USER, enforce };
  return { enforce };
}

/** Why the policy forbids a command; undefined when it may run. `user` is the one named for this script, if any. */
export function refusal(
  policy: ScriptPolicy,
  command: readonly string[],
  user: string | undefined,
  files: ScriptFiles = DISK,
): string | undefined {
  if (!policy.enforce) return undefined;
  const runsAs = user ?? policy.user ?? "root";
  if (runsAs !== "root" && runsAs !== "0" && findUser(runsAs)?.uid !== 0) return undefined;
  const program = findProgram(command[0] ?? "", undefined, files);
  return program === undefined ? undefined : insecurity(program, files);
}
