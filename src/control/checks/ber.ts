/**
 * The little of ASN.1's Basic Encoding Rules (X.690) that LDAP needs: a tag, a length, a value.
 * @module
 */

/** One element. */
export interface Element {
  readonly tag: number;
  readonly value: Buffer;
}

/** An element with these contents. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x10000
        ? [tag, 0x82, length >> 8, length & 255]
        : [tag, 0x84, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255];
  return Buffer.concat([Buffer.from(head), value]);
}

/** An integer of 0..2^31-1, also for enumerations. */
export function integer(value: number, tag = 0x02): Buffer {
  const bytes = [value & 255];
  for (let rest = value >>> 8; rest > 0 || bytes[0]! > 127; rest >>>= 8) bytes.unshift(rest & 255);
  return element(tag, Buffer.from(bytes));
}

export const text = (value: string, tag = 0x04): Buffer => element(tag, Buffer.from(value, "utf8"));

/** The number an integer's value holds. */
export const numberOf = (value: Buffer): number => value.reduce((n, byte) => n * 256 + byte, 0);

/**
 * Bytes of the element that starts at `at`, header included; 0 when more bytes are needed to know. A length that is not definite,
 * or of over four bytes, is NaN.
 */
export function lengthAt(bytes: Uint8Array, at: number): number {
  if (bytes.length < at + 2) return 0;
  const short = bytes[at + 1]!;
  if (short < 0x80) return 2 + short;
  const count = short & 0x7f;
  if (count === 0 || count > 4) return Number.NaN;
  if (bytes.length < at + 2 + count) return 0;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + bytes[at + 2 + i]!;
  return 2 + count + length;
}

/** The elements one after the other in a value; undefined when they do not fill it exactly. */
export function elements(bytes: Buffer): Element[] | undefined {
  const found: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = lengthAt(bytes, at);
    if (!(length > 0) || at + length > bytes.length) return undefined;
    const short = bytes[at + 1]!;
    const header = short < 0x80 ? 2 : 2 + (short & 0x7f);
    found.push({ tag: bytes[at]!, value: bytes.subarray(at + header, at + length) });
    at += length;
  }
  return found;
}
