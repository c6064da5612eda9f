/**
 * Connections, counts and counters of one version's maps → maps of another shape, while packets go on.
 *
 *     1. copy       what the old maps hold; connections get some seconds of grace
 *     2. (the programs on the interfaces are changed)
 *     3. catch up   what the old programs did between the copy and the change; counters, which stand still now
 *
 * Counts of connections are taken from the connections that were carried, not from the old maps: they are exact by construction.
 * @module
 */

import type { BtfStruct } from "../../wire/btf.ts";
import { LITTLE_ENDIAN } from "../../wire/netlink.ts";
import { bpfNow } from "./connections.ts";
import { ENDS, WORD } from "./ends.ts";
import {
  CALL,
  CONFIG,
  CONN,
  CONN_FLAG,
  CONN_MARK,
  CTL,
  DEST,
  DEST_STATS,
  ESTIMATE,
  LOAD,
  LOCALITY,
  LOCALITY_KEY,
  PHASE,
  SERVICE_STATE,
  STATE,
  STATS,
} from "./layout.ts";
import type { MapName, Maps } from "./maps.ts";
import { type Struct, sizeOf } from "./struct.ts";
import { type Translation, translate, translation } from "./translation.ts";

/** Connections do not end between the copy and the change, ns: a million on a busy machine take their time. */
const GRACE_NS = 60_000_000_000n;
/** Most slots left for what the old programs make between copy and change; the new ones begin behind. */
const RESERVE = 4096;
const COUNTERS = ["conns", "in_packets", "out_packets", "in_bytes", "out_bytes"] as const;

/** Numbers of services and destinations are below. */
export interface Ends {
  readonly services: number;
  readonly destinations: number;
}

/** One migration. Use it in the order copy, (change of programs), catchUp. */
export class Migration {
  readonly #old: Maps;
  readonly #new: Maps;
  readonly #layouts: ReadonlyMap<string, BtfStruct>;
  readonly #ends: Ends;
  readonly #adopt: () => void;
  readonly #conn: Translation;
  /** The old slab, translated, as it was when it was copied. */
  #snapshot: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Copied connections do not end before, ns. */
  #least = 0n;
  /** Slots that were never carried: free. */
  readonly #spare = new Set<number>();
  /** What the old programs wait for, but for this. */
  #awaited = 0;
  /** Where connections are that the old programs made unfindable. */
  readonly #hidden: number[] = [];

  /**
   * @param layouts structs of the old maps
   * @param adopt takes connections of the new maps that are marked so out of their hash table, then puts others into it
   * @throws Error when connections cannot be carried
   */
  constructor(old: Maps, next: Maps, layouts: ReadonlyMap<string, BtfStruct>, ends: Ends, adopt: () => void) {
    this.#old = old;
    this.#new = next;
    this.#layouts = layouts;
    this.#ends = ends;
    this.#adopt = adopt;
    this.#conn = withWholeAddresses(this.#translation(CONN), layouts.get(CONN.name)!);
  }

