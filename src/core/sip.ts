/**
 * The Call-ID of a SIP message: what the SIP persistence engine makes templates of (`ip_vs_pe_sip.c`).
 * @module
 */

/** Longest Call-ID that is taken, bytes. */
const MAX_LEN = 255;
const NAME = new TextEncoder().encode("call-id");
const CR = 13;
const LF = 10;
const COLON = 58;
const AT_SIGN = 64;
/** The compact form of the header's name (RFC 3261 §7.3.3). */
const COMPACT = 105;
const isBlank = (b: number): boolean => b === 32 || b === 9;
const isLineEnd = (b: number): boolean => b === CR || b === LF;
const isLetter = (b: number): boolean => (b | 0x20) >= 97 && (b | 0x20) <= 122;

/** Bytes that a `word` of RFC 3261 §25.1 is made of, and the comma, which conntrack's parser lets pass too. */
const WORD = new Uint8Array(256);
for (const c of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~()<>:\\\"/[]?{},") {
  WORD[c.charCodeAt(0)] = 1;
}

function skipWord(bytes: Uint8Array, at: number, to: number): number {
  while (at < to && WORD[bytes[at]!] === 1) at++;
  return at;
}

/** Offset behind `Call-ID` or `i` when a line at `at` begins with it; -1 when not. */
function skipName(bytes: Uint8Array, at: number, to: number): number {
  if (at + 1 < to && (bytes[at]! | 0x20) === COMPACT && !isLetter(bytes[at + 1]!)) return at + 1;
  if (at + NAME.length > to) return -1;
  for (let i = 0; i < NAME.length; i++) {
    const b = bytes[at + i]!;
    if ((isLetter(b) ? b | 0x20 : b) !== NAME[i]) return -1;
  }
  return at + NAME.length;
}

/**
 * Finds the value of the Call-ID header (`word` or `word@word`) in a UDP payload. The first line is the request or status line
 * and not looked at.
 * @returns offsets of its first byte and behind its last, or undefined when there is none that CR or LF follows
 */
export function callId(
  bytes: Uint8Array,
  from: number,
  to: number,
): { start: number; end: number } | undefined {
  for (let i = from + 1; i < to; i++) {
    if (!isLineEnd(bytes[i - 1]!) || isLineEnd(bytes[i]!)) continue;
    let at = skipName(bytes, i, to);
    if (at < 0) continue;
    while (at < to && isBlank(bytes[at]!)) at++;
    if (bytes[at] !== COLON || at >= to) return undefined;
    at++;
    while (at < to && isBlank(bytes[at]!)) at++;
    let end = skipWord(bytes, at, to);
    if (end === at) continue;
    if (end < to && bytes[end] === AT_SIGN) {
      const host = skipWord(bytes, end + 1, to);
      if (host === end + 1) continue;
      end = host;
    }
    return end < to && isLineEnd(bytes[end]!) && end - at <= MAX_LEN ? { start: at, end } : undefined;
  }
  return undefined;
}
