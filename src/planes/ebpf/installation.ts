/**
 * The programs and maps of one namespace, in its folder of pins:
 *
 *     <cookie>/maps/*  <cookie>/programs/*  <cookie>/links/<interface>-<direction>  <cookie>/image-<hash of the object file>
 *     <cookie>/filters/<interface>-<direction>, <cookie>/witness  (without TCX)
 *
 * The folder gets its name in one step when all is in it. Call everything with the global lock held.
 * @module
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { ensureBpffs } from "../../sys/bpf/bpffs.ts";
import { btfOfMap } from "../../sys/bpf/btf.ts";
import { attachFilter, type Direction, detachFilter, linkInfo, replaceProgram } from "../../sys/bpf/link.ts";
import { BpfMap } from "../../sys/bpf/map.ts";
import { type BpfObject, declarations } from "../../sys/bpf/object.ts";
import { openPin, pin } from "../../sys/bpf/pins.ts";
import { call } from "../../sys/bpf/program.ts";
import { close } from "../../sys/libc.ts";
import { type BtfStruct, structs } from "../../wire/btf.ts";
import { section } from "../../wire/elf.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { type Entries, IMAGE, image, imagePin, loadImage, wantedEntries } from "./image.ts";
import { bucketsFor, CONFIG, CONN, PROGRAMS, STRUCTS } from "./layout.ts";
import type { EbpfPaths } from "./paths.ts";
import { BASIC, isOurs, replacePrograms, withProgram } from "./programs.ts";
import { sizeOf } from "./struct.ts";
import { sameLayout } from "./translation.ts";

/** Whether the namespace has its programs and maps. */
export const installed = (paths: EbpfPaths): boolean => existsSync(`${paths.pins}/maps/config`);

/** Makes programs and maps for a namespace that has none. Nothing is hooked yet. @throws VerifierError, SysError */
export function install(paths: EbpfPaths): void {
  ensureBpffs(paths.mount);
  // What a command left that was killed while it took everything away.
  uninstall(paths);
  stage(paths, wantedEntries(), BASIC);
  renameSync(stagingOf(paths), paths.pins);
}

/** Where pins lie until they are complete, and where they wait to be removed. */
const stagingOf = (paths: EbpfPaths): string => `${paths.pins}-new`;
const formerOf = (paths: EbpfPaths): string => `${paths.pins}-old`;

/** Loads maps and programs, and pins them aside. */
function stage(paths: EbpfPaths, entries: Entries, programs: readonly string[]): void {
  const staging = stagingOf(paths);
  removePins(staging);
  const object = loadImage(image().bytes, entries, programs);
  try {
    for (const folder of ["", "/maps", "/programs", "/links"]) mkdirSync(staging + folder);
    mkdirSync(imagePin(staging));
    for (const [name, fd] of object.maps) if (isOurs(name)) pin(fd, `${staging}/maps/${name}`);
    for (const [name, fd] of object.programs) pin(fd, `${staging}/programs/${name}`);
    setSizes(object.map("config"), entries);
    start(object);
  } catch (error) {
    removePins(staging);
    throw error;
  } finally {
    object.close();
  }
}

/** What the programs must know of their maps, and where strangers cannot guess that connections lie. */
function setSizes(fd: number, { connections, buckets }: Entries): void {
  const config = new Uint8Array(CONFIG.size);
  const view = new DataView(config.buffer);
  view.setUint32(CONFIG.at.slots, connections, LITTLE_ENDIAN);
  view.setBigUint64(CONFIG.at.bucket_mask, BigInt(buckets - 1), LITTLE_ENDIAN);
  config.set(randomBytes(sizeOf(CONFIG, "seed")), CONFIG.at.seed);
  const map = new BpfMap(fd); // not closed: the descriptor is the object's
  map.updateIndex(0, config);
}

function start(object: BpfObject): void {
  const result = call(object.program(PROGRAMS.start));
  if (result !== 0) throw new Error(`the timer of the BPF programs does not start (${result})`);
}

