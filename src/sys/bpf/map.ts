/**
 * BPF maps: single elements, everything in batches, arrays as memory.
 * @module
 */
import { readFileSync } from "node:fs";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { close, lastErrno, MAP_FAILED, raw, SysError, viewOf } from "../libc.ts";
import { Attr, CMD, copyOf, memory } from "./call.ts";
import { openPin } from "./pins.ts";

/** Map types (`enum bpf_map_type`). */
export const MAP_TYPE = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  ARRAY_OF_MAPS: 12,
  HASH_OF_MAPS: 13,
  DEVMAP: 14,
  QUEUE: 22,
  DEVMAP_HASH: 25,
  RINGBUF: 27,
} as const;
const PER_CPU: readonly number[] = [MAP_TYPE.PERCPU_HASH, MAP_TYPE.PERCPU_ARRAY, MAP_TYPE.LRU_PERCPU_HASH];

/** Update flags. */
export const ANY = 0;
export const NOEXIST = 1;
export const EXIST = 2;
const BPF_F_MMAPABLE = 1 << 10;

const ENOENT = 2;
const ENOSPC = 28;
const PAGE = 4096;

/** What the kernel says about a map. */
export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly name: string;
}

/** Memory shared with the kernel. */
export interface Mapping {
  readonly bytes: Uint8Array<ArrayBuffer>;
  close(): void;
}

let cpus = 0;
/** CPUs that the machine may ever have: values of per-CPU maps have one part for each. */
export function possibleCpus(): number {
  if (cpus === 0) cpus = countCpus(readPossible());
  return cpus;
}

/** What a new map is to be. */
export interface MapSpec {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
  readonly name?: string;
}

/** An open map. */
export class BpfMap {
  readonly fd: number;
  readonly info: MapInfo;
  /** Bytes of a value as user space sees it: of every CPU, each rounded up to 8. */
  readonly valueSize: number;
  readonly #key: Uint8Array;
  readonly #value: Uint8Array;
  readonly #element: Attr;
  readonly #removal: Attr;

  /** Takes the descriptor over. @throws SysError */
  constructor(fd: number) {
    this.fd = fd;
    this.info = mapInfo(fd);
    const { type, valueSize } = this.info;
    this.valueSize = PER_CPU.includes(type) ? roundUp(valueSize, 8) * possibleCpus() : valueSize;
    this.#key = memory(Math.max(8, this.info.keySize));
    this.#value = memory(Math.max(8, this.valueSize));
    this.#element = new Attr(32).u32(0, fd).u64(8, this.#key).u64(16, this.#value);
    this.#removal = new Attr(16).u32(0, fd).u64(8, this.#key);
  }

  /** Makes a map. @throws SysError */
  static create(spec: MapSpec): BpfMap {
    const attr = new Attr(72)
      .u32(0, spec.type)
      .u32(4, spec.keySize)
      .u32(8, spec.valueSize)
      .u32(12, spec.maxEntries)
      .u32(16, spec.flags ?? 0);
    const name = spec.name ?? "";
    for (let i = 0; i < Math.min(15, name.length); i++) attr.bytes[28 + i] = name.charCodeAt(i);
    return new BpfMap(attr.do(CMD.MAP_CREATE, "MAP_CREATE", `make map ${name}`));
  }

  /** The map pinned at `path`; undefined when there is none. @throws SysError */
  static open(path: string): BpfMap | undefined {
    const fd = openPin(path);
    return fd === undefined ? undefined : new BpfMap(fd);
  }

