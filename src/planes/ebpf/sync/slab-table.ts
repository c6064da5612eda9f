/**
 * The connections in the slab as a sync master reads them, straight from the memory that the BPF programs work in.
 * @module
 */
import type { RareData } from "../../../core/connections.ts";
import { METHOD_NUMBER } from "../../../core/destination.ts";
import type { AnnouncedConnections } from "../../../core/sync/entry.ts";
import { LITTLE_ENDIAN } from "../../../wire/netlink.ts";
import { callOf } from "../connections.ts";
import { type End, WORD } from "../ends.ts";
import { CONN, CONN_FLAG, CONN_MARK, CTL, PHASE, STATE } from "../layout.ts";
import type { Maps } from "../maps.ts";
import { readShift } from "./shift.ts";

/** What of a generation events and references have. */
const GENERATION_MASK = 0x7fffffff;

/** See the module's description. A connection is its slot; slot 0 is none. */
export class SlabTable implements AnnouncedConnections {
  readonly #maps: Maps;
  readonly #v: DataView;
  /** Considerations of templates, by slot: what of them the programs do not count. */
  readonly #considered: Uint32Array;

  constructor(maps: Maps) {
    this.#maps = maps;
    this.#v = maps.array("slab").view;
    this.#considered = new Uint32Array(maps.map("slab").info.maxEntries);
  }

  /** Slots below were used. */
  get end(): number {
    const used = this.#maps.array("state").view.getUint32(STATE.at.fresh, LITTLE_ENDIAN);
    return Math.min(used, this.#considered.length);
  }

  isLive(c: number): boolean {
    return ((this.#low(c) >>> CTL.phaseShift) & 0xff) === PHASE.live;
  }
  /** Which of the connections that have had this slot it is. */
  generation(c: number): number {
    return this.#v.getUint32(c * CONN.size + CONN.at.ctl + 4, LITTLE_ENDIAN) & GENERATION_MASK;
  }
  /** When it ends unless a packet comes, monotonic ms. */
  expiresMs(c: number): number {
    return Number(this.#v.getBigUint64(c * CONN.size + CONN.at.expires, LITTLE_ENDIAN)) / 1e6;
  }
  children(c: number): number {
    return this.#word(c, "children");
  }
  server(c: number): number {
    return this.#word(c, "dest");
  }
  /** Another connection has the slot now. */
  forget(c: number): void {
    this.#considered[c] = 0;
  }

  #low(c: number): number {
    return this.#v.getUint32(c * CONN.size + CONN.at.ctl, LITTLE_ENDIAN);
  }
  #word(c: number, field: "dest" | "timeout_ms" | "in_packets" | "parent" | "children" | "fwmark"): number {
    return this.#v.getUint32(c * CONN.size + CONN.at[field], LITTLE_ENDIAN);
  }

  family(c: number): 4 | 6 {
    return this.#v.getUint8(c * CONN.size + CONN.at.family) === 6 ? 6 : 4;
  }
  protocol(c: number): number {
    return this.#v.getUint8(c * CONN.size + CONN.at.protocol);
  }
  flags(c: number): number {
    // What is watched here is nobody else's affair.
    return (this.#low(c) >>> CTL.flagsShift) & 0xffff & ~CONN_FLAG.watched;
  }
  state(c: number): number {
    return (this.#low(c) >>> CTL.stateShift) & 0xff;
  }
  clientPort(c: number): number {
    return this.#v.getUint16(c * CONN.size + CONN.at.client_port);
  }
  virtualPort(c: number): number {
    return this.#v.getUint16(c * CONN.size + CONN.at.virtual_port);
  }
  destinationPort(c: number): number {
    return this.#v.getUint16(c * CONN.size + CONN.at.dest_port);
  }
  clientWord(c: number, i: number): number {
    return this.#endWord(c, i, "client");
  }
  virtualWord(c: number, i: number): number {
    // Templates of a firewall mark have it in the processor's order.
    if (i === 0 && this.protocol(c) === 0)
      return this.#v.getInt32(c * CONN.size + CONN.at.virtual, LITTLE_ENDIAN);
    return this.#endWord(c, i, "virtual");
  }
  destinationWord(c: number, i: number): number {
    return this.#endWord(c, i, "dest_address");
  }
  /** The words behind the first one are there for IPv6 only. */
  #endWord(c: number, i: number, end: End): number {
    const first = c * CONN.size;
    return this.#v.getInt32(i === 0 ? first + CONN.at[end] : first + CONN.at[`${end}_more`] + WORD * (i - 1));
  }
  fwmark(c: number): number {
    const marked = this.#v.getUint8(c * CONN.size + CONN.at.marks) & CONN_MARK.fwmark;
    return marked ? this.#word(c, "fwmark") : 0;
  }
  timeoutMs(c: number): number {
    return this.#word(c, "timeout_ms");
  }
  localPort(c: number): number {
    return this.#v.getUint16(c * CONN.size + CONN.at.local_port);
  }
  localWord(c: number, i: number): number {
    return this.#endWord(c, i, "local");
  }
  /** TCP by full-NAT only. */
  sequenceDelta(c: number): number {
    return this.#isFullNat(c) ? this.#v.getInt32(c * CONN.size + CONN.at.seq_delta, LITTLE_ENDIAN) : 0;
  }
  serverIsn(c: number): number | undefined {
    return this.#isFullNat(c) && this.#v.getUint8(c * CONN.size + CONN.at.marks) & CONN_MARK.serverIsn
      ? this.#v.getUint32(c * CONN.size + CONN.at.server_isn, LITTLE_ENDIAN)
      : undefined;
  }
  #isFullNat(c: number): boolean {
    return (this.flags(c) & CONN_FLAG.methodMask) === METHOD_NUMBER.fullnat;
  }
  rareData(c: number): RareData | undefined {
    if (this.#v.getUint8(c * CONN.size + CONN.at.marks) & CONN_MARK.call) {
      const engine = callOf(this.#maps, c);
      return engine && { engine };
    }
    if (!((this.#low(c) >>> CTL.flagsShift) & CONN_FLAG.watched)) return undefined;
    // In one go: a program may be changing it.
    const shift = readShift(this.#v.getBigUint64(c * CONN.size + CONN.at.seq_delta, LITTLE_ENDIAN));
    return shift && { sequence: [undefined, shift] };
  }
  parent(c: number): number {
    return this.#word(c, "parent");
  }
  inPackets(c: number): number {
    return this.flags(c) & CONN_FLAG.template ? this.#considered[c]! : this.#word(c, "in_packets");
  }
  countIn(c: number): void {
    if (this.flags(c) & CONN_FLAG.template) this.#considered[c]!++;
  }

  /** Looks at `limit` slots. @returns where to go on, 0 = the end was reached */
  scan(from: number, limit: number, callback: (c: number) => void): number {
    const { end } = this;
    const to = Math.min(Math.max(1, from) + limit, end);
    for (let c = Math.max(1, from); c < to; c++) if (this.isLive(c)) callback(c);
    return to < end ? to : 0;
  }

  /** Connections in it. Looks at every slot. */
  count(): number {
    let n = 0;
    this.scan(1, this.end, () => n++);
    return n;
  }
}
