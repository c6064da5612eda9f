/**
 * Users and groups by name, read from /etc/passwd and /etc/group: the accounts that programs run as and that own pipes.
 * Accounts of a directory service are not found here; their numbers work.
 * @module
 */
import { readFileSync } from "node:fs";

/** An account as processes and files know it. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The fields of the line of `file` whose first field is `name`; undefined when there is none. */
function entry(file: string, name: string): string[] | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  for (const line of text.split("\n")) {
    const fields = line.split(":");
    if (fields[0] === name) return fields;
  }
  return undefined;
}

const number = (text: string): number | undefined => (/^\d+$/.test(text) ? Number(text) : undefined);

/** Group number of a group's name or number; undefined for one that does not exist. */
export function findGroup(group: string, file = "/etc/group"): number | undefined {
  return number(entry(file, group)?.[2] ?? group);
}

/** User number, and the group of that user, of a user's name or number; undefined for one that does not exist. */
export function findUser(user: string, file = "/etc/passwd"): Account | undefined {
  const fields = entry(file, user);
  if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  const uid = number(user);
  return uid === undefined ? undefined : { uid, gid: uid };
}

/**
 * What a user and a group, both optional, come to. A group alone keeps the user of this process.
 * @throws Error naming the one that does not exist
 */
export function findAccount(user?: string, group?: string): Partial<Account> {
  const account = user === undefined ? undefined : findUser(user);
  if (user !== undefined && !account) throw new Error(`user ${user} does not exist`);
  const gid = group === undefined ? account?.gid : findGroup(group);
  if (group !== undefined && gid === undefined) throw new Error(`group ${group} does not exist`);
  return { ...(account && { uid: account.uid }), ...(gid !== undefined && { gid }) };
}
