/**
 * Cutting an IPv4 packet into fragments, RFC 791 §3.2.
 * @module
 */
import * as ipv4 from "../../wire/ipv4.ts";

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_COPIED = 0x80;

/**
 * Calls `emit` with fragments of at most `mtu` bytes of the packet between `at` and `end` of `v`, which may itself be a
 * fragment. False when the MTU leaves no room or `emit` refused one.
 */
export function fragmentIpv4(
  v: DataView,
  at: number,
  end: number,
  mtu: number,
  emit: (fragment: Uint8Array) => boolean,
): boolean {
  const whole = new Uint8Array(v.buffer, v.byteOffset + at, end - at);
  const headerLen = ipv4.headerLen(v, at);
  const room = (mtu - headerLen) & ~7;
  if (room < 8) return false;
  const more = ipv4.moreFragments(v, at);
  const first = ipv4.fragmentOffset(v, at) >> 3;
  let sentAll = true;
  for (let offset = 0; headerLen + offset < whole.length; offset += room) {
    const payload = whole.subarray(headerLen + offset, Math.min(headerLen + offset + room, whole.length));
    const fragment = new Uint8Array(headerLen + payload.length);
    fragment.set(whole.subarray(0, headerLen));
    fragment.set(payload, headerLen);
    if (offset > 0) blankOptions(fragment, headerLen);
    const last = headerLen + offset + room >= whole.length;
    const f = new DataView(fragment.buffer);
    f.setUint16(ipv4.AT.length, fragment.length);
    f.setUint16(ipv4.AT.fragment, (last && !more ? 0 : ipv4.FRAGMENT.more) | (first + (offset >> 3)));
    ipv4.setChecksum(f, 0);
    sentAll = emit(fragment) && sentAll;
  }
  return sentAll;
}

/** Options without the copied flag are in the first fragment only. */
function blankOptions(fragment: Uint8Array, headerLen: number): void {
  for (let i = ipv4.HEADER_LEN; i < headerLen; ) {
    const type = fragment[i];
    if (type === OPTION_END) return;
    const length = type === OPTION_NOP ? 1 : Math.max(fragment[i + 1] ?? 0, 2);
    if ((type & OPTION_COPIED) === 0) fragment.fill(OPTION_NOP, i, Math.min(i + length, headerLen));
    i += length;
  }
}
