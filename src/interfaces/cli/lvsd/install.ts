/**
 * `lvsd install`: links to the built commands in a folder of the PATH, to their manual pages and unit files.
 * @module
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Where the built commands lie, and the project around them. */
const dist = import.meta.dirname;
const project = dirname(dist);

/** A link to make: where, and to what. */
interface Link {
  readonly path: string;
  readonly target: string;
}

/** Files of a folder, none when there is no such folder. */
const filesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** Everything that is linked. */
function links(prefix: string): Link[] {
  const from = (folder: string, to: string): Link[] =>
    filesIn(folder).map((name) => ({ path: join(prefix, to, name), target: join(folder, name) }));
  const commands = filesIn(join(dist, "bin")).map((name) => ({
    path: join(prefix, "sbin", name),
    target: join(dist, `${name}.cjs`),
  }));
  return [
    ...commands,
    ...from(join(project, "man"), "share/man/man8"),
    ...from(join(project, "share/systemd"), "lib/systemd/system"),
  ];
}

const isOurs = ({ path, target }: Link): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && readlinkSync(path) === target;

/** Links everything; leaves alone what it did not make. */
export function install(prefix: string): number {
  let refused = 0;
  for (const link of links(prefix)) {
    const { path, target } = link;
    mkdirSync(dirname(path), { recursive: true });
    if (isOurs(link)) print(`${path} is there already`);
    else if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
      print(`${path} exists and is not ours: left as it is`);
      refused++;
    } else {
      symlinkSync(target, path);
      print(`${path} → ${target}`);
    }
  }
  for (const name of filesIn(join(dist, "bin"))) {
    const other = [`/usr/sbin/${name}`, `/sbin/${name}`].find((path) => existsSync(path));
    if (other) print(`${other} is installed too; the one that comes first in PATH runs`);
  }
  return refused > 0 ? 1 : 0;
}

/** Removes the links that `install` made. */
export function uninstall(prefix: string): number {
  let removed = 0;
  for (const link of links(prefix)) {
    if (!isOurs(link)) continue;
    rmSync(link.path);
    print(`removed ${link.path}`);
    removed++;
  }
  if (removed === 0) print(`nothing of ours in ${prefix}`);
  return 0;
}
