/**
 * `lvsd install`: links to the built commands in a folder of the PATH.
 * @module
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** The built commands beside this bundle. */
const commands = (): string[] => readdirSync(join(import.meta.dirname, "bin"));
const target = (name: string): string => join(import.meta.dirname, `${name}.cjs`);

const isOurs = (path: string, name: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true &&
  readlinkSync(path) === target(name);

/** Links every command into PREFIX/sbin; leaves alone what it did not make. */
export function install(prefix: string): number {
  const folder = join(prefix, "sbin");
  mkdirSync(folder, { recursive: true });
  let refused = 0;
  for (const name of commands()) {
    const path = join(folder, name);
    if (isOurs(path, name)) print(`${path} is there already`);
    else if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
      print(`${path} exists and is not ours: left as it is`);
      refused++;
    } else {
      symlinkSync(target(name), path);
      print(`${path} → ${target(name)}`);
    }
  }
  for (const other of ["/usr/sbin/ipvsadm", "/sbin/ipvsadm"].filter((path) => existsSync(path)).slice(0, 1)) {
    print(`${other} is installed too; the one that comes first in PATH runs`);
  }
  return refused > 0 ? 1 : 0;
}

/** Removes the links that `install` made. */
export function uninstall(prefix: string): number {
  let removed = 0;
  for (const name of commands()) {
    const path = join(prefix, "sbin", name);
    if (!isOurs(path, name)) continue;
    rmSync(path);
    print(`removed ${path}`);
    removed++;
  }
  if (removed === 0) print(`nothing of ours in ${join(prefix, "sbin")}`);
  return 0;
}
