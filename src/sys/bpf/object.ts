/**
 * BPF object files: opened from memory, fitted (sizes, constants, maps that are there already), loaded.
 * @module
 */
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { addressOf, SysError, viewOf } from "../libc.ts";
import { cString, memory } from "./call.ts";
import { type Handle, libbpf, succeeded, takeMessages } from "./libbpf.ts";
import { text } from "./map.ts";
import { reasonOf } from "./verifier.ts";

/** `struct bpf_object_open_opts`. */
const OPTIONS = { size: 0, name: 8, logBuf: 56, logSize: 64, logLevel: 72, length: 80 } as const;
const ENOSPC = 28;
/** A signal interrupted the verifier. */
const EAGAIN = 11;
const ATTEMPTS = 10;
/** Bytes of log; memory that is not written costs nothing. */
const LOG_SIZE = 16 << 20;
const LOG_SIZE_MAX = 512 << 20;

/** A map as an object file declares it. */
export interface DeclaredMap {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** The compiler's own: .rodata, .data, .bss. */
  readonly internal: boolean;
}

/** What is wanted of an object before it is loaded. Everything is by name. */
export interface Fitting {
  /** Sizes in elements that replace the declared ones. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Descriptors of maps that are used instead of new ones; they stay the caller's. */
  readonly reuse?: Readonly<Record<string, number>>;
  /** Changes the initial bytes of a section (".rodata"), in place. */
  readonly sections?: Readonly<Record<string, (bytes: Uint8Array) => void>>;
  /** Programs that are left out. */
  readonly skip?: (program: string) => boolean;
}

/** A program that the verifier refused. */
export class VerifierError extends Error {
  override readonly name = "VerifierError";
  /** All that it said. */
  readonly log: string;
  constructor(message: string, log: string, cause: unknown) {
    super(message, { cause });
    this.log = log;
  }
}

/** A loaded object. Its descriptors live until it is closed; what is pinned or attached lives on. */
export class BpfObject {
  readonly #object: Handle;
  /** Descriptors by name. */
  readonly maps: ReadonlyMap<string, number>;
  readonly programs: ReadonlyMap<string, number>;

  private constructor(object: Handle) {
    this.#object = object;
    this.maps = new Map(mapsOf(object).map((m) => [nameOf(m), libbpf.mapFd(m)]));
    this.programs = new Map(
      programsOf(object)
        .map((p) => [libbpf.programName(p), libbpf.programFd(p)] as const)
        .filter(([, fd]) => fd >= 0),
    );
  }

  /** Loads an object. @throws VerifierError, SysError */
  static load(bytes: Uint8Array, name: string, fitting: Fitting = {}): BpfObject {
    let logSize = LOG_SIZE;
    for (let attempt = 1; ; attempt++) {
      const log = memory(logSize);
      const object = open(bytes, name, log);
      try {
        prepare(object, fitting);
        const result = libbpf.load(object);
        if (result >= 0) {
          takeMessages();
          return new BpfObject(object);
        }
        if (result === -EAGAIN && attempt < ATTEMPTS) throw RETRY;
        if (result === -ENOSPC && log[0] !== 0 && logSize < LOG_SIZE_MAX) {
          // A log that does not fit hides the true error.
          logSize *= 4;
          throw RETRY;
        }
        throw refusal(result, name, text(log, 0, log.length));
      } catch (error) {
        libbpf.closeObject(object);
        if (error !== RETRY) throw error;
      }
    }
  }

  /** @throws Error when the object has no such map */
  map(name: string): number {
    return found(this.maps, name, "map");
  }
  /** @throws Error when the object has no such program */
  program(name: string): number {
    return found(this.programs, name, "program");
  }

