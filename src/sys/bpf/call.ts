/**
 * The system call bpf(2) (`include/uapi/linux/bpf.h`): attributes in one block of memory, a command, an answer.
 * @module
 */
import { arch } from "node:os";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { addressOf, check, raw } from "../libc.ts";

/** Commands (`enum bpf_cmd`). */
export const CMD = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_TEST_RUN: 10,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  BTF_GET_FD_BY_ID: 19,
  PROG_QUERY: 16,
  MAP_LOOKUP_AND_DELETE_ELEM: 21,
  MAP_LOOKUP_BATCH: 24,
  MAP_UPDATE_BATCH: 26,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  LINK_DETACH: 34,
} as const;

const NUMBER: Partial<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280, loong64: 280 };
/** Number of the system call on this processor. */
const SYS_BPF = NUMBER[arch()] ?? 280;

/** Attributes of a call: fields at the offsets of `union bpf_attr`. */
export class Attr {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #address: number;

  /** `size` in bytes: up to the last field that is set. */
  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    this.#view = new DataView(this.bytes.buffer);
    this.#address = addressOf(this.bytes);
  }

  u32(at: number, value: number): this {
    this.#view.setUint32(at, value >>> 0, LITTLE_ENDIAN);
    return this;
  }
  /** A number, or the address of memory off the JavaScript heap that lives until after the call. */
  u64(at: number, value: number | Uint8Array): this {
    const n = typeof value === "number" ? value : value.length === 0 ? 0 : addressOf(value);
    this.#view.setUint32(at, n >>> 0, LITTLE_ENDIAN);
    this.#view.setUint32(at + 4, Math.floor(n / 2 ** 32), LITTLE_ENDIAN);
    return this;
  }
  getU32(at: number): number {
    return this.#view.getUint32(at, LITTLE_ENDIAN);
  }

  /** Does it: the result, -1 with errno when it failed. */
  try(command: number): number {
    return raw.syscall(SYS_BPF, command, this.#address, this.bytes.length);
  }
  /** Does it. @throws SysError that says `what` was tried */
  do(command: number, name: string, what?: string): number {
    return check(`bpf ${name}`, this.try(command), what);
  }
}

/** Memory off the JavaScript heap, whose address the kernel may be given. */
export const memory = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(length));

/** A copy off the JavaScript heap. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = memory(bytes.length);
  copy.set(bytes);
  return copy;
}

/** A string as C has it. */
export const cString = (text: string): Uint8Array<ArrayBuffer> => copyOf(Buffer.from(`${text}\0`));
