/**
 * The users and groups that programs shall run as: one that does not exist is told where it is written, not when the program fails.
 * @module
 */
import type { Reader } from "./reader.ts";
import type { Word } from "./text.ts";

/** Whether a name stands first in a line of /etc/passwd or /etc/group; true when there is no telling. */
function exists(name: string, file: string, reader: Reader): boolean {
  if (/^\d+$/.test(name)) return true;
  const text = reader.files.read(file);
  return text === undefined || text.split("\n").some((line) => line.startsWith(`${name}:`));
}

/** Tells of a user or a group that does not exist. `own` is what keepalived says. */
export function checkAccount(
  user: Word | undefined,
  group: Word | undefined,
  reader: Reader,
  own?: string,
): void {
  for (const [what, word, file] of [
    ["user", user, "/etc/passwd"],
    ["group", group, "/etc/group"],
  ] as const) {
    if (word === undefined || exists(word.text, file, reader)) continue;
    reader.error("unknown-account", word, `there is no ${what} ${word.text}; the program cannot run`, {
      remedy: `name a ${what} of ${file}`,
      ...(own === undefined ? {} : { own }),
    });
    return;
  }
}