  #translation(of: Struct): Translation {
    const old = this.#layouts.get(of.name);
    if (!old) throw new Error(`the older programs have no struct ${of.name}`);
    return translation(old, of);
  }

  /** Some fields only. */
  #fields(of: Struct, ...names: readonly string[]): Translation {
    const t = this.#translation(of);
    const runs = t.runs.flatMap(([from, to, length]) =>
      names.flatMap((name) => {
        const [at, size] = [of.at[name]!, sizeOf(of, name)];
        return at >= to && at + size <= to + length ? [[from + at - to, at, size] as const] : [];
      }),
    );
    return { ...t, runs };
  }

  // --- 1 --------------------------------------------------------------------------------------------------------------------

  /** The rules are in the new maps already. */
  copy(): void {
    this.#copyServices();
    this.#copyHash("locality", LOCALITY_KEY, LOCALITY);
    this.#copyState();
    this.#snapshot = this.#oldSlab();
    this.#place();
    const fresh = this.#oldFresh;
    const left = this.#new.map("slab").info.maxEntries - fresh;
    const end = fresh + Math.min(RESERVE, left >>> 1);
    for (let slot = fresh; slot < end; slot++) this.#spare.add(slot);
    // From now on the new sweeper looks at them.
    this.#new.array("state").view.setUint32(STATE.at.fresh, end, LITTLE_ENDIAN);
    this.#adopt();
    // Packets of connections that only the other programs know are dropped, since the stack would end these; their senders send them again.
    this.#awaited = this.#await(1);
  }

  /** Slots below were used. */
  get #oldFresh(): number {
    const at = this.#layouts.get("state")?.members.get("fresh") ?? STATE.at.fresh;
    const fresh = this.#old.array("state").view.getUint32(at, LITTLE_ENDIAN);
    return Math.max(1, Math.min(fresh, this.#old.map("slab").info.maxEntries));
  }

  #copyServices(): void {
    const t = this.#translation(SERVICE_STATE);
    // The new programs count from 0: what was counted before is brought when it stands still.
    const rates = this.#fields(ESTIMATE, "rate");
    for (let id = 0; id < this.#ends.services; id++) {
      this.#element("service_state", t, id);
      this.#element("service_estimates", rates, id);
    }
    const learned = this.#fields(DEST, "path_mtu", "path_mtu_until");
    const overload = this.#fields(LOAD, "overloaded");
    for (let id = 1; id < this.#ends.destinations; id++) {
      this.#element("dests", learned, id);
      this.#element("loads", overload, id);
      this.#element("dest_estimates", rates, id);
    }
  }

  #element(name: MapName, t: Translation, index: number): void {
    translate(t, this.#old.array(name).bytes, index * t.from, this.#new.array(name).bytes, index * t.to);
  }

  #copyState(): void {
    const t = this.#translation(STATE);
    const target = this.#new.array("state");
    const { bytes, view } = target;
    translate(t, this.#old.array("state").bytes, 0, bytes, 0);
    view.setUint32(STATE.at.fresh, 1, LITTLE_ENDIAN);
    view.setUint32(STATE.at.hand, 1, LITTLE_ENDIAN);
    // Counted anew with the connections.
    view.setUint32(STATE.at.waiting, 0, LITTLE_ENDIAN);
  }

  #oldSlab(): Uint8Array<ArrayBuffer> {
    const fresh = this.#oldFresh;
    const source = this.#old.array("slab").bytes.slice(0, fresh * this.#conn.from);
    const target = new Uint8Array(fresh * this.#conn.to);
    const view = new DataView(target.buffer);
    for (let slot = 1; slot < fresh; slot++) {
      const at = slot * this.#conn.to;
      translate(this.#conn, source, slot * this.#conn.from, target, at);
      // There were versions whose marks did not say so.
      if (view.getUint32(at + CONN.at.fwmark, LITTLE_ENDIAN) !== 0)
        target[at + CONN.at.marks]! |= CONN_MARK.fwmark;
    }
    return target;
  }

  /** Puts the snapshot into the new slab, and counts it. */
  #place(): void {
    const snapshot = new DataView(this.#snapshot.buffer);
    const { bytes, view } = this.#new.array("slab");
    bytes.set(this.#snapshot.subarray(CONN.size), CONN.size);
    this.#least = BigInt(Math.floor(bpfNow(this.#new))) + GRACE_NS;
    for (let at = CONN.size; at < this.#snapshot.length; at += CONN.size) {
      view.setUint32(at + CONN.at.children, 0, LITTLE_ENDIAN);
    }
    for (let at = CONN.size; at < this.#snapshot.length; at += CONN.size) {
      const slot = at / CONN.size;
      if (!isLive(snapshot, at)) {
        // Free, in its next life: references to the last one stay stale.
        view.setUint32(at + CONN.at.ctl, PHASE.free, LITTLE_ENDIAN);
        view.setUint32(at + CONN.at.ctl + 4, generationOf(snapshot, at) + 1, LITTLE_ENDIAN);
        this.#spare.add(slot);
        continue;
      }
      view.setBigUint64(at + CONN.at.expires, this.#graced(snapshot, at), LITTLE_ENDIAN);
      unhash(view, at);
      this.#count(view, at, 1);
      if (bytes[at + CONN.at.marks]! & CONN_MARK.call) this.#carryCall(slot, slot);
    }
  }

  /** What call a template is of; with it {@link #adopt} makes it findable. */
  #carryCall(from: number, to: number): void {
    const call = this.#old.map("call_ids").lookupIndex(from);
    if (!call) return;
    const carried = new Uint8Array(CALL.size);
    translate(this.#translation(CALL), call, 0, carried, 0);
    this.#new.map("call_ids").updateIndex(to, carried);
  }

  /** A connection came to its destination and template; what waits for its client's port is told of when it ends. */
  #count(v: DataView, at: number, by: 1 | -1): void {
    if (flagsOf(v, at) & CONN_FLAG.noClientPort) add(this.#new, "state", STATE.at.waiting, by);
    const parent = v.getUint32(at + CONN.at.parent, LITTLE_ENDIAN);
    if (parent !== 0) add(this.#new, "slab", parent * CONN.size + CONN.at.children, by);
    const dest = v.getUint32(at + CONN.at.dest, LITTLE_ENDIAN);
    if (dest === 0) return;
    const flags = flagsOf(v, at);
    if (flags & CONN_FLAG.template) add(this.#new, "dests", dest * DEST.size + DEST.at.persistent, by);
    else {
      const which = flags & CONN_FLAG.inactive ? LOAD.at.inactive : LOAD.at.active;
      add(this.#new, "loads", dest * LOAD.size + which, by);
    }
  }

  /** Every element of a hash. */
  #copyHash(name: MapName, keyStruct: Struct, valueStruct: Struct): void {
    const key = this.#translation(keyStruct);
    const value = this.#translation(valueStruct);
    const target = this.#new.map(name);
    for (const { count, keys, values } of this.#old.map(name).batches()) {
      const k = new Uint8Array(count * key.to);
      const v = new Uint8Array(count * value.to);
      for (let i = 0; i < count; i++) {
        translate(key, keys, i * key.from, k, i * key.to);
        translate(value, values, i * value.from, v, i * value.to);
      }
      if (count > 0) target.updateBatch(k, v, count);
    }
  }

  // --- 3 --------------------------------------------------------------------------------------------------------------------

  /** The old programs have stopped. */
  catchUp(): void {
    const now = this.#oldSlab();
    this.#compare(now);
    this.#adopt();
    // Keys came from them until now.
    const { bytes } = this.#new.array("slab");
    for (const at of this.#hidden) {
      for (const field of ["virtual_port", "dest_port"] as const)
        bytes.set(
          now.subarray(at + CONN.at[field], at + CONN.at[field] + sizeOf(CONN, field)),
          at + CONN.at[field],
        );
    }
    this.#counters("service_stats", "service_estimates", STATS, this.#ends.services);
    this.#counters("dest_stats", "dest_estimates", DEST_STATS, this.#ends.destinations);
    const free = this.#new.map("free_slots");
    for (const slot of this.#spare) free.push(slot);
    this.#spare.clear();
    this.#await(this.#awaited);
  }

  /** Sets what both programs wait for. @returns what the old ones waited for */
  #await(connections: number): number {
    this.#new.array("config").view.setUint32(CONFIG.at.awaiting, connections, LITTLE_ENDIAN);
    const at = this.#layouts.get(CONFIG.name)?.members.get("awaiting");
    if (at === undefined) return 0;
    const { view } = this.#old.array("config");
    const before = view.getUint32(at, LITTLE_ENDIAN);
    view.setUint32(at, connections, LITTLE_ENDIAN);
    return before;
  }

  /** Carries connections that were made meanwhile, and what became of the others. */
  #compare(now: Uint8Array): void {
    const before = new DataView(this.#snapshot.buffer);
    const after = new DataView(now.buffer);
    const slots = new Map<number, number>();
    for (let at = CONN.size; at < now.length; at += CONN.size) {
      const known = at < this.#snapshot.length && isLive(before, at);
      const live = isLive(after, at);
      const same = known && live && generationOf(before, at) === generationOf(after, at);
      if (same) this.#refresh(before, after, at);
      else {
        if (known) this.#end(before, at);
        if (live) slots.set(at / CONN.size, this.#room(at / CONN.size));
      }
    }
    for (const [old, slot] of slots) {
      if (slot !== 0) this.#carry(now, old * CONN.size, slot, slots);
    }
  }

  /** A slot for a connection that was made meanwhile: its own if nothing is there; 0 when all are taken. */
  #room(own: number): number {
    const slot = this.#spare.has(own) ? own : this.#spare.values().next().value;
    if (slot === undefined) return 0;
    this.#spare.delete(slot);
    return slot;
  }

  #carry(now: Uint8Array, from: number, slot: number, slots: ReadonlyMap<number, number>): void {
    const { bytes, view } = this.#new.array("slab");
    const at = slot * CONN.size;
    const one = now.slice(from, from + CONN.size);
    const v = new DataView(one.buffer);
    unhash(v, 0);
    const parent = v.getUint32(CONN.at.parent, LITTLE_ENDIAN);
    v.setUint32(CONN.at.parent, slots.get(parent) ?? parent, LITTLE_ENDIAN);
    v.setUint32(CONN.at.children, view.getUint32(at + CONN.at.children, LITTLE_ENDIAN), LITTLE_ENDIAN);
    this.#count(v, 0, 1);
    if (one[CONN.at.marks]! & CONN_MARK.call) this.#carryCall(from / CONN.size, slot);
    // The control word last: with it the slot is a connection.
    const { ctl } = CONN.at;
    bytes.set(one.subarray(0, ctl), at);
    bytes.set(one.subarray(ctl + 8), at + ctl + 8);
    this.#swap(at + ctl, view.getBigUint64(at + ctl, LITTLE_ENDIAN), v.getBigUint64(ctl, LITTLE_ENDIAN));
  }

  /** A connection that is on both sides: what the old programs changed, unless the new ones did too. */
  #refresh(before: DataView, after: DataView, at: number): void {
    const { view } = this.#new.array("slab");
    const ctl = at + CONN.at.ctl;
    const was = before.getBigUint64(ctl, LITTLE_ENDIAN);
    const hides = this.#hides(before, after, at);
    const is = after.getBigUint64(ctl, LITTLE_ENDIAN) | (hides ? HASHED : 0n);
    if (was !== is && this.#swap(ctl, was, is)) {
      this.#count(after, at, 1);
      this.#count(before, at, -1);
      const timeout = after.getUint32(at + CONN.at.timeout_ms, LITTLE_ENDIAN);
      view.setUint32(at + CONN.at.timeout_ms, timeout, LITTLE_ENDIAN);
    }
    if (hides && this.#mark(before, at, CONN_MARK.forget)) this.#hidden.push(at);
    this.#renumber(before, after, at);
    const packets =
      after.getUint32(at + CONN.at.in_packets, LITTLE_ENDIAN) -
      before.getUint32(at + CONN.at.in_packets, LITTLE_ENDIAN);
    if (packets > 0) add(this.#new, "slab", at + CONN.at.in_packets, packets);
    // What a packet wrote since is right already.
    this.#swap(
      at + CONN.at.expires,
      this.#graced(before, at),
      after.getBigUint64(at + CONN.at.expires, LITTLE_ENDIAN),
    );
  }

  /** Whether the old programs made a connection's ends free for another one. */
  #hides(before: DataView, after: DataView, at: number): boolean {
    return (flagsOf(before, at) & ~flagsOf(after, at) & CONN_FLAG.hashed) !== 0;
  }

  /** One that ended: its ends may be another one's already; the sweeper of the new programs sees to the rest. */
  #end(before: DataView, at: number): void {
    this.#mark(before, at, CONN_MARK.forget);
    this.#swap(at + CONN.at.expires, this.#graced(before, at), 0n);
  }

  /** Marks a connection if it is still the one that was copied. */
  #mark(before: DataView, at: number, mark: number): boolean {
    const { bytes, view } = this.#new.array("slab");
    if (!isLive(view, at) || generationOf(view, at) !== generationOf(before, at)) return false;
    Atomics.or(bytes, at + CONN.at.marks, mark);
    return true;
  }

  /** How numbers of its streams shift: one word of FTP, as bpf/sequence.h has it, two of full-NAT; and what is noted about them. */
  #renumber(before: DataView, after: DataView, at: number): void {
    const numbers = at + CONN.at.seq_delta;
    const was = before.getBigUint64(numbers, LITTLE_ENDIAN);
    this.#swap(numbers, was, after.getBigUint64(numbers, LITTLE_ENDIAN));
    const marks = at + CONN.at.marks;
    const noted = CONN_MARK.serverIsn | CONN_MARK.passive;
    Atomics.xor(
      this.#new.array("slab").bytes,
      marks,
      (before.getUint8(marks) ^ after.getUint8(marks)) & noted,
    );
  }

  /** When a copied connection ends in the new maps unless a packet comes. */
  #graced(before: DataView, at: number): bigint {
    const expires = before.getBigUint64(at + CONN.at.expires, LITTLE_ENDIAN);
    return expires < this.#least ? this.#least : expires;
  }

  /** Writes 8 bytes of the new slab if they are what they should be. */
  #swap(at: number, from: bigint, to: bigint): boolean {
    const words = new BigUint64Array(this.#new.array("slab").bytes.buffer);
    return Atomics.compareExchange(words, at / 8, from, to) === from;
  }

  /** Counters of the old maps stay in what readers see: the new ones begin at 0, and what they are compared with begins below it. */
  #counters(name: "service_stats" | "dest_stats", estimates: MapName, of: Struct, end: number): void {
    const old = this.#old.map(name);
    const members = this.#layouts.get(of.name)!.members;
    const step = Math.ceil(old.info.valueSize / 8) * 8;
    const { view } = this.#new.array(estimates);
    const before = this.#old.array(estimates).view;
    const size = this.#translation(ESTIMATE).from;
    const baseAt = this.#layouts.get(ESTIMATE.name)!.members.get("base")!;
    for (let id = 0; id < end; id++) {
      const value = old.lookupIndex(id);
      if (!value) continue;
      const v = new DataView(value.buffer, value.byteOffset, value.byteLength);
      for (const [i, counter] of COUNTERS.entries()) {
        let total = 0n;
        for (let at = 0; at < old.valueSize; at += step)
          total += v.getBigUint64(at + members.get(counter)!, LITTLE_ENDIAN);
        const base = before.getBigUint64(id * size + baseAt + 8 * i, LITTLE_ENDIAN);
        const at = id * ESTIMATE.size + ESTIMATE.at.base + 8 * i;
        view.setBigUint64(at, BigInt.asUintN(64, base - total), LITTLE_ENDIAN);
      }
    }
  }
}

