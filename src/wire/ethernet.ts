/**
 * Ethernet II frames with VLAN tags: IEEE 802.3, 802.1Q, 802.1ad.
 *
 *     0     6     12     14             12     14    16     18
 *     | dst | src | type | payload      | tpid | tci | type | payload      (a tag goes before the type; there may be several)
 * @module
 */

export const AT = { dst: 0, src: 6, type: 12 } as const;
/** Length of the header without tags, in bytes. */
export const HEADER_LEN = 14;
/** Length of a VLAN tag, in bytes. */
export const TAG_LEN = 4;

/** EtherTypes. */
export const TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  /** Customer tag, 802.1Q. */
  vlan: 0x8100,
  ipv6: 0x86dd,
  /** Service tag, 802.1ad. */
  serviceVlan: 0x88a8,
} as const;

export const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** True for an EtherType that starts a VLAN tag. */
export const isTag = (type: number): boolean => type === TYPE.vlan || type === TYPE.serviceVlan;

/** Where the payload starts, behind all tags, or -1 when the frame is too short. */
export function payloadAt(v: DataView, at: number, end: number): number {
  let typeAt = at + AT.type;
  while (typeAt + 2 <= end && isTag(v.getUint16(typeAt))) typeAt += TAG_LEN;
  return typeAt + 2 <= end ? typeAt + 2 : -1;
}

/** A VLAN tag. */
export interface VlanTag {
  readonly tpid: typeof TYPE.vlan | typeof TYPE.serviceVlan;
  /** 0..7 (802.1p). */
  readonly priority: number;
  readonly dropEligible: boolean;
  /** 0..4095; 0 means that only the priority counts. */
  readonly id: number;
}

/** What a valid frame header says. */
export interface Ethernet {
  /** Like "02:00:00:00:00:01". */
  readonly dst: string;
  readonly src: string;
  /** Outermost first. */
  readonly tags: readonly VlanTag[];
  /** EtherType of the payload. */
  readonly type: number;
}

/** Bytes of the header with its tags. */
export function byteLength(frame: Pick<Ethernet, "tags">): number {
  return HEADER_LEN + TAG_LEN * frame.tags.length;
}

/** Reads the header at `at`; undefined when it is short. The payload starts at `at + byteLength(frame)`. */
export function parse(v: DataView, at: number, end: number): Ethernet | undefined {
  const payload = payloadAt(v, at, end);
  if (payload < 0) return undefined;
  const tags: VlanTag[] = [];
  for (let i = at + AT.type; i < payload - 2; i += TAG_LEN) {
    const tci = v.getUint16(i + 2);
    const tpid = v.getUint16(i) === TYPE.vlan ? TYPE.vlan : TYPE.serviceVlan;
    tags.push({ tpid, priority: tci >>> 13, dropEligible: (tci & 0x1000) !== 0, id: tci & 0xfff });
  }
  return { dst: macAt(v, at + AT.dst), src: macAt(v, at + AT.src), tags, type: v.getUint16(payload - 2) };
}

/** Writes header and tags; the payload belongs behind. Returns their length in bytes. */
export function emit(frame: Ethernet, v: DataView, at: number): number {
  writeMac(v, at + AT.dst, frame.dst);
  writeMac(v, at + AT.src, frame.src);
  let i = at + AT.type;
  for (const tag of frame.tags) {
    v.setUint16(i, tag.tpid);
    v.setUint16(i + 2, (tag.priority << 13) | (tag.dropEligible ? 0x1000 : 0) | tag.id);
    i += TAG_LEN;
  }
  v.setUint16(i, frame.type);
  return i + 2 - at;
}

/** Text of the hardware address at `at`, lower case with colons. */
export function macAt(v: DataView, at: number): string {
  let text = "";
  for (let i = 0; i < 6; i++) {
    if (i > 0) text += ":";
    text += v
      .getUint8(at + i)
      .toString(16)
      .padStart(2, "0");
  }
  return text;
}

/** Reads "02:00:00:00:00:01" (two hexadecimal digits each); undefined for anything else. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}

/** Writes a hardware address given as text; throws RangeError for what is none. */
export function writeMac(v: DataView, at: number, text: string): void {
  const mac = parseMac(text);
  if (mac === undefined) throw new RangeError(`"${text}" is not a hardware address`);
  mac.forEach((byte, i) => {
    v.setUint8(at + i, byte);
  });
}
