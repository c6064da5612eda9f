/**
 * Reassembly of fragments before the director looks at them, and cutting IPv6 packets again (RFC 791 §3.2, RFC 8200 §4.5).
 * Overlapping fragments spoil the whole packet (RFC 5722).
 * @module
 */
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import type { Flow } from "./flow.ts";
import type { Packet } from "./packet.ts";

/** Fragments wait this long for the rest, ms (`net.ipv4.ipfrag_time`; IPv6 has 60 s). */
const WAIT_MS = 30_000;
/** Bytes that may wait; above it the oldest packets go. */
const MEMORY = 4 * 1024 * 1024;
const LONGEST = 65535;
/** What keeping a packet costs besides its bytes, and a piece of it: many small ones must not outgrow {@link MEMORY}. */
const OVERHEAD = 768;
const PIECE_OVERHEAD = 128;

interface Waiting {
  readonly due: number;
  /** Header of the first fragment up to where the payload starts (IPv6: without the fragment header). */
  header: Uint8Array | undefined;
  /** Payload pieces by offset. */
  readonly pieces: Map<number, Uint8Array>;
  /** Payload length, known from the last fragment. */
  total: number | undefined;
  held: number;
  bytes: number;
  longest: number;
  id: number;
  mark: number;
  spoilt: boolean;
}

/** Packets that are not complete yet. */
export class Reassembler {
  private readonly waiting = new Map<string, Waiting>();
  private bytes = 0;

  /** Packets still waiting for fragments. */
  get pending(): number {
    return this.waiting.size;
  }

  /**
   * Takes a fragment. When it completes its packet, `p` becomes the whole packet (mark of the first fragment) and true is
   * returned; otherwise its bytes are kept and the packet is to be held back.
   */
  add(p: Packet, flow: Flow, now: number): boolean {
    this.forget(now);
    const v = p.view;
    const id = flow.family === 4 ? ipv4.id(v, flow.at) : v.getUint32(flow.fragmentAt + 4);
    // Of an IPv6 packet only the first fragment shows the upper protocol (RFC 8200 §4.5 leaves it out).
    const protocol = flow.family === 4 ? flow.protocol : 0;
    const key = `${flow.family} ${flow.source.join()} ${flow.target.join()} ${protocol} ${id}`;
    let w = this.waiting.get(key);
    if (!w) {
      w = {
        due: now + WAIT_MS,
        header: undefined,
        pieces: new Map(),
        total: undefined,
        held: 0,
        bytes: OVERHEAD,
        longest: 0,
        id,
        mark: 0,
        spoilt: false,
      };
      this.waiting.set(key, w);
      this.bytes += OVERHEAD;
    }
    const start = flow.family === 4 ? flow.l4 : flow.fragmentAt + ipv6.FRAGMENT_LEN;
    const more =
      flow.family === 4 ? ipv4.moreFragments(v, flow.at) : (v.getUint8(flow.fragmentAt + 3) & 1) !== 0;
    this.take(w, p, flow, start, more);
    if (w.spoilt || w.header === undefined || w.total === undefined || w.held !== w.total) return false;
    this.drop(key, w);
    return join(w, p, flow);
  }

  private take(w: Waiting, p: Packet, flow: Flow, start: number, more: boolean): void {
    const offset = flow.fragmentOffset;
    const length = flow.end - start;
    const twin = w.pieces.get(offset);
    if (twin && twin.length === length) return;
    // Whatever cannot be part of one sound packet spoils it.
    if (
      w.spoilt ||
      overlaps(w, offset, length) ||
      offset + length > LONGEST ||
      (more && (length & 7) !== 0) ||
      (!more && reachesBeyond(w, offset + length))
    ) {
      w.spoilt = true;
      this.bytes -= w.bytes - OVERHEAD;
      w.bytes = OVERHEAD;
      w.pieces.clear();
      return;
    }
    if (!more) w.total = offset + length;
    if (offset === 0) {
      const headerEnd = flow.family === 4 ? flow.l4 : flow.fragmentAt;
      w.header = p.bytes.slice(flow.at, headerEnd);
      w.mark = p.mark;
      if (flow.family === 6) noteNextHeader(w.header, p, flow);
    }
    w.pieces.set(offset, p.bytes.slice(start, flow.end));
    w.held += length;
    w.bytes += length + PIECE_OVERHEAD;
    this.bytes += length + PIECE_OVERHEAD;
    w.longest = Math.max(w.longest, flow.end - flow.at);
    for (const [key, old] of this.waiting) {
      if (this.bytes <= MEMORY) break;
      this.drop(key, old);
    }
  }

