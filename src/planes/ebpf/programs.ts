/**
 * The programs of a namespace, pinned in `<folder>/programs`. Each is loaded when it is needed first, since the verifier takes its time:
 * `start` and `ingress` with the maps, the others for an interface, a daemon, a change of versions. Call everything with the global
 * lock held.
 * @module
 */
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { BpfMap } from "../../sys/bpf/map.ts";
import type { BpfObject } from "../../sys/bpf/object.ts";
import { openPin, pin } from "../../sys/bpf/pins.ts";
import { close } from "../../sys/libc.ts";
import { image, imagePin, loadImage, wantedEntries } from "./image.ts";
import { MAPS, PROGRAMS } from "./layout.ts";

/** What every namespace has. */
export const BASIC: readonly string[] = [PROGRAMS.start, PROGRAMS.ingress];

const pinOf = (folder: string, name: string): string => `${folder}/programs/${name}`;

/**
 * Opens a program for a while; loads it if it was not needed yet.
 * @param folder of pins
 * @throws VerifierError, SysError; Error when other programs than this lvsd's are there
 */
export function withProgram<T>(folder: string, name: string, body: (fd: number) => T): T {
  if (!existsSync(pinOf(folder, name))) bring(folder, name);
  const fd = openPin(pinOf(folder, name));
  if (fd === undefined) throw new Error(`the program ${name} is not there`);
  try {
    return body(fd);
  } finally {
    close(fd);
  }
}

/** Loads a program over the maps that are there. */
function bring(folder: string, name: string): void {
  if (!existsSync(imagePin(folder))) throw new Error("another version's programs are there");
  loadOver(folder, [name], (object) => pin(object.program(name), pinOf(folder, name)));
}

/** Puts this lvsd's programs in the place of all that are pinned; those that are not among `wanted` go. */
export function replacePrograms(
  folder: string,
  wanted: readonly string[],
  started: (object: BpfObject) => void,
): void {
  loadOver(folder, wanted, (object) => {
    for (const [name, fd] of object.maps) {
      if (isOurs(name) && !existsSync(`${folder}/maps/${name}`)) pin(fd, `${folder}/maps/${name}`);
    }
    for (const [name, fd] of object.programs) replacePin(fd, pinOf(folder, name));
    for (const name of readdirSync(`${folder}/programs`)) {
      if (!object.programs.has(name)) rmSync(pinOf(folder, name));
    }
    started(object);
  });
}

function loadOver(folder: string, wanted: readonly string[], body: (object: BpfObject) => void): void {
  const reuse: Record<string, number> = {};
  for (const name of readdirSync(`${folder}/maps`)) reuse[name] = openPin(`${folder}/maps/${name}`)!;
  let object: BpfObject | undefined;
  try {
    const slab = new BpfMap(reuse["slab"]!); // not closed: the descriptor is among the others
    const entries = { ...wantedEntries(), connections: slab.info.maxEntries };
    object = loadImage(image().bytes, entries, wanted, reuse);
    body(object);
  } finally {
    object?.close();
    for (const fd of Object.values(reuse)) close(fd);
  }
}

/** Whether a map is one to pin: the compiler's own belong to the programs. */
export const isOurs = (map: string): boolean => Object.hasOwn(MAPS, map) || !map.startsWith(".");

/** The name shows the old object or the new one, at any time. */
function replacePin(fd: number, path: string): void {
  const temporary = `${path}-new`;
  rmSync(temporary, { force: true });
  pin(fd, temporary);
  renameSync(temporary, path);
}