  #what(verb: string): string {
    return `${verb} map ${this.info.name}`;
  }

  /** Reads the value of `key` into memory that the next call uses again; undefined when there is none. @throws SysError */
  lookup(key: Uint8Array): Uint8Array | undefined {
    this.#key.set(key);
    if (this.#element.u64(24, 0).try(CMD.MAP_LOOKUP_ELEM) === 0) return this.#value;
    const errno = lastErrno();
    if (errno === ENOENT) return undefined;
    throw new SysError("bpf MAP_LOOKUP_ELEM", errno, this.#what("read"));
  }

  /** Sets a value. @throws SysError EEXIST, ENOENT by the flags, E2BIG when the map is full */
  update(key: Uint8Array, value: Uint8Array, flags: number = ANY): void {
    this.#key.set(key);
    this.#value.set(value);
    this.#element.u64(24, flags).do(CMD.MAP_UPDATE_ELEM, "MAP_UPDATE_ELEM", this.#what("write"));
  }

  /** Removes a key; false when it was not there. @throws SysError */
  delete(key: Uint8Array): boolean {
    this.#key.set(key);
    if (this.#removal.try(CMD.MAP_DELETE_ELEM) === 0) return true;
    const errno = lastErrno();
    if (errno === ENOENT) return false;
    throw new SysError("bpf MAP_DELETE_ELEM", errno, this.#what("remove from"));
  }

  /** As {@link lookup}, for arrays and other maps whose keys are 32-bit numbers. */
  lookupIndex(index: number): Uint8Array | undefined {
    return this.lookup(wordKey(index));
  }
  /** As {@link update}, for keys that are 32-bit numbers. */
  updateIndex(index: number, value: Uint8Array, flags: number = ANY): void {
    this.update(wordKey(index), value, flags);
  }
  /** As {@link delete}, for hashes whose keys are 32-bit numbers. */
  deleteIndex(index: number): boolean {
    return this.delete(wordKey(index));
  }
  /** Puts a descriptor (a program into a prog array, a map into an array of maps). */
  updateFd(index: number, fd: number): void {
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, fd, LITTLE_ENDIAN);
    this.update(wordKey(index), value);
  }

  /**
   * Everything in the map, `count` elements at a time: keys and values one behind the other, in memory that the next step
   * uses again. Elements that come or go meanwhile may be missed. @throws SysError
   */
  *batches(count = 4096): Generator<{ count: number; keys: Uint8Array; values: Uint8Array }> {
    const { keySize, maxEntries, type } = this.info;
    let room = Math.min(count, maxEntries);
    const position = [memory(Math.max(16, keySize)), memory(Math.max(16, keySize))];
    let [keys, values] = [memory(room * keySize), memory(room * this.valueSize)];
    const isArray = type === MAP_TYPE.ARRAY || type === MAP_TYPE.PERCPU_ARRAY;
    let seen = 0;
    for (let first = true; ; ) {
      const attr = new Attr(56)
        .u64(0, first ? 0 : position[0]!)
        .u64(8, position[1]!)
        .u64(16, keys)
        .u64(24, values)
        .u32(32, room)
        .u32(36, this.fd);
      const failed = attr.try(CMD.MAP_LOOKUP_BATCH) < 0;
      const errno = failed ? lastErrno() : 0;
      if (errno === ENOSPC && room < maxEntries) {
        // One bucket of the hash holds more than there is room for.
        room = Math.min(room * 4, maxEntries);
        [keys, values] = [memory(room * keySize), memory(room * this.valueSize)];
        continue;
      }
      if (failed && errno !== ENOENT) throw new SysError("bpf MAP_LOOKUP_BATCH", errno, this.#what("list"));
      const got = attr.getU32(32);
      if (got > 0 && !(failed && errno !== ENOENT)) yield { count: got, keys, values };
      seen += got;
      if (errno === ENOENT || (isArray && seen >= maxEntries) || (!failed && got === 0)) return;
      first = false;
      position.reverse();
    }
  }

  /** Takes the first value out of a queue whose values are 32-bit numbers; undefined when it is empty. @throws SysError */
  pop(): number | undefined {
    const attr = new Attr(32).u32(0, this.fd).u64(16, this.#value);
    if (attr.try(CMD.MAP_LOOKUP_AND_DELETE_ELEM) === 0)
      return new DataView(this.#value.buffer).getUint32(0, LITTLE_ENDIAN);
    const errno = lastErrno();
    if (errno === ENOENT) return undefined;
    throw new SysError("bpf MAP_LOOKUP_AND_DELETE_ELEM", errno, this.#what("take from"));
  }

  /** Puts a value at the end of a queue whose values are 32-bit numbers. @throws SysError E2BIG when it is full */
  push(value: number): void {
    new DataView(this.#value.buffer).setUint32(0, value, LITTLE_ENDIAN);
    new Attr(32)
      .u32(0, this.fd)
      .u64(16, this.#value)
      .do(CMD.MAP_UPDATE_ELEM, "MAP_UPDATE_ELEM", this.#what("write"));
  }

  /** Every key, one system call each: for small maps, and kinds that know no batches. @throws SysError */
  keys(): Uint8Array<ArrayBuffer>[] {
    const found: Uint8Array<ArrayBuffer>[] = [];
    const next = memory(Math.max(8, this.info.keySize));
    const attr = new Attr(24).u32(0, this.fd).u64(16, next);
    for (let before = 0; found.length < this.info.maxEntries; before = 1) {
      if (before) this.#key.set(found.at(-1)!);
      if (attr.u64(8, before ? this.#key : 0).try(CMD.MAP_GET_NEXT_KEY) !== 0) {
        const errno = lastErrno();
        if (errno === ENOENT) break;
        throw new SysError("bpf MAP_GET_NEXT_KEY", errno, this.#what("list"));
      }
      found.push(next.slice(0, this.info.keySize));
    }
    return found;
  }

  /** Sets `count` elements, keys and values one behind the other. @throws SysError */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): void {
    const [k, v] = [copyOf(keys), copyOf(values)];
    new Attr(56)
      .u64(16, k)
      .u64(24, v)
      .u32(32, count)
      .u32(36, this.fd)
      .do(CMD.MAP_UPDATE_BATCH, "MAP_UPDATE_BATCH", this.#what("write"));
    // Both had to live until here.
    void [k.length, v.length];
  }

  /** Whether {@link map} can be had. */
  get mappable(): boolean {
    return (this.info.flags & BPF_F_MMAPABLE) !== 0;
  }

  /** The values of an array as memory, each rounded up to 8 bytes. Must be closed after its last use. @throws SysError */
  map(writable = true): Mapping {
    const length = roundUp(roundUp(this.info.valueSize, 8) * this.info.maxEntries, PAGE);
    const address = Number(raw.mmap(0, length, writable ? 3 : 1, 1, this.fd, 0));
    if (address === MAP_FAILED) throw new SysError("mmap", lastErrno(), this.#what("map"));
    return { bytes: viewOf(address, length), close: () => void raw.munmap(address, length) };
  }

  close(): void {
    close(this.fd);
  }
}

/** What the kernel says about the map behind a descriptor. @throws SysError */
export function mapInfo(fd: number): MapInfo {
  const info = memory(104);
  new Attr(16).u32(0, fd).u32(4, info.length).u64(8, info).do(CMD.OBJ_GET_INFO_BY_FD, "OBJ_GET_INFO_BY_FD");
  const v = new DataView(info.buffer);
  const word = (at: number): number => v.getUint32(at, LITTLE_ENDIAN);
  return {
    type: word(0),
    id: word(4),
    keySize: word(8),
    valueSize: word(12),
    maxEntries: word(16),
    flags: word(20),
    name: text(info, 24, 16),
  };
}

/** Up to `length` bytes as text, until the first 0. */
export function text(bytes: Uint8Array, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  const stop = end < 0 || end > at + length ? at + length : end;
  return Buffer.from(bytes.subarray(at, stop)).toString("latin1");
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

const word = new Uint8Array(4);
const wordView = new DataView(word.buffer);
function wordKey(index: number): Uint8Array {
  wordView.setUint32(0, index, LITTLE_ENDIAN);
  return word;
}

function readPossible(): string {
  for (const path of ["/sys/devices/system/cpu/possible", "/proc/1/root/sys/devices/system/cpu/possible"]) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      // Not mounted here.
    }
  }
  return "0";
}

/** How many CPUs a list such as "0-3,8" names, reckoned from 0: the kernel's parts go up to the last one. */
export function countCpus(list: string): number {
  let last = 0;
  for (const part of list.trim().split(",")) last = Math.max(last, Number(part.split("-").at(-1)));
  return last + 1;
}