  private drop(key: string, w: Waiting): void {
    if (this.waiting.delete(key)) this.bytes -= w.bytes;
  }

  /** Gives up packets whose rest did not come in time. */
  forget(now: number): void {
    for (const [key, w] of this.waiting) {
      if (w.due > now) return;
      this.drop(key, w);
    }
  }
}

function overlaps(w: Waiting, offset: number, length: number): boolean {
  if (w.total !== undefined && offset + length > w.total) return true;
  for (const [at, piece] of w.pieces) if (offset < at + piece.length && at < offset + length) return true;
  return false;
}

/** Whether a last fragment that ends at `end` contradicts what is there. */
function reachesBeyond(w: Waiting, end: number): boolean {
  if (w.total !== undefined && w.total !== end) return true;
  for (const [at, piece] of w.pieces) if (at + piece.length > end) return true;
  return false;
}

/** The header before the fragment header must name what follows it. */
function noteNextHeader(header: Uint8Array, p: Packet, flow: Flow): void {
  const v = p.view;
  let at = flow.at + ipv6.AT.nextHeader;
  let next = flow.at + ipv6.HEADER_LEN;
  while (next < flow.fragmentAt) {
    at = next;
    next += (v.getUint8(next + 1) + 1) * 8;
  }
  header[at - flow.at] = v.getUint8(flow.fragmentAt);
}

function join(w: Waiting, p: Packet, flow: Flow): boolean {
  const header = w.header!;
  const length = header.length + w.total!;
  if (length > LONGEST || p.at + length > p.bytes.length) return false;
  p.bytes.set(header, p.at);
  for (const [offset, piece] of w.pieces) p.bytes.set(piece, p.at + header.length + offset);
  p.end = p.at + length;
  p.mark = w.mark;
  const v = p.view;
  if (flow.family === 4) {
    v.setUint16(p.at + ipv4.AT.length, length);
    // DF stays: fragments may carry it.
    v.setUint16(p.at + ipv4.AT.fragment, v.getUint16(p.at + ipv4.AT.fragment) & ipv4.FRAGMENT.dont);
    ipv4.setChecksum(v, p.at);
  } else {
    v.setUint16(p.at + ipv6.AT.length, length - ipv6.HEADER_LEN);
    p.fragmentSize = w.longest;
    p.fragmentId = w.id;
  }
  return true;
}

/** Cuts an IPv6 packet into fragments as long as those it came in, behind its extension headers. */
export function split6(p: Packet, flow: Flow, send: (part: Packet) => void): void {
  const whole = p.copy();
  const headerLen = unfragmentable(whole);
  const room = (p.fragmentSize - headerLen - ipv6.FRAGMENT_LEN) & ~7;
  if (room <= 0) return;
  const { fragmentId } = p;
  let chainAt: number = ipv6.AT.nextHeader;
  for (let next = ipv6.HEADER_LEN; next < headerLen; next += (whole[next + 1] + 1) * 8) chainAt = next;
  const following = whole[chainAt];
  for (let offset = 0; offset < whole.length - headerLen; offset += room) {
    const piece = whole.subarray(headerLen + offset, Math.min(headerLen + offset + room, whole.length));
    const more = headerLen + offset + room < whole.length;
    const at = p.at;
    p.bytes.set(whole.subarray(0, headerLen), at);
    p.bytes[at + chainAt] = 44;
    const v = p.view;
    v.setUint16(at + headerLen, following << 8);
    v.setUint16(at + headerLen + 2, offset | (more ? 1 : 0));
    v.setUint32(at + headerLen + 4, fragmentId);
    p.bytes.set(piece, at + headerLen + ipv6.FRAGMENT_LEN);
    p.end = at + headerLen + ipv6.FRAGMENT_LEN + piece.length;
    v.setUint16(at + ipv6.AT.length, p.end - at - ipv6.HEADER_LEN);
    send(p);
  }
  flow.end = p.end;
}

/** Length of the headers that every fragment repeats: hop-by-hop and routing (RFC 8200 §4.5). */
function unfragmentable(ip: Uint8Array): number {
  let next = ip[ipv6.AT.nextHeader];
  let at = ipv6.HEADER_LEN;
  while ((next === 0 || next === 43) && at + 8 <= ip.length) {
    next = ip[at];
    at += (ip[at + 1] + 1) * 8;
  }
  return at;
}
