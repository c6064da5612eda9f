/**
 * Sysctls that real servers need, with what they were before: they are set back when the last VIP that asked for them is undone. Call
 * everything by `alone()`.
 * @module
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { netnsInode, netnsMark } from "../../sys/netns.ts";
import { run, runDirectory, type Tell } from "./machine.ts";

/** Sysctls by name, as `sysctl` has them. */
export type Switches = Readonly<Record<string, number>>;

interface Note {
  /** The namespace by its cookie: the inode in the file's name may be another's by now. */
  readonly netns: string;
  /** Who asked for the sysctls: a way and a VIP. */
  readonly owners: readonly string[];
  /** Values as they were found. */
  readonly before: Readonly<Record<string, string>>;
}

const notePath = (): string => `${runDirectory()}/realserver-${netnsInode()}.json`;
const fileOf = (name: string): string => `/proc/sys/${name.replaceAll(".", "/")}`;

function readNote(): Note | undefined {
  try {
    const note = JSON.parse(readFileSync(notePath(), "utf8")) as Note;
    return note.netns === netnsMark() ? note : undefined;
  } catch {
    return undefined;
  }
}

/** In one step: half a note would be none. */
function writeNote(note: Note): void {
  const temporary = `${notePath()}.new`;
  writeFileSync(temporary, JSON.stringify(note));
  renameSync(temporary, notePath());
}

const assignments = (switches: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(switches).map(([name, value]) => `${name}=${value}`);

/** Sets them for an owner, and notes what they were. @throws CommandError */
export async function setSwitches(owner: string, switches: Switches, tell: Tell): Promise<void> {
  const { owners, before } = readNote() ?? { owners: [], before: {} };
  const found = Object.keys(switches)
    .filter((name) => !(name in before) && existsSync(fileOf(name)))
    .map((name) => [name, readFileSync(fileOf(name), "utf8").trim()]);
  writeNote({
    netns: netnsMark(),
    owners: [...new Set([...owners, owner])],
    before: { ...before, ...Object.fromEntries(found) },
  });
  await run(tell, "sysctl", "-qw", ...assignments(switches));
}

/** An owner needs them no more; with the last one all are what they were. Devices that are gone need nothing. @throws CommandError */
export async function releaseSwitches(owner: string, tell: Tell): Promise<void> {
  const note = readNote();
  if (!note?.owners.includes(owner)) return;
  const owners = note.owners.filter((other) => other !== owner);
  if (owners.length > 0) {
    writeNote({ ...note, owners });
    return;
  }
  const there = Object.entries(note.before).filter(([name]) => existsSync(fileOf(name)));
  if (there.length > 0) await run(tell, "sysctl", "-qw", ...assignments(Object.fromEntries(there)));
  rmSync(notePath(), { force: true });
}
