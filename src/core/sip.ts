/**
 * The Call-ID of a SIP message: what the SIP persistence engine makes templates of (`ip_vs_pe_sip.c`).
 * @module
 */

/** Longest Call-ID that is taken, bytes. */
const MAX_LEN = 255;
const NAME = [0x63, 0x61, 0x6c, 0x6c, 0x2d, 0x69, 0x64]; // "call-id"
const CR = 13;
const LF = 10;
const COLON = 58;
const isBlank = (b: number): boolean => b === 32 || b === 9;

/**
 * Finds the value of the Call-ID header in a UDP payload.
 * @returns offsets of its first byte and behind its last, or undefined when there is none that ends in CR or LF
 */
export function callId(
  bytes: Uint8Array,
  from: number,
  to: number,
): { start: number; end: number } | undefined {
  for (let i = from; i + NAME.length < to; i++) {
    // Headers start lines.
    if (i !== from && bytes[i - 1] !== LF) continue;
    let n = 0;
    while (n < NAME.length && (bytes[i + n] | 0x20) === (NAME[n] | 0x20)) n++;
    if (n < NAME.length) continue;
    let at = i + n;
    while (at < to && isBlank(bytes[at])) at++;
    if (bytes[at] !== COLON) continue;
    at++;
    while (at < to && isBlank(bytes[at])) at++;
    let end = at;
    while (end < to && bytes[end] !== CR && bytes[end] !== LF) end++;
    if (end === to || end === at || end - at > MAX_LEN) return undefined;
    return { start: at, end };
  }
  return undefined;
}