/** How the programs that are pinned compare with those of this lvsd. */
export type Age = "same" | "other" | "incompatible";

/** Compares them: "other" can take over running maps, "incompatible" needs other maps. */
export function age(paths: EbpfPaths): Age {
  if (existsSync(imagePin(paths.pins))) return "same";
  const { bytes } = image();
  for (const declared of declarations(bytes).maps) {
    const map = declared.internal ? undefined : BpfMap.open(`${paths.pins}/maps/${declared.name}`);
    if (!map) continue;
    const { type, keySize, valueSize } = map.info;
    map.close();
    if (type !== declared.type || keySize !== declared.keySize || valueSize !== declared.valueSize)
      return "incompatible";
  }
  // The same sizes do not make the same fields.
  const btf = section(bytes, ".BTF");
  const [ours, theirs] = [btf && structs(btf), pinnedLayouts(paths)];
  const differs = STRUCTS.some(({ name }) => !sameLayout(theirs?.get(name), ours?.get(name)));
  return ours && theirs && differs ? "incompatible" : "other";
}

/** The structs of the maps that are pinned; undefined when the kernel does not know them. */
function pinnedLayouts(paths: EbpfPaths): ReadonlyMap<string, BtfStruct> | undefined {
  const fd = openPin(`${paths.pins}/maps/slab`);
  if (fd === undefined) return undefined;
  try {
    const btf = btfOfMap(fd);
    return btf && structs(btf);
  } finally {
    close(fd);
  }
}

/** Maps of two shapes, side by side. */
export interface Move {
  /** Structs of the old maps. */
  readonly layouts: ReadonlyMap<string, BtfStruct>;
  /** Folders of maps. */
  readonly from: string;
  readonly to: string;
}

/** Makes maps of this lvsd's shape beside the old ones, with as many connections. @throws Error when the old shape is not known */
export function beginMove(paths: EbpfPaths): Move {
  const layouts = pinnedLayouts(paths);
  if (!layouts?.has(CONN.name)) throw new Error("the maps that are there do not say what they hold");
  const slab = BpfMap.open(`${paths.pins}/maps/slab`)!;
  const connections = slab.info.maxEntries;
  slab.close();
  const entries = { ...wantedEntries(), connections, buckets: bucketsFor(connections) };
  stage(paths, entries, [...inUse(paths), PROGRAMS.adopt]);
  return { layouts, from: `${paths.pins}/maps`, to: `${stagingOf(paths)}/maps` };
}

/** Puts connections that were written into the new maps into their hash table. */
export function adopt(paths: EbpfPaths): void {
  withProgram(stagingOf(paths), PROGRAMS.adopt, call);
}

/** In the staged folder from when its programs come to the interfaces: no way back, since connections begin in its maps. */
const takesOver = (paths: EbpfPaths): string => `${stagingOf(paths)}/takes-over`;

/** Changes the programs on the interfaces to those of the new maps. */
export function changePrograms(paths: EbpfPaths): void {
  mkdirSync(takesOver(paths), { recursive: true });
  replaceHooked(paths, stagingOf(paths));
}

/** The new pins take the place of the old ones. Whoever is killed here leaves what {@link mend} puts right. */
export function endMove(paths: EbpfPaths, onStep: (step: string) => void): void {
  const [staging, former] = [stagingOf(paths), formerOf(paths)];
  onStep("end move");
  for (const { path } of hookPins(paths)) renameSync(path, path.replace(paths.pins, staging));
  for (const { path } of filterMarks(paths))
    mkdirSync(path.replace(paths.pins, staging), { recursive: true });
  onStep("put aside");
  renameSync(paths.pins, former);
  onStep("put in place");
  renameSync(staging, paths.pins);
  onStep("forget the former");
  removePins(former);
}

/** Whether a command was killed while it changed programs. */
export const needsMending = (paths: EbpfPaths): boolean =>
  existsSync(formerOf(paths)) || existsSync(stagingOf(paths));

