/**
 * A packet in flight: an IP packet somewhere inside a buffer, with room before it for outer headers and behind it for
 * options. One object is used for packet after packet, so that the fast path allocates nothing.
 * @module
 */

/** Bytes kept free before the IP header: the longest outer header (IPv6 40 + UDP 8 + GUE 12) and some more. */
export const HEADROOM = 128;
/** Bytes kept free behind the packet: address options of full-NAT, lengthened FTP replies. */
export const TAILROOM = 128;
/** Longest IP packet. */
export const MAX_PACKET = 65535;

/** An IP packet between `at` and `end` of a buffer. */
export class Packet {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Offset of the IP header. */
  at = HEADROOM;
  /** Offset behind the last byte of the IP packet. */
  end = HEADROOM;
  /** Firewall mark, u32. */
  mark = 0;
  /** Reassembled from IPv6 fragments: length of the longest one, bytes, IP header included; else 0. */
  fragmentSize = 0;
  /** IPv6: identification of the fragments it was reassembled from. */
  fragmentId = 0;
  /** Set by the director when it changed bytes of a packet that it lets pass. */
  modified = false;

  constructor(size = HEADROOM + MAX_PACKET + TAILROOM) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Bytes of the IP packet. */
  get length(): number {
    return this.end - this.at;
  }

  /** Copies an IP packet in, at the usual offset. */
  load(ip: Uint8Array, mark = 0): this {
    this.bytes.set(ip, HEADROOM);
    this.at = HEADROOM;
    this.end = HEADROOM + ip.length;
    this.mark = mark;
    this.modified = false;
    this.fragmentSize = 0;
    return this;
  }

  /** A copy of the IP packet's bytes. */
  copy(): Uint8Array {
    return this.bytes.slice(this.at, this.end);
  }
}

/** What becomes of a packet that was shown to the director. */
export type Verdict = "accept" | "drop";
