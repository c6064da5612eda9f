/**
 * The connection table: a slab of fixed-size records in one typed array, and a hash over them.
 *
 * A connection is named by its slot number (0 = none), so a packet finds, reads and changes its connection without
 * allocating. Keys are those of ip_vs (`net/netfilter/ipvs/ip_vs_conn.c`): one hash chain holds a connection for both
 * directions, because it is made of the client's address, port and protocol only. Full-NAT connections are in a second
 * hash by their local address and port, which is where replies arrive.
 * @module
 */
import type { Family } from "./service.ts";
import { TimerWheel } from "./timer-wheel.ts";

/** Connection flags, `include/uapi/linux/ip_vs.h` (`IP_VS_CONN_F_*`). */
export const FLAG = {
  methodMask: 0x0007,
  sync: 0x0020,
  hashed: 0x0040,
  noOutput: 0x0080,
  inactive: 0x0100,
  outSeq: 0x0200,
  inSeq: 0x0400,
  noClientPort: 0x0800,
  template: 0x1000,
  onePacket: 0x2000,
} as const;

// Record layout, in 32-bit words.
const STRIDE = 32;
const NEXT = 0;
const FLAGS = 1;
const STATE = 2;
const KIND = 3; // protocol | family << 8 | destination family << 16
const PORTS = 4; // client port << 16 | virtual port
const PORTS2 = 5; // destination port << 16 | local port
const CLIENT = 6;
const VIRTUAL = 10;
const DESTINATION = 14;
const LOCAL = 18;
const SERVER = 22; // index of the destination + 1, 0 = none
const PARENT = 23;
const CHILDREN = 24;
const TIMEOUT = 25; // ms, unsigned
const IN_PACKETS = 26;
const FWMARK = 27;
const LOCAL_NEXT = 28;
const SEQ_DELTA = 29; // full-NAT: new minus old initial sequence number
const SERVER_ISN = 30; // full-NAT: the server's initial sequence number + 1
const MARKS = 31; // bit 0: used slot; bit 1: has rare data; bit 2: server ISN known

/** Provisional timeout of a new connection, ms. */
export const NEW_TIMEOUT_MS = 3000;
/** Longest timeout that is kept, ms: 49 days. */
const MAX_TIMEOUT_MS = 0xffffffff;
/** Timeout of a connection that was due while it still controlled others, ms. */
export const KEPT_TIMEOUT_MS = 60_000;

/** What few connections have. */
export interface RareData {
  /** Persistence engine data (templates of SIP services). */
  engine?: { readonly name: string; readonly data: string };
  /** Sequence adjustment, index 0 for client to server, 1 for server to client; see `sequence.ts`. */
  sequence?: [SequenceRecord | undefined, SequenceRecord | undefined];
  /** The FTP helper watches this control connection. */
  ftp?: { passive: boolean };
}

/** One direction's sequence adjustment. All values are u32 sequence arithmetic. */
export interface SequenceRecord {
  /** Sequence number from which `delta` applies. */
  initial: number;
  delta: number;
  /** Applies to sequence numbers not after `initial`. */
  previousDelta: number;
}

/** The two ends of a packet, as lookup key. Address words as in `Words` (host.ts). */
export interface FlowKey {
  readonly family: Family;
  readonly protocol: number;
  readonly source: Int32Array;
  readonly target: Int32Array;
  readonly sourcePort: number;
  readonly targetPort: number;
}

/** Called when a connection's time is up; returns false when it must stay (it still controls others). */
export type ExpiryHandler = (connection: number) => boolean;

/** What a new connection is made from. */
export interface NewConnection {
  readonly family: Family;
  readonly protocol: number;
  readonly client: Int32Array;
  readonly clientPort: number;
  readonly virtual: Int32Array;
  readonly virtualPort: number;
  readonly destinationFamily: Family;
  readonly destination: Int32Array;
  readonly destinationPort: number;
  readonly flags: number;
  readonly fwmark: number;
}