/** Puts right what a command left that was killed in {@link install}, or between {@link beginMove} and the end of {@link endMove}. */
export function mend(paths: EbpfPaths): void {
  const [staging, former] = [stagingOf(paths), formerOf(paths)];
  if (!existsSync(paths.pins) && existsSync(former)) {
    // The new ones are complete.
    if (existsSync(staging)) renameSync(staging, paths.pins);
    else renameSync(former, paths.pins);
  } else if (existsSync(takesOver(paths))) {
    replaceHooked(paths, staging);
    endMove(paths, () => undefined);
  } else removePins(staging);
  removePins(former);
  if (installed(paths)) awaitNothing(paths);
}

/** Connections that were to be carried over are not waited for any more, nor is what a sync process waits for. */
function awaitNothing(paths: EbpfPaths): void {
  const at = pinnedLayouts(paths)?.get(CONFIG.name)?.members.get("awaiting");
  const config = BpfMap.open(`${paths.pins}/maps/config`);
  if (at !== undefined && config) {
    const memory = config.map();
    memory.bytes.fill(0, at, at + sizeOf(CONFIG, "awaiting"));
    memory.close();
  }
  config?.close();
}

/** Puts this lvsd's programs in the place of another's, over the same maps: connections live on, no packet is missed. */
export function takeOver(paths: EbpfPaths): void {
  replacePrograms(paths.pins, inUse(paths), start);
  replaceHooked(paths, paths.pins);
  const before = readdirSync(paths.pins).filter((name) => name.startsWith(IMAGE));
  // Neither version is to take these for its own before all of this is done.
  for (const name of before) rmdirSync(`${paths.pins}/${name}`);
  mkdirSync(imagePin(paths.pins));
}

/** The programs that a namespace cannot be without now. */
function inUse(paths: EbpfPaths): string[] {
  const hooked = [...hookPins(paths), ...filterMarks(paths)].map(({ program }) => program);
  return [...new Set([...BASIC, ...hooked.filter(isKnown)])];
}

/** Other versions may have programs that this one has not. */
const isKnown = (program: string): boolean => Object.values<string>(PROGRAMS).includes(program);

/** Puts the programs of a folder of pins in the place of those on interfaces. */
function replaceHooked(paths: EbpfPaths, folder: string): void {
  for (const hook of hookPins(paths)) {
    const link = openPin(hook.path);
    if (link === undefined) continue;
    try {
      // The interface may be gone.
      if (linkInfo(link).ifindex === 0 || !isKnown(hook.program)) continue;
      withProgram(folder, hook.program, (program) => replaceProgram(link, program));
    } finally {
      close(link);
    }
  }
  for (const { index, direction, program } of filterMarks(paths)) {
    if (!isKnown(program)) continue;
    try {
      withProgram(folder, program, (fd) => attachFilter(fd, index, direction));
    } catch {
      // The interface is gone.
    }
  }
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
export const filterMarks = (paths: EbpfPaths): Filter[] => filtersIn(paths.pins);

const filtersIn = (folder: string): Filter[] =>
  hooksIn(`${folder}/filters`).filter((hook): hook is Filter => hook.direction !== "xdp");

/** A link that ends with the namespace, where classic filters leave nothing that does. */
export const witnessPin = (paths: EbpfPaths): string => `${paths.pins}/witness`;

/** Takes everything away from the namespace that this thread is in: hooks first, then programs and maps with all connections. */
export function uninstall(paths: EbpfPaths): void {
  // Who was killed while it moved them left them in other folders.
  const filters = [paths.pins, stagingOf(paths), formerOf(paths)].flatMap(filtersIn);
  for (const { index, direction } of filters) {
    try {
      detachFilter(index, direction);
    } catch {
      // The interface went before.
    }
  }
  removeAll(paths);
}

/** Removes all pins, also those of a namespace that is no more: its classic filters went with it. */
export function removeAll(paths: EbpfPaths): void {
  // A link without a pin is a program off its interface.
  for (const { path } of hookPins(paths)) unlinkSync(path);
  removePins(paths.pins);
  removePins(stagingOf(paths));
  removePins(formerOf(paths));
}

function removePins(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