/** There were versions whose connections had every address in one piece. */
function withWholeAddresses(t: Translation, old: BtfStruct): Translation {
  const runs = ENDS.flatMap((end) => {
    const [whole, more] = [old.members.get(end), `${end}_more` as const];
    return whole === undefined || old.members.has(more)
      ? []
      : [[whole + WORD, CONN.at[more], sizeOf(CONN, more)] as const];
  });
  return { ...t, runs: [...t.runs, ...runs] };
}

const HASHED = BigInt(CONN_FLAG.hashed << CTL.flagsShift);

/** A connection that was in the hash table waits to be put there again. */
function unhash(v: DataView, at: number): void {
  const hashed = CONN_FLAG.hashed << CTL.flagsShift;
  const low = lowOf(v, at);
  if ((low & hashed) === 0) return;
  v.setUint32(at + CONN.at.ctl, low & ~hashed, LITTLE_ENDIAN);
  v.setUint8(at + CONN.at.marks, v.getUint8(at + CONN.at.marks) | CONN_MARK.adopt);
}

const lowOf = (v: DataView, at: number): number => v.getUint32(at + CONN.at.ctl, LITTLE_ENDIAN);
const isLive = (v: DataView, at: number): boolean =>
  ((lowOf(v, at) >>> CTL.phaseShift) & 0xff) === PHASE.live;
const flagsOf = (v: DataView, at: number): number => (lowOf(v, at) >>> CTL.flagsShift) & 0xffff;
const generationOf = (v: DataView, at: number): number => v.getUint32(at + CONN.at.ctl + 4, LITTLE_ENDIAN);

/** Adds to a word that BPF programs change too. */
function add(maps: Maps, name: MapName, at: number, by: number): void {
  Atomics.add(new Int32Array(maps.array(name).bytes.buffer), at / 4, by);
}
