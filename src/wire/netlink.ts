/**
 * Netlink messages, RFC 3549: a header, a family header, and attributes that may nest. Everything is in host byte order
 * unless an attribute says otherwise (nfnetlink uses big-endian numbers).
 *     0        4       6       8      12       16
 *     | length | type  | flags | seq  | port id | family header, attributes ...
 * @module
 */

/** Whether this machine stores the low byte first. */
export const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Length of the message header, in bytes. */
export const HEADER_LEN = 16;

/** Header flags (`include/uapi/linux/netlink.h`). */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

/** Message types below the families' own. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const align = (n: number): number => (n + 3) & ~3;

/** Builds one or more messages in a buffer that grows. */
export class NetlinkWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #end = 0;
  #message = 0;

  constructor(size = 1024) {
    this.#bytes = new Uint8Array(new ArrayBuffer(size));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Forgets everything written. */
  reset(): this {
    this.#end = 0;
    return this;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#end;
  }

  /** The messages written so far; a view that the next write may leave behind. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }

  #room(n: number): number {
    const at = this.#end;
    const need = at + align(n);
    if (need > this.#bytes.length) {
      const bigger = new Uint8Array(new ArrayBuffer(Math.max(need, this.#bytes.length * 2)));
      bigger.set(this.#bytes.subarray(0, at));
      this.#bytes = bigger;
      this.#view = new DataView(bigger.buffer);
    }
    this.#bytes.fill(0, at, need);
    this.#end = need;
    return at;
  }

  /** Opens a message; {@link end} closes it. */
  begin(type: number, flags: number, seq: number): this {
    this.#message = this.#room(HEADER_LEN);
    this.#view.setUint16(this.#message + 4, type, LITTLE_ENDIAN);
    this.#view.setUint16(this.#message + 6, flags, LITTLE_ENDIAN);
    this.#view.setUint32(this.#message + 8, seq, LITTLE_ENDIAN);
    return this;
  }

  /** Closes the message: writes its length. */
  end(): this {
    this.#view.setUint32(this.#message, this.#end - this.#message, LITTLE_ENDIAN);
    return this;
  }

  /** Bytes of a family header, padded to four. */
  raw(bytes: ArrayLike<number>): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  #attribute(type: number, length: number): number {
    const at = this.#room(4 + length);
    this.#view.setUint16(at, 4 + length, LITTLE_ENDIAN);
    this.#view.setUint16(at + 2, type, LITTLE_ENDIAN);
    return at + 4;
  }

  bytesAttr(type: number, value: ArrayLike<number>): this {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
    return this;
  }

  u8(type: number, value: number): this {
    const at = this.#attribute(type, 1);
    this.#view.setUint8(at, value);
    return this;
  }

  /** In host order. */
  u16(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, LITTLE_ENDIAN);
    return this;
  }

  /** In host order. */
  u32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, LITTLE_ENDIAN);
    return this;
  }

  be16(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value);
    return this;
  }

  be32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value);
    return this;
  }

  /** ASCII, with the closing zero that the kernel expects. */
  string(type: number, value: string): this {
    const at = this.#attribute(type, value.length + 1);
    for (let i = 0; i < value.length; i++) this.#bytes[at + i] = value.charCodeAt(i);
    return this;
  }

  /** An attribute made of the attributes that `body` writes. */
  nest(type: number, body: (w: this) => void): this {
    const at = this.#room(4);
    this.#view.setUint16(at + 2, type | NLA_F_NESTED, LITTLE_ENDIAN);
    body(this);
    this.#view.setUint16(at, this.#end - at, LITTLE_ENDIAN);
    return this;
  }
}

/** A message received: where it lies and what its header says. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  /** The payload: family header and attributes. */
  readonly body: Uint8Array;
}

/** The messages in `bytes`; stops at the first one that lies about its length. */
export function messages(bytes: Uint8Array): Message[] {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Message[] = [];
  let at = 0;
  while (at + HEADER_LEN <= bytes.length) {
    const length = v.getUint32(at, LITTLE_ENDIAN);
    if (length < HEADER_LEN || at + length > bytes.length) break;
    found.push({
      type: v.getUint16(at + 4, LITTLE_ENDIAN),
      flags: v.getUint16(at + 6, LITTLE_ENDIAN),
      seq: v.getUint32(at + 8, LITTLE_ENDIAN),
      body: bytes.subarray(at + HEADER_LEN, at + length),
    });
    at += align(length);
  }
  return found;
}