/** All connections and templates of one director. */
export class ConnectionTable {
  /** Live entries, one-packet connections apart. */
  count = 0;
  /** Entries whose client port is not known yet. */
  private withoutPort = 0;
  private w: Int32Array;
  private capacity: number;
  private free = 0;
  private used = 1;
  private heads: Int32Array;
  private mask: number;
  private localHeads: Int32Array = new Int32Array(256);
  private localMask = 255;
  private localCount = 0;
  private readonly timers: TimerWheel;
  private readonly seed: number;
  private readonly rare = new Map<number, RareData>();

  /**
   * @param seed any 32-bit number: makes chains unpredictable for strangers
   * @param now monotonic ms
   * @param capacity records to make room for at first
   */
  constructor(seed: number, now: number, capacity = 4096) {
    this.seed = seed | 0;
    this.capacity = capacity;
    this.w = new Int32Array(capacity * STRIDE);
    this.timers = new TimerWheel(now, capacity);
    let size = 4096;
    while (size < capacity) size *= 2;
    this.heads = new Int32Array(size);
    this.mask = size - 1;
  }

  /** Buckets of the hash. */
  get size(): number {
    return this.heads.length;
  }

  // --- fields -------------------------------------------------------------------------------------------------------

  flags(c: number): number {
    return this.w[c * STRIDE + FLAGS];
  }
  setFlags(c: number, flags: number): void {
    this.w[c * STRIDE + FLAGS] = flags;
  }
  state(c: number): number {
    return this.w[c * STRIDE + STATE];
  }
  setState(c: number, state: number): void {
    this.w[c * STRIDE + STATE] = state;
  }
  protocol(c: number): number {
    return this.w[c * STRIDE + KIND] & 0xff;
  }
  family(c: number): Family {
    return ((this.w[c * STRIDE + KIND] >> 8) & 0xff) as Family;
  }
  destinationFamily(c: number): Family {
    return ((this.w[c * STRIDE + KIND] >> 16) & 0xff) as Family;
  }
  clientPort(c: number): number {
    return this.w[c * STRIDE + PORTS] >>> 16;
  }
  virtualPort(c: number): number {
    return this.w[c * STRIDE + PORTS] & 0xffff;
  }
  destinationPort(c: number): number {
    return this.w[c * STRIDE + PORTS2] >>> 16;
  }
  localPort(c: number): number {
    return this.w[c * STRIDE + PORTS2] & 0xffff;
  }
  /** Word `i` (0..3) of an address. */
  clientWord(c: number, i: number): number {
    return this.w[c * STRIDE + CLIENT + i];
  }
  virtualWord(c: number, i: number): number {
    return this.w[c * STRIDE + VIRTUAL + i];
  }
  destinationWord(c: number, i: number): number {
    return this.w[c * STRIDE + DESTINATION + i];
  }
  localWord(c: number, i: number): number {
    return this.w[c * STRIDE + LOCAL + i];
  }
  copyClient(c: number, into: Int32Array): void {
    this.copyAddress(c * STRIDE + CLIENT, into);
  }
  copyVirtual(c: number, into: Int32Array): void {
    this.copyAddress(c * STRIDE + VIRTUAL, into);
  }
  copyDestination(c: number, into: Int32Array): void {
    this.copyAddress(c * STRIDE + DESTINATION, into);
  }
  copyLocal(c: number, into: Int32Array): void {
    this.copyAddress(c * STRIDE + LOCAL, into);
  }
  private copyAddress(from: number, into: Int32Array): void {
    const w = this.w;
    into[0] = w[from];
    into[1] = w[from + 1];
    into[2] = w[from + 2];
    into[3] = w[from + 3];
  }
  /** Index of the destination it is bound to, -1 for none. */
  server(c: number): number {
    return this.w[c * STRIDE + SERVER] - 1;
  }
  setServer(c: number, index: number): void {
    this.w[c * STRIDE + SERVER] = index + 1;
  }
  parent(c: number): number {
    return this.w[c * STRIDE + PARENT];
  }
  children(c: number): number {
    return this.w[c * STRIDE + CHILDREN];
  }
  timeoutMs(c: number): number {
    return this.w[c * STRIDE + TIMEOUT] >>> 0;
  }
  setTimeoutMs(c: number, ms: number): void {
    this.w[c * STRIDE + TIMEOUT] = Math.min(ms, MAX_TIMEOUT_MS);
  }
  inPackets(c: number): number {
    return this.w[c * STRIDE + IN_PACKETS] >>> 0;
  }
  setInPackets(c: number, packets: number): void {
    this.w[c * STRIDE + IN_PACKETS] = packets;
  }
  countIn(c: number): void {
    this.w[c * STRIDE + IN_PACKETS]++;
  }
  fwmark(c: number): number {
    return this.w[c * STRIDE + FWMARK] >>> 0;
  }
  sequenceDelta(c: number): number {
    return this.w[c * STRIDE + SEQ_DELTA];
  }
  setSequenceDelta(c: number, delta: number): void {
    this.w[c * STRIDE + SEQ_DELTA] = delta;
  }
  /** The server's initial sequence number plus one, once its SYN was seen. */
  serverIsn(c: number): number | undefined {
    return this.w[c * STRIDE + MARKS] & 4 ? this.w[c * STRIDE + SERVER_ISN] >>> 0 : undefined;
  }
  setServerIsn(c: number, isn: number): void {
    this.w[c * STRIDE + SERVER_ISN] = isn;
    this.w[c * STRIDE + MARKS] |= 4;
  }
  /** Monotonic ms at which it expires if nothing happens. */
  dueAt(c: number): number {
    return this.timers.dueAt(c);
  }
  /** Rare data of the connection; with `make` it is created. */
  rareData(c: number, make = false): RareData | undefined {
    if (!(this.w[c * STRIDE + MARKS] & 2)) {
      if (!make) return undefined;
      this.w[c * STRIDE + MARKS] |= 2;
      this.rare.set(c, {});
    }
    return this.rare.get(c);
  }

