/**
 * A netfilter queue: packets that nftables rules hand to this process, many a system call, and its verdicts, many a call too.
 * Packets stay where the kernel wrote them; nothing is allocated per packet.
 * @module
 */
import { LITTLE_ENDIAN, NetlinkWriter } from "../wire/netlink.ts";
import {
  emitBind,
  emitFlags,
  NF,
  type QueuedPacket,
  readPacket,
  VERDICT_HEADER_LEN,
  VERDICT_LEN,
  writeVerdict,
  writeVerdictHeader,
} from "../wire/nfqueue.ts";
import { addressOf, lastErrno, type ReadWatch, raw } from "./libc.ts";
import { NETLINK, NetlinkSocket } from "./netlink.ts";
import { MSG_DONTWAIT } from "./socket.ts";

const MMSGHDR_LEN = 64;
const IOVEC_LEN = 16;
/** NFQA_CFG_F_GSO: off, so that the kernel segments large packets and completes checksums. */
const FLAG_GSO = 4;
const PENDING_NONE = -1;

/** Writes a 64-bit size or address. */
function writeWord(v: DataView, at: number, value: number): void {
  const low = value >>> 0;
  const high = Math.floor(value / 0x100000000);
  v.setUint32(at + (LITTLE_ENDIAN ? 0 : 4), low, LITTLE_ENDIAN);
  v.setUint32(at + (LITTLE_ENDIAN ? 4 : 0), high, LITTLE_ENDIAN);
}

const offHeap = (n: number): Uint8Array => new Uint8Array(new ArrayBuffer(n));

/** One bound queue. */
export class Nfqueue {
  readonly number: number;
  readonly #socket: NetlinkSocket;
  readonly #slots: readonly Uint8Array[];
  readonly #views: readonly DataView[];
  readonly #addresses: readonly number[];
  readonly #from: number;

  readonly #headers: Uint8Array;
  readonly #headersView: DataView;
  readonly #vectors: Uint8Array;

  readonly #verdicts: Uint8Array;
  readonly #verdictsView: DataView;
  readonly #verdictsAddress: number;
  #verdictsEnd = 0;
  readonly #out: Uint8Array;
  readonly #outView: DataView;
  #outCount = 0;
  readonly #outHeader: Uint8Array;
  readonly #outHeaderView: DataView;
  readonly #zeros = offHeap(8);

  // A run of packets with the same plain verdict, not written yet.
  #runVerdict = PENDING_NONE;
  #runLast = 0;
  #runLength = 0;

