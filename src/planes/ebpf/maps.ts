/**
 * The pinned maps of one namespace: opened when they are first needed, arrays as memory.
 * @module
 */
import { BpfMap, type Mapping } from "../../sys/bpf/map.ts";
import type { MAPS } from "./layout.ts";

/** A map's name. */
export type MapName = keyof typeof MAPS;

/** Memory of an array. */
export interface ArrayMemory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

/** What is pinned below a folder. */
export class Maps {
  readonly #folder: string;
  readonly #open = new Map<MapName, BpfMap>();
  readonly #memory = new Map<MapName, { mapping: Mapping; memory: ArrayMemory }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws SysError, Error when it is not pinned */
  map(name: MapName): BpfMap {
    let map = this.#open.get(name);
    if (!map) {
      map = BpfMap.open(`${this.#folder}/${name}`);
      if (!map) throw new Error(`the map ${name} is not pinned in ${this.#folder}`);
      this.#open.set(name, map);
    }
    return map;
  }

  /** The memory of an array; it holds until {@link close}. @throws SysError, Error */
  array(name: MapName): ArrayMemory {
    let found = this.#memory.get(name);
    if (!found) {
      const mapping = this.map(name).map();
      const { bytes } = mapping;
      found = { mapping, memory: { bytes, view: new DataView(bytes.buffer) } };
      this.#memory.set(name, found);
    }
    return found.memory;
  }

  /** Closes everything; nothing that {@link array} gave may be used afterwards. */
  close(): void {
    for (const { mapping } of this.#memory.values()) mapping.close();
    for (const map of this.#open.values()) map.close();
    this.#memory.clear();
    this.#open.clear();
  }
}
