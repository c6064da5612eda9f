/**
 * The programs and maps of one namespace, in its folder of pins:
 *
 *     <cookie>/maps/*  <cookie>/programs/*  <cookie>/links/<interface>-<direction>  <cookie>/image-<hash of the object file>
 *
 * The folder gets its name in one step when all is in it. Call everything with the global lock held.
 * @module
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { ensureBpffs } from "../../sys/bpf/bpffs.ts";
import { attachFilter, type Direction, detachFilter, replaceProgram } from "../../sys/bpf/link.ts";
import { BpfMap, mapInfo } from "../../sys/bpf/map.ts";
import { type BpfObject, declarations } from "../../sys/bpf/object.ts";
import { openPin, pin } from "../../sys/bpf/pins.ts";
import { call, programInfo } from "../../sys/bpf/program.ts";
import { close } from "../../sys/libc.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { image, loadImage, wantedEntries } from "./image.ts";
import { CONFIG, MAPS, PROGRAMS } from "./layout.ts";
import type { EbpfPaths } from "./paths.ts";

const IMAGE = "image-";

/** Whether the namespace has its programs and maps. */
export const installed = (paths: EbpfPaths): boolean => existsSync(`${paths.pins}/maps/config`);

/** Makes programs and maps for a namespace that has none. Nothing is hooked yet. @throws VerifierError, SysError */
export function install(paths: EbpfPaths): void {
  ensureBpffs(paths.mount);
  const { bytes, hash } = image();
  const staging = `${paths.pins}-new`;
  removePins(staging);
  const entries = wantedEntries();
  const object = loadImage(bytes, entries);
  try {
    for (const folder of ["", "/maps", "/programs", "/links", `/${IMAGE}${hash}`])
      mkdirSync(staging + folder);
    for (const [name, fd] of object.maps) if (isOurs(name)) pin(fd, `${staging}/maps/${name}`);
    for (const [name, fd] of object.programs) pin(fd, `${staging}/programs/${name}`);
    setSlots(object.map("config"), entries.connections);
    start(object);
    renameSync(staging, paths.pins);
  } catch (error) {
    removePins(staging);
    throw error;
  } finally {
    object.close();
  }
}

const isOurs = (name: string): boolean => Object.hasOwn(MAPS, name) || !name.startsWith(".");

function setSlots(fd: number, slots: number): void {
  const config = new Uint8Array(CONFIG.size);
  new DataView(config.buffer).setUint32(CONFIG.at.slots, slots, LITTLE_ENDIAN);
  const map = new BpfMap(fd); // not closed: the descriptor is the object's
  map.updateIndex(0, config);
}

function start(object: BpfObject): void {
  const result = call(object.program(PROGRAMS.start));
  if (result !== 0) throw new Error(`the timer of the BPF programs does not start (${result})`);
}

/** How the programs that are pinned compare with those of this lvsd. */
export type Age = "same" | "other" | "incompatible";

/** Compares them: "other" can take over running maps, "incompatible" cannot. */
export function age(paths: EbpfPaths): Age {
  const { bytes, hash } = image();
  if (existsSync(`${paths.pins}/${IMAGE}${hash}`)) return "same";
  for (const declared of declarations(bytes).maps) {
    const map = declared.internal ? undefined : BpfMap.open(`${paths.pins}/maps/${declared.name}`);
    if (!map) continue;
    const { type, keySize, valueSize } = map.info;
    map.close();
    if (type !== declared.type || keySize !== declared.keySize || valueSize !== declared.valueSize)
      return "incompatible";
  }
  return "other";
}

/** Puts this lvsd's programs in the place of another's, over the same maps: connections live on, no packet is missed. */
export function takeOver(paths: EbpfPaths): void {
  const { bytes, hash } = image();
  const folder = `${paths.pins}/maps`;
  const reuse: Record<string, number> = {};
  for (const name of readdirSync(folder)) reuse[name] = openPin(`${folder}/${name}`)!;
  const entries = { ...wantedEntries(), connections: mapInfo(reuse["slab"]!).maxEntries };
  let object: BpfObject | undefined;
  try {
    object = loadImage(bytes, entries, reuse);
    for (const [name, fd] of object.maps) {
      if (isOurs(name) && reuse[name] === undefined) pin(fd, `${folder}/${name}`);
    }
    for (const [name, fd] of object.programs) replacePin(fd, `${paths.pins}/programs/${name}`);
    start(object);
    replaceHooked(paths, object);
    const before = readdirSync(paths.pins).filter((name) => name.startsWith(IMAGE));
    mkdirSync(`${paths.pins}/${IMAGE}${hash}`);
    for (const name of before) rmdirSync(`${paths.pins}/${name}`);
  } finally {
    object?.close();
    for (const fd of Object.values(reuse)) close(fd);
  }
}

/** The name shows the old object or the new one, at any time. */
function replacePin(fd: number, path: string): void {
  const temporary = `${path}-new`;
  rmSync(temporary, { force: true });
  pin(fd, temporary);
  renameSync(temporary, path);
}

function replaceHooked(paths: EbpfPaths, object: BpfObject): void {
  for (const hook of hookPins(paths)) {
    const program = object.program(hook.program);
    const link = openPin(hook.path);
    if (link === undefined) continue;
    try {
      replaceProgram(link, program);
    } finally {
      close(link);
    }
  }
  for (const { index, direction, program } of filterMarks(paths))
    attachFilter(object.program(program), index, direction);
}

/** A program on an interface, as the pins tell. */
export interface Hook {
  readonly index: number;
  /** "xdp" = in the driver, before TC. */
  readonly direction: Direction | "xdp";
  /** Name of the program. */
  readonly program: string;
  readonly path: string;
}

function parseHook(folder: string, name: string): Hook | undefined {
  const match = /^(\d+)-(ingress|egress|xdp)-(\w+)$/.exec(name);
  if (!match) return undefined;
  return {
    index: Number(match[1]),
    direction: match[2] as Hook["direction"],
    program: match[3]!,
    path: `${folder}/${name}`,
  };
}

const hooksIn = (folder: string): Hook[] =>
  existsSync(folder) ? readdirSync(folder).flatMap((name) => parseHook(folder, name) ?? []) : [];

/** Pinned links. */
export const hookPins = (paths: EbpfPaths): Hook[] => hooksIn(`${paths.pins}/links`);

/** A {@link Hook} of TC. */
export type Filter = Hook & { readonly direction: Direction };

/** Classic filters leave no pin: a folder stands for each. */
export const filterMarks = (paths: EbpfPaths): Filter[] =>
  hooksIn(`${paths.pins}/filters`).filter((hook): hook is Filter => hook.direction !== "xdp");

/** Takes everything away: hooks first, then programs and maps with all connections. */
export function uninstall(paths: EbpfPaths): void {
  for (const { index, direction } of filterMarks(paths)) {
    try {
      detachFilter(index, direction);
    } catch {
      // The interface went before.
    }
  }
  // A link without a pin is a program off its interface.
  for (const { path } of hookPins(paths)) unlinkSync(path);
  removePins(paths.pins);
  removePins(`${paths.pins}-new`);
}

function removePins(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Ids of the pinned programs by name. */
export function programIds(paths: EbpfPaths): Map<string, number> {
  const folder = `${paths.pins}/programs`;
  return new Map(
    readdirSync(folder).map((name) => {
      const fd = openPin(`${folder}/${name}`)!;
      try {
        return [name, programInfo(fd).id] as const;
      } finally {
        close(fd);
      }
    }),
  );
}
