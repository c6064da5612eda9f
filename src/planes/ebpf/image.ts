/**
 * The compiled BPF programs: where their file is, and how it is loaded for a namespace.
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UnsupportedError } from "../../core/errors.ts";
import { BpfObject } from "../../sys/bpf/object.ts";
import { bucketsFor, DEFAULT_ENTRIES, MAPS, type MapLayout, type Scale } from "./layout.ts";

const FILE = "lvsd.bpf.o";
/** Beside the bundled commands, or in the source tree. */
const PLACES = [join(import.meta.dirname, FILE), join(import.meta.dirname, "../../../bpf", FILE)];
const MAX_SLOTS = 1 << 24;
/** Sections of programs that do not read the kernel's memory. */
const BLIND = { ".rodata.memory": (bytes: Uint8Array) => void bytes.fill(0) };

/** An object file. */
export interface Image {
  readonly bytes: Uint8Array;
  readonly hash: string;
}

let own: Image | undefined;

/**
 * The object file that belongs to this code: as it was when this process asked first, since an upgrade may put another one in its place
 * while the process runs.
 * @throws Error when it is missing
 */
export const image = (): Image => (own ??= readImage());

function readImage(): Image {
  const path = PLACES.find((place) => existsSync(place));
  if (!path)
    throw new Error(`${FILE} is missing: it belongs beside the commands; "npm run build" puts it there`);
  const bytes = readFileSync(path);
  return { bytes, hash: createHash("sha256").update(bytes).digest("hex").slice(0, 16) };
}

/** Tells of which object file the programs in a folder of pins are. */
export const imagePin = (folder: string): string => `${folder}/${IMAGE}${image().hash}`;
/** What such a pin's name begins with. */
export const IMAGE = "image-";

/** How many elements the maps get. */
export type Entries = Record<Exclude<Scale, "fixed">, number>;

/** Sizes as the environment asks: `LVSD_EBPF_CONNECTIONS`, `LVSD_EBPF_SERVICES`, `LVSD_EBPF_DESTINATIONS`. @throws UnsupportedError */
export function wantedEntries(env: NodeJS.ProcessEnv = process.env): Entries {
  const read = (name: string, otherwise: number, most: number): number => {
    const text = env[name];
    if (!text) return otherwise;
    const n = Number(text);
    if (!Number.isInteger(n) || n < 16 || n > most)
      throw new UnsupportedError(`${name}=${text}: expects a whole number, 16..${most}`);
    return n;
  };
  const connections = read("LVSD_EBPF_CONNECTIONS", DEFAULT_ENTRIES.connections, MAX_SLOTS);
  return {
    connections,
    buckets: bucketsFor(connections),
    services: read("LVSD_EBPF_SERVICES", DEFAULT_ENTRIES.services, 65536),
    dests: read("LVSD_EBPF_DESTINATIONS", DEFAULT_ENTRIES.dests, 65536),
  };
}

/**
 * Loads the object.
 * @param programs those that are wanted of it; all if undefined
 * @param reuse descriptors of maps that are there already
 */
export function loadImage(
  bytes: Uint8Array,
  entries: Entries,
  programs?: readonly string[],
  reuse: Record<string, number> = {},
): BpfObject {
  const skip = (name: string): boolean => programs !== undefined && !programs.includes(name);
  const maxEntries: Record<string, number> = {};
  for (const [name, layout] of Object.entries(MAPS) as [string, MapLayout][]) {
    if (layout.scale !== "fixed") maxEntries[name] = entries[layout.scale];
  }
  try {
    return BpfObject.load(bytes, "lvsd", { maxEntries, reuse, skip });
  } catch (error) {
    try {
      // Lockdown, and capabilities without CAP_PERFMON, forbid reading the kernel's memory, which the automatic defence modes do.
      return BpfObject.load(bytes, "lvsd", { maxEntries, reuse, skip, sections: BLIND });
    } catch {
      throw error;
    }
  }
}