  // --- making and dropping --------------------------------------------------------------------------------------------

  /** Makes a connection; not yet hashed, no timer. Never 0. */
  make(n: NewConnection): number {
    let c = this.free;
    if (c !== 0) {
      this.free = this.w[c * STRIDE + NEXT];
      this.w.fill(0, c * STRIDE, (c + 1) * STRIDE);
    } else {
      if (this.used === this.capacity) this.grow();
      c = this.used++;
    }
    const w = this.w;
    const b = c * STRIDE;
    w[b + FLAGS] = n.flags;
    w[b + KIND] = n.protocol | (n.family << 8) | (n.destinationFamily << 16);
    w[b + PORTS] = (n.clientPort << 16) | n.virtualPort;
    w[b + PORTS2] = n.destinationPort << 16;
    for (let i = 0; i < 4; i++) {
      w[b + CLIENT + i] = n.client[i];
      w[b + VIRTUAL + i] = n.virtual[i];
      w[b + DESTINATION + i] = n.destination[i];
    }
    w[b + TIMEOUT] = NEW_TIMEOUT_MS;
    w[b + FWMARK] = n.fwmark;
    w[b + MARKS] = 1;
    return c;
  }

  /** Puts a connection where packets find it, and starts its timer. */
  hash(c: number, now: number): void {
    this.link(c);
    this.w[c * STRIDE + FLAGS] |= FLAG.hashed;
    if (this.w[c * STRIDE + FLAGS] & FLAG.noClientPort) this.withoutPort++;
    this.count++;
    if (this.count > this.heads.length) this.rehash(this.heads.length * 2);
    this.restart(c, now);
  }

  /** Full-NAT: notes where replies will arrive. Call before the first packet leaves. */
  hashLocal(c: number, local: Int32Array, port: number): void {
    const w = this.w;
    const b = c * STRIDE;
    for (let i = 0; i < 4; i++) w[b + LOCAL + i] = local[i];
    w[b + PORTS2] = (w[b + PORTS2] & 0xffff0000) | port;
    this.localCount++;
    // Growing the hash links every connection that has a local port, this one included.
    if (this.localCount > this.localHeads.length) this.rehashLocal(this.localHeads.length * 2);
    else this.linkLocal(c);
  }