  /**
   * Binds queue `number` in this thread's network namespace.
   * @param slots one off-heap buffer a packet of a batch, each longer than `from` + 65535 + 256
   * @param from offset in a slot at which messages are received; the packet begins some 60 to 150 bytes behind it
   * @throws SysError EBUSY or EPERM when another process has it
   */
  constructor(number: number, slots: readonly Uint8Array[], from: number) {
    this.number = number;
    this.#slots = slots;
    this.#from = from;
    this.#views = slots.map((s) => new DataView(s.buffer, s.byteOffset, s.byteLength));
    this.#addresses = slots.map(addressOf);
    this.#headers = offHeap(slots.length * MMSGHDR_LEN);
    this.#headersView = new DataView(this.#headers.buffer);
    this.#vectors = offHeap(slots.length * IOVEC_LEN);
    const vectors = new DataView(this.#vectors.buffer);
    const vectorsAddress = addressOf(this.#vectors);
    for (let i = 0; i < slots.length; i++) {
      writeWord(vectors, i * IOVEC_LEN, this.#addresses[i] + from);
      writeWord(vectors, i * IOVEC_LEN + 8, slots[i].length - from);
      writeWord(this.#headersView, i * MMSGHDR_LEN + 16, vectorsAddress + i * IOVEC_LEN);
      writeWord(this.#headersView, i * MMSGHDR_LEN + 24, 1);
    }
    this.#verdicts = offHeap(slots.length * VERDICT_HEADER_LEN * 2);
    this.#verdictsView = new DataView(this.#verdicts.buffer);
    this.#verdictsAddress = addressOf(this.#verdicts);
    this.#out = offHeap(slots.length * 4 * IOVEC_LEN);
    this.#outView = new DataView(this.#out.buffer);
    this.#outHeader = offHeap(MMSGHDR_LEN);
    this.#outHeaderView = new DataView(this.#outHeader.buffer);
    writeWord(this.#outHeaderView, 16, addressOf(this.#out));

    this.#socket = new NetlinkSocket(NETLINK.NETFILTER);
    try {
      this.#socket.setBuffers(16 << 20, 4 << 20);
      this.#socket.ignoreOverruns();
      const w = new NetlinkWriter();
      emitBind(w, number, 16384, this.#socket.nextSeq());
      const seq = this.#socket.nextSeq();
      emitFlags(w, number, 0, FLAG_GSO, seq);
      this.#socket.request(w.bytes, seq);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** Receives what waits, at most one packet a slot: how many slots were filled. */
  receive(): number {
    const n = raw.recvmmsg(this.#socket.fd, this.#headers, this.#slots.length, MSG_DONTWAIT, null);
    return Math.max(n, 0);
  }

  /** Reads what is in slot `i`: false when it is no packet. */
  read(i: number, into: QueuedPacket): boolean {
    const length = this.#headersView.getUint32(i * MMSGHDR_LEN + 56, LITTLE_ENDIAN);
    return readPacket(this.#views[i], this.#from, this.#from + length, into);
  }

  /** Decides on a packet, in the order in which they came. It reaches the kernel with the next {@link flush}. */
  decide(id: number, verdict: number): void {
    if (this.#runVerdict !== verdict) this.#closeRun();
    this.#runVerdict = verdict;
    this.#runLast = id;
    this.#runLength++;
  }

  /** Lets a packet pass with the bytes that lie in slot `i` at `at`, which must stay there until {@link flush}. */
  replace(id: number, i: number, at: number, length: number): void {
    this.#closeRun();
    if (this.#outCount + 3 > this.#slots.length * 4) this.flush();
    writeVerdictHeader(this.#verdictsView, this.#verdictsEnd, this.number, id, length);
    this.#vector(this.#verdictsAddress + this.#verdictsEnd, VERDICT_HEADER_LEN);
    this.#verdictsEnd += VERDICT_HEADER_LEN;
    this.#vector(this.#addresses[i] + at, length);
    if (length & 3) this.#vector(addressOf(this.#zeros), 4 - (length & 3));
  }

  #closeRun(): void {
    if (this.#runVerdict === PENDING_NONE) return;
    const batch = this.#runLength > 1;
    writeVerdict(this.#verdictsView, this.#verdictsEnd, this.number, this.#runVerdict, this.#runLast, batch);
    this.#vector(this.#verdictsAddress + this.#verdictsEnd, VERDICT_LEN);
    this.#verdictsEnd += VERDICT_LEN;
    this.#runVerdict = PENDING_NONE;
    this.#runLength = 0;
  }

  #vector(address: number, length: number): void {
    const at = this.#outCount++ * IOVEC_LEN;
    writeWord(this.#outView, at, address);
    writeWord(this.#outView, at + 8, length);
  }

  /** Hands the verdicts to the kernel: 0, or the errno. */
  flush(): number {
    this.#closeRun();
    if (this.#outCount === 0) return 0;
    writeWord(this.#outHeaderView, 24, this.#outCount);
    const sent = raw.sendmsg(this.#socket.fd, this.#outHeader, 0);
    this.#outCount = 0;
    this.#verdictsEnd = 0;
    return sent < 0 ? lastErrno() : 0;
  }

  /** Calls back while packets wait. */
  onReadable(callback: () => void): ReadWatch {
    return this.#socket.onReadable(callback);
  }

  /** Unbinds; packets that wait are dropped. */
  close(): void {
    this.#socket.close();
  }
}

/** Drop and accept, for {@link Nfqueue.decide}. */
export { NF };
