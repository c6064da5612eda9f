/**
 * The reader's end of a BPF ring buffer (`kernel/bpf/ringbuf.c`): records by shared memory, without a system call.
 * @module
 */
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { lastErrno, MAP_FAILED, type ReadWatch, raw, SysError, viewOf, watchReadable } from "../libc.ts";
import { mapInfo } from "./map.ts";

const PAGE = 4096;
const HEADER = 8;
const BUSY = 0x80000000;
const DISCARDED = 0x40000000;

/** One reader; a ring buffer has one. */
export class RingBuffer {
  readonly #fd: number;
  readonly #size: number;
  readonly #reader: { address: number; words: BigInt64Array };
  readonly #writer: { address: number; words: BigInt64Array; data: DataView; bytes: Uint8Array };
  #watch: ReadWatch | undefined;

  /** The descriptor stays the caller's and must stay open. @throws SysError */
  constructor(fd: number) {
    this.#fd = fd;
    this.#size = mapInfo(fd).maxEntries;
    const map = (length: number, protection: number, offset: number): number => {
      const address = Number(raw.mmap(0, length, protection, 1, fd, offset));
      if (address === MAP_FAILED) throw new SysError("mmap", lastErrno(), "map a ring buffer");
      return address;
    };
    const reader = map(PAGE, 3, 0);
    this.#reader = { address: reader, words: new BigInt64Array(viewOf(reader, PAGE).buffer) };
    // The data lie there twice in a row: no record is ever cut in two.
    const writer = map(PAGE + 2 * this.#size, 1, PAGE);
    const all = viewOf(writer, PAGE + 2 * this.#size).buffer;
    this.#writer = {
      address: writer,
      words: new BigInt64Array(all, 0, 1),
      data: new DataView(all, PAGE),
      bytes: new Uint8Array(all, PAGE),
    };
  }

  /** Hands over every record that is there, `limit` at most; its bytes hold while the callback runs. @returns how many */
  consume(onRecord: (record: Uint8Array) => void, limit = Number.POSITIVE_INFINITY): number {
    let at = Number(Atomics.load(this.#reader.words, 0));
    let count = 0;
    for (;;) {
      const end = Number(Atomics.load(this.#writer.words, 0));
      if (at >= end || count >= limit) return count;
      while (at < end && count < limit) {
        const offset = at & (this.#size - 1);
        const head = this.#writer.data.getUint32(offset, LITTLE_ENDIAN);
        if (head & BUSY) return count; // still being written
        const length = head & 0x3fffffff;
        if (!(head & DISCARDED)) {
          onRecord(this.#writer.bytes.subarray(offset + HEADER, offset + HEADER + length));
          count++;
        }
        at += Math.ceil((length + HEADER) / 8) * 8;
        Atomics.store(this.#reader.words, 0, BigInt(at));
      }
    }
  }

  /** Calls back when a writer woke readers up. */
  onReadable(callback: () => void): ReadWatch {
    this.#watch?.close();
    this.#watch = watchReadable(this.#fd, callback);
    return this.#watch;
  }

  close(): void {
    this.#watch?.close();
    raw.munmap(this.#reader.address, PAGE);
    raw.munmap(this.#writer.address, PAGE + 2 * this.#size);
  }
}