  /** Gives the slot back. The caller has settled every count that the connection took part in. */
  drop(c: number): void {
    const b = c * STRIDE;
    if (this.w[b + FLAGS] & FLAG.hashed) {
      this.unlink(c);
      this.count--;
      if (this.w[b + FLAGS] & FLAG.noClientPort) this.withoutPort--;
    }
    if (this.localPort(c) !== 0) this.unlinkLocal(c);
    this.timers.cancel(c);
    if (this.w[b + MARKS] & 2) this.rare.delete(c);
    this.w[b + MARKS] = 0;
    this.w[b + FLAGS] = 0;
    this.w[b + NEXT] = this.free;
    this.free = c;
  }

  /** The client port became known (FTP passive data): the connection moves to the chain it now belongs to. */
  fillClientPort(c: number, port: number): void {
    const b = c * STRIDE;
    this.unlink(c);
    this.w[b + PORTS] = (port << 16) | (this.w[b + PORTS] & 0xffff);
    this.w[b + FLAGS] &= ~FLAG.noClientPort;
    this.withoutPort--;
    this.link(c);
  }

  /** A template that must not match any more: virtual and destination port become 65535, and time runs on. */
  invalidateTemplate(c: number): void {
    const b = c * STRIDE;
    this.unlink(c);
    this.w[b + PORTS] = 0xffff;
    this.w[b + PORTS2] = (0xffff << 16) | (this.w[b + PORTS2] & 0xffff);
    this.link(c);
  }

  /** `child` is controlled by `parent`, which then stays as long as the child does. */
  adopt(parent: number, child: number): void {
    this.w[child * STRIDE + PARENT] = parent;
    this.w[parent * STRIDE + CHILDREN]++;
  }

  /** The child is going; returns the parent it had, or 0. */
  orphan(child: number): number {
    const parent = this.w[child * STRIDE + PARENT];
    if (parent !== 0) {
      this.w[child * STRIDE + PARENT] = 0;
      this.w[parent * STRIDE + CHILDREN]--;
    }
    return parent;
  }

  // --- lookups --------------------------------------------------------------------------------------------------------

  /** The connection that a packet from a client belongs to, 0 for none. */
  lookupIn(k: FlowKey): number {
    const found = this.findIn(k, k.sourcePort, 0);
    if (found !== 0 || this.withoutPort === 0) return found;
    return this.findIn(k, 0, FLAG.noClientPort);
  }

  /** The connection with this key that still waits for its client port. */
  lookupWaiting(k: FlowKey): number {
    return this.withoutPort === 0 ? 0 : this.findIn(k, 0, FLAG.noClientPort);
  }

  /** The template with exactly this key, newest first; `data` is that of a persistence engine. */
  lookupTemplate(k: FlowKey, data?: string): number {
    const w = this.w;
    const ports = (k.sourcePort << 16) | k.targetPort;
    const kind = k.protocol | (k.family << 8);
    let c = this.heads[this.slot(k.source, 0, k.sourcePort, k.protocol)];
    for (; c !== 0; c = w[c * STRIDE + NEXT]) {
      const b = c * STRIDE;
      if (w[b + PORTS] !== ports || (w[b + KIND] & 0xffff) !== kind || !(w[b + FLAGS] & FLAG.template))
        continue;
      if (!this.same(b + CLIENT, k.source, k.family) || !this.same(b + VIRTUAL, k.target, k.family)) continue;
      if (this.rareData(c)?.engine?.data === data) return c;
    }
    return 0;
  }

  private findIn(k: FlowKey, port: number, wanted: number): number {
    const w = this.w;
    const ports = (port << 16) | k.targetPort;
    const kind = k.protocol | (k.family << 8);
    const s0 = k.source[0];
    const t0 = k.target[0];
    const v6 = k.family === 6;
    let c = this.heads[this.slot(k.source, 0, port, k.protocol)];
    for (; c !== 0; c = w[c * STRIDE + NEXT]) {
      const b = c * STRIDE;
      if (w[b + PORTS] !== ports || w[b + CLIENT] !== s0 || w[b + VIRTUAL] !== t0) continue;
      if ((w[b + KIND] & 0xffff) !== kind) continue;
      if ((w[b + FLAGS] & (FLAG.template | FLAG.noClientPort)) !== wanted) continue;
      if (v6 && !(this.same(b + CLIENT, k.source, 6) && this.same(b + VIRTUAL, k.target, 6))) continue;
      return c;
    }
    return 0;
  }

