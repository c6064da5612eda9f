/**
 * BTF, the type information of BPF objects (`include/uapi/linux/btf.h`): structs with their sizes and the offsets of their members.
 *
 *     header: magic(16) version(8) flags(8) header length(32) | types: offset, length | strings: offset, length
 *     type:   name offset(32) | info(32): members(16) - kind(5) - flag | size or type(32) | what the kind has behind it
 * @module
 */

const MAGIC = 0xeb9f;
const TYPE_LEN = 12;
const MEMBER_LEN = 12;
/** `BTF_KIND_*`. */
const KIND = {
  INT: 1,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  DECL_TAG: 17,
  ENUM64: 19,
} as const;

/** A struct as the compiler laid it out. */
export interface BtfStruct {
  /** Bytes. */
  readonly size: number;
  /** Offset of each member, bytes. */
  readonly members: ReadonlyMap<string, number>;
}

/**
 * Every struct of a BTF section that has a name, or those that are wanted; undefined when it is no BTF.
 * @param wanted names; the rest is passed over, which matters in a kernel's
 */
export function structs(btf: Uint8Array, wanted?: readonly string[]): Map<string, BtfStruct> | undefined {
  const v = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  if (btf.length < 24 || v.getUint16(0, true) !== MAGIC) return undefined;
  const start = v.getUint32(4, true);
  const types = start + v.getUint32(8, true);
  const end = types + v.getUint32(12, true);
  const strings = start + v.getUint32(16, true);
  if (end > btf.length || strings > btf.length) return undefined;
  const text = (offset: number): string =>
    new TextDecoder().decode(btf.subarray(strings + offset, btf.indexOf(0, strings + offset)));
  const found = new Map<string, BtfStruct>();
  for (let at = types; at + TYPE_LEN <= end; ) {
    const info = v.getUint32(at + 4, true);
    const count = info & 0xffff;
    const kind = (info >>> 24) & 0x1f;
    const name = kind === KIND.STRUCT ? text(v.getUint32(at, true)) : "";
    if (name !== "" && (wanted === undefined || wanted.includes(name))) {
      const members = new Map<string, number>();
      for (let i = 0; i < count; i++) {
        const member = at + TYPE_LEN + i * MEMBER_LEN;
        // With the flag set the top byte is the width of a bit field.
        const bits = v.getUint32(member + 8, true) & (info >>> 31 ? 0xffffff : 0xffffffff);
        members.set(text(v.getUint32(member, true)), bits / 8);
      }
      found.set(name, { size: v.getUint32(at + 8, true), members });
    }
    at += TYPE_LEN + tail(kind, count);
  }
  return found;
}

/** Bytes behind a type of that kind. */
function tail(kind: number, count: number): number {
  switch (kind) {
    case KIND.INT:
    case KIND.VAR:
    case KIND.DECL_TAG:
      return 4;
    case KIND.ARRAY:
      return 12;
    case KIND.STRUCT:
    case KIND.UNION:
    case KIND.DATASEC:
    case KIND.ENUM64:
      return 12 * count;
    case KIND.ENUM:
    case KIND.FUNC_PROTO:
      return 8 * count;
    default:
      return 0;
  }
}