  close(): void {
    libbpf.closeObject(this.#object);
  }
}

const RETRY = Symbol("retry");

function found(of: ReadonlyMap<string, number>, name: string, kind: string): number {
  const fd = of.get(name);
  if (fd === undefined) throw new Error(`the BPF object has no ${kind} "${name}"`);
  return fd;
}

/** The maps and programs that an object file declares. @throws SysError */
export function declarations(bytes: Uint8Array): { maps: DeclaredMap[]; programs: string[] } {
  const object = open(bytes, "declarations", memory(16));
  try {
    const maps = mapsOf(object).map((m) => ({
      name: nameOf(m),
      type: libbpf.mapType(m),
      keySize: libbpf.mapKeySize(m),
      valueSize: libbpf.mapValueSize(m),
      maxEntries: libbpf.mapMaxEntries(m),
      flags: libbpf.mapFlags(m),
      internal: libbpf.mapIsInternal(m),
    }));
    return { maps, programs: programsOf(object).map((p) => libbpf.programName(p)) };
  } finally {
    libbpf.closeObject(object);
  }
}

function open(bytes: Uint8Array, name: string, log: Uint8Array): Handle {
  const cName = cString(name);
  const options = memory(OPTIONS.length);
  const v = new DataView(options.buffer);
  v.setBigUint64(OPTIONS.size, BigInt(OPTIONS.length), LITTLE_ENDIAN);
  v.setBigUint64(OPTIONS.name, BigInt(addressOf(cName)), LITTLE_ENDIAN);
  v.setBigUint64(OPTIONS.logBuf, BigInt(addressOf(log)), LITTLE_ENDIAN);
  v.setBigUint64(OPTIONS.logSize, BigInt(log.length), LITTLE_ENDIAN);
  // Level 0: nothing is logged unless the load fails, then it is tried again with a log.
  v.setUint32(OPTIONS.logLevel, 0, LITTLE_ENDIAN);
  const object = libbpf.openMem(bytes, options);
  const said = takeMessages().join("; ");
  void cName.length; // had to live until here
  if (object === 0) throw new Error(`${name} is no BPF object that libbpf can read: ${said}`);
  return object;
}

function prepare(object: Handle, { maxEntries = {}, reuse = {}, sections = {}, skip }: Fitting): void {
  for (const map of mapsOf(object)) {
    const name = nameOf(map);
    const count = maxEntries[name];
    const fd = reuse[name];
    if (fd !== undefined) succeeded("bpf_map__reuse_fd", libbpf.mapReuseFd(map, fd), `take over map ${name}`);
    else if (count !== undefined)
      succeeded("bpf_map__set_max_entries", libbpf.mapSetMaxEntries(map, count), `size map ${name}`);
    const change = Object.entries(sections).find(([section]) => name.endsWith(section))?.[1];
    if (change && libbpf.mapIsInternal(map)) {
      const size = memory(8);
      const at = libbpf.mapInitialValue(map, size);
      const value = viewOf(at, Number(new DataView(size.buffer).getBigUint64(0, LITTLE_ENDIAN))).slice();
      change(value);
      succeeded("bpf_map__set_initial_value", libbpf.mapSetInitialValue(map, value), `set ${name}`);
    }
  }
  if (!skip) return;
  for (const program of programsOf(object)) {
    if (skip(libbpf.programName(program))) libbpf.programSetAutoload(program, false);
  }
}

function refusal(result: number, name: string, log: string): Error {
  const messages = takeMessages();
  const cause = new SysError("bpf_object__load", -result, `load ${name}`);
  const program = messages.map((m) => /prog '([^']+)'/.exec(m)?.[1]).find(Boolean);
  const reason = reasonOf(log);
  if (program && reason)
    return new VerifierError(`the kernel refuses BPF program ${program}: ${reason}`, log, cause);
  const said = messages
    .map((m) => m.replace(/^libbpf: /, ""))
    .find((m) => !m.startsWith("failed to load object"));
  return said ? new SysError("bpf_object__load", -result, `load ${name}: ${said}`) : cause;
}

function mapsOf(object: Handle): Handle[] {
  return walk((after) => libbpf.nextMap(object, after));
}
function programsOf(object: Handle): Handle[] {
  return walk((after) => libbpf.nextProgram(object, after));
}
function walk(next: (after: Handle) => Handle): Handle[] {
  const all: Handle[] = [];
  for (let h = next(0); h !== 0; h = next(h)) all.push(h);
  return all;
}

/** Sections that the compiler makes are named after the object ("lvsd.rodata"): ".rodata" then. */
function nameOf(map: Handle): string {
  const name = libbpf.mapName(map);
  return libbpf.mapIsInternal(map) ? name.slice(name.indexOf(".")) : name;
}