  /** The connection that a packet from a real server belongs to, 0 for none. */
  lookupOut(k: FlowKey): number {
    const w = this.w;
    const kind = k.protocol | (k.family << 8);
    let c = this.heads[this.slot(k.target, 0, k.targetPort, k.protocol)];
    for (; c !== 0; c = w[c * STRIDE + NEXT]) {
      const b = c * STRIDE;
      if (w[b + PORTS] >>> 16 !== k.targetPort || w[b + CLIENT] !== k.target[0]) continue;
      if ((w[b + KIND] & 0xffff) !== kind) continue;
      const flags = w[b + FLAGS];
      if (flags & FLAG.template) continue;
      if (!this.same(b + CLIENT, k.target, k.family)) continue;
      const method = flags & FLAG.methodMask;
      if (method === 0) {
        if (w[b + PORTS2] >>> 16 === k.sourcePort && this.same(b + DESTINATION, k.source, k.family)) return c;
      } else if (method !== 5) {
        if ((w[b + PORTS] & 0xffff) === k.sourcePort && this.same(b + VIRTUAL, k.source, k.family)) return c;
      }
    }
    return this.localCount === 0 ? 0 : this.findLocal(k);
  }

  /** Whether a local address and port are taken for connections to this server (full-NAT port choice). */
  localTaken(k: FlowKey): boolean {
    return this.lookupLocal(k) !== 0;
  }

  /** The connection by full-NAT that a packet from a real server belongs to, 0 for none. */
  lookupLocal(k: FlowKey): number {
    return this.localCount === 0 ? 0 : this.findLocal(k);
  }

  private findLocal(k: FlowKey): number {
    const w = this.w;
    const kind = k.protocol | (k.family << 8);
    let c = this.localHeads[this.mix(k.target, 0, k.targetPort, k.protocol) & this.localMask];
    for (; c !== 0; c = w[c * STRIDE + LOCAL_NEXT]) {
      const b = c * STRIDE;
      if (w[b + PORTS2] !== ((k.sourcePort << 16) | k.targetPort)) continue;
      if ((w[b + KIND] & 0xffff) !== kind) continue;
      if (this.same(b + LOCAL, k.target, k.family) && this.same(b + DESTINATION, k.source, k.family))
        return c;
    }
    return 0;
  }

  private same(at: number, words: Int32Array, family: Family): boolean {
    const w = this.w;
    if (w[at] !== words[0]) return false;
    return family === 4 || (w[at + 1] === words[1] && w[at + 2] === words[2] && w[at + 3] === words[3]);
  }

  /** Every live entry. The callback may drop the entry it is given. */
  forEach(callback: (connection: number) => void): void {
    for (let c = 1; c < this.used; c++) {
      if (this.w[c * STRIDE + FLAGS] & FLAG.hashed) callback(c);
    }
  }

  /**
   * Live entries of a range of the slab, for readers and scanners that must not hold up packets: entries from `from`, at most
   * `limit` slots looked at. Returns the slot to go on with, 0 at the end.
   */
  scan(from: number, limit: number, callback: (connection: number) => void): number {
    const start = Math.max(from, 1);
    const end = Math.min(start + limit, this.used);
    for (let c = start; c < end; c++) {
      if (this.w[c * STRIDE + FLAGS] & FLAG.hashed) callback(c);
    }
    return end < this.used ? end : 0;
  }

  // --- timers ---------------------------------------------------------------------------------------------------------

  /** Starts the timer anew with the connection's timeout. */
  restart(c: number, now: number): void {
    this.timers.start(c, now + (this.w[c * STRIDE + TIMEOUT] >>> 0));
  }

  /** Makes the timer fire at the next {@link expire}. */
  expireNow(c: number, now: number): void {
    this.timers.startNow(c, now);
  }

