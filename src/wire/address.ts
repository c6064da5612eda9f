/**
 * IP addresses: text ⇄ bytes ⇄ words.
 *
 * *Words* are four 32-bit words, the address's bytes read big-endian; IPv4 uses the first, the others are 0. An IPv4 address
 * alone is an unsigned number in host order (10.0.0.1 is 0x0a000001).
 * @module
 */

/** IP version. */
export type Family = 4 | 6;

/** Bytes of an address. */
export const ADDRESS_LEN = { 4: 4, 6: 16 } as const;

/** Reads a strict dotted quad (four decimal numbers without leading zeros), unsigned; undefined for anything else. */
export function parse4(text: string): number | undefined {
  let address = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x2e) {
      if (octet < 0 || ++dots > 3) return undefined;
      address = address * 256 + octet;
      octet = -1;
    } else if (c >= 0x30 && c <= 0x39) {
      if (octet === 0) return undefined;
      octet = octet < 0 ? c - 0x30 : octet * 10 + c - 0x30;
      if (octet > 255) return undefined;
    } else return undefined;
  }
  return octet < 0 || dots !== 3 ? undefined : address * 256 + octet;
}

/** Dotted quad of an IPv4 address, signed or unsigned. */
export function format4(n: number): string {
  return `${n >>> 24}.${(n >>> 16) & 0xff}.${(n >>> 8) & 0xff}.${n & 0xff}`;
}

/** Reads IPv6 text of any form of RFC 4291 §2.2, without zone, into eight 16-bit groups. */
function parse6(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups: number[][] = [];
  for (const [h, half] of halves.entries()) {
    const parsed: number[] = [];
    groups.push(parsed);
    if (half === "") continue;
    const parts = half.split(":");
    for (const [i, part] of parts.entries()) {
      const last = i === parts.length - 1 && h === halves.length - 1;
      if (/^[0-9a-f]{1,4}$/i.test(part)) parsed.push(Number.parseInt(part, 16));
      else {
        const quad = last ? parse4(part) : undefined;
        if (quad === undefined) return undefined;
        parsed.push(quad >>> 16, quad & 0xffff);
      }
    }
  }
  const [head, tail] = groups;
  if (tail === undefined) return head.length === 8 ? head : undefined;
  const missing = 8 - head.length - tail.length;
  return missing < 1 ? undefined : [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Reads an address as inet_pton(3) does: strict dotted quad, or any RFC 4291 form without a zone. */
export function parseAddress(text: string): { family: Family; bytes: Uint8Array } | undefined {
  const quad = parse4(text);
  if (quad !== undefined) {
    return { family: 4, bytes: Uint8Array.of(quad >>> 24, quad >>> 16, quad >>> 8, quad) };
  }
  const groups = parse6(text);
  if (groups === undefined) return undefined;
  return { family: 6, bytes: Uint8Array.from(groups.flatMap((g) => [g >>> 8, g & 0xff])) };
}

/**
 * The text glibc's inet_ntop(3) gives for eight groups: RFC 5952, dotted at the end only for `::a.b.c.d` (six leading zero
 * groups) and `::ffff:a.b.c.d`; a single zero group is never shortened; of equally long runs the first is.
 */
function format6(group: (i: number) => number): string {
  let base = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && group(i + run) === 0) run++;
    if (run > length) {
      base = i;
      length = run;
    }
    i += run;
  }
  let text = "";
  for (let i = 0; i < 8; i++) {
    if (i === base) {
      text += i === 0 ? "::" : ":";
      i += length - 1;
      continue;
    }
    if (i === 6 && base === 0 && (length === 6 || (length === 5 && group(5) === 0xffff))) {
      return text + format4((group(6) << 16) | group(7));
    }
    text += group(i).toString(16);
    if (i < 7) text += ":";
  }
  return text;
}

/** Text of the address whose bytes start at `at`. */
export function formatAddress(family: Family, bytes: Uint8Array, at = 0): string {
  if (family === 4) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  return format6((i) => (bytes[at + 2 * i] << 8) | bytes[at + 2 * i + 1]);
}

/** Words of an address given as text; throws RangeError for what is no address (check user input before). */
export function toWords(text: string): Int32Array {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`"${text}" is not an IP address`);
  const words = new Int32Array(4);
  readWords(address.family, new DataView(address.bytes.buffer), 0, words);
  return words;
}

/** Text of an address held in words. */
export function wordsToText(family: Family, words: Int32Array, offset = 0): string {
  if (family === 4) return format4(words[offset]);
  return format6((i) => (words[offset + (i >> 1)] >>> (i & 1 ? 0 : 16)) & 0xffff);
}

/** Reads an address at `at` into four words; the unused words of IPv4 become 0. */
export function readWords(family: Family, v: DataView, at: number, into: Int32Array, offset = 0): void {
  into[offset] = v.getInt32(at);
  if (family === 4) {
    into[offset + 1] = 0;
    into[offset + 2] = 0;
    into[offset + 3] = 0;
  } else {
    into[offset + 1] = v.getInt32(at + 4);
    into[offset + 2] = v.getInt32(at + 8);
    into[offset + 3] = v.getInt32(at + 12);
  }
}

/** Writes the 4 or 16 bytes of an address. */
export function writeWords(family: Family, v: DataView, at: number, from: Int32Array, offset = 0): void {
  v.setInt32(at, from[offset]);
  if (family === 6) {
    v.setInt32(at + 4, from[offset + 1]);
    v.setInt32(at + 8, from[offset + 2]);
    v.setInt32(at + 12, from[offset + 3]);
  }
}

/** Keeps the network part, in place. The mask is what IPVS takes: IPv4 a u32 (0xffffff00), IPv6 a prefix length 0..128. */
export function maskWords(family: Family, netmask: number, words: Int32Array, offset = 0): void {
  if (family === 4) {
    words[offset] &= netmask;
    return;
  }
  for (let i = 0; i < 4; i++) {
    const bits = netmask - 32 * i;
    if (bits <= 0) words[offset + i] = 0;
    else if (bits < 32) words[offset + i] &= -1 << (32 - bits);
  }
}

/** An address as one unsigned number: IPv4 itself, IPv6 the exclusive or of its words (as ip_vs hashes it). */
export function fold(family: Family, words: Int32Array, offset = 0): number {
  if (family === 4) return words[offset] >>> 0;
  return (words[offset] ^ words[offset + 1] ^ words[offset + 2] ^ words[offset + 3]) >>> 0;
}

/** True when two addresses of one family (or two IPv4 ones, with their zero words) are the same. */
export function equalWords(a: Int32Array, b: Int32Array, aOffset = 0, bOffset = 0): boolean {
  return (
    a[aOffset] === b[bOffset] &&
    a[aOffset + 1] === b[bOffset + 1] &&
    a[aOffset + 2] === b[bOffset + 2] &&
    a[aOffset + 3] === b[bOffset + 3]
  );
}

/** Order of two addresses as unsigned numbers: negative, 0 or positive, for sort(). */
export function compareAddresses(a: Int32Array, b: Int32Array, aOffset = 0, bOffset = 0): number {
  for (let i = 0; i < 4; i++) {
    const difference = (a[aOffset + i] >>> 0) - (b[bOffset + i] >>> 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