/** The error number of an NLMSG_ERROR message: 0 for an acknowledgement, else a positive errno. */
export function errorOf(message: Message): number {
  if (message.body.length < 4) return 0;
  const v = new DataView(message.body.buffer, message.body.byteOffset, 4);
  return -v.getInt32(0, LITTLE_ENDIAN);
}

/** Attributes by type. Of a type that occurs twice the last one counts, as in the kernel. */
export class Attributes {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #start: number;
  readonly #end: number;
  /** Where the value of a type starts, by type; made when first needed. */
  #index: number[] | undefined;

  /** The attributes in `bytes` from `at` to `end`, up to the first one that lies about its length. */
  constructor(
    bytes: Uint8Array,
    at = 0,
    end = bytes.length,
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  ) {
    this.#bytes = bytes;
    this.#view = view;
    this.#start = at;
    this.#end = end;
  }

  #makeIndex(): number[] {
    const v = this.#view;
    const index: number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let at = this.#start; at + 4 <= this.#end; ) {
      const length = v.getUint16(at, LITTLE_ENDIAN);
      if (length < 4 || at + length > this.#end) break;
      index[v.getUint16(at + 2, LITTLE_ENDIAN) & NLA_TYPE_MASK] = at + 4;
      at += align(length);
    }
    this.#index = index;
    return index;
  }

  /** Where the value of at least `least` bytes starts, or -1. */
  #find(type: number, least: number): number {
    const at = (this.#index ?? this.#makeIndex())[type];
    return at && this.#length(at) >= least ? at : -1;
  }

  /** Length of the value that starts at `at`. */
  #length(at: number): number {
    return this.#view.getUint16(at - 4, LITTLE_ENDIAN) - 4;
  }

  has(type: number): boolean {
    return this.#find(type, 0) >= 0;
  }

  bytes(type: number): Uint8Array | undefined {
    const at = this.#find(type, 0);
    return at < 0 ? undefined : this.#bytes.subarray(at, at + this.#length(at));
  }

  u8(type: number): number | undefined {
    const at = this.#find(type, 1);
    return at < 0 ? undefined : this.#view.getUint8(at);
  }

  /** In host order. */
  u32(type: number): number | undefined {
    const at = this.#find(type, 4);
    return at < 0 ? undefined : this.#view.getUint32(at, LITTLE_ENDIAN);
  }

  /** In host order. */
  u16(type: number): number | undefined {
    const at = this.#find(type, 2);
    return at < 0 ? undefined : this.#view.getUint16(at, LITTLE_ENDIAN);
  }

  be16(type: number): number | undefined {
    const at = this.#find(type, 2);
    return at < 0 ? undefined : this.#view.getUint16(at);
  }

  be32(type: number): number | undefined {
    const at = this.#find(type, 4);
    return at < 0 ? undefined : this.#view.getUint32(at);
  }

  /** Up to the closing zero. */
  string(type: number): string | undefined {
    const b = this.bytes(type);
    if (!b) return undefined;
    const end = b.indexOf(0);
    return String.fromCharCode(...b.subarray(0, end < 0 ? b.length : end));
  }

  nested(type: number): Attributes | undefined {
    const at = this.#find(type, 0);
    return at < 0 ? undefined : new Attributes(this.#bytes, at, at + this.#length(at), this.#view);
  }

  /**
   * The numbers of attributes 1 to `into.length`, of 4 or 8 bytes in host order and exact up to 2^53; those that are not there
   * stay as they are. One pass, for groups of counters.
   */
  counters(into: number[]): void {
    const v = this.#view;
    for (let at = this.#start; at + 4 <= this.#end; ) {
      const length = v.getUint16(at, LITTLE_ENDIAN);
      if (length < 4 || at + length > this.#end) break;
      const index = (v.getUint16(at + 2, LITTLE_ENDIAN) & NLA_TYPE_MASK) - 1;
      if (index >= 0 && index < into.length) {
        if (length === 12) {
          const low = v.getUint32(at + (LITTLE_ENDIAN ? 4 : 8), LITTLE_ENDIAN);
          into[index] = low + v.getUint32(at + (LITTLE_ENDIAN ? 8 : 4), LITTLE_ENDIAN) * 2 ** 32;
        } else if (length === 8) into[index] = v.getUint32(at + 4, LITTLE_ENDIAN);
      }
      at += align(length);
    }
  }
}