  /** Fires the timers that are due. `handler` drops the connection, or says that it must stay a minute longer. */
  expire(now: number, handler: ExpiryHandler): void {
    this.timers.advance(now, (c) => {
      if (handler(c)) return;
      this.w[c * STRIDE + TIMEOUT] = KEPT_TIMEOUT_MS;
      this.timers.start(c, now + KEPT_TIMEOUT_MS);
    });
  }

  // --- hash -----------------------------------------------------------------------------------------------------------

  private mix(words: Int32Array, at: number, port: number, protocol: number): number {
    let h = this.seed ^ Math.imul((port << 16) | protocol, 0x9e3779b1);
    h = Math.imul(h ^ words[at], 0x85ebca6b);
    h ^= h >>> 15;
    h = Math.imul(h ^ words[at + 1], 0xc2b2ae35);
    h = Math.imul(h ^ words[at + 2] ^ (h >>> 13), 0x27d4eb2f);
    h = Math.imul(h ^ words[at + 3], 0x165667b1);
    return h ^ (h >>> 16);
  }

  private slot(words: Int32Array, at: number, port: number, protocol: number): number {
    return this.mix(words, at, port, protocol) & this.mask;
  }

  private ownSlot(c: number): number {
    return this.slot(this.w, c * STRIDE + CLIENT, this.clientPort(c), this.protocol(c));
  }

  private localSlot(c: number): number {
    return this.mix(this.w, c * STRIDE + LOCAL, this.localPort(c), this.protocol(c)) & this.localMask;
  }

  private link(c: number): void {
    const slot = this.ownSlot(c);
    this.w[c * STRIDE + NEXT] = this.heads[slot];
    this.heads[slot] = c;
  }

  private unlink(c: number): void {
    const slot = this.ownSlot(c);
    const next = this.w[c * STRIDE + NEXT];
    if (this.heads[slot] === c) {
      this.heads[slot] = next;
      return;
    }
    for (let p = this.heads[slot]; p !== 0; p = this.w[p * STRIDE + NEXT]) {
      if (this.w[p * STRIDE + NEXT] === c) {
        this.w[p * STRIDE + NEXT] = next;
        return;
      }
    }
  }

  private linkLocal(c: number): void {
    const slot = this.localSlot(c);
    this.w[c * STRIDE + LOCAL_NEXT] = this.localHeads[slot];
    this.localHeads[slot] = c;
  }

  private unlinkLocal(c: number): void {
    const slot = this.localSlot(c);
    const next = this.w[c * STRIDE + LOCAL_NEXT];
    this.localCount--;
    if (this.localHeads[slot] === c) {
      this.localHeads[slot] = next;
      return;
    }
    for (let p = this.localHeads[slot]; p !== 0; p = this.w[p * STRIDE + LOCAL_NEXT]) {
      if (this.w[p * STRIDE + LOCAL_NEXT] === c) {
        this.w[p * STRIDE + LOCAL_NEXT] = next;
        return;
      }
    }
  }

  private rehash(size: number): void {
    const old = this.heads;
    const w = this.w;
    this.heads = new Int32Array(size);
    this.mask = size - 1;
    for (let c of old) {
      // Oldest first, so that of equal keys the newest is found first again.
      let reversed = 0;
      while (c !== 0) {
        const next = w[c * STRIDE + NEXT];
        w[c * STRIDE + NEXT] = reversed;
        reversed = c;
        c = next;
      }
      while (reversed !== 0) {
        const next = w[reversed * STRIDE + NEXT];
        this.link(reversed);
        reversed = next;
      }
    }
  }

  private rehashLocal(size: number): void {
    this.localHeads = new Int32Array(size);
    this.localMask = size - 1;
    for (let c = 1; c < this.used; c++) {
      if (!(this.w[c * STRIDE + MARKS] & 1) || this.localPort(c) === 0) continue;
      this.linkLocal(c);
    }
  }

  private grow(): void {
    // Half as much again keeps a million connections, with the copy in flight, well under 600 MB.
    this.capacity += Math.max(4096, this.capacity >> 1);
    const w = new Int32Array(this.capacity * STRIDE);
    w.set(this.w);
    this.w = w;
    this.timers.grow(this.capacity);
  }
}
